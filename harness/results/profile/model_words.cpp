#include "harness/results/profile/model_words.h"

#include <fmt/format.h>

#include <bit>

namespace doorbell::harness {
namespace {

/// Sets are a power of two, of 8 to 15 ways; what is left over is cut off.
uint64_t sets_of(uint64_t places) { return std::bit_floor(places / 8); }

std::string cache_words(uint64_t bytes) {
    constexpr uint64_t line = 64;
    uint64_t sets = sets_of(bytes / line);
    if (sets == 0) return {};
    uint64_t ways = bytes / line / sets;
    return fmt::format("{}:{}:{}", ways * sets * line, ways, line);
}

std::string tlb_words(uint64_t entries) {
    // Small ones are fully associative in current cores, or nearly so.
    constexpr uint64_t full = 128;
    if (entries <= full) return fmt::format("{}:{}", entries, entries);
    uint64_t sets = sets_of(entries), ways = entries / sets;
    return fmt::format("{}:{}", ways * sets, ways);
}

}  // namespace

std::string model_words_of(const Profile& profile) {
    if (!profile.model.empty()) return profile.model;
    static constexpr std::pair<const char*, const char*> parts[] = {{"l1d", "l1d"},
                                                                    {"l2", "l2"},
                                                                    {"llc", "llc"},
                                                                    {"dtlb-4k", "dtlb"},
                                                                    {"dtlb-2m", "dtlb-large"},
                                                                    {"l2-tlb-4k", "stlb"}};
    std::string words = "on";
    for (const auto& [capacity, part] : parts)
        for (const Capacity& c : profile.capacities) {
            if (c.name != capacity || c.low == 0) continue;
            std::string shape = c.unit == "byte" ? cache_words(c.low) : tlb_words(c.low);
            if (!shape.empty()) words += fmt::format(",{}={}", part, shape);
        }
    return words;
}

}  // namespace doorbell::harness
