// What does the way into Linux and back cost, when nothing is done there?
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "host/bench.h"
#include "host/clock.h"
#include "host/lab.h"

namespace doorbell::host {
namespace {

constexpr Case cases[] = {
    "gate=call",
    "gate=vdso call=clock_gettime",
    "gate=syscall call=getppid",
    "gate=syscall call=unknown",
};

/// The instruction itself, without a library. Returns the kernel's result.
[[gnu::always_inline]] inline long enter(long number) {
    long result = number;
    asm volatile("syscall" : "+a"(result) : : "rcx", "r11", "memory");
    return result;
}

[[gnu::noinline]] void empty() { asm volatile(""); }

/// `work` between two timestamps, whose own cost is taken off.
template <class Work>
void measure_cost(LinuxBench& bench, Work&& work) {
    measure::Series& cost = bench.series("cost", {.less_overhead = true});
    bench.repeat([&] {
        uint64_t t = measure::begin();
        work();
        uint64_t ticks = measure::end() - t;
        cost.record(ticks);
        return ticks;
    });
}

void body(LinuxBench& bench, const Case& test_case) {
    if (test_case["gate"] == "call") return measure_cost(bench, empty);
    if (test_case["gate"] == "vdso") {
        timespec t;
        return measure_cost(bench, [&] { clock_gettime(CLOCK_MONOTONIC, &t); });
    }
    if (test_case["call"] == "getppid") {
        if (enter(SYS_getppid) != getppid())
            throw Wrong("getppid by the SYSCALL instruction gives another number than the library");
        return measure_cost(bench, [] { enter(SYS_getppid); });
    }
    // Beyond the system call table, and without x32's bit.
    constexpr long unknown = 9999;
    if (enter(unknown) != -ENOSYS)
        throw Skip("this kernel knows system call 9999 (or a filter answers in its place)");
    measure_cost(bench, [] { enter(unknown); });
}

}  // namespace

extern const Lab syscall_lab;
constinit const Lab syscall_lab = {
    "syscall", "What does the way into Linux and back cost, when nothing is done there?", "nothing",
    cases, body};

}  // namespace doorbell::host
