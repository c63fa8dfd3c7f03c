// Primitives: the events that have a price of their own, and for each the bodies that the price is
// measured by (firmware/measure/price.h). What user mode can do is written once, in assembly, and
// compiled into the image and the Linux program alike: same bytes, same names.
//
// A new primitive is one body in primitives.cpp, or in labs/prices.cpp where it needs ring 0, and
// one line of a table.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "firmware/measure/price.h"
#include "firmware/measure/random.h"
#include "labs/kit/lab.h"

extern "C" {
/// Where a body that walks is, and how far it goes. Offsets are known to the assembly.
struct PrimitivePlace {
    uint64_t at;     ///< where the next turn begins; the body moves it on
    uint64_t start;  ///< where it begins again when it has reached `end`
    uint64_t end;
    uint64_t memory;  ///< what the offsets of a table are relative to
};
}

namespace doorbell::labs {

/// The two bodies that a price is the difference of (primitive_body.h makes them).
struct PrimitiveBodies {
    measure::PriceBody* base;
    measure::PriceBody* more;
};

/// A primitive that needs no memory: its two bodies and how often they turn.
struct Primitive {
    const char* name;  ///< the value of the case's key `primitive`
    PrimitiveBodies bodies;
    uint64_t units, turns;
};

/// What user mode can do without memory of its own, and `yardstick`, the chain of IMULs, first.
std::span<const Primitive> user_primitives();

/// The primitive of that name, or null.
const Primitive* find_primitive(std::span<const Primitive> all, std::string_view name);

/// The plan of a primitive without memory. `place` is what its bodies get.
constexpr measure::PricePlan plan_of(const Primitive& p, void* place = nullptr) {
    return {.base = p.bodies.base,
            .more = p.bodies.more,
            .base_place = place,
            .more_place = place,
            .units = p.units,
            .turns = p.turns};
}

/// How loads and stores go through memory.
enum class Access : uint8_t {
    chained,    ///< each load's address is what the load before found
    scattered,  ///< addresses known beforehand, in random order
    streamed,   ///< one line after the other
    store,      ///< stores, scattered
    crowded,    ///< scattered, each line a page behind another: all in one set of a first level
    crowded_store,
};

/// The plan of loads or stores over `bytes` (a multiple of 4096) at `memory`; `table` has a place
/// for each line, and `place` is written. Links the lines into one ring of random order, or fills
/// the table with it, and walks once over all, so that what fits into a cache is there. A scattered
/// access is two instructions: the table's entry is loaded, too. Of crowded ones only a line of
/// each page is used.
measure::PricePlan plan_memory(Access access, void* memory, uint64_t bytes, uint32_t* table,
                               measure::Random& random, PrimitivePlace& place);

/// The same for one chained load a page: `pages` of them, `page` bytes apart from `memory` on.
measure::PricePlan plan_pages(void* memory, uint64_t pages, uint64_t page, uint32_t* table,
                              measure::Random& random, PrimitivePlace& place);

/// Branches of the plan below, and so bytes of each of its two tables.
inline constexpr uint64_t mispredict_branches = 4096;
/// Half of these branches, which follow fresh random bits, are mispredicted; the base's follow
/// zeros.
struct MispredictPlaces {
    PrimitivePlace zeros, bits;
    measure::Random random;
};
measure::PricePlan plan_mispredict(uint8_t* zeros, uint8_t* bits, MispredictPlaces& places);

/// The same for branches that wait for a load which misses: over `bytes` of scattered lines at
/// `zeros` and at `bits`, each as many as the other. A run meets no line twice. What is small
/// enough to be learnt gets fresh bits before each run; the rest has random bits once, which do not
/// repeat for hundreds of runs.
struct LateBranchPlaces {
    PrimitivePlace zeros, bits;
    measure::Random random;
    uint64_t fresh_lines;  ///< lines that get fresh bits; the plan sets it
};
measure::PricePlan plan_late_branch(void* zeros, void* bits, uint64_t bytes, uint32_t* table,
                                    LateBranchPlaces& places);

inline constexpr uint64_t cache_line = 64;

/// Lines of the plan below in each of three stretches of memory; the last is the other core's.
inline constexpr uint64_t core_lines = 128;
struct OtherCorePlaces {
    PrimitivePlace own, all;
    /// Has the other core write each of its lines, and waits until it has.
    void (*write)(void* context);
    void* context;
};
/// Chained loads of lines that another core wrote, beside as many of our own; the base's are our
/// own alone. `memory`: 3 * core_lines lines; `table`: 2 * core_lines places.
measure::PricePlan plan_line_from_core(void* memory, uint32_t* table, measure::Random& random,
                                       OtherCorePlaces& places);

// The cases, the same in the image and under Linux.

// clang-format off
#define DOORBELL_USER_PRIMITIVES(X)                                                            \
    X("primitive=yardstick") X("primitive=instruction") X("primitive=call-ret")                \
    X("primitive=lfence") X("primitive=mfence") X("primitive=lock-add") X("primitive=rdtsc")   \
    X("primitive=lfence-rdtsc") X("primitive=rdtscp") X("primitive=cpuid")                     \
    X("primitive=clflush") X("primitive=rep-movsb") X("primitive=rep-stosb")                   \
    X("primitive=mispredict")
#define DOORBELL_LATE_BRANCH_SIZES(X) X(98304) X(262144) X(1048576) X(2097152) X(67108864)
#define DOORBELL_CHAINED_SIZES(X)                                                              \
    X(8192) X(16384) X(24576) X(32768) X(40960) X(49152) X(65536) X(98304) X(131072) X(262144) \
    X(393216) X(524288) X(786432) X(1048576) X(1572864) X(2097152) X(3145728) X(4194304)       \
    X(6291456) X(8388608) X(12582912) X(16777216) X(25165824) X(33554432) X(67108864)
#define DOORBELL_OTHER_SIZES(X)                                                                \
    X(16384) X(131072) X(262144) X(524288) X(1048576) X(2097152) X(4194304) X(8388608)         \
    X(16777216) X(67108864)
// 64 lines and more, in one set; a level holds as many of its bytes in pages.
#define DOORBELL_CROWDED_SIZES(X) X(262144) X(524288) X(2097152) X(4194304)
// Lines of as many pieces of 4 KiB in large pages: slow where a hypervisor maps large pages by small
// ones.
#define DOORBELL_WITHIN_COUNTS(X) X(64) X(256) X(512)
#define DOORBELL_PAGE_COUNTS(X)                                                                \
    X(16) X(32) X(48) X(64) X(96) X(128) X(256) X(512) X(1024) X(2048) X(4096) X(8192) X(16384)
// clang-format on

#define DOORBELL_AS_CASE(text) text,
#define DOORBELL_CHAINED_CASE(bytes) "primitive=load-chained bytes=" #bytes,
#define DOORBELL_SCATTERED_CASE(bytes) "primitive=load-scattered bytes=" #bytes,
#define DOORBELL_STREAMED_CASE(bytes) "primitive=load-streamed bytes=" #bytes,
#define DOORBELL_STORE_CASE(bytes) "primitive=store-scattered bytes=" #bytes,
#define DOORBELL_LATE_BRANCH_CASE(bytes) "primitive=late-branch bytes=" #bytes,
#define DOORBELL_PAGED_CASE(pages) "primitive=load-paged page=4096 pages=" #pages,
#define DOORBELL_WITHIN_CASE(pages) "primitive=load-paged page=4096 within=2097152 pages=" #pages,
#define DOORBELL_CROWDED_CASE(bytes) "primitive=load-crowded bytes=" #bytes,
#define DOORBELL_CROWDED_STORE_CASE(bytes) "primitive=store-crowded bytes=" #bytes,
/// The initialisers of an array of Case.
#define DOORBELL_USER_PRICE_CASES                         \
    DOORBELL_USER_PRIMITIVES(DOORBELL_AS_CASE)            \
    DOORBELL_CHAINED_SIZES(DOORBELL_CHAINED_CASE)         \
    DOORBELL_OTHER_SIZES(DOORBELL_SCATTERED_CASE)         \
    DOORBELL_OTHER_SIZES(DOORBELL_STREAMED_CASE)          \
    DOORBELL_OTHER_SIZES(DOORBELL_STORE_CASE)             \
    DOORBELL_CROWDED_SIZES(DOORBELL_CROWDED_CASE)         \
    DOORBELL_CROWDED_SIZES(DOORBELL_CROWDED_STORE_CASE)   \
    DOORBELL_LATE_BRANCH_SIZES(DOORBELL_LATE_BRANCH_CASE) \
    DOORBELL_WITHIN_COUNTS(DOORBELL_WITHIN_CASE)          \
    DOORBELL_PAGE_COUNTS(DOORBELL_PAGED_CASE)

/// The access of a case's primitive; false where it is not one of memory.
inline bool access_of(std::string_view primitive, Access& access) {
    constexpr struct {
        std::string_view name;
        Access access;
    } names[] = {{"load-chained", Access::chained},   {"load-scattered", Access::scattered},
                 {"load-streamed", Access::streamed}, {"store-scattered", Access::store},
                 {"load-crowded", Access::crowded},   {"store-crowded", Access::crowded_store}};
    for (const auto& n : names)
        if (n.name == primitive) {
            access = n.access;
            return true;
        }
    return false;
}

}  // namespace doorbell::labs
