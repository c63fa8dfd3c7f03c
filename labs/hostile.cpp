// What can ring 3 do to the kernel? Random programs. After each the lab looks at the kernel: are
// its registers, tables and code as they were, and does it still serve a well-behaved task?
//
//     calls    system calls by number and arguments at random, through both gates, with random
//              flags
//     jumps    into ring-3 code at any byte, into the kernel, into unmapped memory, with random
//              registers
//     stack    a stack that runs out, lies elsewhere or does not exist, with and without a handler
//              for SIGSEGV
//     bytes    instructions of random bytes, every other one behind a privileged instruction
//     modes    returns, far jumps and flags that lead out of ring 3's 64-bit mode: IRET with VM or
//              NT, far jumps and returns to any selector, POPF with any bit and a single step over
//              SYSCALL, SYSENTER, debug registers, at times with a stack at the end of a page
//
// A task that does not end by itself is left after a few time slices. A failure that the kernel
// does not survive is not in the numbers: the image panics, and the run is incomplete.
#include "firmware/cpu/registers.h"
#include "firmware/kernel/integrity.h"
#include "firmware/kernel/kernel.h"
#include "labs/kit/bench.h"
#include "labs/kit/choice.h"
#include "labs/kit/compare.h"
#include "labs/kit/lab.h"

// Ring 3. hostile_call(mailbox): makes the call that lies in the mailbox, then leaves, for ever.
extern "C" {
void hostile_call();
void hostile_push();
void hostile_recurse();
void hostile_handler();
uint64_t hostile_good();
}
asm(R"(
        .pushsection .user_text, "ax"
        .balign 16
        .global hostile_call, hostile_push, hostile_recurse, hostile_handler, hostile_good
hostile_call:
        movq    %rdi, %rbx
1:      movq    (%rbx), %rax
        movq    8(%rbx), %rdi
        movq    16(%rbx), %rsi
        movq    24(%rbx), %rdx
        pushq   40(%rbx)
        popfq
        testq   $1, 32(%rbx)
        jnz     2f
        syscall
        jmp     3f
2:      int     $0x80
3:      movl    $23, %eax
        int     $0x80
        jmp     1b
hostile_push:
        pushq   %rax
        jmp     hostile_push
hostile_recurse:
        call    hostile_recurse
hostile_handler:
        ret
hostile_good:
        movl    $42, %eax
        ret
        .popsection
)");
extern "C" char text_start[], user_text_start[], user_text_end[];

namespace doorbell::labs {
namespace {

constexpr Case cases[] = {"try=calls", "try=jumps", "try=stack", "try=bytes", "try=modes"};

constexpr Setting settings[] = {
    {"attempts", 10000, 1, 100000000, "attempt",
     "random system calls; a fifth as many of each other kind"},
};

constexpr uint64_t slices = 3;  ///< that an attempt may take
constexpr uint64_t code_at = 0x6100'0000'0000;
constexpr uint64_t page = cpu::PageTables::page;

struct Mailbox {
    uint64_t number, a, b, c, gate, flags;
};

/// Privileged or otherwise special: HLT, CLI, STI, CLTS, WRMSR, RDMSR, SWAPGS, MOV CR3, MOV DR7,
/// LGDT, LIDT, LLDT, LTR, LMSW, IN, OUT, INVD, WBINVD, INVLPG, XSETBV, SYSRET, SYSEXIT, SYSENTER,
/// IRETQ, INT 8, INT 0x40, INT 0x80, INT1, INT3, POPF, STD, STAC, RSM. First the length.
constexpr uint8_t special[][4] = {
    {1, 0xF4},
    {1, 0xFA},
    {1, 0xFB},
    {2, 0x0F, 0x06},
    {2, 0x0F, 0x30},
    {2, 0x0F, 0x32},
    {3, 0x0F, 0x01, 0xF8},
    {3, 0x0F, 0x22, 0xD8},
    {3, 0x0F, 0x23, 0xF8},
    {3, 0x0F, 0x01, 0x10},
    {3, 0x0F, 0x01, 0x18},
    {3, 0x0F, 0x00, 0xD0},
    {3, 0x0F, 0x00, 0xD8},
    {3, 0x0F, 0x01, 0xF0},
    {1, 0xEC},
    {1, 0xEE},
    {2, 0x0F, 0x08},
    {2, 0x0F, 0x09},
    {3, 0x0F, 0x01, 0x38},
    {3, 0x0F, 0x01, 0xD1},
    {3, 0x48, 0x0F, 0x07},
    {2, 0x0F, 0x35},
    {2, 0x0F, 0x34},
    {2, 0x48, 0xCF},
    {2, 0xCD, 0x08},
    {2, 0xCD, 0x40},
    {2, 0xCD, 0x80},
    {1, 0xF1},
    {1, 0xCC},
    {1, 0x9D},
    {1, 0xFD},
    {3, 0x0F, 0x01, 0xCB},
    {2, 0x0F, 0xAA},
};

/// Instructions that end QEMU itself where VEX.L is 1 (7.2.22 and 10.0.13: "gen_pinsr: Assertion
/// `vec_len == 16' failed"), by opcode map and opcode: VPINSRW, VPINSRB, VPINSRD and VPINSRQ. They
/// raise #UD on a processor, and are not tried under QEMU's emulation.
struct VexOpcode {
    uint8_t map, opcode;
};
constexpr VexOpcode ends_the_emulator[] = {{1, 0xC4}, {3, 0x20}, {3, 0x22}};

/// Whether such an instruction begins at `code` (SDM vol. 2A, "The VEX Prefix": C5 with map 1
/// implied, C4 with the map in the low bits of its second byte; L is bit 2 of the last).
bool would_end_the_emulator(const volatile uint8_t* code) {
    if (code[0] != 0xC4 && code[0] != 0xC5) return false;
    const bool two = code[0] == 0xC5;
    const uint8_t map = static_cast<uint8_t>(two ? 1 : code[1] & 0x1F), last = code[two ? 1 : 2],
                  opcode = code[two ? 2 : 3];
    if ((last & 4) == 0) return false;
    for (const VexOpcode& one : ends_the_emulator)
        if (one.map == map && one.opcode == opcode) return true;
    return false;
}

/// Ways into another mode or segment, first the length: IRET of three sizes, RETF, JMP and CALL far
/// by [RSP] of two sizes, SYSENTER, SYSCALL, INT 0x80, SYSRET, SYSEXIT, MOV to and from debug
/// registers, LTR, LLDT, MOV to DS, SS, FS and GS, INT1.
constexpr uint8_t elsewhere[][5] = {
    {2, 0x48, 0xCF},
    {1, 0xCF},
    {2, 0x66, 0xCF},
    {1, 0xCB},
    {2, 0x48, 0xCB},
    {3, 0xFF, 0x2C, 0x24},
    {4, 0x48, 0xFF, 0x2C, 0x24},
    {3, 0xFF, 0x1C, 0x24},
    {4, 0x48, 0xFF, 0x1C, 0x24},
    {2, 0x0F, 0x34},
    {2, 0x0F, 0x05},
    {2, 0xCD, 0x80},
    {2, 0x0F, 0x07},
    {3, 0x48, 0x0F, 0x07},
    {2, 0x0F, 0x35},
    {3, 0x0F, 0x23, 0xF8},
    {3, 0x0F, 0x23, 0xC0},
    {3, 0x0F, 0x21, 0xF8},
    {3, 0x0F, 0x00, 0xD8},
    {3, 0x0F, 0x00, 0xD0},
    {2, 0x8E, 0xD8},
    {2, 0x8E, 0xD0},
    {2, 0x8E, 0xE0},
    {2, 0x8E, 0xE8},
    {1, 0xF1},
};

uint64_t address_of(const void* p) { return reinterpret_cast<uint64_t>(p); }
uint64_t address_of(void (*f)()) { return reinterpret_cast<uint64_t>(f); }

class Attacker {
  public:
    explicit Attacker(Bench& bench)
        : bench_(bench), random_(bench.random), kernel_(bench.machine) {}

    Result<void> start() {
        auto up = kernel_.start({.slice = bench_.machine.tsc.hz / 50000});
        if (!up) return up;
        auto space = kernel_.make_space(65536), good_space = kernel_.make_space(65536);
        if (!space || !good_space)
            return first_error(Lacking{"not enough memory for two address spaces"}, space,
                               good_space);
        space_ = *space;
        auto task = kernel_.make_task(*space_, hostile_push, {});
        auto good =
            kernel_.make_task(**good_space, reinterpret_cast<const void*>(hostile_good), {});
        mailbox_ = space_->take(sizeof(Mailbox));
        code_ = bench_.machine.arena.take(page, page);
        if (!task || !good || mailbox_ == 0 || code_ == 0)
            return first_error(Lacking{"not enough memory for two tasks"}, task, good);
        task_ = *task;
        good_ = *good;
        // Ring 3 may run this page, and ring 0 writes it under its own address.
        DOORBELL_TRY(space_->tables.map(code_at, code_, page, cpu::PageFlags::user));
        kernel_.run(slices);
        before_ = kernel::Integrity::take();
        code_sum_ = sum_of_code();
        return {};
    }

    using Attempt = void (Attacker::*)();
    static const Choice<Attempt> attempts[5];
    void attempt(Attempt how) {
        (this->*how)();
        kernel_.run(slices);
    }
    uint8_t ended_by() const { return task_->ended_by; }
    const char* broken() const { return before_.differs(); }

    /// What takes too long to look at after each: the code, and a task that only wants to
    /// return 42.
    const char* still_serves() {
        if (sum_of_code() != code_sum_) return "the image's code";
        kernel_.restart(*task_, reinterpret_cast<const void*>(hostile_good), {});
        kernel_.restart(*good_, reinterpret_cast<const void*>(hostile_good), {});
        for (int i = 0; i < 4 && !good_->ended(); ++i) kernel_.run(slices);
        return good_->ended() && good_->ended_by == 0 && good_->exit_value == 42
                   ? nullptr
                   : "a good task was not served";
    }

  private:
    /// A value that a check may have missed.
    uint64_t pick() {
        uint64_t r = random_.next();
        switch (r % 8) {
            case 0:
                return r >> 8 & 63;
            case 1:
                return random_.next();
            case 2:
                return kernel::window_start + (r >> 8) % 65536;
            case 3:
                return address_of(text_start) + (r >> 8) % 0x60000;
            case 4:
                return kernel::user_half_end - (r >> 8) % 8192;
            case 5:
                return kernel::user_half_end + (r >> 8) % 8192;
            case 6:
                return 0 - (r >> 8) % 8192;
            default:
                return address_of(user_text_start) +
                       (r >> 8) % static_cast<uint64_t>(user_text_end - user_text_start);
        }
    }

    void call() {
        // A task that still exists continues where it left off, with the handlers and masks that
        // it has set.
        if (task_->state != kernel::TaskState::ready || random_.below(16) == 0)
            kernel_.restart(*task_, reinterpret_cast<const void*>(hostile_call), {mailbox_});
        // Also numbers that are valid only in the lower half of the register.
        uint64_t number = random_.below(4) == 0 ? random_.next() : random_.below(40);
        if (random_.below(8) == 0) number = random_.next() << 32 | random_.below(40);
        constexpr uint64_t flags =
            cpu::rflags::direction | cpu::rflags::alignment_check | cpu::rflags::nested | 0xD5;
        // AC would end the task at its first unaligned access; most attempts are to get further.
        uint64_t chosen = random_.below(4) == 0 ? random_.next() & flags : 0;
        *space_->kernel<Mailbox>(mailbox_) = {number, pick(),           pick(),
                                              pick(), random_.below(2), chosen | 2};
    }

    void shuffle_registers() {
        cpu::Frame& f = task_->frame;
        for (uint64_t* r : {&f.rax, &f.rbx, &f.rcx, &f.rdx, &f.rsi, &f.rdi, &f.rbp, &f.r8, &f.r9,
                            &f.r10, &f.r11, &f.r12, &f.r13, &f.r14, &f.r15})
            *r = pick();
        if (random_.below(2) == 0) f.rax = random_.below(40);
        if (random_.below(4) == 0) f.rsp = pick();
    }

    void jump() {
        kernel_.restart(*task_, reinterpret_cast<const void*>(hostile_push), {});
        shuffle_registers();
        // Also what IRETQ refuses in ring 0: that must end the task, and nothing else.
        task_->frame.rip = pick();
        if (random_.below(8) == 0) task_->frame.cs = selector() | 3;
        if (random_.below(8) == 0) task_->frame.ss = selector() | 3;
    }

    void exhaust() {
        void (*programs[])() = {hostile_push, hostile_recurse, hostile_call};
        kernel_.restart(*task_, reinterpret_cast<const void*>(programs[random_.below(3)]),
                        {mailbox_});
        *space_->kernel<Mailbox>(mailbox_) = {random_.below(40), pick(), pick(), pick(),
                                              random_.below(2),  2};
        uint64_t where = random_.below(3);
        if (where == 0) task_->frame.rsp = pick();
        if (where == 1) task_->frame.rsp = task_->stack_top - page + random_.below(64);
        if (random_.below(2) == 0)
            task_->signals.set_handler(
                kernel::sigsegv, random_.below(2) == 0 ? address_of(hostile_handler) : pick());
    }

    void run_bytes() {
        auto* code = reinterpret_cast<volatile uint8_t*>(code_);
        uint64_t at = random_.below(page - 64);
        for (uint64_t i = 0; i < 64; ++i) code[at + i] = static_cast<uint8_t>(random_.next() >> 32);
        if (random_.below(2) == 0) {
            const uint8_t* chosen = special[random_.below(sizeof special / sizeof *special)];
            for (unsigned i = 0; i < chosen[0]; ++i) code[at + i] = chosen[1 + i];
        }
        // Old bytes in front and behind belong to it, too: a jump may lead to any of them.
        if (bench_.machine.features.tcg())
            for (uint64_t i = at < 3 ? 0 : at - 3; i < at + 64 && i + 4 <= page; ++i)
                if (would_end_the_emulator(code + i)) code[i] = 0x90;
        kernel_.restart(*task_, reinterpret_cast<const void*>(code_at + at), {});
        shuffle_registers();
    }

    /// The kernel's, the task's, the TSS's, of no descriptor, beyond the table.
    uint64_t selector() {
        constexpr uint16_t some[] = {0,    3,    0x08, 0x0B, 0x10, 0x13, 0x18, 0x1B,
                                     0x20, 0x23, 0x28, 0x2B, 0x30, 0x33, 0x3B, 0x43};
        return random_.below(8) == 0 ? random_.next() & 0xFFFF
                                     : some[random_.below(sizeof some / sizeof *some)];
    }
    /// Every bit up to ID; the ones that change a mode (TF, IOPL, NT, RF, VM, AC) more often.
    uint64_t any_flags() {
        constexpr uint64_t modes = 0x77100, all = 0x3FFFFF;
        uint64_t r = random_.next();
        return (random_.below(2) == 0 ? r & modes : r) & all;
    }

    void leave_the_mode() {
        kernel_.restart(*task_, reinterpret_cast<const void*>(hostile_push), {});
        shuffle_registers();
        uint64_t from_top = random_.below(4) == 0 ? 8 * random_.below(12) : 512;
        task_->frame.rsp = task_->stack_top - from_top;
        auto* code = reinterpret_cast<volatile uint8_t*>(code_);
        uint64_t at = random_.below(page - 64), end = at;
        const uint8_t* chosen = elsewhere[random_.below(sizeof elsewhere / sizeof *elsewhere)];
        const bool flags_first = random_.below(2) == 0, words = chosen[1] == 0x48;
        if (flags_first) code[end++] = 0x9D;  // POPF
        for (unsigned i = 0; i < chosen[0]; ++i) code[end++] = chosen[1 + i];
        for (uint64_t i = end; i < at + 64; ++i) code[i] = 0x90;
        code[at + 62] = 0x0F;  // UD2
        code[at + 63] = 0x0B;
        // What the instruction pops: an address, a selector, flags, a stack, a selector.
        uint64_t popped[] = {random_.below(2) == 0 ? code_at + at + 32 : pick(), selector(),
                             any_flags(), pick(), selector()};
        auto put = [&](uint64_t place, uint64_t value, unsigned bytes) {
            for (unsigned i = 0; i < bytes; ++i)
                if (place + i < task_->stack_top)
                    *space_->kernel<uint8_t>(place + i) = static_cast<uint8_t>(value >> 8 * i);
        };
        uint64_t place = task_->frame.rsp;
        if (flags_first) put(place, any_flags(), 8), place += 8;
        for (uint64_t value : popped) put(place, value, words ? 8 : 4), place += words ? 8 : 4;
        if (random_.below(4) == 0) task_->frame.rax = selector();
        if (random_.below(4) == 0)
            task_->signals.set_handler(kernel::sigtrap, address_of(hostile_handler));
        task_->frame.rip = code_at + at;
    }

    static uint64_t sum_of_code() {
        uint64_t sum = 0;
        for (auto* word = reinterpret_cast<const volatile uint64_t*>(text_start);
             address_of(const_cast<const uint64_t*>(word)) < address_of(user_text_start); ++word)
            sum = (sum ^ *word) * 0x9E3779B97F4A7C15;
        return sum;
    }

    Bench& bench_;
    measure::Random& random_;
    kernel::Kernel kernel_;
    kernel::Space* space_ = nullptr;
    kernel::Task* task_ = nullptr;
    kernel::Task* good_ = nullptr;
    uint64_t mailbox_ = 0, code_ = 0, code_sum_ = 0;
    kernel::Integrity before_;
};

char broken_what[100];

constexpr Choice<Attacker::Attempt> Attacker::attempts[] = {{"calls", &Attacker::call},
                                                            {"jumps", &Attacker::jump},
                                                            {"stack", &Attacker::exhaust},
                                                            {"bytes", &Attacker::run_bytes},
                                                            {"modes", &Attacker::leave_the_mode}};
static_assert(all_chosen(cases, "try", Attacker::attempts));

Result<void> body(Bench& bench, const Case& test_case) {
    measure::Series& intact = bench.series(
        "kernel-intact", {.unit = "attempt", .better = Better::more, .shape = Shape::total});
    measure::Series& ended =
        bench.series("ended-by", {.unit = "signal", .better = Better::neither});
    uint64_t attempts = bench.setting("attempts");
    if (test_case["try"] != "calls") attempts = (attempts + 4) / 5;
    auto* how = chosen(Attacker::attempts, test_case["try"]);
    if (how == nullptr) return no_such_choice;
    Attacker attacker(bench);
    DOORBELL_TRY(attacker.start());
    const char* first_broken = nullptr;
    bench.repeat([&](uint64_t count) {
        if (count == bench.samples()) count = attempts;
        for (uint64_t i = 0; i < count; ++i) {
            attacker.attempt(*how);
            const char* broken = attacker.broken();
            ended.record(attacker.ended_by());
            if (broken == nullptr && (i % 256 == 255 || i + 1 == count))
                broken = attacker.still_serves();
            intact.record(broken == nullptr);
            if (first_broken == nullptr) first_broken = broken;
        }
    });
    if (first_broken != nullptr) {
        wire::Text(broken_what) << "changed: " << first_broken << std::string_view("\0", 1);
        intact.flag(broken_what);
        bench.found_wrong(Error{broken_what});
    }
    return {};
}

ClaimVerdict survives(const Results& results) {
    uint64_t attempts = 0;
    for (const Case& test_case : cases) {
        const Summary* s = results.find("hostile", test_case.text(), "kernel-intact");
        if (s == nullptr) return cannot_say("one of the cases was not run");
        if (s->min == 0) {
            wire::Text text = because();
            text << test_case.text() << " changed the kernel's registers or tables";
            return yes_or_no(false, text);
        }
        attempts += s->count;
    }
    wire::Text text = because();
    text << attempts
         << " attempts, after each of which the kernel's registers and tables were as before";
    return yes_or_no(true, text);
}

constexpr Claim claims[] = {
    {"kernel-survives", "whatever ring 3 does, the kernel stays as it was and serves the next task",
     survives},
};

}  // namespace

extern const Lab hostile_lab = define_lab({.name = "hostile",
                                           .question = "What can ring 3 do to the kernel?",
                                           .needs = "nothing",
                                           .by_default = false},
                                          cases, settings, claims, body);

}  // namespace doorbell::labs
