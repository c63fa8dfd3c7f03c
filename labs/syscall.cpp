// What does a system call cost? From the caller's last instruction to its next one: a
// function call, SYSCALL and INT 0x80, in one address space and with a change to the kernel's own
// on the way in and back out. Then what the call leaves behind: a kernel that touched `lines` cache
// lines of its own, and the caller's walk over its own data before and after.
#include "firmware/cpu/registers.h"
#include "firmware/kernel/kernel.h"
#include "firmware/measure/timestamp.h"
#include "labs/kit/bench.h"
#include "labs/kit/choice.h"
#include "labs/kit/compare.h"
#include "labs/kit/lab.h"
#include "labs/kit/saved_registers.h"

// Ring 3: void syscall_time_GATE(uint64_t* out, uint64_t count). The timestamps are
// measure::begin() and end(), written out so that nothing else stands between them.
extern "C" {
void syscall_time_call(uint64_t* out, uint64_t count);
void syscall_time_syscall(uint64_t* out, uint64_t count);
void syscall_time_int(uint64_t* out, uint64_t count);
// Ring 0: the same around a call in another address space; the third and fourth argument are CR3
// there and here.
void syscall_time_call_apart(uint64_t* out, uint64_t count, uint64_t there, uint64_t here);
// Ring 3: ticks, with a pair of timestamps, of reading a byte of each of `lines` cache lines, and
// of a call that lets the kernel read `lines` of its own, from syscall_kernel_lines on.
uint64_t syscall_time_walk(const volatile uint8_t* own, uint64_t lines);
uint64_t syscall_time_touch(uint64_t lines);
// Ring 0: that call.
uint64_t syscall_touch_lines(uint64_t lines);
[[gnu::used]] const volatile uint8_t* syscall_kernel_lines;
}
asm(R"(
        .macro  TIMED name, section, prepare:req, operation:vararg
        .pushsection \section, "ax"
        .balign 64
        .global \name
\name:
        PUSH_RBX_R12_TO_R15
        movq    %rdi, %r12
        movq    %rsi, %r13
        \prepare
1:      lfence
        rdtsc
        shlq    $32, %rdx
        orq     %rdx, %rax
        movq    %rax, %rbx
        lfence
        \operation
        lfence
        rdtsc
        shlq    $32, %rdx
        orq     %rdx, %rax
        subq    %rbx, %rax
        movq    %rax, (%r12)
        addq    $8, %r12
        decq    %r13
        jnz     1b
        RETURN_RBX_R12_TO_R15
        .popsection
        .endm

        .macro  KEEP_SPACES
        movq    %rdx, %r14
        movq    %rcx, %r15
        .endm
        .macro  NOTHING
        .endm
        .macro  NULL_CALL
        call    syscall_null_function
        .endm
        .macro  NULL_CALL_APART
        movq    %r14, %cr3
        call    syscall_null_supervisor
        movq    %r15, %cr3
        .endm
        .macro  NULL_SYSCALL
        xorl    %eax, %eax
        syscall
        .endm
        .macro  NULL_INT
        xorl    %eax, %eax
        int     $0x80
        .endm
        TIMED   syscall_time_call, .user_text, NOTHING, NULL_CALL
        TIMED   syscall_time_syscall, .user_text, NOTHING, NULL_SYSCALL
        TIMED   syscall_time_int, .user_text, NOTHING, NULL_INT
        TIMED   syscall_time_call_apart, .text.syscall_apart, KEEP_SPACES, NULL_CALL_APART

        .pushsection .user_text, "ax"
syscall_null_function:
        xorl    %eax, %eax
        ret

        .macro  BEGIN_IN register
        lfence
        rdtsc
        shlq    $32, %rdx
        orq     %rdx, %rax
        movq    %rax, \register
        lfence
        .endm
        .macro  END_SINCE register
        lfence
        rdtsc
        shlq    $32, %rdx
        orq     %rdx, %rax
        subq    \register, %rax
        .endm
        .balign 64
        .global syscall_time_walk, syscall_time_touch
syscall_time_walk:
        BEGIN_IN %r8
1:      movzbl  (%rdi), %eax
        addq    $64, %rdi
        decq    %rsi
        jnz     1b
        END_SINCE %r8
        ret
syscall_time_touch:
        pushq   %rbx
        BEGIN_IN %rbx
        movl    $1, %eax                # call::fast_lab
        syscall
        END_SINCE %rbx
        popq    %rbx
        ret
        .popsection
        .pushsection .text.syscall_apart, "ax"
syscall_null_supervisor:
        xorl    %eax, %eax
        ret
        .balign 64
        .global syscall_touch_lines
syscall_touch_lines:
        movq    syscall_kernel_lines(%rip), %rsi
        xorl    %eax, %eax
1:      movzbl  (%rsi), %edx
        addq    %rdx, %rax
        addq    $64, %rsi
        decq    %rdi
        jnz     1b
        ret
        .popsection
)");

namespace doorbell::labs {
namespace {

constexpr Case cases[] = {
    "gate=call space=same",    "gate=call space=other",    "gate=call space=other-pcid",
    "gate=syscall space=same", "gate=syscall space=other", "gate=syscall space=other-pcid",
    "gate=int space=same",     "gate=int space=other",     "gate=int space=other-pcid",
    "gate=syscall lines=1",    "gate=syscall lines=64",    "gate=syscall lines=512",
    "gate=syscall lines=4096",
};
static_assert(keys_are(cases, {"gate space", "gate lines"}) &&
              words_are(cases, "gate", {"call", "syscall", "int"}) &&
              words_are(cases, "space", {"same", "other", "other-pcid"}) &&
              numbers_are(cases, {"lines"}));

constexpr Setting settings[] = {
    {"walk", 256, 1, 16384, "line",
     "cache lines that the caller walks over before and after a call (lines=...)"},
};

constexpr uint64_t line = 64;
constexpr uint32_t touch_call = kernel::call::fast_lab;
static_assert(touch_call == 1);

struct Walked {
    uint64_t before, cost, after;
};

/// Ring 3: walks, calls a kernel that touches `touched` lines, walks again.
DOORBELL_USER void walk_around_call(Walked* out, uint64_t count, const volatile uint8_t* own,
                                    uint64_t lines_and_touched) {
    uint64_t lines = lines_and_touched & 0xFFFFFFFF, touched = lines_and_touched >> 32;
    for (uint64_t i = 0; i < count; ++i) {
        syscall_time_walk(own, lines);  // whatever the last call left behind
        out[i].before = syscall_time_walk(own, lines);
        out[i].cost = syscall_time_touch(touched);
        out[i].after = syscall_time_walk(own, lines);
    }
}

Result<void> run_task(kernel::Kernel& kernel, kernel::Task& task) {
    if (kernel.run() != kernel::Left::nothing_ready || !task.ended() || task.ended_by != 0)
        return Error{"the task did not end by itself: signal", task.ended_by};
    return {};
}

Result<void> measure_touch(Bench& bench, const Case& test_case) {
    constexpr uint64_t most_touched = 4096;
    measure::Series& cost = bench.series("cost", {.less_overhead = true});
    measure::Series& before = bench.series("before", {.less_overhead = true});
    measure::Series& after = bench.series("after", {.less_overhead = true});
    uint64_t most = bench.samples() + bench.warm_up(), walk = bench.setting("walk");
    auto touched = bench.machine.arena.array<uint8_t>(most_touched * line);
    syscall_kernel_lines = touched.data();
    kernel::Kernel kernel(bench.machine);
    auto up = kernel.start({});
    if (!up) return up;
    auto space = kernel.make_space(most * sizeof(Walked) + walk * line + 65536);
    if (!space || touched.empty())
        return first_error(Lacking{"not enough memory for the samples asked for"}, space);
    kernel.set_fast_call(touch_call, syscall_touch_lines);
    uint64_t out = (*space)->take(most * sizeof(Walked)), own = (*space)->take(walk * line, line);
    auto task = kernel.make_task(**space, walk_around_call, {});
    if (!task || out == 0 || own == 0)
        return first_error(Lacking{"not enough memory for the samples asked for"}, task);
    auto* samples = (*space)->kernel<Walked>(out);
    bench.stored_at(before, &samples->before, most, sizeof(Walked));
    bench.stored_at(cost, &samples->cost, most, sizeof(Walked));
    bench.stored_at(after, &samples->after, most, sizeof(Walked));
    Result<void> done;
    bench.repeat([&](uint64_t count) {
        kernel.restart(**task, reinterpret_cast<const void*>(walk_around_call),
                       {out, count, own, walk | test_case.number("lines") << 32});
        if (auto ran = run_task(kernel, **task); !ran) done = ran;
        for (uint64_t i = 0; i < count; ++i) {
            before.record(samples[i].before);
            cost.record(samples[i].cost);
            after.record(samples[i].after);
        }
    });
    return done;
}

Result<void> measure_gate(Bench& bench, const Case& test_case) {
    std::string_view gate = test_case["gate"], spaces = test_case["space"];
    measure::Series& cost = bench.series("cost", {.less_overhead = true});
    uint64_t most = bench.samples() + bench.warm_up();
    kernel::Kernel kernel(bench.machine);
    auto up = kernel.start({.pcid = spaces == "other-pcid", .apart = spaces != "same"});
    if (!up) return up;
    auto space = kernel.make_space(most * 8 + 65536);
    if (!space) return space.error();
    uint64_t out = (*space)->take(most * 8);
    auto* program = gate == "call"      ? syscall_time_call
                    : gate == "syscall" ? syscall_time_syscall
                                        : syscall_time_int;
    auto task = kernel.make_task(**space, program, {out, 0});
    if (!task) return task.error();
    uint64_t* samples = (*space)->kernel<uint64_t>(out);
    bench.stored_at(cost, samples, most);
    Result<void> done;
    bench.repeat([&](uint64_t count) {
        if (gate == "call" && spaces != "same") {
            // CR3 is ring 0's to load: this call stays there.
            syscall_time_call_apart(samples, count, (*space)->root, kernel_state.kernel_space);
        } else {
            kernel.restart(**task, reinterpret_cast<const void*>(program), {out, count});
            if (auto ran = run_task(kernel, **task); !ran) done = ran;
        }
        for (uint64_t i = 0; i < count; ++i) cost.record(samples[i]);
    });
    return done;
}

Result<void> body(Bench& bench, const Case& test_case) {
    return test_case["lines"].empty() ? measure_gate(bench, test_case)
                                      : measure_touch(bench, test_case);
}

constexpr const char* crossing_is_one = "this clock counts a ring crossing as one instruction";

constexpr Claim claims[] = {
    {"syscall-below-int", "SYSCALL is cheaper than INT",
     below({"gate=syscall space=same", "cost"}, {"gate=int space=same", "cost"}, 1,
           crossing_is_one)},
    {"call-below-syscall", "a function call costs less than a tenth of a system call",
     below({"gate=call space=same", "cost"}, {"gate=syscall space=same", "cost"}, 10,
           crossing_is_one)},
    {"other-space-costs", "a kernel in an address space of its own costs more",
     below({"gate=syscall space=same", "cost"}, {"gate=syscall space=other", "cost"}, 1,
           "this clock counts a load of CR3 as one instruction")},
    {"caller-pays-later", "the caller pays again after the call: its own data has gone cold",
     below_by_misses({"gate=syscall lines=4096", "before"}, {"gate=syscall lines=4096", "after"})},
};

}  // namespace

extern const Lab syscall_lab = define_lab(
    {.name = "syscall",
     .question =
         "What does it cost to ask the kernel for nothing, and what does asking leave behind?",
     .needs = "PCID for space=other-pcid",
     .counters = "instructions syscall int cr3_writes l1d_misses l2_misses dtlb_misses"},
    cases, settings, claims, body);

}  // namespace doorbell::labs
