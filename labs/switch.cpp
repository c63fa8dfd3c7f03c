// What does a switch from one task to another cost? Directly: from the yield of one task to the
// first timestamp of the other. Hidden: a task walks its working set, gives the processor to
// another that walks one of the same size, and walks its own again; `refill` is how much longer
// that took than without the switch.
#include "firmware/kernel/kernel.h"
#include "firmware/measure/timestamp.h"
#include "labs/kit/bench.h"
#include "labs/kit/choice.h"
#include "labs/kit/compare.h"
#include "labs/kit/lab.h"
#include "labs/kit/saved_registers.h"

// Ring 3: uint64_t switch_relay(uint64_t* out, uint64_t count, uint64_t* stamp, uint64_t state).
// Two tasks run it in turn; each writes the time of its yield to `stamp` and finds there, when it
// runs again, the other's. `state`: 0 none, 1 SSE, 2 AVX: the registers are filled with ones (bit 8
// clear) or zeros (set) beforehand, and the result is 0 where they still hold that at the end.
extern "C" uint64_t switch_relay(uint64_t* out, uint64_t count, uint64_t* stamp, uint64_t state);
asm(R"(
        .pushsection .user_text, "ax"
        .balign 64
        .global switch_relay
switch_relay:
        PUSH_RBX_R12_TO_R15
        movq    %rdi, %r12
        movq    %rsi, %r13
        movq    %rdx, %r14
        movq    %rcx, %r15
        cmpb    $1, %r15b
        jb      1f
        je      5f
        btl     $8, %r15d
        jc      6f
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        vxorps  %ymm\n, %ymm\n, %ymm\n
        vcmpps  $0xF, %ymm\n, %ymm\n, %ymm\n
        .endr
        jmp     1f
6:      .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        vxorps  %ymm\n, %ymm\n, %ymm\n
        .endr
        jmp     1f
5:      pxor    %xmm0, %xmm0
        btl     $8, %r15d
        jc      1f
        pcmpeqd %xmm0, %xmm0

1:      lfence
        rdtsc
        shlq    $32, %rdx
        orq     %rdx, %rax
        movq    %rax, (%r14)
        lfence
        movl    $16, %eax
        syscall
        lfence
        rdtsc
        shlq    $32, %rdx
        orq     %rdx, %rax
        subq    (%r14), %rax
        movq    %rax, (%r12)
        addq    $8, %r12
        decq    %r13
        jnz     1b

        xorl    %eax, %eax
        xorl    %edx, %edx
        cmpb    $1, %r15b
        jb      4f
        je      2f
        vmovmskps %ymm15, %eax
        movl    $0xFF, %edx
        jmp     3f
2:      movmskps %xmm0, %eax
        movl    $0xF, %edx
3:      xorl    %ecx, %ecx
        btl     $8, %r15d
        cmovcl  %ecx, %edx
        subl    %edx, %eax
4:      RETURN_RBX_R12_TO_R15
        .popsection
)");

namespace doorbell::labs {
namespace {

constexpr Case cases[] = {
    "state=registers space=same", "state=registers space=other", "state=registers space=other-pcid",
    "state=full space=same",      "state=full space=other",      "state=full space=other-pcid",
    "set=4096 stride=64",         "set=16384 stride=64",         "set=32768 stride=64",
    "set=65536 stride=64",        "set=262144 stride=64",        "set=1048576 stride=64",
    "set=4194304 stride=64",      "set=33554432 stride=64",      "set=1048576 stride=4096",
    "set=33554432 stride=4096",
};
static_assert(keys_are(cases, {"state space", "set stride"}) &&
              words_are(cases, "state", {"registers", "full"}) &&
              words_are(cases, "space", {"same", "other", "other-pcid"}) &&
              numbers_are(cases, {"set", "stride"}));

constexpr Setting settings[] = {
    {"lines", 1 << 18, 1 << 16, 1 << 28, "line",
     "cache lines that a case with a working set walks over in all (16 times as many where the "
     "clock is live): the "
     "larger the set, the fewer samples, but 2 at least"},
};

constexpr uint64_t small_stack = 4096;

Result<void> relay(Bench& bench, const Case& test_case) {
    std::string_view spaces = test_case["space"];
    bool full = test_case["state"] == "full";
    measure::Series& cost = bench.series("cost", {.less_overhead = true});
    uint64_t most = bench.samples() + bench.warm_up();
    kernel::Kernel kernel(bench.machine);
    auto up = kernel.start({.extended_state = full, .pcid = spaces == "other-pcid"});
    if (!up) return up;
    uint64_t window = 2 * most * 8 + 65536;
    auto first = kernel.make_space(window);
    auto second = spaces == "same" ? first : kernel.make_space(window);
    uint64_t stamp = bench.machine.arena.take(4096, 4096);
    if (!first || !second || stamp == 0)
        return first_error(Lacking{"not enough memory for two address spaces"}, first, second);
    // One page that both can write; in one address space both get the same address of it.
    auto stamp_first = (*first)->share(stamp, 4096, true);
    auto stamp_second = *first == *second ? stamp_first : (*second)->share(stamp, 4096, true);
    if (!stamp_first || !stamp_second)
        return first_error(Error{"the page between the tasks could not be mapped"}, stamp_first,
                           stamp_second);
    uint64_t out = (*first)->take(most * 8), unused = (*second)->take(most * 8);
    auto a = kernel.make_task(**first, switch_relay, {}, small_stack);
    auto b = kernel.make_task(**second, switch_relay, {}, small_stack);
    if (!a || !b || out == 0 || unused == 0)
        return first_error(Lacking{"not enough memory for two tasks"}, a, b);
    uint64_t state = !full ? 0 : bench.machine.features.avx ? 2 : 1;
    constexpr uint64_t zeros = 1 << 8;
    auto* samples = (*first)->kernel<uint64_t>(out);
    bench.stored_at(cost, samples, most);
    Result<void> done;
    bench.repeat([&](uint64_t count) {
        auto* program = reinterpret_cast<const void*>(switch_relay);
        kernel.restart(**a, program, {out, count, *stamp_first, state});
        // The other runs at most one more round, alone, and ends; its samples are discarded.
        kernel.restart(**b, program, {unused, count, *stamp_second, state | zeros});
        auto left = kernel.run();
        if (left != kernel::Left::nothing_ready || (*a)->ended_by != 0 || (*b)->ended_by != 0)
            done = Error{"a task did not end by itself"};
        else if ((*a)->exit_value != 0 || (*b)->exit_value != 0)
            done = Error{"a switch lost the tasks' extended state"};
        for (uint64_t i = 0; i < count; ++i) cost.record(samples[i]);
    });
    return done;
}

struct Walks {
    uint64_t warm, after;
};

/// Ring 3: follows a chain of addresses for `lines` steps.
DOORBELL_USER uint64_t timed_chain(const void* start, uint64_t lines) {
    uint64_t from = measure::begin();
    asm volatile(
        "1:\n\t"
        "movq (%0), %0\n\t"
        "decq %1\n\t"
        "jnz 1b"
        : "+r"(start), "+r"(lines)
        :
        : "memory", "cc");
    return measure::end() - from;
}

DOORBELL_USER void walk_and_yield(Walks* out, uint64_t count, const void* chain, uint64_t lines) {
    for (uint64_t i = 0; i < count; ++i) {
        timed_chain(chain, lines);
        out[i].warm = timed_chain(chain, lines);
        kernel::user::call(kernel::call::yield);
        out[i].after = timed_chain(chain, lines);
    }
}

/// A ring of `lines` pointers, `stride` bytes apart, in an order that no prefetcher follows: a
/// linear congruential generator of full period (Knuth, TAOCP vol. 2, section 3.2.1.2, theorem A).
void make_chain(char* kernel_address, uint64_t user_address, uint64_t lines, uint64_t stride) {
    constexpr uint64_t a = 1664525, c = 1013904223;
    for (uint64_t i = 0; i < lines; ++i)
        *reinterpret_cast<uint64_t*>(kernel_address + i * stride) =
            user_address + ((a * i + c) & (lines - 1)) * stride;
}

Result<void> refill(Bench& bench, const Case& test_case) {
    uint64_t bytes = test_case.number("set"), stride = test_case.number("stride"),
             lines = bytes / stride;
    measure::Series& hidden = bench.series("refill", {.derived = "walk-after-switch - walk"});
    measure::Series& warm = bench.series("walk", {.less_overhead = true});
    measure::Series& after = bench.series("walk-after-switch", {.less_overhead = true});
    // Instructions are the same in every walk: where they are what is counted, few walks are
    // enough.
    uint64_t limit = bench.setting("lines") * (bench.exact() ? 1 : 16) / lines;
    uint64_t most = limit < 2 ? 2 : limit < bench.samples() ? limit : bench.samples();
    kernel::Kernel kernel(bench.machine);
    auto up = kernel.start({});
    if (!up) return up;
    kernel::Task* tasks[2];
    kernel::Space* spaces[2];
    uint64_t chain[2], out[2];
    for (unsigned i = 0; i < 2; ++i) {
        uint64_t large = cpu::PageTables::large_page;
        spaces[i] = DOORBELL_TRY(kernel.make_space((bytes + large) / large * large + large));
        chain[i] = spaces[i]->take(bytes, 4096);
        out[i] = spaces[i]->take(most * sizeof(Walks));
        auto task = kernel.make_task(*spaces[i], walk_and_yield, {}, small_stack);
        if (!task || chain[i] == 0 || out[i] == 0)
            return first_error(Lacking{"not enough memory for the working sets"}, task);
        tasks[i] = *task;
        make_chain(spaces[i]->kernel<char>(chain[i]), chain[i], lines, stride);
    }
    auto* walks = spaces[0]->kernel<Walks>(out[0]);
    bench.stored_at(warm, &walks->warm, most, sizeof(Walks));
    bench.stored_at(after, &walks->after, most, sizeof(Walks));
    Result<void> done;
    bench.repeat([&](uint64_t wanted) {
        uint64_t count = wanted < most ? wanted : most;
        for (unsigned i = 0; i < 2; ++i)
            kernel.restart(*tasks[i], reinterpret_cast<const void*>(walk_and_yield),
                           {out[i], count, chain[i], lines});
        kernel.run();
        if (tasks[0]->ended_by != 0 || tasks[1]->ended_by != 0)
            done = Error{"a task did not end by itself"};
        for (uint64_t i = 0; i < count; ++i) {
            warm.record(walks[i].warm);
            after.record(walks[i].after);
            // A walk that was quicker after the switch hid no cost.
            hidden.record(walks[i].after > walks[i].warm ? walks[i].after - walks[i].warm : 0);
        }
    });
    return done;
}

Result<void> body(Bench& bench, const Case& test_case) {
    return test_case["set"].empty() ? relay(bench, test_case) : refill(bench, test_case);
}

constexpr Claim claims[] = {
    {"caches-cold-after-switch",
     "after a switch the caches are cold: walking 32 KiB again costs more than twice what it costs "
     "without the switch",
     below_by_misses({"set=32768 stride=64", "walk"}, {"set=32768 stride=64", "walk-after-switch"},
                     2)},
    {"hidden-passes-direct",
     "the hidden cost of a switch passes the direct cost when the working set passes L1 (64 KiB)",
     below({"state=registers space=other", "cost"}, {"set=65536 stride=64", "refill"}, 1,
           "this clock knows no caches, and misses are not a time")},
    {"hidden-small-at-4-kib",
     "a working set of 4 KiB loses less than a tenth of what one of 256 KiB loses",
     below_by_misses({"set=4096 stride=64", "refill"}, {"set=262144 stride=64", "refill"}, 10,
                     "walk-after-switch", "walk")},
    {"other-space-costs", "a switch to another address space costs more than one within it",
     below({"state=registers space=same", "cost"}, {"state=registers space=other", "cost"}, 1,
           "this clock counts a load of CR3 as one instruction")},
    {"full-state-costs",
     "a switch that saves the FPU and AVX state costs more than one that does not",
     below({"state=registers space=same", "cost"}, {"state=full space=same", "cost"}, 1,
           "this clock counts XSAVE and XRSTOR as one instruction each")},
};

}  // namespace

extern const Lab switch_lab = define_lab(
    {.name = "switch",
     .question = "What does a switch from one task to another cost, at once and afterwards?",
     .needs = "XSAVE for state=full, PCID for space=other-pcid",
     .counters = "cr3_writes l1i_misses l1d_misses l2_misses llc_misses dtlb_misses"},
    cases, settings, claims, body);

}  // namespace doorbell::labs
