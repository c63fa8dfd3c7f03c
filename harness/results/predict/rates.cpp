#include "harness/results/predict/rates.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "harness/results/predict/corners.h"
#include "harness/results/predict/predict.h"

namespace doorbell::harness {
namespace {

constexpr double ns_a_second = 1e9;
/// Steps of lab pizza's job in its region `alone`.
constexpr double steps_alone = 4096;

/// What was counted in a region of a case.
struct Region {
    Counts counts;      ///< each time that it was passed
    double passes = 0;  ///< how often
    Counts each(double units) const {
        Counts shared = counts;
        for (auto& [name, n] : shared) n *= passes / units;
        return shared;
    }
};

std::optional<Region> region_of(const Series& series, const std::string& name) {
    auto counts = counts_of(series, name);
    auto counter = std::find_if(series.counters.begin(), series.counters.end(),
                                [&](const Counter& c) { return c.stage == name; });
    if (!counts || counter == series.counters.end()) return std::nullopt;
    return Region{std::move(*counts), static_cast<double>(counter->samples)};
}

/// A region of several cases together.
template <class Wanted>
std::optional<Region> pooled(const std::vector<const Series*>& all, const char* name,
                             Wanted&& wanted) {
    Region sum;
    for (const Series* s : all) {
        auto one = wanted(*s) ? region_of(*s, name) : std::nullopt;
        if (!one) continue;
        sum.passes += one->passes;
        for (const auto& [count, n] : one->counts) sum.counts[count] += n * one->passes;
    }
    if (sum.passes == 0) return std::nullopt;
    for (auto& [count, n] : sum.counts) n /= sum.passes;
    return sum;
}

Counts sum_of_counts(const Counts& a, const Counts& b) {
    Counts sum = a;
    for (const auto& [name, n] : b) sum[name] += n;
    return sum;
}

/// Instructions that a stretch takes in the exact clock: a timestamp's two are in no count.
double counted_ns(const Counts& counts) {
    return count_of(counts, "instructions") + 2 * count_of(counts, "timestamps");
}

double number_of(const CaseKeys& keys, const char* name) {
    double n = 0;
    try {
        n = std::stod(std::string(keys[name]));
    } catch (const std::exception&) {
    }
    return n;
}

RatePrediction named(const std::string& lab, const std::string& name, const std::string& sentence) {
    RatePrediction p;
    p.lab = lab;
    p.name = name;
    p.sentence = sentence;
    p.unit = "packets/s";
    return p;
}

/// Something that costs time, as it was counted and as it is priced.
struct Item {
    const char* name;
    std::string group;
    Counts counts;
    OpenCost priced;
    bool in_cycles = false;  ///< it is known in cycles, at least
};

/// Prices what packets cost, and solves for rates.
class PacketPredictor {
  public:
    PacketPredictor(const Run& run, const Profile& profile) : run_(run), profile_(profile) {
        hz_ = profile.tsc_hz > 0 ? profile.tsc_hz : number_in(run.machine, "tsc_hz");
    }
    PacketPredictions all() {
        pizza();
        livelock();
        moderation();
        return std::move(all_);
    }

  private:
    using Figure = std::function<double(const std::vector<double>&)>;

    /// Of processor time: a message's way to the local APIC takes none.
    static Circumstances handler_circumstances() {
        Circumstances c;
        c.from_ring3 = false;
        return c;
    }
    /// What the counts cost in ns.
    Cost cost(const Counts& counts) const {
        Circumstances circumstances = handler_circumstances();
        Cost ns = cost_of(counts, circumstances, Prices(profile_, PredictionUnit::ns));
        if (counts.contains("path_steps")) widen(ns, model_error);
        if (ns.known()) return ns;
        Cost clock = cost_of(counts, circumstances, Prices(profile_, PredictionUnit::clock));
        if (!clock.known() || hz_ <= 0) return ns;
        for (CostPart& part : clock.parts) part.cost = part.cost * (ns_a_second / hz_);
        clock.sum_up();
        return clock;
    }
    Item item(const char* name, const std::string& group, Counts counts) {
        Item one{name, group, std::move(counts), {}};
        one.priced = {cost(one.counts), group};
        for (const CostPart& part : one.priced.cost.parts) all_.cost_parts.push_back(part.name);
        one.in_cycles =
            cost_of(one.counts, handler_circumstances(), Prices(profile_, PredictionUnit::cycles))
                .known();
        return one;
    }
    /// How a figure changes with what its first items cost; nothing is said of the others.
    enum class Trend { falls, rises, unknown };
    /// The figure that `figure` makes of the items. `trend`: with the cost of the first `of` items.
    RatePrediction predicted(RatePrediction p, const std::vector<Item>& items, const Figure& figure,
                             Trend trend, size_t of) const {
        std::vector<double> counted;
        std::vector<OpenCost> costs;
        bool in_cycles = true;
        for (size_t i = 0; i < items.size(); ++i) {
            const Cost& cost = items[i].priced.cost;
            counted.push_back(counted_ns(items[i].counts));
            costs.push_back(items[i].priced);
            in_cycles = in_cycles && (items[i].in_cycles || cost.known());
            for (const std::string& price : cost.missing)
                if (std::find(p.missing.begin(), p.missing.end(), price) == p.missing.end())
                    p.missing.push_back(price);
            if (!cost.known() && i >= of) trend = Trend::unknown;
            if (cost.known()) p.parts.push_back({items[i].name, cost.all});
        }
        p.counted = figure(counted);
        if (p.missing.empty()) {
            p.value = at_corners(costs, figure);
        } else if (in_cycles) {
            p.missing.clear();
            p.why_not = "nothing tells the core's frequency";
        } else if (trend != Trend::unknown) {
            for (OpenCost& c : costs) {
                c.cost.missing.clear();
                c.cost.sum_up();
            }
            Estimate known = at_corners(costs, figure);
            (trend == Trend::falls ? p.at_most : p.at_least) =
                trend == Trend::falls ? known.high : known.low;
        }
        return p;
    }
    void add(RatePrediction p) { all_.rates.push_back(std::move(p)); }

    const Series* of_case(const Series& series, const char* metric) const {
        for (const Series& s : run_.series)
            if (s.lab == series.lab && s.test_case == series.test_case && s.metric == metric)
                return &s;
        return nullptr;
    }
    std::vector<const Series*> counted_series(const char* lab, const char* metric) const {
        std::vector<const Series*> found;
        for (const Series& s : run_.series)
            if (s.lab == lab && s.metric == metric && s.count != 0 && !s.counters.empty())
                found.push_back(&s);
        return found;
    }
    double packets_of(const Series& series) const {
        const Series* latency = of_case(series, "latency");
        return latency == nullptr ? 0 : static_cast<double>(latency->count);
    }

    // pizza
    struct Polling {
        std::string every;
        std::vector<Item> items;  ///< packet, look, job, what a look adds to it, exposed
    };
    void pizza();
    /// The case where each packet has an interrupt of its own, at as high a rate as there is one.
    const Series* one_by_one(const std::vector<const Series*>& work) const;
    std::optional<Polling> polling(const std::vector<const Series*>& work, const std::string& every,
                                   double rate);
    void work_left(const std::vector<const Series*>& work, const std::vector<Item>& irq,
                   const std::vector<Polling>& polls);
    void livelock();
    void moderation();

    const Run& run_;
    const Profile& profile_;
    double hz_ = 0;
    PacketPredictions all_;
};

/// The lines that a device wrote for a packet, of which `together` come at once.
void add_device_lines(Counts& packet, double together) {
    packet["device_line"] += 1 + 1 / std::clamp(together, 1.0, 4.0);
}

/// `values`: packet, look, job, what a look adds to it, whether the look is exposed. A look may be
/// hidden behind what the job waits for, or not at all.
double look_share(const double* values) {
    double beyond = std::max(values[3], 0.0), alone = std::max(values[1], beyond);
    double look = beyond + (alone - beyond) * values[4], job = values[2];
    return job + look > 0 ? look / (job + look) : 0;
}

/// The dataflow does not follow a value that is stored and loaded again, as the job's carry is. At
/// most every instruction waits for the one before it, loads and stores for 4 cycles more. The
/// middle is the geometric one.
void follow_no_memory(Cost& cost, const Counts& counts, const std::optional<Estimate>& cycle) {
    if (!cycle || !counts.contains("path_steps")) return;
    double steps = count_of(counts, "instructions") +
                   4 * (count_of(counts, "loads") + count_of(counts, "stores"));
    for (CostPart& part : cost.parts)
        if (part.name == "instructions") {
            part.cost.high = std::max(part.cost.high, cycle->high * steps);
            double most = std::max(part.cost.value, cycle->value * steps);
            part.cost.value = std::sqrt(part.cost.value * most);
        }
    cost.sum_up();
}

const Series* PacketPredictor::one_by_one(const std::vector<const Series*>& work) const {
    const Series* best = nullptr;
    double highest = 0;
    for (const Series* s : work) {
        auto interrupt = region_of(*s, "interrupt");
        double rate = number_of(s->test_case, "rate");
        if (s->test_case["wait"] != "irq" || !interrupt || !region_of(*s, "packet")) continue;
        if (interrupt->passes < packets_of(*s) || rate <= highest) continue;
        best = s;
        highest = rate;
    }
    return best;
}

std::optional<PacketPredictor::Polling> PacketPredictor::polling(
    const std::vector<const Series*>& work, const std::string& every, double rate) {
    // As slow as that, so that looks are in vain; the lowest rate has the most of them.
    double lowest = std::numeric_limits<double>::infinity();
    const Series* best = nullptr;
    for (const Series* s : work) {
        double here = number_of(s->test_case, "rate");
        if (s->test_case["every"] != every || packets_of(*s) == 0 || !region_of(*s, "packet"))
            continue;
        lowest = std::min(lowest, here);
        if (best == nullptr || here <= rate) best = s;
    }
    auto in_vain = [&](const Series& s) {
        return s.test_case["every"] == every &&
               number_of(s.test_case, "rate") <= std::max(rate, lowest);
    };
    // What a look takes is a small difference of large counts: of all cases together.
    auto job_alone = pooled(work, "alone", [](const Series&) { return true; }),
         with_looks = pooled(work, "job", in_vain), looks = pooled(work, "look", in_vain);
    if (best == nullptr || !job_alone || !with_looks || !looks) return std::nullopt;
    Counts packet = region_of(*best, "packet")->each(packets_of(*best));
    add_device_lines(packet, 1);
    // The job alone makes the same steps in one go: a look is all that a round takes beyond them.
    Counts round = sum_of_counts(with_looks->counts, looks->counts);
    Counts job =
        job_alone->each(job_alone->passes * steps_alone / number_of(best->test_case, "every"));
    Counts look = round;
    for (auto& [name, n] : look) n = std::max(n - count_of(job, name), 0.0);
    Polling p{every, {}};
    p.items.push_back(item("a packet by polling", "packet", packet));
    p.items.push_back(item("a look", "look", look));
    Item alone = item("the job between two looks", "job", job),
         added = item("what a look adds to it", "added", round);
    // As priced, the look goes on while the job waits; at worst not at all.
    added.priced.cost = difference_of(added.priced.cost, alone.priced.cost);
    added.counts = look;
    follow_no_memory(alone.priced.cost, job, Prices(profile_, PredictionUnit::ns).cycle());
    p.items.push_back(std::move(alone));
    p.items.push_back(std::move(added));
    Item exposed{"", "exposed", {}, {}};
    exposed.priced.cost.add("exposed", 1, {0, 0, 1});
    p.items.push_back(std::move(exposed));
    return p;
}

void PacketPredictor::pizza() {
    std::vector<const Series*> work = counted_series("pizza", "work");
    const Series* irq = one_by_one(work);
    if (irq == nullptr) return;
    Counts packet = region_of(*irq, "packet")->each(packets_of(*irq));
    add_device_lines(packet, 1);
    std::vector<Item> by_interrupt{
        item("an interrupt", "interrupt", region_of(*irq, "interrupt")->counts),
        item("a packet by interrupt", "packet", packet)};
    std::vector<Polling> polls;
    for (const Series* s : work) {
        std::string every(s->test_case["every"]);
        bool seen = std::any_of(polls.begin(), polls.end(),
                                [&](const Polling& p) { return p.every == every; });
        if (every.empty() || seen) continue;
        auto p = polling(work, every, number_of(irq->test_case, "rate"));
        if (!p) continue;
        std::vector<Item> items = by_interrupt;
        items.insert(items.end(), p->items.begin(), p->items.end());
        auto rate = predicted(
            named("pizza", "break-even every=" + every,
                  fmt::format("from this rate on polling every {}th step leaves the job more than "
                              "interrupts do",
                              every)),
            items,
            [](const std::vector<double>& v) {
                return break_even_rate(v[0] + v[1], v[2], look_share(&v[2]));
            },
            Trend::falls, by_interrupt.size());
        std::erase_if(rate.parts, [](const auto& part) { return part.name.empty(); });
        add(std::move(rate));
        polls.push_back(std::move(*p));
    }
    work_left(work, by_interrupt, polls);
}

void PacketPredictor::work_left(const std::vector<const Series*>& work,
                                const std::vector<Item>& irq, const std::vector<Polling>& polls) {
    for (const Series* s : work) {
        double rate = number_of(s->test_case, "rate");
        RatePrediction left;
        auto ppm = [&](const std::vector<Item>& items, const Figure& share) {
            left = predicted(
                {}, items, [&](const std::vector<double>& v) { return 1000000 * share(v); },
                Trend::unknown, 0);
        };
        auto poll = std::find_if(polls.begin(), polls.end(), [&](const Polling& p) {
            return p.every == s->test_case["every"];
        });
        if (s->test_case["wait"] == "irq")
            ppm(irq, [&](const std::vector<double>& v) {
                return share_left_by_interrupts(rate, v[0] + v[1]);
            });
        else if (poll != polls.end())
            ppm(poll->items, [&](const std::vector<double>& v) {
                return share_left_by_polling(rate, v[0], look_share(v.data()));
            });
        else
            continue;
        SeriesPrediction p;
        p.lab = s->lab;
        p.test_case = s->test_case;
        p.metric = s->metric;
        p.unit = s->unit;
        p.evidence = s->evidence;
        if (auto median = s->percentile(50000)) p.exact = static_cast<double>(*median);
        p.share = left.value;
        p.why_not = left.why_not;
        for (const std::string& price : left.missing)
            for (Cost* c : {&p.costs.cycles, &p.costs.ns, &p.costs.clock}) c->lacks(price);
        all_.shares.push_back(std::move(p));
    }
}

void PacketPredictor::livelock() {
    // Where each call finds packets: by interrupt at the lowest load, where none waits for another;
    // by polling at the highest.
    std::vector<const Series*> delivered = counted_series("livelock", "delivered");
    auto at_load = [&](std::string_view policy, bool highest) {
        const Series* best = nullptr;
        for (const Series* s : delivered) {
            double here = number_of(s->test_case, "load"),
                   there = best == nullptr ? 0 : number_of(best->test_case, "load");
            if (s->test_case["policy"] != policy || !region_of(*s, "input")) continue;
            if (best == nullptr || (highest ? here > there : here < there)) best = s;
        }
        return best;
    };
    std::optional<Counts> delivery;
    for (const Series* s : delivered)
        if (auto in = region_of(*s, "delivery"); in && !delivery) delivery = in->counts;
    if (!delivery) return;
    for (const char* policy : {"irq", "poll", "quota", "hybrid"}) {
        bool by_interrupt = std::string_view(policy) == "irq";
        const Series* s = at_load(policy, !by_interrupt);
        if (s == nullptr) continue;
        Region input = *region_of(*s, "input");
        auto calls = region_of(*s, "receive");
        if (!calls) continue;
        Counts receive = calls->each(input.passes);
        add_device_lines(receive, input.passes / calls->passes);
        std::vector<Item> items{item("receiving a packet", "receive", receive),
                                item("its input", "input", input.counts),
                                item("its delivery", "delivery", *delivery)};
        if (auto interrupt = region_of(*s, "interrupt"))
            items.push_back(item("an interrupt", "interrupt",
                                 by_interrupt ? interrupt->counts : interrupt->each(input.passes)));
        std::string of = fmt::format(" policy={}", policy);
        add(predicted(
            named("livelock", "capacity" + of, "up to this rate every packet is delivered"), items,
            [](const std::vector<double>& v) {
                double sum = 0;
                for (double one : v) sum += one;
                return ns_a_second / sum;
            },
            Trend::falls, items.size()));
        if (std::string_view(policy) == "quota" || std::string_view(policy) == "hybrid") continue;
        add(predicted(
            named("livelock", "nothing delivered" + of,
                  "deliveries decline from the capacity on, and end at this rate"),
            items,
            [](const std::vector<double>& v) {
                return ns_a_second / (v[0] + v[1] + (v.size() > 3 ? v[3] : 0));
            },
            Trend::falls, items.size()));
    }
}

void PacketPredictor::moderation() {
    for (const Series* s : counted_series("moderation", "interrupts")) {
        auto interrupt = region_of(*s, "interrupt"), serve = region_of(*s, "packets");
        double packets = packets_of(*s);
        if (!interrupt || !serve || packets == 0) continue;
        // The emulator's card keeps an interval of its own where none is asked for.
        bool each = number_of(s->test_case, "interval") == 0;
        double together = each ? 1 : packets / interrupt->passes;
        Counts packet = serve->each(packets);
        add_device_lines(packet, together);
        RatePrediction cost = named(
            "moderation", "cost " + s->test_case.text(),
            each ? std::string("what a packet costs that has an interrupt of its own")
                 : fmt::format("what a packet costs where an interrupt serves {:.1f}", together));
        cost.unit = "ns/packet";
        add(predicted(
            std::move(cost),
            {item("an interrupt", "interrupt", interrupt->counts),
             item("a packet", "packet", packet)},
            [together](const std::vector<double>& v) { return v[0] / together + v[1]; },
            Trend::rises, 2));
    }
}

}  // namespace

double break_even_rate(double by_interrupt, double by_polling, double look_share) {
    double more = by_interrupt - by_polling * (1 - look_share);
    if (more <= 0) return std::numeric_limits<double>::infinity();
    return ns_a_second * look_share / more;
}

double share_left_by_interrupts(double rate, double by_interrupt) {
    return std::max(1 - rate * by_interrupt / ns_a_second, 0.0);
}

double share_left_by_polling(double rate, double by_polling, double look_share) {
    return std::max(1 - rate * by_polling / ns_a_second, 0.0) * (1 - look_share);
}

PacketPredictions predict_packets(const Run& run, const Profile& profile) {
    return PacketPredictor(run, profile).all();
}

}  // namespace doorbell::harness
