// What does the way into Linux and back cost, when nothing is done there?
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csetjmp>
#include <csignal>

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
    "gate=int call=getppid",
    "gate=int call=unknown",
};

/// The instruction itself, without a library. Returns the kernel's result.
[[gnu::always_inline]] inline long enter(long number) {
    long result = number;
    asm volatile("syscall" : "+a"(result) : : "rcx", "r11", "memory");
    return result;
}

/// The same by INT 80H, which has the numbers of 32-bit programs. The kernel destroys R8 to R11.
[[gnu::always_inline]] inline long enter_by_int(long number) {
    long result = number;
    asm volatile("int $0x80" : "+a"(result) : : "r8", "r9", "r10", "r11", "memory");
    return result;
}
constexpr long getppid_of_32_bit = 64;

sigjmp_buf no_gate;

/// Whether the kernel answers INT 80H. Without the calls of 32-bit programs (CONFIG_IA32_EMULATION,
/// ia32_emulation=0) its gate is closed to ring 3, and the processor raises #GP.
bool has_int_gate() {
    struct sigaction refused{}, before{};
    refused.sa_handler = [](int) { siglongjmp(no_gate, 1); };
    sigaction(SIGSEGV, &refused, &before);
    volatile bool answered = false;
    if (sigsetjmp(no_gate, 1) == 0) {
        enter_by_int(getppid_of_32_bit);
        answered = true;
    }
    sigaction(SIGSEGV, &before, nullptr);
    return answered;
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
    bool by_int = test_case["gate"] == "int";
    if (by_int && !has_int_gate())
        throw Skip(
            "this kernel answers INT 80H with SIGSEGV: it has no calls of 32-bit programs "
            "(CONFIG_IA32_EMULATION, ia32_emulation=0), or its hypervisor does not pass INT on");
    if (test_case["call"] == "getppid") {
        if (by_int) {
            if (enter_by_int(getppid_of_32_bit) != getppid())
                throw Wrong("getppid by INT 80H gives another number than the library");
            return measure_cost(bench, [] { enter_by_int(getppid_of_32_bit); });
        }
        if (enter(SYS_getppid) != getppid())
            throw Wrong("getppid by the SYSCALL instruction gives another number than the library");
        return measure_cost(bench, [] { enter(SYS_getppid); });
    }
    // Beyond the system call table, and without x32's bit.
    constexpr long unknown = 9999;
    if ((by_int ? enter_by_int(unknown) : enter(unknown)) != -ENOSYS)
        throw Skip("this kernel knows system call 9999 (or a filter answers in its place)");
    if (by_int) return measure_cost(bench, [] { enter_by_int(unknown); });
    measure_cost(bench, [] { enter(unknown); });
}

}  // namespace

extern const Lab syscall_lab;
constinit const Lab syscall_lab = {
    "syscall", "What does the way into Linux and back cost, when nothing is done there?", "nothing",
    cases, body};

}  // namespace doorbell::host
