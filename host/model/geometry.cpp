#include "host/model/geometry.h"

#include <cpuid.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace doorbell::model {
namespace {

constexpr uint64_t K = 1024, M = 1024 * K;
constexpr uint64_t tage = Geometry::tage;

struct Preset {
    const char* name;
    Geometry geometry;
};

// Sizes as the makers' optimisation manuals give them. LLC: one core's slice where it is a victim
// cache of the others, the whole where a core may use all of it.
const Preset presets[] = {
    {"skylake",
     {.l1i = {32 * K, 8, 64},
      .l1d = {32 * K, 8, 64},
      .l2 = {256 * K, 4, 64},
      .llc = {8 * M, 16, 64},
      .dtlb = {64, 4},
      .dtlb_large = {32, 4},
      .stlb = {1536, 12}}},
    {"skylake-server",
     {.l1i = {32 * K, 8, 64},
      .l1d = {32 * K, 8, 64},
      .l2 = {1 * M, 16, 64},
      .llc = {1408 * K, 11, 64},
      .dtlb = {64, 4},
      .dtlb_large = {32, 4},
      .stlb = {1536, 12},
      .device_to_llc = true}},
    {"sapphire-rapids",
     {.l1i = {32 * K, 8, 64},
      .l1d = {48 * K, 12, 64},
      .l2 = {2 * M, 16, 64},
      .llc = {1920 * K, 15, 64},
      .dtlb = {96, 96},
      .dtlb_large = {32, 32},
      .stlb = {2048, 16},
      .device_to_llc = true}},
    {"zen2",
     {.l1i = {32 * K, 8, 64},
      .l1d = {32 * K, 8, 64},
      .l2 = {512 * K, 8, 64},
      .llc = {16 * M, 16, 64},
      .dtlb = {64, 64},
      .dtlb_large = {},
      .stlb = {2048, 16}}},
    {"zen4",
     {.l1i = {32 * K, 8, 64},
      .l1d = {32 * K, 8, 64},
      .l2 = {1 * M, 8, 64},
      .llc = {32 * M, 16, 64},
      .dtlb = {72, 72},
      .dtlb_large = {},
      .stlb = {3072, 24}}},
};

[[noreturn]] void fail(std::string_view part, const std::string& why) {
    throw std::invalid_argument("\"" + std::string(part) + "\": " + why);
}

CpuidLeaf cpuid_of_this_host(uint32_t leaf, uint32_t subleaf) {
    CpuidLeaf r;
    __cpuid_count(leaf, subleaf, r.a, r.b, r.c, r.d);
    return r;
}

void take_deterministic(const Cpuid& cpuid, uint32_t leaf, Geometry& g) {
    for (uint32_t i = 0; i < 16; ++i) {
        const CpuidLeaf r = cpuid(leaf, i);
        const unsigned type = r.a & 31, level = r.a >> 5 & 7;  // 1 data, 2 instructions, 3 unified
        if (type == 0) break;
        CacheShape shape;
        shape.line = (r.b & 0xFFF) + 1;
        shape.ways = (r.b >> 22) + 1;
        shape.bytes =
            uint64_t{shape.ways} * ((r.b >> 12 & 0x3FF) + 1) * shape.line * (uint64_t{r.c} + 1);
        if (shape.ways > 256) continue;
        if (level == 1 && type == 1) g.l1d = shape;
        if (level == 1 && type == 2) g.l1i = shape;
        if (level == 2) g.l2 = shape;
        if (level == 3) g.llc = shape;
    }
}

/// A level of unknown associativity (code 9: "see Fn8000_001D") stays off.
void take_amd_legacy(const Cpuid& cpuid, Geometry& g) {
    auto first_level = [](uint32_t r) {
        return CacheShape{uint64_t{r >> 24} * K, r >> 16 & 0xFF, r & 0xFF};
    };
    const CpuidLeaf first = cpuid(0x80000005, 0), outer = cpuid(0x80000006, 0);
    g.l1d = first_level(first.c);
    g.l1i = first_level(first.d);
    constexpr unsigned ways_of[16] = {0, 1, 2, 3, 4, 6, 8, 0, 16, 0, 32, 48, 64, 96, 128, 0};
    auto outer_level = [&](uint64_t bytes, uint32_t r) {
        const unsigned ways = ways_of[r >> 12 & 15], line = r & 0xFF;
        return ways == 0 || line == 0 ? CacheShape{} : CacheShape{bytes, ways, line};
    };
    g.l2 = outer_level(uint64_t{outer.c >> 16} * K, outer.c);
    g.llc = outer_level(uint64_t{outer.d >> 18} * 512 * K, outer.d);
}

std::string_view next(std::string_view& rest, char separator) {
    size_t end = rest.find(separator);
    std::string_view part = rest.substr(0, end);
    rest = end == rest.npos ? std::string_view{} : rest.substr(end + 1);
    return part;
}

/// A decimal number with K or M behind it.
uint64_t number(std::string_view part, std::string_view text) {
    uint64_t n = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
    uint64_t scale = unit.empty()                 ? 1
                     : unit == "K" || unit == "k" ? K
                     : unit == "M" || unit == "m" ? M
                                                  : 0;
    if (error != std::errc{} || scale == 0 || n == 0 || n > 1024 * M / scale)
        fail(part, "\"" + std::string(text) + "\" is not a size from 1 to 1024M, like 48K");
    return n * scale;
}

CacheShape cache(std::string_view part, std::string_view value) {
    if (value == "off") return {};
    std::string_view rest = value, size = next(rest, ':'), ways = next(rest, ':'), line = rest;
    if (ways.empty() || line.empty())
        fail(part, "a cache is SIZE:WAYS:LINE, like 32K:8:64, or off");
    CacheShape shape{number(part, size), static_cast<unsigned>(number(part, ways)),
                     static_cast<unsigned>(number(part, line))};
    if ((shape.line & (shape.line - 1)) != 0 || shape.line < 16 || shape.line > 4096)
        fail(part, "a line is 16 to 4096 bytes, a power of two");
    if (shape.ways > 256) fail(part, "at most 256 ways");
    if (shape.bytes % (uint64_t{shape.ways} * shape.line) != 0)
        fail(part, "the size is not a multiple of ways times line");
    return shape;
}

TlbShape tlb(std::string_view part, std::string_view value) {
    if (value == "off") return {};
    std::string_view rest = value, entries = next(rest, ':');
    TlbShape shape;
    shape.entries = static_cast<unsigned>(number(part, entries));
    shape.ways = rest.empty() ? shape.entries : static_cast<unsigned>(number(part, rest));
    if (shape.entries > 65536 || shape.ways > 256 || shape.entries % shape.ways != 0)
        fail(
            part,
            "a TLB is ENTRIES:WAYS, entries a multiple of ways, at most 256 ways; all but dtlb may "
            "be off");
    return shape;
}

struct CachePart {
    const char* name;
    CacheShape Geometry::* shape;
};
constexpr CachePart cache_parts[] = {{"l1i", &Geometry::l1i},
                                     {"l1d", &Geometry::l1d},
                                     {"l2", &Geometry::l2},
                                     {"llc", &Geometry::llc}};
struct TlbPart {
    const char* name;
    TlbShape Geometry::* shape;
};
constexpr TlbPart tlb_parts[] = {
    {"dtlb", &Geometry::dtlb}, {"dtlb-large", &Geometry::dtlb_large}, {"stlb", &Geometry::stlb}};

/// Whether the part is a cache or a TLB, and then takes it.
bool take_shape(Geometry& g, std::string_view part, std::string_view key, std::string_view value) {
    for (const CachePart& p : cache_parts)
        if (key == p.name) g.*p.shape = cache(part, value);
    for (const TlbPart& p : tlb_parts)
        if (key == p.name) g.*p.shape = tlb(part, value);
    auto is_key = [&](const auto& p) { return key == p.name; };
    return std::ranges::any_of(cache_parts, is_key) || std::ranges::any_of(tlb_parts, is_key);
}

void take(Geometry& g, std::string_view part) {
    std::string_view value = part, key = next(value, '=');
    if (take_shape(g, part, key, value)) return;
    if (key == "pages") {
        if (value != "mapped" && value != "4K")
            fail(part, "pages is mapped (as the page tables say) or 4K");
        g.small_pages = value == "4K";
    } else if (key == "predictor") {
        g.predictor = value == "tage" ? tage : number(part, value);
        if ((g.predictor & (g.predictor - 1)) != 0 || g.predictor > 1 * M)
            fail(part,
                 "a predictor is tage, or gshare with a power of two of counters, at most 1M");
    } else if (key == "device") {
        if (value != "llc" && value != "invalidate") fail(part, "device is llc or invalidate");
        g.device_to_llc = value == "llc";
    } else {
        std::string names = "on, host";
        for (const Preset& p : presets) names += std::string(", ") + p.name;
        fail(part, "neither a preset (" + names +
                       ") nor a part (l1i, l1d, l2, llc, dtlb, dtlb-large, stlb, pages, predictor, "
                       "device)");
    }
}

void put(std::string& text, const char* name, const CacheShape& shape) {
    text += name;
    if (shape.bytes == 0) {
        text += "=off,";
        return;
    }
    bool megabytes = shape.bytes % M == 0, kilobytes = shape.bytes % K == 0;
    text += "=" +
            std::to_string(megabytes   ? shape.bytes / M
                           : kilobytes ? shape.bytes / K
                                       : shape.bytes) +
            (megabytes   ? "M"
             : kilobytes ? "K"
                         : "");
    text += ":" + std::to_string(shape.ways) + ":" + std::to_string(shape.line) + ",";
}

void put(std::string& text, const char* name, const TlbShape& shape) {
    text += name;
    text += shape.entries == 0
                ? "=off,"
                : "=" + std::to_string(shape.entries) + ":" + std::to_string(shape.ways) + ",";
}

}  // namespace

std::string Geometry::text() const {
    std::string text;
    for (const CachePart& p : cache_parts) put(text, p.name, this->*p.shape);
    for (const TlbPart& p : tlb_parts) put(text, p.name, this->*p.shape);
    text += small_pages ? "pages=4K" : "pages=mapped";
    text += ",predictor=" + (predictor == tage ? "tage" : std::to_string(predictor));
    return text + (device_to_llc ? ",device=llc" : ",device=invalidate");
}

Geometry parse(std::string_view words) {
    Geometry g = presets[0].geometry;
    bool first = true;
    while (!words.empty()) {
        std::string_view part = next(words, ',');
        const Preset* named = nullptr;
        for (const Preset& p : presets)
            if (part == p.name) named = &p;
        if (first && named != nullptr)
            g = named->geometry;
        else if (first && part == "host")
            g = of_processor(cpuid_of_this_host);
        else if (!(first && part == "on"))
            take(g, part);
        first = false;
    }
    if (g.l1i.bytes == 0 || g.l1d.bytes == 0) fail(words, "l1i and l1d cannot be off");
    if (g.dtlb.entries == 0) fail(words, "dtlb cannot be off");
    for (const CacheShape* c : {&g.l1d, &g.l2, &g.llc})
        if (c->bytes != 0 && c->line != g.l1i.line)
            fail(g.text(), "all caches must have the same line");
    return g;
}

std::vector<std::string> preset_names() {
    std::vector<std::string> names;
    for (const Preset& p : presets) names.emplace_back(p.name);
    return names;
}

Geometry of_processor(const Cpuid& cpuid) {
    Geometry g = presets[0].geometry;
    g.l1i = g.l1d = g.l2 = g.llc = {};
    const bool amd = cpuid(0, 0).c == 0x444D4163;  // "AuthenticAMD" ends in "cAMD"
    const uint32_t leaf = amd ? 0x8000001D : 4;
    if (cpuid(leaf & 0x80000000, 0).a >= leaf) take_deterministic(cpuid, leaf, g);
    if (g.l1d.bytes == 0 && amd && cpuid(0x80000000, 0).a >= 0x80000006) take_amd_legacy(cpuid, g);
    if (g.l1i.bytes == 0 || g.l1d.bytes == 0)
        throw std::invalid_argument("\"host\": CPUID does not tell of the caches here");
    return g;
}

}  // namespace doorbell::model
