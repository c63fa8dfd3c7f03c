#include "harness/results/profile/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "firmware/measure/yardstick.h"
#include "harness/results/profile/levels.h"
#include "harness/results/profile/model_words.h"
#include "harness/system/failure.h"
#include "harness/text/number.h"

namespace doorbell::harness {
namespace {

constexpr uint64_t quarter = 25000, three_quarters = 75000;

bool is_refused(const Series& series) {
    return std::any_of(series.flags.begin(), series.flags.end(),
                       [](const std::string& flag) { return flag.starts_with("refused"); });
}

/// One case of the lab: its two series.
struct PriceCase {
    const Series* price = nullptr;
    const Series* yardstick = nullptr;
};

class ProfileMaker {
  public:
    explicit ProfileMaker(const StoredRun& stored) : run_(stored.run) {
        for (const Series& s : run_.series) {
            if (s.lab != "prices" || !s.whole()) continue;
            PriceCase& m = measured_[s.test_case.text()];
            if (s.metric == "price") m.price = &s;
            if (s.metric == "yardstick") m.yardstick = &s;
        }
        std::erase_if(measured_, [](const auto& m) { return m.second.price == nullptr; });
        if (measured_.empty())
            throw UsageError(
                fmt::format("{} has no prices: run `doorbell run prices`, `doorbell "
                            "host prices`, or lab prices on a machine",
                            stored.name));
        exact_ = run_.instrument.value("evidence", "") == "exact";
        // Under emulation a tick says nothing of a core's cycles.
        cycles_ = run_.instrument.value("evidence", "") == "measured";
    }

    Profile make(const StoredRun& stored) {
        describe(stored);
        for (const auto& [name, m] : measured_) simple(m);
        memory();
        pages();
        splitting();
        disturbances();
        promises();
        for (const CaseEnd& end : run_.skipped)
            if (end.lab == "prices")
                profile_.absent.push_back({name_of(end.test_case), end.reason});
        for (const CaseEnd& end : run_.failed)
            if (end.lab == "prices")
                profile_.absent.push_back({name_of(end.test_case), end.reason});
        return std::move(profile_);
    }

  private:
    static std::string name_of(const CaseKeys& keys) {
        std::string name;
        for (const auto& [key, value] : keys.pairs())
            name += (name.empty() ? "" : "-") + (key == "primitive" ? value : key + value);
        return name;
    }

    void describe(const StoredRun& stored) {
        const Json& m = run_.machine;
        profile_.name = stored.name;
        profile_.evidence = run_.instrument.value("evidence", "");
        for (const char* key : {"cpu", "vendor", "family", "model", "stepping", "microcode", "type",
                                "accel", "os", "os_release"})
            if (m.contains(key)) profile_.machine[key] = m.at(key);
        for (const char* key : {"image", "compiler", "boot", "acpi", "lfence"})
            if (m.contains(key)) profile_.firmware[key] = m.at(key);
        profile_.date = word_of(stored.manifest, "time");
        profile_.tsc_hz = number_in(m, "tsc_hz");
        if (m.contains("hypervisor")) profile_.hypervisor = m.at("hypervisor");
        if (m.contains("smt")) profile_.smt = m.at("smt");
        if (double bytes = number_in(m, "page_bytes"); bytes > 0)
            profile_.page_bytes = static_cast<uint64_t>(bytes);
        profile_.sources.push_back(fmt::format("run {}, {}", stored.name,
                                               run_.digest.empty() ? "no digest" : run_.digest));
        auto yard = measured_.find("primitive=yardstick");
        if (cycles_ && yard != measured_.end()) {
            Estimate ticks = interval(*yard->second.price, 1000);
            if (ticks.low > 0) {
                constexpr double each = measure::cycles_an_imul;
                profile_.yardstick =
                    Estimate{each / ticks.value, each / ticks.high, each / ticks.low};
            }
        }
    }

    /// quarter, within least and three_quarters, in `scale`-ths of the series' unit.
    static Estimate interval(const Series& s, double scale) {
        auto low = static_cast<double>(s.min),
             high = static_cast<double>(*s.percentile(three_quarters)),
             value = static_cast<double>(*s.percentile(quarter));
        return {value / scale, low / scale, high / scale};
    }

    /// Core cycles a tick while that case was measured; 0 where it is unknown.
    double cycles_a_tick(const PriceCase& m) const {
        if (!cycles_ || m.yardstick == nullptr) return 0;
        auto milli = static_cast<double>(*m.yardstick->percentile(quarter));
        return milli > 0 ? 1000.0 * measure::cycles_an_imul / milli : 0;
    }

    static Estimate times(const Estimate& i, double factor) {
        return {i.value * factor, i.low * factor, i.high * factor};
    }

    /// A price in every unit; `ticks` in the clock's unit.
    Price price_of(const std::string& name, const Estimate& ticks, double cycles_a_tick) const {
        Price price;
        price.name = name;
        price.evidence = profile_.evidence;
        if (exact_) {
            price.insn = ticks;
            return price;
        }
        price.ticks = ticks;
        if (cycles_a_tick > 0) price.cycles = times(ticks, cycles_a_tick);
        if (profile_.tsc_hz > 0) price.ns = times(ticks, 1e9 / profile_.tsc_hz);
        return price;
    }

    void simple(const PriceCase& m) {
        const CaseKeys& keys = m.price->test_case;
        if (!keys["bytes"].empty() || !keys["pages"].empty()) return;
        std::string name = name_of(keys);
        if (is_refused(*m.price)) {
            profile_.refused.push_back({name, m.price->flags.front()});
            return;
        }
        Price price = price_of(name, interval(*m.price, 1000), cycles_a_tick(m));
        price.from.push_back(keys.text());
        price.flags = m.price->flags;
        profile_.prices.push_back(std::move(price));
    }

    /// The cases of one primitive over one key, in the clock's unit.
    std::vector<SweepPoint> sweep(const std::string& primitive, const char* key,
                                  const std::string& page = "",
                                  const std::string& within = "") const {
        std::vector<SweepPoint> points;
        for (const auto& [name, m] : measured_) {
            const CaseKeys& keys = m.price->test_case;
            if (keys["primitive"] != primitive || keys[key].empty() || keys["page"] != page ||
                keys["within"] != within)
                continue;
            points.push_back({parse_number(keys[key], key, 1, ~0ull >> 1), interval(*m.price, 1000),
                              !is_refused(*m.price)});
        }
        std::sort(points.begin(), points.end(),
                  [](const SweepPoint& a, const SweepPoint& b) { return a.size < b.size; });
        return points;
    }

    /// The factor between ticks and cycles in all of a sweep: the median of its cases'.
    double sweep_cycles(const std::string& primitive) const {
        std::vector<double> all;
        for (const auto& [name, m] : measured_)
            if (m.price->test_case["primitive"] == primitive) all.push_back(cycles_a_tick(m));
        std::sort(all.begin(), all.end());
        return all.empty() ? 0 : all[all.size() / 2];
    }

    /// What the cases of a primitive whose sizes lie in [from, to] say beside their prices.
    std::vector<std::string> flags_of(const std::string& primitive, uint64_t from,
                                      uint64_t to) const {
        std::vector<std::string> flags;
        for (const auto& [name, m] : measured_) {
            const CaseKeys& keys = m.price->test_case;
            if (keys["primitive"] != primitive || is_refused(*m.price)) continue;
            std::string_view size = keys[keys["bytes"].empty() ? "pages" : "bytes"];
            uint64_t bytes = size.empty() ? 0 : parse_number(size, "size", 1, ~0ull >> 1);
            if (bytes < from || bytes > to) continue;
            for (const std::string& flag : m.price->flags)
                if (std::find(flags.begin(), flags.end(), flag) == flags.end())
                    flags.push_back(flag);
        }
        return flags;
    }

    /// A price of a level: `primitive` over the sizes [from, to] of those that were measured.
    void add_level(const std::string& primitive, const std::string& name,
                   const std::optional<Estimate>& ticks, uint64_t from, uint64_t to,
                   const char* note = "") {
        size_t before = profile_.prices.size();
        add(name, ticks, sweep_cycles(primitive),
            fmt::format("primitive={} bytes={}..{}{}", primitive, from, to, note));
        if (profile_.prices.size() != before)
            profile_.prices.back().flags = flags_of(primitive, from, to);
    }

    void add(const std::string& name, const std::optional<Estimate>& ticks, double cycles,
             const std::string& from) {
        if (!ticks) {
            profile_.refused.push_back({name, "no size of that level had a steady price"});
            return;
        }
        Price price = price_of(name, *ticks, cycles);
        price.from.push_back(from);
        profile_.prices.push_back(std::move(price));
    }

    /// Loads and stores by level: the levels come from the chained loads.
    void memory() {
        auto chained = sweep("load-chained", "bytes");
        auto levels = levels_of(chained);
        if (levels.empty()) return;
        static constexpr const char* names[] = {"l1d", "l2", "llc"};
        if (levels.size() == 1)
            profile_.absent.push_back(
                {"load-chained-memory", "the sweep over sizes has one level, without a knee"});
        first_level_ = levels.front().last;
        bool last_is_memory = levels.size() > 1 && levels.back().beyond == 0;
        for (size_t i = 0; i < levels.size(); ++i) {
            const Level& level = levels[i];
            bool memory = last_is_memory && i + 1 == levels.size();
            std::string name = memory ? "memory" : i < 3 ? names[i] : fmt::format("level{}", i + 1);
            add_level("load-chained", "load-chained-" + name, level.price, level.first, level.last);
            // A curve without a knee shows no capacity.
            if (level.beyond != 0)
                profile_.capacities.push_back({name, "byte", level.last, level.beyond});
            // A size that is partly in the previous level does not show the price of this one.
            others(name, i == 0 ? 0 : 2 * levels[i - 1].last, memory ? ~0ull : level.last);
            crowded(name, i == 0 ? 0 : 2 * levels[i - 1].last, memory ? ~0ull : level.last);
        }
    }

    /// Lines in one set of the first level.
    void crowded(const std::string& level, uint64_t from, uint64_t to) {
        for (const char* access : {"load-crowded", "store-crowded"}) {
            auto points = within(sweep(access, "bytes"), from, to);
            if (from != 0 && !points.empty())
                add_level(access, fmt::format("{}-{}", access, level),
                          price_within(points, 0, ~0ull), points.front().size, points.back().size);
        }
    }

    /// The accesses that are not chained, in sizes from `from` to `to`.
    void others(const std::string& level, uint64_t from, uint64_t to) {
        // A table of 4 bytes a line leads to scattered lines, and takes its share of the level.
        constexpr uint64_t table_share = 16;
        const uint64_t most = to == ~0ull ? to : to - to / (table_share + 1);
        auto streamed = price_in_ticks("load-streamed", from, to);
        const auto hit = price_in_ticks("load-streamed", 0, first_level_);
        for (const char* other : {"load-scattered", "load-streamed", "store-scattered"}) {
            const bool table = other != std::string_view("load-streamed");
            auto points = within(sweep(other, "bytes"), from, table ? most : to);
            if (points.empty()) points = within(sweep(other, "bytes"), from, to);
            if (points.empty()) continue;
            auto price = price_within(points, 0, ~0ull);
            // The table's own lines are streamed, one in sixteen accesses.
            if (price && table && streamed && hit && from != 0) {
                double less = std::max(streamed->value - hit->value, 0.0) / table_share;
                *price = {std::max(price->value - less, 0.0), std::max(price->low - less, 0.0),
                          std::max(price->high - less, 0.0)};
            }
            add_level(other, fmt::format("{}-{}", other, level), price, points.front().size,
                      points.back().size, table && from != 0 ? ", less its table's lines" : "");
        }
        // Zeros and random bits have as many lines each.
        auto late = within(sweep("late-branch", "bytes"), from, most == ~0ull ? most : most / 2);
        if (from != 0 && !late.empty())
            add_level("late-branch", "late-branch-" + level, price_within(late, 0, ~0ull),
                      late.front().size, late.back().size);
    }

    static std::vector<SweepPoint> within(std::vector<SweepPoint> points, uint64_t from,
                                          uint64_t to) {
        std::erase_if(points, [&](const SweepPoint& p) { return p.size < from || p.size > to; });
        return points;
    }

    std::optional<Estimate> price_in_ticks(const std::string& primitive, uint64_t from,
                                           uint64_t to) const {
        return price_within(sweep(primitive, "bytes"), from, to);
    }

    /// Whether a hypervisor maps large pages by small ones: then loads of as many pieces of 4 KiB
    /// miss the TLB in large pages, too.
    void splitting() {
        auto pieces = sweep("load-paged", "pages", "4096", "2097152"),
             pages = sweep("load-paged", "pages", "4096");
        auto grows = [](const std::vector<SweepPoint>& points, uint64_t from, uint64_t to) {
            double by = 0;
            for (const SweepPoint& p : points)
                by += p.size == to ? p.price.value : p.size == from ? -p.price.value : 0;
            return by;
        };
        if (pieces.size() < 2) return;
        uint64_t from = pieces.front().size, to = pieces.back().size;
        double small = grows(pages, from, to), large = grows(pieces, from, to);
        // A cycle at least, so that it is not noise.
        if (small <= hit_share * pieces.front().price.value || large < small / 2) return;
        profile_.model = model_words_of(profile_) + ",pages=4K";
        profile_.notes.push_back(fmt::format(
            "the hypervisor maps large pages by small ones: loads of {} pieces of 4 KiB in them "
            "are as slow as loads of as many pages; the model takes every page for 4 KiB",
            to));
    }
    static constexpr double hit_share = 0.25;  ///< of a load that hits: a cycle

    /// What the instrument saw of the machine while nothing was measured.
    void disturbances() {
        if (double ppm = number_in(run_.instrument, "gap_share_ppm"); ppm > 0)
            profile_.notes.push_back(fmt::format(
                "{:.0f} ppm of the time went elsewhere (SMIs, a hypervisor, other tasks), the "
                "longest gap {:.0f} {}s: a price is the least of a few tries, so that such gaps "
                "are not in it",
                ppm, number_in(run_.instrument, "gap_longest"), word_of(run_.instrument, "unit")));
    }

    /// Where CPUID promises another cache than the sweep found.
    void promises() {
        auto caches = run_.machine.find("caches");
        if (caches == run_.machine.end()) return;
        for (const Capacity& c : profile_.capacities) {
            double promised = number_in(*caches, c.name.c_str());
            // The knee lies between two sizes of the sweep, and what else is used takes some.
            if (promised <= 0 || (promised >= 0.75 * static_cast<double>(c.low) &&
                                  promised <= 1.25 * static_cast<double>(c.high)))
                continue;
            profile_.notes.push_back(fmt::format(
                "{}: CPUID promises {:.0f} bytes, and loads over more than {} are slower", c.name,
                promised, c.low));
        }
    }

    /// What one load a page costs beyond a load of as many adjacent lines: the TLB misses.
    void pages() {
        auto lines = sweep("load-chained", "bytes");
        if (lines.empty()) return;
        for (const auto& [page, word] : {std::pair{"4096", "4k"}, std::pair{"2097152", "2m"}}) {
            auto points = sweep("load-paged", "pages", page);
            for (SweepPoint& p : points) {
                auto close = std::find_if(lines.begin(), lines.end(), [&](const SweepPoint& l) {
                    return l.size >= 64 * p.size;
                });
                if (close == lines.end()) close = lines.end() - 1;
                // Shifted to the level of the first load, so that levels_of() finds the plateaus.
                double less = close->price.value - lines.front().price.value;
                p.price = {std::max(p.price.value - less, 0.0), std::max(p.price.low - less, 0.0),
                           std::max(p.price.high - less, 0.0)};
                p.price.low = std::min(p.price.low, p.price.value);
                p.steady = p.steady && close->steady;
            }
            tlb(levels_of(points), lines.front().price.value, word);
        }
    }

    void tlb(const std::vector<Level>& levels, double hit, const char* word) {
        static constexpr const char* names[] = {"dtlb-miss", "page-walk"};
        static constexpr const char* capacities[] = {"dtlb", "l2-tlb"};
        for (size_t i = 0; i < levels.size() && i < 3; ++i) {
            if (levels[i].beyond != 0 && i < 2)
                profile_.capacities.push_back({fmt::format("{}-{}", capacities[i], word), "page",
                                               levels[i].last, levels[i].beyond});
            if (i == 0) continue;
            std::optional<Estimate> extra = levels[i].price;
            if (extra)
                extra = Estimate{std::max(extra->value - hit, 0.0), std::max(extra->low - hit, 0.0),
                                 std::max(extra->high - hit, 0.0)};
            add(fmt::format("{}-{}", names[i - 1], word), extra, sweep_cycles("load-paged"),
                fmt::format("primitive=load-paged pages={}..{}", levels[i].first, levels[i].last));
        }
        // More than any TLB of a first level holds, and nothing is slower: a miss costs nothing
        // that can be seen.
        constexpr uint64_t many = 4096;
        if (levels.size() == 1 && levels.front().last >= many && levels.front().price) {
            Estimate beyond{0, 0, std::max(levels.front().price->high - hit, 0.0)};
            add(fmt::format("dtlb-miss-{}", word), beyond, sweep_cycles("load-paged"),
                fmt::format("primitive=load-paged pages={}..{}, one level", levels.front().first,
                            levels.front().last));
        } else if (levels.size() < 2) {
            profile_.absent.push_back(
                {fmt::format("dtlb-miss-{}", word), "the sweep over pages has no second level"});
        }
        if (levels.size() < 3)
            profile_.absent.push_back(
                {fmt::format("page-walk-{}", word), "the sweep over pages has no third level"});
    }

    const Run& run_;
    std::map<std::string, PriceCase> measured_;  ///< by the case's text
    bool exact_ = false, cycles_ = false;
    uint64_t first_level_ = 0;  ///< the greatest size in it, bytes
    Profile profile_;
};

}  // namespace

Profile profile_of(const StoredRun& stored) { return ProfileMaker(stored).make(stored); }

}  // namespace doorbell::harness
