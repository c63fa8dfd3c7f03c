// Estimates in JSON documents: {"value": 14, "low": 12, "high": 16}.
#pragma once
#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

#include "harness/results/profile/profile.h"
#include "harness/text/members.h"

namespace doorbell::harness {

inline Json estimate_json(const Estimate& e) {
    return {{"value", e.value}, {"low", e.low}, {"high", e.high}};
}

/// Throws std::runtime_error where a number is missing; `of` is what the sentence begins with.
inline Estimate estimate_from(const Json& json, const std::string& of) {
    Estimate e;
    const std::pair<const char*, double&> parts[] = {
        {"value", e.value}, {"low", e.low}, {"high", e.high}};
    for (const auto& [name, part] : parts) {
        const Json& number = member(json, name);
        if (!number.is_number())
            throw std::runtime_error(fmt::format("{} has no number \"{}\"", of, name));
        part = number.get<double>();
    }
    return e;
}

}  // namespace doorbell::harness
