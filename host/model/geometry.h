// What the model simulates: sizes, in the words of --model.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace doorbell::model {

/// A cache; size 0: there is none.
struct CacheShape {
    uint64_t bytes = 0;
    unsigned ways = 0, line = 0;
    uint64_t sets() const { return bytes / ways / line; }
    bool operator==(const CacheShape&) const = default;
};

/// A TLB; 0 entries: there is none.
struct TlbShape {
    unsigned entries = 0, ways = 0;
    bool operator==(const TlbShape&) const = default;
};

struct Geometry {
    CacheShape l1i, l1d, l2, llc;
    TlbShape dtlb;             ///< first level; of 4 KiB pages where there is a `dtlb_large`
    TlbShape dtlb_large;       ///< first level, of 2 MiB pages and larger ones
    TlbShape stlb;             ///< second level, of all pages
    bool small_pages = false;  ///< every page is taken for 4 KiB, as where a hypervisor splits them
    static constexpr uint64_t tage = 0;
    /// `tage`, or the two-bit counters of gshare, a power of two.
    uint64_t predictor = tage;
    bool device_to_llc =
        false;  ///< what a device writes is placed in the LLC (Intel DDIO), else only invalidated
    bool operator==(const Geometry&) const = default;

    /// "l1i=32K:8:64,l1d=...,l2=...,llc=...,dtlb=64:4,dtlb-large=32:4,stlb=1536:12,pages=mapped,
    /// predictor=tage,device=llc": what parse() reads.
    std::string text() const;
};

/// Reads "on" (the default preset), a preset's name, "host" (this host's caches, by CPUID), or any
/// of these and then parts, each `cache=SIZE:WAYS:LINE`, `tlb=ENTRIES:WAYS` or `off`:
/// "zen2,l2=256K:4:64". Parts alone change the default preset. Throws std::invalid_argument with a
/// sentence: which part, and what would be right.
Geometry parse(std::string_view words);

/// Names that parse() knows, the default first.
std::vector<std::string> preset_names();

/// EAX, EBX, ECX, EDX of a leaf of CPUID.
struct CpuidLeaf {
    uint32_t a = 0, b = 0, c = 0, d = 0;
};
using Cpuid = std::function<CpuidLeaf(uint32_t leaf, uint32_t subleaf)>;

/// Caches of the processor whose CPUID is handed in: leaf 4 (SDM vol. 2A, CPUID, "Deterministic
/// Cache Parameters"), AMD's Fn8000_001D, which has the same form, or AMD's Fn8000_0005 and
/// Fn8000_0006 where a hypervisor hides that (APM vol. 3, appendix E.4). TLB and predictor are
/// those of the default preset. Throws std::invalid_argument where CPUID does not say.
Geometry of_processor(const Cpuid& cpuid);

}  // namespace doorbell::model
