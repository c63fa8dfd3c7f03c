// Can the counters of this machine be trusted? Walks whose loads, stores and misses are known
// beforehand, so that a counter can be held against them: for the cache model, and for a
// processor's own counters.
//
// And bodies (labs/kit/bodies.h): programs whose counts and prices predict what the same object
// code costs under Linux (host/labs/caches.cpp). The tally `result` has each body's checksum.
#include "firmware/cpu/descriptors.h"
#include "firmware/measure/timestamp.h"
#include "labs/kit/bench.h"
#include "labs/kit/bodies.h"
#include "labs/kit/choice.h"
#include "labs/kit/compare.h"
#include "labs/kit/lab.h"
#include "labs/kit/walks.h"

DOORBELL_WALKS;

// What hardware charges for besides misses. walk_memory: loads and stores over the border of a line
// and of a page, one that is both, and a string. walk_events(memory, the local APIC's page): 2 port
// reads, 3 port writes, 4 MMIO reads, 3 MMIO writes, 5 INT n, 1 interrupt (of the processor to
// itself), 2 writes to CR3, 3 INVLPG; the handler's are 1 MMIO write and 1 IRETQ each.
extern "C" {
Walk walk_memory, walk_events;
void event_handler();
}
DOORBELL_WALK("walk_memory",
              "movq 60(%rdi), %rax\n\tmovq %rax, 4092(%rdi)\n\tlock addq $1, 128(%rdi)\n\t"
              "movq %rcx, %r11\n\tleaq 256(%rdi), %rsi\n\taddq $512, %rdi\n\tmovl $8, %ecx\n\trep "
              "movsb\n\tmovq %r11, %rcx\n\t");
DOORBELL_WALK("walk_events",
              ".rept 2\n\tinb $0x80, %al\n\t.endr\n\t.rept 3\n\toutb %al, $0x80\n\t.endr\n\t"
              ".rept 4\n\tmovl 0x20(%rsi), %eax\n\t.endr\n\txorl %eax, %eax\n\t.rept 2\n\tmovl "
              "%eax, 0x80(%rsi)\n\t.endr\n\t"
              ".rept 5\n\tint $0x63\n\t.endr\n\t"
              "movl $0x40000 + 0x63, 0x300(%rsi)\n\tsti\n\tnop\n\tnop\n\tcli\n\t"
              "movq %cr3, %rax\n\t.rept 2\n\tmovq %rax, %cr3\n\t.endr\n\t.rept 3\n\tinvlpg "
              "(%rdi)\n\t.endr\n\t");
asm(".pushsection .text.walks, \"ax\"\nevent_handler:\n\tmovl $0, "
    "0xB0(%rsi)\n\tiretq\n.popsection");

namespace doorbell::labs {
namespace {

constexpr Case cases[] = {
    "walk=empty",
    "walk=stride step=8 state=cold",
    "walk=stride step=16 state=cold",
    "walk=stride step=32 state=cold",
    "walk=stride step=64 state=cold",
    "walk=chase bytes=16384 state=cold",
    "walk=chase bytes=16384 state=warm",
    "walk=chase bytes=65536 state=cold",
    "walk=chase bytes=65536 state=warm",
    "walk=chase bytes=524288 state=warm",
    "walk=random bytes=65536 state=cold",
    "walk=random bytes=524288 state=cold",
    "walk=transpose n=64 state=cold",
    "walk=branches",
    "walk=memory state=cold",
    "walk=events",
#define BODY(function, name, bytes, input, sentence) "body=" name,
#include "labs/kit/bodies.list"
#undef BODY
};
static_assert(keys_are(cases, {"walk", "walk step state", "walk bytes state", "walk n state",
                               "walk state", "body"}) &&
              words_are(cases, "state", {"cold", "warm"}) &&
              words_are(cases, "walk",
                        {"empty", "stride", "chase", "random", "transpose", "branches", "memory",
                         "events"}) &&
              numbers_are(cases, {"step", "bytes", "n"}));

/// Loads of a stride or random walk, branches of a branch walk.
constexpr uint64_t count = 4096;
constexpr uint64_t room = 1 << 20;
constexpr uint8_t event_vector = 0x63;

struct Plan {
    Walk* walk;
    uint64_t second, third;
};

Plan plan_of(const Case& test_case, uint64_t memory) {
    std::string_view walk = test_case["walk"];
    if (walk == "stride") return {walk_stride, test_case.number("step"), count};
    if (walk == "chase") return {walk_chase, 0, test_case.number("bytes") / 64};
    if (walk == "random") return {walk_random, test_case.number("bytes"), count};
    if (walk == "transpose") return {walk_transpose, memory + room / 2, test_case.number("n")};
    if (walk == "memory") return {walk_memory, 0, 0};
    if (walk == "branches") return {walk_branches, 0, count};
    return {walk_empty, 0, 0};
}

/// Takes what the walk will touch out of every cache: the model's, and the processor's (CLFLUSH,
/// SDM vol. 2A).
void make_cold(uint64_t memory, uint64_t bytes) {
    measure::Counters::forget();
    for (uint64_t at = memory; at < memory + bytes; at += 64)
        asm volatile("clflush (%0)" : : "r"(at) : "memory");
    asm volatile("mfence" : : : "memory");
}

constexpr const char* checksum_names[] = {"checksum"};

/// A sample is one run, which finds the caches as the run before and prepare() left them.
Result<void> measure_body(Bench& bench, const Body& body) {
    auto counts = bench.machine.arena.array<uint64_t>(1);
    uint64_t at = bench.machine.arena.take(body.bytes, body_alignment);
    if (at == 0 || counts.empty()) return Lacking{"not enough memory for the body", body.bytes};
    auto* memory = reinterpret_cast<void*>(at);
    measure::Series& cost = bench.series("cost", {.less_overhead = true});
    const uint64_t first_seed = bench.random.next();
    uint64_t seed = first_seed;
    bool first = true;
    body.prepare(memory, seed);
    bench.repeat([&](uint64_t wanted) {
        for (uint64_t left = body_samples(wanted); left != 0; --left) {
            if (body.input == BodyInput::fresh) body.prepare(memory, seed++);
            uint64_t t = measure::begin();
            uint64_t result = body.run(memory);
            cost.record(measure::end() - t);
            if (first) counts[0] = Body::checksum(result);
            first = false;
        }
    });
    bench.tally = {"result", checksum_names, counts};
    body.prepare(memory, first_seed);
    if (Body::checksum(body.run(memory)) != counts[0])
        return Error{"the body computes something else from the same data when it runs again"};
    return {};
}

Result<void> body(Bench& bench, const Case& test_case) {
    if (std::string_view name = test_case["body"]; !name.empty()) {
        const Body* chosen = find_body(name);
        return chosen != nullptr ? measure_body(bench, *chosen) : no_such_choice;
    }
    uint64_t memory = bench.machine.arena.take(room, room);
    if (memory == 0) return Lacking{"not enough memory for the walks", room};
    for (uint64_t at = memory; at < memory + room; at += 64)
        *reinterpret_cast<volatile uint64_t*>(at) = 0;
    if (test_case["walk"] == "chase")
        link_ring(reinterpret_cast<void*>(memory), test_case.number("bytes"));
    Plan plan = plan_of(test_case, memory);
    bool events = test_case["walk"] == "events";
    if (events) {
        if (bench.machine.apic->x2())
            return Lacking{"the local APIC is in x2APIC mode: it has no page to read and write"};
        plan = {walk_events, bench.machine.apic->xapic().base(), 0};
        cpu::set_gate(event_vector, event_handler);
    }
    bool cold = test_case["state"] == "cold", warm = test_case["state"] == "warm";
    measure::Series& cost = bench.series("cost", {.less_overhead = true});
    bench.repeat([&](uint64_t samples) {
        for (uint64_t i = 0; i < samples; ++i) {
            if (cold) make_cold(memory, room);
            auto* start = reinterpret_cast<void*>(memory);
            Walked walked = warm ? walk_twice(start, plan.second, plan.third, plan.walk)
                                 : plan.walk(start, plan.second, plan.third);
            cost.record(walked.ended - walked.began);
        }
    });
    if (events) cpu::reset_gate(event_vector);
    return {};
}

/// Whether each sample of that case counted `want` of `counter`; more than that is allowed where
/// hardware counts, which has prefetchers, other loads around, and lines that were taken away.
ClaimVerdict counted(const Results& results, const char* test_case, const char* counter,
                     uint64_t want) {
    return judge_series(results, "caches", {{test_case, "cost"}}, [&](const Summary& s) {
        const Figure* f = s.counter(counter);
        if (f == nullptr) return cannot_say("nothing here counts that");
        wire::Text text = because();
        text << test_case << ": " << f->value << " " << counter << " in " << f->samples
             << " samples, " << want << " each expected (" << f->evidence << ")";
        bool modelled = std::string_view(f->evidence) == "modelled";
        uint64_t expected = want * f->samples;
        bool right = modelled ? f->value == expected
                              : f->value >= expected - expected / 10 &&
                                    f->value <= expected + expected / 10 + 10 * f->samples;
        return yes_or_no(right, text);
    });
}

ClaimVerdict nothing_is_nothing(const Results& r) {
    return counted(r, "walk=empty", "instructions", 0);
}
ClaimVerdict instructions_are_counted(const Results& r) {
    return counted(r, "walk=stride step=64 state=cold", "instructions", 4 * count);
}
ClaimVerdict each_line_misses(const Results& r) {
    return counted(r, "walk=stride step=64 state=cold", "l1d_misses", count);
}
ClaimVerdict eight_share_a_line(const Results& r) {
    return counted(r, "walk=stride step=8 state=cold", "l1d_misses", count / 8);
}
ClaimVerdict small_ring_stays(const Results& r) {
    return counted(r, "walk=chase bytes=16384 state=warm", "l1d_misses", 0);
}

constexpr Claim claims[] = {
    {"empty-walk", "a walk of nothing counts no instruction", nothing_is_nothing},
    {"instructions", "4096 loads in a loop of four instructions are 16384 instructions",
     instructions_are_counted},
    {"each-line-misses", "4096 cold loads 64 bytes apart miss 4096 times", each_line_misses},
    {"eight-share-a-line", "4096 cold loads 8 bytes apart miss 512 times", eight_share_a_line},
    {"small-ring-stays", "a ring of 16 KiB that was just walked misses nowhere", small_ring_stays},
};

}  // namespace

extern const Lab caches_lab = define_lab(
    {.name = "caches",
     .question = "Do the counters count what must happen?",
     .needs = "a source of counters: --model on, or a processor's own",
     .by_default = false,
     .counters =
         "instructions loads stores l1d_misses l2_misses llc_misses dtlb_misses branch_misses"},
    cases, {}, claims, body);

}  // namespace doorbell::labs
