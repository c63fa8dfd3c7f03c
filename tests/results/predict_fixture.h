// Profiles and counted series, made by hand.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "harness/results/predict/predict.h"
#include "tests/results/synthetic.h"

namespace doorbell::test {

inline Price price_in_cycles(const std::string& name, double value, double low, double high) {
    Price price;
    price.name = name;
    price.evidence = "published";
    price.cycles = Estimate{value, low, high};
    price.from = {"a table"};
    return price;
}
inline Price price_in_cycles(const std::string& name, double value) {
    return price_in_cycles(name, value, value, value);
}
inline Price price_in_ns(const std::string& name, double value, double low, double high) {
    Price price = price_in_cycles(name, 0);
    price.cycles.reset();
    price.ns = Estimate{value, low, high};
    return price;
}

/// 2 GHz exactly; an instruction costs half a cycle.
inline Profile profile_of_prices(std::vector<Price> prices) {
    Profile p;
    p.name = "fixture";
    p.evidence = "published";
    p.machine["core_hz"] = 2e9;
    p.prices.push_back(price_in_cycles("instruction", 0.5));
    p.prices.push_back(price_in_cycles("load-chained-l1d", 4));
    for (Price& price : prices) p.prices.push_back(std::move(price));
    return p;
}

using CountList = std::vector<std::pair<std::string, double>>;

inline void count(Series& series, const CountList& counts, const std::string& stage = "") {
    // Sums over ten samples, as the image sends them.
    for (const auto& [name, a_sample] : counts)
        series.counters.push_back({name, a_sample * 10, "modelled", stage, 10});
}

/// A series of ten equal samples with counts of each.
inline Series counted_series(const std::string& lab, const std::string& test_case,
                             const std::string& metric, uint64_t value, const CountList& counts,
                             const std::string& derived = "") {
    Series series = series_of(lab, test_case, metric, std::vector<uint64_t>(10, value));
    series.derived = derived;
    count(series, counts);
    return series;
}

inline SeriesPrediction predicted(const std::vector<Series>& series, const Profile& profile,
                                  size_t which = 0) {
    StoredRun stored = run_of(series);
    return predict_series(stored.run, stored.run.series[which], profile);
}

inline void expect_estimate(const Estimate& e, double value, double low, double high) {
    EXPECT_NEAR(e.value, value, 1e-6);
    EXPECT_NEAR(e.low, low, 1e-6);
    EXPECT_NEAR(e.high, high, 1e-6);
}

}  // namespace doorbell::test
