#include "harness/results/predict/cost.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace doorbell::harness {
namespace {

using How = PricedCount::How;

// Names on the left are counts of the model (design.md), or terms of in_priced_terms().
constexpr PricedCount all_counts[] = {
    {"chained_l2", How::miss, "load-chained l2"},
    {"chained_llc", How::miss, "load-chained llc"},
    {"chained_memory", How::miss, "load-chained memory"},
    {"scattered_l2", How::miss, "load-scattered l2"},
    {"scattered_llc", How::miss, "load-scattered llc"},
    {"scattered_memory", How::miss, "load-scattered memory"},
    {"streamed_l2", How::miss, "load-streamed l2"},
    {"streamed_llc", How::miss, "load-streamed llc"},
    {"streamed_memory", How::miss, "load-streamed memory"},
    {"store_l2", How::miss, "store-scattered l2"},
    {"store_llc", How::miss, "store-scattered llc"},
    {"store_memory", How::miss, "store-scattered memory"},
    {"fetch_l2", How::hidden, "load-chained l2"},
    {"fetch_llc", How::hidden, "load-chained llc"},
    {"fetch_memory", How::hidden, "load-chained memory"},
    {"device_line", How::device, ""},
    {"unclassed_l2", How::open, "l2"},
    {"unclassed_llc", How::open, "llc"},
    {"unclassed_memory", How::open, "memory"},
    {"small_pages_l2_tlb", How::page, "dtlb-miss-4k page-walk-4k"},
    {"small_pages_walks", How::page, "page-walk-4k dtlb-miss-4k"},
    {"large_pages_l2_tlb", How::page, "dtlb-miss-2m dtlb-miss-4k page-walk-2m page-walk-4k"},
    {"large_pages_walks", How::page, "page-walk-2m page-walk-4k dtlb-miss-2m dtlb-miss-4k"},
    {"branch_misses", How::event, "mispredict"},
    {"int_pairs_ring0", How::event, "int-iretq-ring0", 2},
    {"int_pairs_ring3", How::event, "int-iretq-ring3", 2},
    {"int_ring0", How::half, "int-iretq-ring0", 1},
    {"int_ring3", How::half, "int-iretq-ring3", 1},
    {"iretq", How::event, "iretq", 6},
    {"syscall_pairs", How::event, "syscall-sysret", 2},
    {"syscall", How::half, "syscall-sysret", 1},
    {"sysret", How::half, "syscall-sysret", 1},
    {"interrupt-entry", How::event, "interrupt-entry"},
    {"interrupt-entry-ring3", How::event, "interrupt-entry-ring3"},
    {"interrupt-entry-hlt", How::event, "interrupt-entry-hlt"},
    {"interrupt-entry-mwait", How::event, "interrupt-entry-mwait"},
    {"messages", How::event, "msi-delivery"},
    {"apic_reads", How::event, "apic-read", 1, true},
    {"apic_writes", How::some, "apic-write eoi", 1},
    {"hpet_reads", How::event, "hpet-read", 1, true},
    {"hpet_writes", How::event, "hpet-write", 1},
    {"card_reads", How::event, "card-read", 1, true},
    {"card_writes", How::event, "card-write", 1},
    {"some_mmio_reads", How::some, "card-read apic-read hpet-read", 1},
    {"some_mmio_writes", How::some, "card-write apic-write eoi hpet-write", 1},
    {"port_reads", How::event, "port-read", 1, true},
    {"port_writes", How::event, "port-write", 1},
    {"cr3_writes", How::event, "cr3-write", 1},
    {"cr3_pcid_writes", How::event, "cr3-write-pcid", 1},
    {"invlpg", How::event, "invlpg", 1},
    {"cpuid", How::event, "cpuid", 2},
    {"wrmsr", How::event, "wrmsr", 1},
    {"rdmsr", How::event, "rdmsr", 1},
    {"other_serializing", How::some, "wrmsr cpuid invlpg", 1},
    {"locked", How::event, "lock-add", 1},
    {"lfence", How::event, "lfence", 1},
    {"mfence", How::event, "mfence", 1},
    {"rdtsc", How::event, "rdtsc", 1, true},
    {"lfence_rdtsc", How::event, "lfence-rdtsc", 2, true},
    // Their instructions are not counted.
    {"timestamps", How::event, "lfence-rdtsc"},
    {"swapgs", How::event, "swapgs", 1},
    {"xsave", How::event, "xsave", 1},
    {"xrstor", How::event, "xrstor", 1},
    {"clflush", How::event, "clflush", 1},
    {"pause", How::event, "pause", 1},
    // How long the processor waits there is not a cost: no profile has these.
    {"hlt", How::event, "hlt", 1},
    {"mwait", How::event, "mwait", 1},
};

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    while (!text.empty()) {
        size_t blank = std::min(text.find(' '), text.size());
        words.emplace_back(text.substr(0, blank));
        text.remove_prefix(std::min(blank + 1, text.size()));
    }
    return words;
}

/// A turn of a repeated string instruction: 32 a cycle (Intel, "Optimization Reference Manual",
/// "Enhanced REP MOVSB and STOSB Operation"), half or twice as many, or one; and as measured of
/// bytes in long strings, where that is more: the beginning is not in it, and a turn may move eight
/// bytes.
std::optional<Estimate> rep_iteration(const Prices& prices) {
    std::optional<Estimate> turn;
    if (auto cycle = prices.cycle()) turn = *cycle * Estimate{1.0 / 32, 1.0 / 64, 1};
    auto moved = prices.direct("rep-movsb");
    if (!moved) return turn;
    Estimate stored = prices.direct("rep-stosb").value_or(*moved);
    Estimate measured{moved->value, std::min(moved->low, stored.low),
                      8 * std::max(moved->high, stored.high)};
    if (!turn) return measured;
    return Estimate{std::max(turn->value, measured.value), std::min(turn->low, measured.low),
                    std::max(turn->high, measured.high)};
}

std::string dashed(std::string name) {
    std::replace(name.begin(), name.end(), '_', '-');
    return name;
}

/// The name of the part that a line of the table adds to.
std::string part_of(const PricedCount& line) {
    switch (line.how) {
        case How::event:
        case How::half:
            return line.price;
        case How::page:
            return "dtlb-misses";
        default:
            return dashed(line.count);
    }
}

/// Finds the price of one event of a line of the table, or names what is missing.
class Pricing {
  public:
    Pricing(const Prices& prices, Cost& cost)
        : prices_(prices), cost_(cost), instruction_(prices.find("instruction")) {}

    std::optional<Estimate> each(const PricedCount& line) {
        switch (line.how) {
            case How::event:
                return less(found(line.price), line.instructions);
            case How::some:
                return less(some(words_of(line.price)), line.instructions);
            case How::page:
                return first(words_of(line.price));
            case How::half:
                return half(line);
            case How::miss:
                return miss(line.price);
            case How::hidden: {
                auto all = miss(line.price);
                if (all) all->low = 0;
                return all;
            }
            case How::open:
                return open(line.price);
            case How::device: {
                auto memory = miss("load-chained memory");
                if (auto llc = prices_.miss("load-chained", "llc"); memory && llc)
                    memory->low = std::min(memory->low, llc->low);
                return memory;
            }
        }
        return std::nullopt;
    }

  private:
    std::optional<Estimate> found(const std::string& name) {
        auto price = prices_.find(name);
        if (!price) cost_.lacks(name);
        return price;
    }
    /// Without the instructions of the price's own body: these have been counted.
    std::optional<Estimate> less(const std::optional<Estimate>& price, double instructions) const {
        if (!price || !instruction_) return std::nullopt;
        // The same instructions, at the same price: both are low or both are high.
        const Estimate own = *instruction_ * instructions;
        return not_negative(
            {price->value - own.value, price->low - own.low, price->high - own.high});
    }
    std::optional<Estimate> some(const std::vector<std::string>& names) {
        std::optional<Estimate> all;
        for (const std::string& name : names) {
            auto one = prices_.find(name);
            if (!one) continue;
            if (!all) all = one;
            all->low = std::min(all->low, one->low);
            all->high = std::max(all->high, one->high);
        }
        if (!all) cost_.lacks(names.front());
        return all;
    }
    std::optional<Estimate> first(const std::vector<std::string>& names) {
        for (const std::string& name : names)
            if (auto one = prices_.find(name)) return one;
        cost_.lacks(names.front());
        return std::nullopt;
    }
    /// INT without its IRETQ is what the pair costs beyond an IRETQ, whose price has five PUSHes;
    /// SYSCALL or SYSRET alone, between nothing and the pair.
    std::optional<Estimate> half(const PricedCount& line) {
        auto pair = found(line.price);
        if (!pair || !instruction_) return std::nullopt;
        std::string name = line.price;
        auto iretq = prices_.direct("iretq");
        if (name.starts_with("int-") && iretq)
            return less(not_negative(*pair - *iretq + *instruction_ * 5), line.instructions);
        return less(Estimate{pair->value / 2, 0, pair->high}, line.instructions);
    }
    std::optional<Estimate> miss(const std::string& words) {
        std::vector<std::string> names = words_of(words);
        auto price = prices_.miss(names[0], names[1]);
        if (!price) cost_.lacks(lacking(names[0], names[1]));
        return price;
    }
    std::string lacking(const std::string& access, const std::string& level) const {
        return prices_.find(access + "-" + level) ? access + "-l1d" : access + "-" + level;
    }
    std::optional<Estimate> open(const std::string& level) {
        auto most = prices_.miss("load-chained", level),
             least = prices_.miss("load-scattered", level);
        if (!most || !least) {
            cost_.lacks(lacking("load-chained", level));
            return std::nullopt;
        }
        double low = std::min(most->low, least->low), high = std::max(most->high, least->high);
        return Estimate{(most->value + least->value) / 2, low, high};
    }

    const Prices& prices_;
    Cost& cost_;
    std::optional<Estimate> instruction_;
};

bool is_independent(const std::string& part) {
    return part.starts_with("crowded-") || part.starts_with("scattered-") ||
           part.starts_with("streamed-") || part.starts_with("store-");
}

/// Misses that crowd in one set of L1D, beyond what such misses cost elsewhere; the levels that
/// served them are those of all misses of their class.
void add_crowd(const Counts& counts, const Prices& prices, Cost& cost) {
    struct Crowd {
        const char *count, *price;
        std::vector<const char*> classes;  ///< and how the price of each begins
    };
    for (const Crowd& crowd : {Crowd{"crowded_loads", "load", {"scattered", "streamed"}},
                               Crowd{"crowded_stores", "store", {"store"}}}) {
        double crowded = count_of(counts, crowd.count), all = 0;
        if (crowded == 0) continue;
        Estimate more;
        for (const char* kind : crowd.classes)
            for (const char* level : {"l2", "llc", "memory"}) {
                double n = count_of(counts, fmt::format("{}_{}", kind, level));
                std::string elsewhere =
                    std::string(kind) == "store" ? "store-scattered" : fmt::format("load-{}", kind);
                auto here = prices.direct(fmt::format("{}-crowded-{}", crowd.price, level)),
                     there = prices.direct(fmt::format("{}-{}", elsewhere, level));
                all += n;
                if (here && there) more = more + not_negative(*here - *there) * n;
            }
        if (all > 0 && more.high > 0)
            cost.add(dashed(crowd.count), crowded, more * (std::min(crowded, all) / all));
    }
}

/// The share of a part that nothing waits for: the TLB's misses are of the same loads and stores as
/// the caches'.
double independent_share(const Cost& cost, const std::string& part) {
    if (part != "dtlb-misses") return is_independent(part) ? 1 : 0;
    double independent = 0, chained = 0;
    for (const CostPart& p : cost.parts)
        if (p.name.starts_with("crowded-"))
            continue;  // of the others
        else if (is_independent(p.name))
            independent += p.count;
        else if (p.name.starts_with("chained-"))
            chained += p.count;
    return independent > 0 ? independent / (independent + chained) : 0;
}

/// Translations that nothing waits for go on at once, as loads do: of their time as much is seen as
/// of a load that the second level serves.
void translate_at_once(Cost& cost, const Prices& prices) {
    auto chained = prices.miss("load-chained", "l2"), apart = prices.miss("load-scattered", "l2");
    if (!chained || !apart || !(chained->value > 0)) return;
    double seen = std::min(apart->value / chained->value, 1.0);
    for (CostPart& p : cost.parts)
        if (p.name == "dtlb-misses") {
            double share = independent_share(cost, p.name);
            p.cost.value *= 1 - share + share * seen;
            p.cost.low = std::min(p.cost.low * (1 - share), p.cost.value);
        }
}

/// However many loads go on at once, the stretch ends when the last one has ended: they take at
/// least what one of them takes that is waited for.
void wait_for_one(Cost& cost, const Prices& prices) {
    Estimate apart;
    CostPart* deepest = nullptr;
    Estimate one;
    for (const char* level : {"l2", "llc", "memory"})
        for (CostPart& p : cost.parts)
            if (auto waited = prices.miss("load-chained", level);
                waited && p.name == std::string("scattered-") + level) {
                apart = apart + p.cost;
                one = *waited * std::min(p.count, 1.0);
                deepest = &p;
            }
    if (deepest == nullptr) return;
    deepest->cost.value += std::max(one.value - apart.value, 0.0);
    deepest->cost.high += std::max(one.high - apart.high, 0.0);
}

/// Instructions run while loads and stores that nothing waits for are under way.
void overlap(Cost& cost) {
    Estimate core, apart;
    for (const CostPart& p : cost.parts)
        if (p.name == "instructions")
            core = p.cost;
        else
            apart = apart + p.cost * independent_share(cost, p.name);
    auto beyond = [](double all, double of_core) {
        return all > 0 ? std::max(all - of_core, 0.0) / all : 0;
    };
    double value = beyond(apart.value, core.value), low = beyond(apart.low, core.low);
    for (CostPart& p : cost.parts)
        if (double share = independent_share(cost, p.name); share > 0) {
            p.cost.value *= 1 - share + share * value;
            p.cost.low = std::min(p.cost.low * (1 - share + share * low), p.cost.value);
        }
}

/// The price of a mispredicted branch holds a load, a test and the branch, in each other's way:
/// cycles that the path has, too.
void less_resolution(Cost& cost, const Estimate& cycle) {
    constexpr double resolution = 6;
    for (CostPart& p : cost.parts)
        if (p.name == "mispredict") {
            Estimate less = cycle * (resolution * p.count);
            p.cost.value = std::max(p.cost.value - less.value, 0.0);
            p.cost.low = std::min(std::max(p.cost.low - less.high, 0.0), p.cost.value);
        }
}

/// A branch that waits for a load that missed makes the whole load's time visible.
void add_late_branches(const Counts& counts, double late, const Prices& prices, Cost& cost) {
    double scattered = 0;
    Estimate more;
    for (const char* level : {"l2", "llc", "memory"}) {
        double n = count_of(counts, std::string("scattered_") + level);
        auto chained = prices.miss("load-chained", level),
             apart = prices.miss("load-scattered", level);
        if (n == 0 || !chained || !apart) continue;
        scattered += n;
        double value = std::max(chained->value - apart->value, 0.0) * n;
        // How much of it the window hides is not known.
        Estimate shown{value / 2, 0, value};
        // What was measured of branches whose both ways go on to the same loads: others wait
        // longer.
        auto late_branch = prices.direct(std::string("late-branch-") + level),
             branch = prices.direct("mispredict");
        if (late_branch && branch) {
            Estimate least = not_negative(*late_branch - *branch) * n;
            shown = greater_of(shown, least);
            shown.high = std::max(shown.high, shown.value);
        }
        more = more + shown;
    }
    if (scattered > 0) cost.add("late-branch", late, more * (late / scattered));
}

}  // namespace

bool is_own_part(const std::string& part) {
    for (const char* level : {"-l2", "-llc", "-memory"})
        if (part.ends_with(level)) return true;
    return part == "instructions" || part.starts_with("crowded-") || part == "mispredict" ||
           part == "late-branch" || part == "dtlb-misses";
}

std::span<const PricedCount> priced_counts() { return all_counts; }

void Cost::lacks(const std::string& price) {
    // A sum without one of its prices is not a number that anybody may use.
    constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
    all = {unknown, unknown, unknown};
    if (std::find(missing.begin(), missing.end(), price) == missing.end()) missing.push_back(price);
}

void Cost::sum_up() {
    if (!known()) return;
    all = {};
    for (const CostPart& p : parts) all = all + p.cost;
}

void widen(Cost& cost, double factor) {
    for (CostPart& part : cost.parts)
        if (is_own_part(part.name)) {
            part.cost.low *= part.cost.low < 0 ? factor : 1 / factor;
            part.cost.high *= part.cost.high < 0 ? 1 / factor : factor;
        }
    Estimate before = cost.all;
    cost.sum_up();
    // A difference that would be negative is 0.
    if (cost.known()) cost.all = {before.value, std::max(cost.all.low, 0.0), cost.all.high};
}

Cost difference_of(const Cost& a, const Cost& b) {
    Cost all;
    for (const CostPart& part : a.parts) all.parts.push_back(part);
    for (const std::string& price : a.missing) all.lacks(price);
    for (const std::string& price : b.missing) all.lacks(price);
    for (const CostPart& part : b.parts) {
        auto same = std::find_if(all.parts.begin(), all.parts.end(),
                                 [&](const CostPart& p) { return p.name == part.name; });
        if (same == all.parts.end()) {
            all.parts.push_back({part.name, -part.count, part.cost * -1});
            continue;
        }
        double low = same->cost.low - part.cost.low, high = same->cost.high - part.cost.high;
        same->count -= part.count;
        same->cost = {same->cost.value - part.cost.value, std::min(low, high), std::max(low, high)};
    }
    std::erase_if(all.parts, [](const CostPart& p) {
        return p.count == 0 && p.cost.low == 0 && p.cost.high == 0;
    });
    for (const CostPart& part : all.parts) all.all = all.all + part.cost;
    // As the labs record it: what would be negative is 0.
    all.all = not_negative(all.all);
    return all;
}

void Cost::add(const std::string& part, double count, const Estimate& cost) {
    all = all + cost;
    for (CostPart& p : parts)
        if (p.name == part) {
            p.count += count;
            p.cost = p.cost + cost;
            return;
        }
    parts.push_back({part, count, cost});
}

void Cost::add(const Cost& other) {
    for (const CostPart& p : other.parts) add(p.name, p.count, p.cost);
    for (const std::string& price : other.missing) lacks(price);
}

Cost cost_of(const Counts& counts, const Circumstances& circumstances, const Prices& prices) {
    Cost cost;
    double turns = count_of(counts, "rep_iterations"),
           instructions = count_of(counts, "instructions") - turns;
    if (auto each = prices.find("instruction")) {
        Estimate core = *each * instructions;
        if (auto cycle = prices.cycle())
            core = greater_of(core, *cycle * count_of(counts, "path_steps"));
        cost.add("instructions", instructions, core);
        if (auto turn = rep_iteration(prices); turn && turns > 0)
            cost.add("rep-iterations", turns, *turn * turns);
    } else if (instructions != 0) {
        cost.lacks("instruction");
    }
    Counts terms = in_priced_terms(counts, circumstances);
    Pricing pricing(prices, cost);
    for (const PricedCount& line : all_counts) {
        double n = count_of(terms, line.count);
        if (n == 0) continue;
        auto each = pricing.each(line);
        if (each && line.is_look && circumstances.polls && n < 1) {
            cost.add(line.price, 1, *each * Estimate{1, 0.5, 1.5});
        } else if (each) {
            cost.add(part_of(line), n, *each * n);
        }
    }
    if (double late = count_of(terms, "late_branches"); late != 0)
        add_late_branches(counts, late, prices, cost);
    if (auto cycle = prices.cycle(); cycle && counts.contains("path_steps")) {
        add_crowd(counts, prices, cost);
        translate_at_once(cost, prices);
        wait_for_one(cost, prices);
        overlap(cost);
        less_resolution(cost, *cycle);
        cost.sum_up();
    }
    return cost;
}

}  // namespace doorbell::harness
