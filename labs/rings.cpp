// What may ring 3 do? Every privileged instruction and register, ports, MSRs, the kernel's pages,
// addresses that are not canonical, gates of ring 0: tried out of ring 3 and, where that does no
// harm, out of ring 0.
//
//     refused        1 where an exception came instead
//     exception      its vector; only where there was one
//     error-code     and what the processor said with it
//     kernel-intact  ring 3: 1 where the kernel's registers and tables are afterwards what they
//                    were
//
// Sources: SDM vol. 3A, "Privileged Instructions", "Page-Fault Exceptions", "User-Mode Instruction
// Prevention"; vol. 2 for each instruction; AMD APM vol. 3 where the two differ. Left out: what
// only a guest, an enclave or system management mode has, and INVD in ring 0, which would throw
// away what the caches hold.
#include <algorithm>

#include "firmware/cpu/descriptors.h"
#include "firmware/cpu/registers.h"
#include "firmware/kernel/integrity.h"
#include "firmware/kernel/kernel.h"
#include "firmware/measure/timestamp.h"
#include "labs/kit/bench.h"
#include "labs/kit/compare.h"
#include "labs/kit/lab.h"
#include "labs/kit/saved_registers.h"

// id, name, what ring 3 runs, what ring 0 runs. %rdi is the attempt's address (see Where). BOTH:
// the same in both rings; USER: in ring 3 only; KERNEL: in ring 0 only. Ring 0 writes back what it
// read.
#define RINGS_ATTEMPTS(BOTH, EACH, USER, KERNEL)                                                   \
    EACH(hlt, "hlt", none, "hlt", "sti\n hlt\n cli")                                               \
    BOTH(cli, "cli", none, "cli")                                                                  \
    EACH(sti, "sti", none, "sti", "sti\n cli")                                                     \
    BOTH(clts, "clts", none, "clts")                                                               \
    EACH(lmsw, "lmsw", none, "movl $1, %eax\n lmsw %ax", "smsw %ax\n lmsw %ax")                    \
    EACH(lgdt, "lgdt", none, "lgdt -24(%rsp)", "sgdt -24(%rsp)\n lgdt -24(%rsp)")                  \
    EACH(lidt, "lidt", none, "lidt -24(%rsp)", "sidt -24(%rsp)\n lidt -24(%rsp)")                  \
    BOTH(lldt, "lldt", none, "xorl %eax, %eax\n lldt %ax")                                         \
    EACH(ltr, "ltr", none, "movl $0x30, %eax\n ltr %ax",                                           \
         "sgdt -24(%rsp)\n movq -22(%rsp), %rax\n andb $0xFD, 0x35(%rax)\n movl $0x30, %eax\n "    \
         "ltr %ax")                                                                                \
    BOTH(sgdt, "sgdt", none, "sgdt -24(%rsp)")                                                     \
    BOTH(sidt, "sidt", none, "sidt -24(%rsp)")                                                     \
    BOTH(sldt, "sldt", none, "sldt %eax")                                                          \
    BOTH(str, "str", none, "str %eax")                                                             \
    BOTH(smsw, "smsw", none, "smsw %eax")                                                          \
    BOTH(read_cr0, "read-cr0", none, "movq %cr0, %rax")                                            \
    BOTH(read_cr2, "read-cr2", none, "movq %cr2, %rax")                                            \
    BOTH(read_cr3, "read-cr3", none, "movq %cr3, %rax")                                            \
    BOTH(read_cr4, "read-cr4", none, "movq %cr4, %rax")                                            \
    BOTH(read_cr8, "read-cr8", none, "movq %cr8, %rax")                                            \
    EACH(write_cr0, "write-cr0", none, "movq %rax, %cr0", "movq %cr0, %rax\n movq %rax, %cr0")     \
    EACH(write_cr2, "write-cr2", none, "movq %rax, %cr2", "movq %cr2, %rax\n movq %rax, %cr2")     \
    EACH(write_cr3, "write-cr3", none, "movq %rax, %cr3", "movq %cr3, %rax\n movq %rax, %cr3")     \
    EACH(write_cr4, "write-cr4", none, "movq %rax, %cr4", "movq %cr4, %rax\n movq %rax, %cr4")     \
    EACH(write_cr8, "write-cr8", none, "movq %rax, %cr8", "movq %cr8, %rax\n movq %rax, %cr8")     \
    BOTH(read_dr7, "read-dr7", none, "movq %dr7, %rax")                                            \
    EACH(write_dr7, "write-dr7", none, "movq %rax, %dr7", "movq %dr7, %rax\n movq %rax, %dr7")     \
    BOTH(rdmsr, "rdmsr", none, "movl $0xC0000080, %ecx\n rdmsr")                                   \
    EACH(wrmsr, "wrmsr", none, "movl $0xC0000080, %ecx\n wrmsr",                                   \
         "movl $0xC0000080, %ecx\n rdmsr\n wrmsr")                                                 \
    BOTH(rdpmc, "rdpmc", none, "xorl %ecx, %ecx\n rdpmc")                                          \
    BOTH(in, "in", none, "inb $0x80, %al")                                                         \
    BOTH(out, "out", none, "xorl %eax, %eax\n outb %al, $0x80")                                    \
    BOTH(ins, "ins", none, "leaq -32(%rsp), %rdi\n movl $0x80, %edx\n insb")                       \
    BOTH(outs, "outs", none, "leaq -32(%rsp), %rsi\n movl $0x80, %edx\n outsb")                    \
    USER(invd, "invd", none, "invd")                                                               \
    BOTH(wbinvd, "wbinvd", none, "wbinvd")                                                         \
    BOTH(invlpg, "invlpg", none, "invlpg (%rdi)")                                                  \
    BOTH(invpcid, "invpcid", none,                                                                 \
         "xorl %eax, %eax\n pushq $0\n pushq $0\n invpcid (%rsp), %rax\n addq $16, %rsp")          \
    EACH(swapgs, "swapgs", none, "swapgs", "swapgs\n swapgs")                                      \
    EACH(stac, "stac", none, "stac", "stac\n clac")                                                \
    BOTH(clac, "clac", none, "clac")                                                               \
    EACH(xsetbv, "xsetbv", none, "movl $1, %eax\n xorl %edx, %edx\n xorl %ecx, %ecx\n xsetbv",     \
         "xorl %ecx, %ecx\n xgetbv\n xsetbv")                                                      \
    BOTH(monitor, "monitor", none,                                                                 \
         "leaq -32(%rsp), %rax\n xorl %ecx, %ecx\n xorl %edx, %edx\n monitor")                     \
    USER(mwait, "mwait", none, "xorl %eax, %eax\n xorl %ecx, %ecx\n mwait")                        \
    USER(sysret, "sysret", none, "leaq 1f(%rip), %rcx\n movl $2, %r11d\n sysretq\n 1:")            \
    USER(sysexit, "sysexit", none, "sysexitl")                                                     \
    USER(sysenter, "sysenter", none, "sysenter")                                                   \
    USER(rsm, "rsm", none, "rsm")                                                                  \
    USER(vmrun, "vmrun", none, "xorl %eax, %eax\n vmrun")                                          \
    USER(iret_up, "iret-to-ring-0", kernel_code,                                                   \
         "movq %rsp, %rax\n pushq $0x10\n pushq %rax\n pushfq\n pushq $0x08\n pushq %rdi\n iretq") \
    USER(lret_up, "lret-to-ring-0", kernel_code, "pushq $0x08\n pushq %rdi\n lretq")               \
    BOTH(load_ds, "load-ds", none, "movl $0x10, %eax\n movl %eax, %ds")                            \
    BOTH(load_ss, "load-ss", none, "movl $0x10, %eax\n movl %eax, %ss")                            \
    USER(gate_nmi, "gate-nmi", none, "int $2")                                                     \
    USER(gate_breakpoint, "gate-breakpoint", none, "int3")                                         \
    USER(gate_page_fault, "gate-page-fault", none, "int $14")                                      \
    USER(gate_timer, "gate-timer", none, "int $0x40")                                              \
    USER(gate_spurious, "gate-spurious", none, "int $0xFF")                                        \
    BOTH(read_kernel, "read-kernel-page", kernel_data, "movq (%rdi), %rax")                        \
    EACH(write_kernel, "write-kernel-page", kernel_data, "movq $0, (%rdi)",                        \
         "movq (%rdi), %rax\n movq %rax, (%rdi)")                                                  \
    BOTH(run_kernel, "run-kernel-page", kernel_code, "call *%rdi")                                 \
    BOTH(read_apic, "read-apic-page", apic_page, "movl 0x20(%rdi), %eax")                          \
    BOTH(write_code, "write-own-code", own_code, "movb $0xC3, (%rdi)")                             \
    BOTH(run_stack, "run-own-stack", none, "pushq $0xC3\n call *%rsp\n popq %rax")                 \
    BOTH(read_absent, "read-absent-page", absent, "movq (%rdi), %rax")                             \
    BOTH(read_null, "read-null", null, "movq (%rdi), %rax")                                        \
    BOTH(read_wild, "read-non-canonical", non_canonical, "movq (%rdi), %rax")                      \
    BOTH(run_wild, "run-non-canonical", non_canonical, "call *%rdi")                               \
    USER(push_wild, "push-non-canonical", non_canonical, "movq %rdi, %rsp\n pushq %rax")           \
    USER(run_away, "run-away-stack", none, "1: pushq $0\n jmp 1b")                                 \
    KERNEL(read_user, "read-user-page", user_code, "movq (%rdi), %rax")                            \
    KERNEL(run_user, "run-user-page", user_code, "call *%rdi")

#define RINGS_IN(section, symbol, code)                                     \
    asm(".pushsection " section ", \"ax\"\n .balign 16\n" symbol ":\n" code \
        "\n movl $0x600D, %eax\n ret\n .popsection");
#define RINGS_USER(id, name, where, code) RINGS_IN(".user_text", "rings_user_" #id, code)
#define RINGS_KERNEL(id, name, where, code) RINGS_IN(".text.rings", "rings_kernel_" #id, code)
#define RINGS_EACH(id, name, where, user, kernel) \
    RINGS_USER(id, name, where, user) RINGS_KERNEL(id, name, where, kernel)
#define RINGS_BOTH(id, name, where, code) RINGS_EACH(id, name, where, code, code)
RINGS_ATTEMPTS(RINGS_BOTH, RINGS_EACH, RINGS_USER, RINGS_KERNEL)

// uint64_t rings_try(attempt, address): in ring 0; returns 0 where the exception's handler went on
// at rings_refused with the stack of rings_stack.
asm(R"(
        .pushsection .text.rings, "ax"
        .balign 16
        .global rings_try, rings_refused
rings_try:
        PUSH_RBX_R12_TO_R15
        pushq   %rbp
        subq    $8, %rsp
        movq    %rsp, rings_stack(%rip)
        movq    %rdi, %rax
        movq    %rsi, %rdi
        call    *%rax
1:      addq    $8, %rsp
        popq    %rbp
        RETURN_RBX_R12_TO_R15
rings_refused:
        xorl    %eax, %eax
        jmp     1b
        .global rings_nothing
rings_nothing:
        ret
        .popsection
        .pushsection .user_text, "ax"
        .global rings_user_nothing
rings_user_nothing:
        ret
        .popsection
)");

extern "C" {
[[gnu::used]] uint64_t rings_stack;
uint64_t rings_try(void (*attempt)(), uint64_t address);
void rings_refused();
void rings_nothing();
void rings_user_nothing();
#define RINGS_USER_SYMBOL(id, ...) void rings_user_##id();
#define RINGS_KERNEL_SYMBOL(id, ...) void rings_kernel_##id();
#define RINGS_BOTH_SYMBOLS(id, ...) RINGS_USER_SYMBOL(id) RINGS_KERNEL_SYMBOL(id)
RINGS_ATTEMPTS(RINGS_BOTH_SYMBOLS, RINGS_BOTH_SYMBOLS, RINGS_USER_SYMBOL, RINGS_KERNEL_SYMBOL)
}

namespace doorbell::labs {
namespace {

#define RINGS_USER_CASE(id, name, ...) "try=" name " ring=3",
#define RINGS_KERNEL_CASE(id, name, ...) "try=" name " ring=0",
#define RINGS_BOTH_CASES(id, name, ...) RINGS_USER_CASE(id, name) RINGS_KERNEL_CASE(id, name)
constexpr Case cases[] = {RINGS_ATTEMPTS(RINGS_BOTH_CASES, RINGS_BOTH_CASES, RINGS_USER_CASE,
                                         RINGS_KERNEL_CASE) "try=5+5 ring=3",
                          "try=5+5 ring=0"};

/// What the attempt goes at.
enum class Where : uint8_t {
    none,
    null,
    kernel_data,
    kernel_code,
    own_code,
    user_code,
    apic_page,
    absent,
    non_canonical
};

struct Attempt {
    std::string_view name;
    Where where;
    void (*user)();
    void (*kernel)();
};
#define RINGS_USER_ENTRY(id, name, where, ...) {name, Where::where, rings_user_##id, nullptr},
#define RINGS_KERNEL_ENTRY(id, name, where, ...) {name, Where::where, nullptr, rings_kernel_##id},
#define RINGS_BOTH_ENTRY(id, name, where, ...) \
    {name, Where::where, rings_user_##id, rings_kernel_##id},
constexpr Attempt attempts[] = {
    RINGS_ATTEMPTS(RINGS_BOTH_ENTRY, RINGS_BOTH_ENTRY, RINGS_USER_ENTRY, RINGS_KERNEL_ENTRY)};

constexpr uint64_t most_samples = 10;  ///< a processor refuses it every time
constexpr uint8_t wake_vector = cpu::vector::first_free + 9;
/// Exceptions that an attempt may raise in ring 0. Not those with a stack of their own.
constexpr uint8_t caught_vectors[] = {1, 3, 6, 7, 10, 11, 12, 13, 14, 17};

struct Outcome {
    bool refused = false;
    uint64_t vector = 0, error_code = 0;
};
Outcome outcome;
const cpu::LocalApic* local_apic;

[[maybe_unused]] void on_refusal(cpu::Frame& frame) {
    outcome = {true, frame.vector, frame.error_code};
    frame.rip = reinterpret_cast<uint64_t>(rings_refused);
    frame.rsp = rings_stack;
    frame.rflags = cpu::rflags::fixed;
}
[[maybe_unused]] void on_wake(cpu::Frame&) { local_apic->eoi(); }

/// Handlers for what ring 0 is refused; made before the kernel starts, which hands ring 0's
/// exceptions on.
class Catcher {
  public:
    Catcher() {
        for (uint8_t v : caught_vectors) before_[v] = cpu::set_handler(v, on_refusal);
        before_wake_ = cpu::set_handler(wake_vector, on_wake);
    }
    ~Catcher() {
        for (uint8_t v : caught_vectors) cpu::set_handler(v, before_[v]);
        cpu::set_handler(wake_vector, before_wake_);
    }
    Catcher(const Catcher&) = delete;

  private:
    cpu::Handler before_[32] = {};
    cpu::Handler before_wake_ = nullptr;
};

uint64_t address_of(Where where, bool user, const platform::Machine& machine) {
    switch (where) {
        case Where::none:
        case Where::null:
            return 0;
        case Where::kernel_data:
            return reinterpret_cast<uint64_t>(&outcome);
        case Where::kernel_code:
            return reinterpret_cast<uint64_t>(rings_nothing);
        case Where::own_code:
            return reinterpret_cast<uint64_t>(user ? rings_user_nothing : rings_nothing);
        case Where::user_code:
            return reinterpret_cast<uint64_t>(rings_user_nothing);
        case Where::apic_page:
            return machine.apic->xapic().base();
        case Where::absent:
            return 0x7000'0000'0000;
        case Where::non_canonical:
            return 0x8000'0000'0000;
    }
    return 0;
}

/// Why an attempt makes no sense on this processor; null where it does.
const char* missing(std::string_view name, const platform::Machine& machine) {
    const cpu::Features& f = machine.features;
    for (std::string_view guarded : {"sgdt", "sidt", "sldt", "str", "smsw"})
        if (name == guarded && !f.umip)
            return "this processor has no UMIP (CPUID.07H:ECX[2]): ring 3 may do this";
    if ((name == "monitor" || name == "mwait") && !f.monitor)
        return "this processor has no MONITOR/MWAIT (CPUID.01H:ECX[3])";
    if (name == "invpcid" && !f.invpcid) return "this processor has no INVPCID (CPUID.07H:EBX[10])";
    if (name == "xsetbv" && !f.xsave) return "this processor has no XSAVE (CPUID.01H:ECX[26])";
    if ((name == "stac" || name == "clac" || name == "read-user-page") && !f.smap)
        return "this processor has no SMAP (CPUID.07H:EBX[20])";
    if (name == "run-user-page" && !f.smep) return "this processor has no SMEP (CPUID.07H:EBX[7])";
    if (name == "run-own-stack" && !f.no_execute)
        return "this processor has no execute-disable bit";
    if (name == "read-apic-page" && machine.apic->x2())
        return "the local APIC is in x2APIC mode: it has no page";
    return nullptr;
}

/// Ring 3 or ring 0 alike: what 5 + 5 takes.
[[gnu::always_inline]] inline uint64_t time_sum() {
    uint64_t start = measure::begin(), sum;
    asm volatile(
        "movl $5, %k0\n\t"
        "addl $5, %k0"
        : "=r"(sum)
        :
        : "cc");
    uint64_t cost = measure::end() - start;
    return sum == 10 ? cost : ~0ull;
}
[[gnu::noinline]] uint64_t sum_in_ring0() { return time_sum(); }
DOORBELL_USER uint64_t sum_in_ring3() { return time_sum(); }

Result<void> add_up(Bench& bench, kernel::Kernel& kernel, kernel::Task& task, bool user) {
    measure::Series& cost = bench.series("cost", {.less_overhead = true});
    Result<void> done;
    bench.repeat([&](uint64_t wanted) {
        for (uint64_t i = 0; i < wanted && i < most_samples; ++i) {
            uint64_t took = 0;
            if (user) {
                kernel.restart(task, reinterpret_cast<const void*>(sum_in_ring3), {});
                kernel.run();
                took = task.exit_value;
                if (task.ended_by != 0)
                    done = Error{"the task did not end by itself: signal", task.ended_by};
            } else {
                took = sum_in_ring0();
            }
            cost.record(took);
        }
    });
    return done;
}

Outcome attempt_once(const Attempt& attempt, uint64_t address, kernel::Kernel& kernel,
                     kernel::Task& task, bool user) {
    outcome = {};
    if (user) {
        kernel.restart(task, reinterpret_cast<const void*>(attempt.user), {address});
        kernel.run();
        return {task.ended_by != 0, task.last_fault, task.fault_error};
    }
    // For HLT: something to wake up for. What is pending is taken at the first STI.
    (void)local_apic->send_self(wake_vector);
    rings_try(attempt.kernel, address);
    cpu::enable_interrupts();
    asm volatile("nop");
    cpu::disable_interrupts();
    return outcome;
}

Result<void> body(Bench& bench, const Case& test_case) {
    platform::Machine& machine = bench.machine;
    bool user = test_case.number("ring") == 3;
    local_apic = &*machine.apic.device;
    if (const char* why = missing(test_case["try"], machine)) return Lacking{why};
    Catcher catcher;
    kernel::Kernel kernel(machine);
    auto up = kernel.start({});
    if (!up) return up;
    auto space = kernel.make_space(65536);
    if (!space) return space.error();
    auto task = kernel.make_task(**space, rings_user_nothing, {});
    if (!task) return task.error();
    if (test_case["try"] == "5+5") return add_up(bench, kernel, **task, user);

    const Attempt* attempt = nullptr;
    for (const Attempt& a : attempts)
        if (a.name == test_case["try"] && (user ? a.user : a.kernel) != nullptr) attempt = &a;
    if (attempt == nullptr) return Error{"no such attempt"};
    uint64_t address = address_of(attempt->where, user, machine);
    // Once beforehand, to know which series there will be.
    Outcome expected = attempt_once(*attempt, address, kernel, **task, user);
    measure::Series& refused =
        bench.series("refused", {.unit = "attempt", .better = Better::more, .shape = Shape::total});
    measure::Series* exception =
        expected.refused ? &bench.series("exception", {.unit = "vector", .better = Better::neither})
                         : nullptr;
    measure::Series* error =
        expected.refused ? &bench.series("error-code", {.unit = "code", .better = Better::neither})
                         : nullptr;
    measure::Series* intact =
        user ? &bench.series("kernel-intact",
                             {.unit = "attempt", .better = Better::more, .shape = Shape::total})
             : nullptr;
    kernel::Integrity before = kernel::Integrity::take();
    bench.repeat([&](uint64_t wanted) {
        for (uint64_t i = 0; i < wanted && i < most_samples; ++i) {
            Outcome now = attempt_once(*attempt, address, kernel, **task, user);
            // An attempt that is refused once and allowed another time stays in the samples: the
            // claim is refuted by it.
            if (now.refused != expected.refused)
                refused.flag("unstable: refused once and allowed another time");
            refused.record(now.refused);
            if (exception != nullptr) exception->record(now.vector);
            if (error != nullptr) error->record(now.error_code);
            const char* differs = before.differs();
            if (intact != nullptr) intact->record(differs == nullptr);
            if (user && differs != nullptr)
                bench.found_wrong(Error{"the kernel's registers or tables changed"});
        }
    });
    return {};
}

/// What the processor refuses ring 3 whatever a kernel sets up (SDM vol. 3A, "Privileged
/// Instructions"): where ring 3 may do it, the processor is wrong and not the kernel.
constexpr std::string_view refused_by_level_alone[] = {
    "hlt",   "clts",   "lmsw",    "lgdt",    "lidt",      "lldt",      "ltr",       "read-cr0",
    "invd",  "wbinvd", "invlpg",  "invpcid", "read-cr2",  "read-cr3",  "read-cr4",  "read-cr8",
    "rdmsr", "wrmsr",  "xsetbv",  "swapgs",  "write-cr0", "write-cr2", "write-cr3", "write-cr4",
    "rsm",   "sysret", "sysexit", "vmrun",   "write-cr8", "read-dr7",  "write-dr7",
};

/// Whether an attempt that was allowed says something of an emulator alone.
bool emulators_defect(const Summary& refused, const Summary& intact, std::string_view attempt) {
    return std::string_view(refused.evidence) != "measured" && intact.min == 1 &&
           std::find(std::begin(refused_by_level_alone), std::end(refused_by_level_alone),
                     attempt) != std::end(refused_by_level_alone);
}

ClaimVerdict all_refused(const Results& results) {
    unsigned tried = 0, lacking = 0, not_run = 0, defects = 0;
    wire::Text text = because();
    for (const Case& test_case : cases) {
        if (test_case.number("ring") != 3 || test_case["try"] == "5+5") continue;
        const Summary* refused = results.find("rings", test_case.text(), "refused");
        const Summary* intact = results.find("rings", test_case.text(), "kernel-intact");
        if (refused == nullptr || intact == nullptr) {
            ++(results.skipped("rings", test_case.text()) ? lacking : not_run);
            continue;
        }
        ++tried;
        if (refused->min == 1 && intact->min == 1) continue;
        if (emulators_defect(*refused, *intact, test_case["try"])) {
            text << (defects++ == 0 ? "" : ", ") << test_case["try"];
            continue;
        }
        text.clear();
        text << test_case.text()
             << (refused->max == 0   ? " was allowed"
                 : refused->min == 0 ? " was allowed at least once"
                                     : " changed the kernel's registers or tables");
        return yes_or_no(false, text);
    }
    if (defects != 0) {
        text << " in ring 3 was allowed by "
             << (results.emulator().empty() ? "this emulator" : results.emulator())
             << ", which a processor refuses: a defect of the emulator; the other "
             << tried - defects << " kinds of attempt were refused";
        return cannot_say(text.view());
    }
    text << tried
         << " kinds of attempt, each refused and the kernel's registers and tables as before; "
         << lacking << " are about what this processor lacks; " << not_run << " not run";
    bool all = tried != 0 && not_run == 0;
    return all ? yes_or_no(true, text) : cannot_say(text.view());
}

ClaimVerdict ring0_is_refused_too(const Results& results) {
    return judge_series(
        results, "rings",
        {{"try=read-user-page ring=0", "refused"}, {"try=run-user-page ring=0", "refused"}},
        [](const Summary& read, const Summary& run) {
            bool holds = read.min == 1 && run.min == 1;
            wire::Text text = because();
            text << (holds ? "both were refused" : "one of them was allowed");
            return yes_or_no(holds, text);
        });
}

ClaimVerdict no_crossing(const Results& results) {
    return judge_series(
        results, "rings", {{"try=5+5 ring=3", "cost"}, {"try=5+5 ring=0", "cost"}},
        [](const Summary& user, const Summary& kernel) {
            wire::Text text = because();
            text << "ring 3: max " << user.max << ", ring 0: max " << kernel.max << " " << user.unit
                 << " (" << user.evidence << ")";
            if (!exact(user))
                return undecided(
                    text, "only a clock that counts instructions shows that there were no others");
            return yes_or_no(user.max == 2 && kernel.max == 2, text);
        });
}

constexpr Claim claims[] = {
    {"ring3-refused", "ring 3 is refused each of them, the task ends, and the image goes on",
     all_refused},
    {"ring0-refused-user-pages", "ring 0 may neither read nor run what is ring 3's",
     ring0_is_refused_too},
    {"no-crossing", "5 + 5 needs no crossing: two instructions in either ring", no_crossing},
};

}  // namespace

extern const Lab rings_lab =
    define_lab({.name = "rings",
                .question = "What may ring 3 do, and who says no?",
                .needs = "UMIP, SMAP, SMEP, INVPCID, MONITOR for the attempts that are about them"},
               cases, {}, claims, body);

}  // namespace doorbell::labs
