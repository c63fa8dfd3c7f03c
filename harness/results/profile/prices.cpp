#include "harness/results/profile/prices.h"

#include <utility>

namespace doorbell::harness {
namespace {

/// From `a` (low) to `b` (high): halfway.
Estimate between(double a, double b) { return {(a + b) / 2, a, b}; }

std::optional<Estimate> divided(const std::optional<Estimate>& a, const std::optional<Estimate>& b,
                                double scale) {
    if (!a || !b || b->low <= 0) return std::nullopt;
    return Estimate{a->value / b->value * scale, a->low / b->high * scale,
                    a->high / b->low * scale};
}

struct PriceRule {
    const char* name;
    const char* sentence;
};
constexpr PriceRule price_rules[] = {
    {"interrupt-entry", "self-ipi less apic-write, eoi and iretq"},
    {"interrupt-entry-ring3", "interrupt-entry and what int-iretq costs more out of ring 3"},
    {"interrupt-entry-hlt", "interrupt-entry and hlt-wake"},
    {"interrupt-entry-mwait", "interrupt-entry and mwait-wake-hint0"},
    {"lfence-rdtsc", "lfence and rdtsc together, or up to a quarter more"},
    {"iretq", "between nothing and int-iretq-ring0"},
    {"load-scattered-", "between nothing and load-chained"},
    {"load-streamed-", "between nothing and load-scattered, or load-chained"},
    {"store-scattered-", "between nothing and load-chained"},
};

}  // namespace

const char* rule_of_price(std::string_view name) {
    for (const PriceRule& rule : price_rules) {
        std::string_view known = rule.name;
        if (name == known || (known.ends_with('-') && name.starts_with(known)))
            return rule.sentence;
    }
    return "";
}

std::optional<Estimate> Prices::core_hz() const {
    const Json& machine = profile_->machine;
    if (auto found = machine.find("core_hz"); found != machine.end()) {
        if (found->is_number() && found->get<double>() > 0) {
            double hz = found->get<double>();
            return Estimate{hz, hz, hz};
        }
        Estimate hz{number_in(*found, "value"), number_in(*found, "low"),
                    number_in(*found, "high")};
        if (0 < hz.low && hz.low <= hz.value && hz.value <= hz.high) return hz;
    }
    if (profile_->yardstick && profile_->tsc_hz > 0) return *profile_->yardstick * profile_->tsc_hz;
    return std::nullopt;
}

std::optional<Estimate> Prices::cycle() const {
    constexpr Estimate one{1, 1, 1};
    switch (unit_) {
        case PredictionUnit::cycles:
            return one;
        case PredictionUnit::ns:
            return divided(one, core_hz(), 1e9);
        case PredictionUnit::clock:
            return divided(one, profile_->yardstick, 1);
    }
    return std::nullopt;
}

std::optional<Estimate> Prices::direct(std::string_view name) const {
    const Price* price = profile_->find(name);
    if (price == nullptr) return std::nullopt;
    if (unit_ == PredictionUnit::clock) return price->insn ? price->insn : price->ticks;
    if (unit_ == PredictionUnit::cycles) {
        if (price->cycles) return price->cycles;
        if (auto hz = core_hz(); hz && price->ns) return *price->ns * *hz * 1e-9;
        return std::nullopt;
    }
    return price->ns ? price->ns : divided(price->cycles, core_hz(), 1e9);
}

std::optional<Estimate> Prices::find(std::string_view name) const {
    auto there = direct(name);
    return there ? there : by_rule(name);
}

std::optional<Estimate> Prices::by_rule(std::string_view name) const {
    if (name == "iretq") {
        auto both = direct("int-iretq-ring0");
        return both ? std::optional(between(0, both->high)) : std::nullopt;
    }
    if (name == "lfence-rdtsc") {
        // The pair was measured at 60 cycles where its parts were 53.
        auto lfence = direct("lfence"), rdtsc = direct("rdtsc");
        if (!lfence || !rdtsc) return std::nullopt;
        Estimate both = *lfence + *rdtsc;
        return Estimate{both.value, rdtsc->low, both.high * 1.25};
    }
    if (name == "interrupt-entry") {
        auto self_ipi = direct("self-ipi"), write = direct("apic-write"), eoi = direct("eoi"),
             iretq = find("iretq"), instruction = direct("instruction");
        if (!self_ipi || !write || !eoi || !iretq || !instruction) return std::nullopt;
        // The primitive's turn has CMP, JE and two MOVs beside these, and its IRETQ has not the
        // five PUSHes that the price of IRETQ has.
        return not_negative(*self_ipi - *write - *eoi - *iretq + *instruction);
    }
    for (const auto& [waiting, wake] : {std::pair{"interrupt-entry-hlt", "hlt-wake"},
                                        {"interrupt-entry-mwait", "mwait-wake-hint0"}}) {
        if (name != waiting) continue;
        auto entry = find("interrupt-entry"), more = direct(wake);
        return entry && more ? std::optional(*entry + *more) : std::nullopt;
    }
    if (name == "interrupt-entry-ring3") {
        auto entry = find("interrupt-entry"), ring0 = direct("int-iretq-ring0"),
             ring3 = direct("int-iretq-ring3");
        if (!entry || !ring0 || !ring3) return std::nullopt;
        Estimate more = not_negative(*ring3 - *ring0);
        // How much of it is on the way in is not known.
        more.low = 0;
        return *entry + more;
    }
    return std::nullopt;
}

std::optional<Estimate> Prices::miss(const std::string& access, const std::string& level) const {
    auto served = direct(access + "-" + level), hit = direct(access + "-l1d");
    if (served && hit) return not_negative(*served - *hit);
    if (access == "load-chained") return std::nullopt;
    // What comes line by line costs no more than what comes in any order.
    if (access == "load-streamed" && direct("load-scattered-" + level)) {
        auto scattered = miss("load-scattered", level);
        if (scattered) return Estimate{scattered->value, 0, scattered->high};
    }
    auto chained = miss("load-chained", level);
    return chained ? std::optional(between(0, chained->high)) : std::nullopt;
}

}  // namespace doorbell::harness
