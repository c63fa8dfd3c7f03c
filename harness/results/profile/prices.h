// The prices of a profile in one unit: as they stand there, or by a rule from others.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/results/profile/estimate.h"

namespace doorbell::harness {

/// What a prediction is in. `clock` is the clock's own unit: ticks, or the instructions of a clock
/// that counts these.
enum class PredictionUnit { cycles, ns, clock };

/// A profile, read in one unit. A price that the profile has in cycles alone is turned into ns by
/// the core's frequency (`core_hz` of the profile's machine, or the yardstick times the TSC's
/// frequency), and back.
class Prices {
  public:
    Prices(const Profile& profile, PredictionUnit unit) : profile_(&profile), unit_(unit) {}

    PredictionUnit unit() const { return unit_; }
    /// The price of that name; nothing where the profile has none and no rule gives it.
    std::optional<Estimate> find(std::string_view name) const;
    /// The price as it stands in the profile.
    std::optional<Estimate> direct(std::string_view name) const;
    /// What a miss of L1D costs beyond a hit: `access` is "load-chained", "load-scattered",
    /// "load-streamed" or "store-scattered"; `level`, where it was served: "l2", "llc", "memory".
    /// An access that the profile has no price of costs between nothing and what a chained load
    /// does. Nothing where that is not known either.
    std::optional<Estimate> miss(const std::string& access, const std::string& level) const;
    /// One core cycle; nothing where the profile does not relate its unit to cycles.
    std::optional<Estimate> cycle() const;
    /// The core's frequency, where the profile tells.
    std::optional<Estimate> core_hz() const;

  private:
    std::optional<Estimate> by_rule(std::string_view name) const;

    const Profile* profile_;
    PredictionUnit unit_;
};

/// How a price that a profile lacks follows from others, in a sentence; "" where there is no rule
/// for it.
const char* rule_of_price(std::string_view name);

}  // namespace doorbell::harness
