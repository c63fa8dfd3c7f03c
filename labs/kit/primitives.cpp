#include "labs/kit/primitives.h"

#include "labs/kit/primitive_body.h"

// Every unit's instructions are what the exact clock counts as its price:
// tests/image/prices_test.cpp has the list.
DOORBELL_BODIES(price_yardstick, 64, "", "imulq %rax, %rax", "");
// Eight instructions that do not wait for each other.
DOORBELL_BODIES(price_instruction, 8, "",
                "addq $1, %rax\n\taddq $1, %rcx\n\taddq $1, %rdx\n\taddq $1, %r8\n\t"
                "movq %r9, %r10\n\tleaq 4(%r9), %r11\n\ttestq %r9, %r9\n\txorl %r10d, %r10d",
                "");
DOORBELL_BODIES(price_call_ret, 16, "", "call price_null", "");
DOORBELL_BODIES(price_lfence, 16, "", "lfence", "");
DOORBELL_BODIES(price_mfence, 16, "", "mfence", "");
DOORBELL_BODIES(price_lock_add, 16, "pushq %rax", "lock addq $1, (%rsp)", "popq %rax");
DOORBELL_BODIES(price_rdtsc, 16, "", "rdtsc", "");
DOORBELL_BODIES(price_lfence_rdtsc, 16, "", "lfence\n\trdtsc", "");
DOORBELL_BODIES(price_rdtscp, 16, "", "rdtscp", "");
// Leaf 0, which has no subleaves: two instructions.
DOORBELL_BODIES(price_cpuid, 4, "pushq %rbx", "xorl %eax, %eax\n\tcpuid", "popq %rbx");
// Of a line that the first flush took out of the caches.
DOORBELL_BODIES(price_clflush, 16, "subq $128, %rsp", "clflush 64(%rsp)", "addq $128, %rsp");
asm(".pushsection .text.primitives, \"ax\"\n.balign 16\nprice_null:\n\tret\n.popsection");
// A turn of a string instruction, which moves or stores a byte: long enough for a processor to take
// many at once (Intel, "Optimization Reference Manual", "Enhanced REP MOVSB and STOSB Operation").
// RSI counts the body's own turns.
asm(".pushsection .bss.primitives, \"aw\", @nobits\n.balign 4096\nprice_buffer:\n.skip 8192\n"
    ".popsection");
#define REPEATED(symbol, count, instruction)                                 \
    DOORBELL_ONE_BODY(symbol, ".text.primitives, \"ax\"", "xorl %eax, %eax", \
                      "movq %rsi, %r8\n\tleaq price_buffer(%rip), %rsi\n\t"  \
                      "leaq 4096+price_buffer(%rip), %rdi\n\tmovl $" count   \
                      ", %ecx\n\trep " instruction "\n\tmovq %r8, %rsi",     \
                      "", "")
REPEATED(price_rep_movsb_once, "1024", "movsb");
REPEATED(price_rep_movsb_twice, "2048", "movsb");
REPEATED(price_rep_stosb_once, "1024", "stosb");
REPEATED(price_rep_stosb_twice, "2048", "stosb");
DOORBELL_BOTH_BODIES(price_rep_movsb);
DOORBELL_BOTH_BODIES(price_rep_stosb);

DOORBELL_BODIES(price_load_chained, 16, "movq (%rdi), %rax", "movq (%rax), %rax",
                "movq %rax, (%rdi)");
DOORBELL_WALKING_BODIES(price_load_scattered, 16, "movq 24(%rdi), %r8",
                        "movl 4*place(%rdx), %eax\n\tmovq (%r8,%rax), %rcx", "4");
DOORBELL_WALKING_BODIES(price_load_streamed, 16, "", "movq 64*place(%rdx), %rax", "64");
DOORBELL_WALKING_BODIES(price_store_scattered, 16, "movq 24(%rdi), %r8",
                        "movl 4*place(%rdx), %eax\n\tmovq %rsi, (%r8,%rax)", "4");
// Either way two instructions behind the branch. The loop's own branch, whose prediction suffers
// from a random history, is one of 257.
DOORBELL_WALKING_BODY(price_branch, "256", "",
                      "testb $1, place(%rdx)\n\tjz 1f\n\tnop\n\tjmp 2f\n1:\tnop\n\tnop\n2:", "1");
// The same where the byte is in a line of its own, which a table leads to.
DOORBELL_WALKING_BODY(price_late_branch, "256", "movq 24(%rdi), %r8",
                      "movl 4*place(%rdx), %eax\n\ttestb $1, (%r8,%rax)\n\tjz 1f\n\tnop\n\t"
                      "jmp 2f\n1:\tnop\n\tnop\n2:",
                      "4");

namespace doorbell::labs {
namespace {

using measure::PriceBody;
using measure::PricePlan;

constexpr Primitive primitives[] = {
    {"yardstick", price_yardstick, 64, 16},  {"instruction", price_instruction, 64, 64},
    {"call-ret", price_call_ret, 16, 32},    {"lfence", price_lfence, 16, 16},
    {"mfence", price_mfence, 16, 16},        {"lock-add", price_lock_add, 16, 16},
    {"rdtsc", price_rdtsc, 16, 16},          {"lfence-rdtsc", price_lfence_rdtsc, 16, 16},
    {"rdtscp", price_rdtscp, 16, 16},        {"cpuid", price_cpuid, 4, 4},
    {"clflush", price_clflush, 16, 16},      {"rep-movsb", price_rep_movsb, 1024, 8},
    {"rep-stosb", price_rep_stosb, 1024, 8},
};

/// The accesses of a turn's first half, which the bodies' loops are written for.
constexpr uint64_t accesses = 16;

/// A random permutation of 0 to `count` - 1 in one cycle when each is followed by the next (Fisher
/// and Yates, as Durstenfeld wrote it down: CACM 1964, algorithm 235).
void shuffle(uint32_t* table, uint64_t count, measure::Random& random) {
    for (uint64_t i = 0; i < count; ++i) table[i] = static_cast<uint32_t>(i);
    for (uint64_t i = count - 1; i > 0; --i) {
        uint64_t j = random.below(i + 1);
        uint32_t other = table[i];
        table[i] = table[j];
        table[j] = other;
    }
}

/// Links places, whose numbers are in the table's order, into one ring; `address_of` a number.
template <class AddressOf>
PricePlan plan_ring(uint64_t count, uint32_t* table, measure::Random& random, PrimitivePlace& place,
                    AddressOf&& address_of) {
    shuffle(table, count, random);
    for (uint64_t i = 0; i < count; ++i)
        *reinterpret_cast<uint64_t*>(address_of(table[i])) = address_of(table[(i + 1) % count]);
    place.at = address_of(table[0]);
    return {.base = price_load_chained.base,
            .more = price_load_chained.more,
            .base_place = &place,
            .more_place = &place,
            .units = accesses,
            .turns = 1};
}

/// Fills the table with the offsets of lines, `apart` bytes from each other, in random order; a
/// walk over `memory` in that order.
PrimitivePlace scatter(uint64_t lines, uint32_t* table, measure::Random& random, uint64_t memory,
                       uint64_t apart = cache_line) {
    shuffle(table, lines, random);
    for (uint64_t i = 0; i < lines; ++i) table[i] *= static_cast<uint32_t>(apart);
    auto first = reinterpret_cast<uint64_t>(table);
    return {first, first, first + lines * sizeof *table, memory};
}

/// Enough events that a clock's step is little beside them, and no more.
/// Loads that do not wait for each other are far shorter than those that do.
constexpr uint64_t turns_for(uint64_t bytes, bool chained) {
    return chained ? bytes <= 512 * 1024 ? 64 : 16 : 256;
}

void walk_over(const PricePlan& plan, uint64_t count) {
    for (unsigned round = 0; round < 2; ++round)
        plan.base(plan.base_place, (count + accesses - 1) / accesses);
}

}  // namespace

std::span<const Primitive> user_primitives() { return primitives; }

const Primitive* find_primitive(std::span<const Primitive> all, std::string_view name) {
    for (const Primitive& p : all)
        if (p.name == name) return &p;
    return nullptr;
}

PricePlan plan_memory(Access access, void* memory, uint64_t bytes, uint32_t* table,
                      measure::Random& random, PrimitivePlace& place) {
    auto start = reinterpret_cast<uint64_t>(memory);
    constexpr uint64_t page = 4096;
    const bool crowded = access == Access::crowded || access == Access::crowded_store,
               stores = access == Access::store || access == Access::crowded_store;
    const uint64_t apart = crowded ? page : cache_line, lines = bytes / apart;
    for (uint64_t i = 0; i < bytes; i += apart)
        *reinterpret_cast<volatile uint64_t*>(start + i) = 0;
    PricePlan plan;
    if (access == Access::chained) {
        plan = plan_ring(lines, table, random, place,
                         [&](uint64_t line) { return start + line * cache_line; });
    } else if (access == Access::streamed) {
        place = {start, start, start + bytes, start};
        plan = {.base = price_load_streamed.base, .more = price_load_streamed.more};
    } else {
        place = scatter(lines, table, random, start, apart);
        const PrimitiveBodies& bodies = stores ? price_store_scattered : price_load_scattered;
        plan = {.base = bodies.base, .more = bodies.more};
    }
    plan.base_place = plan.more_place = &place;
    plan.units = accesses;
    plan.turns = turns_for(bytes, access == Access::chained);
    walk_over(plan, lines);
    return plan;
}

PricePlan plan_pages(void* memory, uint64_t pages, uint64_t page, uint32_t* table,
                     measure::Random& random, PrimitivePlace& place) {
    auto start = reinterpret_cast<uint64_t>(memory);
    // Another line in each page, so that the lines do not share sets of a cache: over 64 pages each
    // line once, then shifted by one, since a larger cache's sets are chosen by the page, too.
    constexpr uint64_t lines_a_page = 4096 / cache_line;
    PricePlan plan = plan_ring(pages, table, random, place, [&](uint64_t number) {
        return start + number * page + (number + number / lines_a_page) % lines_a_page * cache_line;
    });
    plan.turns = turns_for(pages * cache_line, true);
    walk_over(plan, pages);
    return plan;
}

namespace {

constexpr uint64_t branches_a_turn = 256;

/// A plan whose bodies are one, over zeros and over random bits.
PricePlan plan_branches(measure::PriceBody* body, PrimitivePlace& zeros, PrimitivePlace& bits,
                        void (*freshen)(void* bits)) {
    return {.base = body,
            .more = body,
            .base_place = &zeros,
            .more_place = &bits,
            .units = branches_a_turn / 2,
            .turns = mispredict_branches / branches_a_turn,
            .freshen = freshen};
}

/// The places whose second PrimitivePlace is at `second`.
template <class Places>
Places& places_of(void* second) {
    return *reinterpret_cast<Places*>(static_cast<char*>(second) - sizeof(PrimitivePlace));
}

/// Random bits in the next `count` lines of the walk, in its order: those that it meets first are
/// the longest out of a cache.
void freshen_lines(const PrimitivePlace& walk, uint64_t count, measure::Random& random) {
    auto* at = reinterpret_cast<const uint32_t*>(walk.at);
    for (uint64_t i = 0; i < count; ++i) {
        *reinterpret_cast<volatile uint8_t*>(walk.memory + *at) =
            static_cast<uint8_t>(random.next());
        if (++at == reinterpret_cast<const uint32_t*>(walk.end))
            at = reinterpret_cast<const uint32_t*>(walk.start);
    }
}

}  // namespace

PricePlan plan_late_branch(void* zeros, void* bits, uint64_t bytes, uint32_t* table,
                           LateBranchPlaces& places) {
    // Up to here predictors learn what repeats (Zen 5: 65,536 branches).
    constexpr uint64_t learnt = 65536;
    const uint64_t lines = bytes / cache_line;
    for (uint64_t i = 0; i < bytes; i += cache_line)
        *reinterpret_cast<volatile uint64_t*>(reinterpret_cast<uint64_t>(zeros) + i) = 0;
    places.zeros = scatter(lines, table, places.random, reinterpret_cast<uint64_t>(zeros));
    places.bits = places.zeros;
    places.bits.memory = reinterpret_cast<uint64_t>(bits);
    // Each finds the table's lines where they are by themselves, not where the other has left them.
    places.bits.at += lines / 2 * sizeof *table;
    freshen_lines(places.bits, lines, places.random);
    places.fresh_lines = lines <= learnt ? lines : 0;
    PricePlan plan =
        plan_branches(price_late_branch, places.zeros, places.bits, [](void* bits_place) {
            auto& all = places_of<LateBranchPlaces>(bits_place);
            freshen_lines(all.bits, all.fresh_lines, all.random);
        });
    if (lines < mispredict_branches) plan.turns = lines / branches_a_turn;
    return plan;
}

PricePlan plan_line_from_core(void* memory, uint32_t* table, measure::Random& random,
                              OtherCorePlaces& places) {
    auto start = reinterpret_cast<uint64_t>(memory);
    auto address_of = [&](uint64_t line) { return start + line * cache_line; };
    PricePlan plan = plan_ring(core_lines, table, random, places.own, address_of);
    plan_ring(2 * core_lines, table, random, places.all,
              [&](uint64_t line) { return address_of(core_lines + line); });
    plan.more_place = &places.all;
    plan.turns = core_lines / accesses;
    plan.freshen = [](void* all) {
        auto& place = places_of<OtherCorePlaces>(all);
        place.write(place.context);
    };
    return plan;
}

PricePlan plan_mispredict(uint8_t* zeros, uint8_t* bits, MispredictPlaces& places) {
    auto place_of = [](uint8_t* table) {
        auto at = reinterpret_cast<uint64_t>(table);
        return PrimitivePlace{at, at, at + mispredict_branches, at};
    };
    for (uint64_t i = 0; i < mispredict_branches; ++i) zeros[i] = bits[i] = 0;
    places.zeros = place_of(zeros);
    places.bits = place_of(bits);
    return plan_branches(price_branch, places.zeros, places.bits, [](void* bits_place) {
        auto& all = places_of<MispredictPlaces>(bits_place);
        auto* table = reinterpret_cast<uint64_t*>(all.bits.start);
        for (uint64_t i = 0; i < mispredict_branches / 8; ++i) table[i] = all.random.next();
    });
}

}  // namespace doorbell::labs
