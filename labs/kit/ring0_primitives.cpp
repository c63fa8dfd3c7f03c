#include "labs/kit/ring0_primitives.h"

#include "labs/kit/primitive_body.h"

// RDI is the page, the registers or the area that the primitive works on.
DOORBELL_BODIES(price_int_ring0, 8, "", "int $0x64", "");
// Ring 3. The function ends by the call `exit` through INT 0x80: SYSCALL is another one's here.
DOORBELL_BODIES_IN(".user_text, \"ax\"", price_int_ring3, 8, "", "int $0x64",
                   "movl $17, %eax\n\tint $0x80");
DOORBELL_BODIES_IN(".user_text, \"ax\"", price_syscall, 8, "", "syscall",
                   "movl $17, %eax\n\tint $0x80");
// The processor interrupts itself, and waits until the handler has run.
DOORBELL_BODIES(price_self_ipi, 4, "movl $0, price_fired(%rip)\n\tsti\n\tnop\n\tnop",
                "movl $0x44065, 0x300(%rdi)\n8:\tcmpl $0, price_fired(%rip)\n\tje 8b\n\t"
                "movl $0, price_fired(%rip)",
                "cli");
DOORBELL_BODIES(price_self_ipi_x2, 4, "movl $0, price_fired(%rip)\n\tsti\n\tnop\n\tnop",
                "movl $0x83F, %ecx\n\tmovl $0x65, %eax\n\txorl %edx, %edx\n\twrmsr\n"
                "8:\tcmpl $0, price_fired(%rip)\n\tje 8b\n\tmovl $0, price_fired(%rip)",
                "cli");
DOORBELL_BODIES(price_cr3, 8, "movq %cr3, %rax", "movq %rax, %cr3", "");
// Bit 63: what the TLB has of this address space stays (SDM vol. 2B, "MOV to/from Control
// Registers").
DOORBELL_BODIES(price_cr3_pcid, 8, "movq %cr3, %rax\n\tbtsq $63, %rax", "movq %rax, %cr3", "");
DOORBELL_BODIES(price_invlpg, 8, "", "invlpg (%rdi)", "");
// IA32_KERNEL_GS_BASE, which SWAPGS alone uses.
DOORBELL_BODIES(price_rdmsr, 8, "movl $0xC0000102, %ecx", "rdmsr", "");
DOORBELL_BODIES(price_wrmsr, 8, "movl $0xC0000102, %ecx\n\txorl %eax, %eax\n\txorl %edx, %edx",
                "wrmsr", "");
DOORBELL_BODIES(price_swapgs, 16, "", "swapgs", "");
// The local APIC: its version, its task priority (0, as it is), the end of interrupt (of none).
DOORBELL_BODIES(price_apic_read, 8, "", "movl 0x30(%rdi), %eax", "");
DOORBELL_BODIES(price_apic_write, 8, "xorl %eax, %eax", "movl %eax, 0x80(%rdi)", "");
DOORBELL_BODIES(price_eoi, 8, "xorl %eax, %eax", "movl %eax, 0xB0(%rdi)", "");
DOORBELL_BODIES(price_x2apic_read, 8, "movl $0x803, %ecx", "rdmsr", "");
DOORBELL_BODIES(price_eoi_msr, 8, "movl $0x80B, %ecx\n\txorl %eax, %eax\n\txorl %edx, %edx",
                "wrmsr", "");
// The HPET: its counter, and its interrupt status, where a 0 changes nothing.
DOORBELL_BODIES(price_hpet_read, 4, "", "movl 0xF0(%rdi), %eax", "");
DOORBELL_BODIES(price_hpet_write, 4, "xorl %eax, %eax", "movl %eax, 0x20(%rdi)", "");
// An Intel network card: STATUS, and IMC, where a 0 changes nothing.
DOORBELL_BODIES(price_card_read, 4, "", "movl 0x8(%rdi), %eax", "");
DOORBELL_BODIES(price_card_write, 4, "xorl %eax, %eax", "movl %eax, 0xD8(%rdi)", "");
// Port 80H, the diagnostic code, which nothing answers to.
DOORBELL_BODIES(price_port_read, 4, "", "inb $0x80, %al", "");
DOORBELL_BODIES(price_port_write, 4, "xorl %eax, %eax", "outb %al, $0x80", "");
DOORBELL_BODIES(price_xsave, 4, "movl $-1, %eax\n\tmovl $-1, %edx", "xsave (%rdi)", "");
DOORBELL_BODIES(price_xrstor, 4, "movl $-1, %eax\n\tmovl $-1, %edx\n\txsave (%rdi)",
                "xrstor (%rdi)", "");
// A frame as IRETQ takes it, pushed and popped: to where it stands, in the same ring.
#define INTERRUPT_FRAME "pushq %r8\n\tpushq %r10\n\tpushfq\n\tpushq %r9\n\tpushq $8f\n\t"
#define FRAME_REGISTERS "movl %ss, %r8d\n\tmovl %cs, %r9d\n\tmovq %rsp, %r10"
DOORBELL_BODIES(price_iretq, 8, FRAME_REGISTERS, INTERRUPT_FRAME "iretq\n8:", "");

// An interrupt from the local APIC to the handler's first instruction: the same instructions with
// the interrupt and without it. Where it is not taken, it stays requested, its handler's
// instructions are in the line, and IRETQ finds a frame that PUSHes have made; where it is taken,
// as many PUSHes make one that nobody uses.
#define SPARE_FRAME "pushq $0\n\tpushq $0\n\tpushq $0\n\tpushq $0\n\tpushq $0\n\taddq $40, %rsp\n\t"
#define SEEN "8:\tcmpl $0, price_fired(%rip)\n\tje 8b\n\tmovl $0, price_fired(%rip)"
#define SEND "movl $0x44065, 0x300(%rdi)\n"
#define SEND_X2 "movl $0x83F, %ecx\n\tmovl $0x65, %eax\n\txorl %edx, %edx\n\twrmsr\n"
#define HANDLED "movl $1, price_fired(%rip)\n\tmovl $0, 0xB0(%rdi)\n\tiretq\n"
#define HANDLED_X2                                                                      \
    "movl $1, price_fired(%rip)\n\tmovl $0x80B, %ecx\n\txorl %eax, %eax\n\txorl %edx, " \
    "%edx\n\twrmsr\n\tiretq\n"
// Either ends with one interrupt that is taken, so that none stays requested.
#define TAKE_ONE(send) "cli\n\t" send "sti\n8:\tcmpl $0, price_fired(%rip)\n\tje 8b\n\tcli"
#define NOT_TAKEN(name, send, handled)                                                             \
    DOORBELL_ONE_BODY(                                                                             \
        name, ".text.primitives, \"ax\"", "movl $0, price_fired(%rip)\n\tcli\n\t" FRAME_REGISTERS, \
        ".rept 4\n\tnop\n\t" send INTERRUPT_FRAME handled SEEN "\n.endr", "", TAKE_ONE(send))
#define TAKEN(name, send)                                                \
    DOORBELL_ONE_BODY(name, ".text.primitives, \"ax\"",                  \
                      "movl $0, price_fired(%rip)\n\tsti\n\tnop\n\tnop", \
                      ".rept 4\n\t" SPARE_FRAME send SEEN "\n.endr", "", TAKE_ONE(send))
NOT_TAKEN(price_not_taken, SEND, HANDLED);
TAKEN(price_taken, SEND);
NOT_TAKEN(price_not_taken_x2, SEND_X2, HANDLED_X2);
TAKEN(price_taken_x2, SEND_X2);

// The local APIC's timer, from its count of 0 to the handler's first instruction: RDI is a
// TimerPlace. Both bodies arm it and look at its count until that is 0. Where its interrupt is
// masked, the frame and the handler's instructions are in the line, as above; the rest of the look
// under way is in either. R11 is the count; the handler keeps all registers of the loop.
#define ENTRY_REGISTERS "movq 8(%rdi), %r11\n\tmovq (%rdi), %rdi\n\tmovl $0, price_fired(%rip)\n\t"
#define COUNT_DOWN "movl %r11d, 0x380(%rdi)\n7:\tcmpl $0, 0x390(%rdi)\n\tjne 7b\n\t"
#define COUNT_DOWN_X2                                                                      \
    "movl $0x838, %ecx\n\tmovl %r11d, %eax\n\txorl %edx, %edx\n\twrmsr\n7:\tmovl $0x839, " \
    "%ecx\n\trdmsr\n\ttestl %eax, %eax\n\tjne 7b\n\t"
#define HANDLED_KEPT_X2                                                                     \
    "pushq %rax\n\tpushq %rcx\n\tpushq %rdx\n\tmovl $1, price_fired(%rip)\n\tmovl $0x80B, " \
    "%ecx\n\txorl %eax, %eax\n\txorl "                                                      \
    "%edx, %edx\n\twrmsr\n\tpopq %rdx\n\tpopq %rcx\n\tpopq %rax\n\tiretq\n"
// The LVT's timer register: vector 65H, one-shot; bit 16 masks it (SDM vol. 3A, "Local Vector
// Table").
#define LVT(masked) "movl $0x" masked "0065, 0x320(%rdi)\n\t"
#define LVT_X2(masked) \
    "movl $0x832, %ecx\n\tmovl $0x" masked "0065, %eax\n\txorl %edx, %edx\n\twrmsr\n\t"
#define TIMER_MASKED(name, lvt, count_down, handled)                                     \
    DOORBELL_ONE_BODY(                                                                   \
        name, ".text.primitives, \"ax\"", ENTRY_REGISTERS lvt "cli\n\t" FRAME_REGISTERS, \
        ".rept 2\n\tnop\n\t" count_down INTERRUPT_FRAME handled SEEN "\n.endr", "", "cli")
#define TIMER_TAKEN(name, lvt, count_down)                                                       \
    DOORBELL_ONE_BODY(name, ".text.primitives, \"ax\"", ENTRY_REGISTERS lvt "sti\n\tnop\n\tnop", \
                      ".rept 2\n\t" SPARE_FRAME count_down SEEN "\n.endr", "", "cli")
TIMER_MASKED(price_timer_masked, LVT("1"), COUNT_DOWN, HANDLED);
TIMER_TAKEN(price_timer_taken, LVT("0"), COUNT_DOWN);
TIMER_MASKED(price_timer_masked_x2, LVT_X2("1"), COUNT_DOWN_X2, HANDLED_KEPT_X2);
TIMER_TAKEN(price_timer_taken_x2, LVT_X2("0"), COUNT_DOWN_X2);

// The local APIC's timer ends a wait: RDI is a TimerPlace.
#define TIMER_REGISTERS \
    "movq 8(%rdi), %r8\n\tmovq 16(%rdi), %r9\n\tmovq (%rdi), %rdi\n\tmovl $0, price_fired(%rip)"
#define ARM "movl %r8d, 0x380(%rdi)\n\t"
#define ARM_X2 "movl $0x838, %ecx\n\tmovl %r8d, %eax\n\txorl %edx, %edx\n\twrmsr\n\t"
#define SPIN "sti\n8:\tcmpl $0, price_fired(%rip)\n\tje 8b\n\tcli\n\tmovl $0, price_fired(%rip)"
// STI lets an interrupt in only behind the instruction that follows it, so none is lost in between.
#define HALT                                                                                   \
    "\n8:\tcli\n\tcmpl $0, price_fired(%rip)\n\tjne 9f\n\tsti\n\thlt\n\tjmp 8b\n9:\tmovl $0, " \
    "price_fired(%rip)"
#define MONITOR_WAIT                                                                      \
    "\n8:\tcli\n\tleaq price_fired(%rip), %rax\n\txorl %ecx, %ecx\n\txorl %edx, %edx\n\t" \
    "monitor\n\tcmpl $0, price_fired(%rip)\n\tjne 9f\n\tmovl %r9d, "                      \
    "%eax\n\tsti\n\tmwait\n\tnop\n\t"                                                     \
    "jmp 8b\n9:\tmovl $0, price_fired(%rip)"
#define WAIT(name, arm, wait) \
    DOORBELL_ONE_BODY(name, ".text.primitives, \"ax\"", TIMER_REGISTERS, arm wait, "", "cli")
WAIT(price_spin, ARM, SPIN);
WAIT(price_halt, ARM, HALT);
WAIT(price_mwait, ARM, MONITOR_WAIT);
WAIT(price_spin_x2, ARM_X2, SPIN);
WAIT(price_halt_x2, ARM_X2, HALT);
WAIT(price_mwait_x2, ARM_X2, MONITOR_WAIT);

asm(R"(
        .pushsection .text.primitives, "ax"
        .global price_return, price_sysret, price_handler, price_handler_x2
        .global price_keeping_handler_x2
        .balign 64
price_return:
        iretq
        .balign 64
price_sysret:
        sysretq
        .balign 64
price_handler:
        movl    $1, price_fired(%rip)
        movl    $0, 0xB0(%rdi)
        iretq
        .balign 64
price_handler_x2:
        movl    $1, price_fired(%rip)
        movl    $0x80B, %ecx
        xorl    %eax, %eax
        xorl    %edx, %edx
        wrmsr
        iretq
        .balign 64
price_keeping_handler_x2:
        pushq   %rax
        pushq   %rcx
        pushq   %rdx
        movl    $1, price_fired(%rip)
        movl    $0x80B, %ecx
        xorl    %eax, %eax
        xorl    %edx, %edx
        wrmsr
        popq    %rdx
        popq    %rcx
        popq    %rax
        iretq
        .popsection
        .pushsection .data.primitives, "aw"
        .balign 64
price_fired:
        .quad   0
        .popsection
)");

namespace doorbell::labs {

constexpr Primitive int_ring3{"int-iretq", price_int_ring3, 8, 32};
constexpr Primitive syscall_ring3{"syscall-sysret", price_syscall, 8, 32};

namespace {

// A wait is one event of one turn: it takes as long as the timer.
constexpr uint64_t waits = 4;

constexpr RingZero ring0[] = {
    {{"int-iretq", price_int_ring0, 8, 16}, Needs::nothing},
    {{"iretq", price_iretq, 8, 16}, Needs::nothing},
    {{"self-ipi", price_self_ipi, 4, 8}, Needs::xapic, {"self-ipi", price_self_ipi_x2, 4, 8}},
    {{"interrupt-entry", {price_not_taken, price_taken}, 4, 8},
     Needs::xapic,
     {"interrupt-entry", {price_not_taken_x2, price_taken_x2}, 4, 8}},
    {{"timer-entry", {price_timer_masked, price_timer_taken}, 2, 4},
     Needs::timer_entry,
     {"timer-entry", {price_timer_masked_x2, price_timer_taken_x2}, 2, 4}},
    {{"hlt-wake", {price_spin, price_halt}, 1, waits},
     Needs::timer,
     {"hlt-wake", {price_spin_x2, price_halt_x2}, 1, waits}},
    {{"mwait-wake", {price_spin, price_mwait}, 1, waits},
     Needs::mwait,
     {"mwait-wake", {price_spin_x2, price_mwait_x2}, 1, waits}},
    {{"cr3-write", price_cr3, 8, 8}, Needs::nothing},
    {{"cr3-write-pcid", price_cr3_pcid, 8, 8}, Needs::pcid},
    {{"invlpg", price_invlpg, 8, 8}, Needs::page},
    {{"rdmsr", price_rdmsr, 8, 8}, Needs::nothing},
    {{"wrmsr", price_wrmsr, 8, 8}, Needs::nothing},
    {{"swapgs", price_swapgs, 16, 16}, Needs::nothing},
    {{"xsave", price_xsave, 4, 8}, Needs::extended},
    {{"xrstor", price_xrstor, 4, 8}, Needs::extended},
    {{"apic-read", price_apic_read, 8, 8}, Needs::xapic},
    {{"apic-write", price_apic_write, 8, 8}, Needs::xapic},
    {{"eoi", price_eoi, 8, 8}, Needs::xapic},
    {{"x2apic-read", price_x2apic_read, 8, 8}, Needs::x2apic},
    {{"eoi-msr", price_eoi_msr, 8, 8}, Needs::x2apic},
    {{"hpet-read", price_hpet_read, 4, 4}, Needs::hpet},
    {{"hpet-write", price_hpet_write, 4, 4}, Needs::hpet},
    {{"card-read", price_card_read, 4, 4}, Needs::intel_card},
    {{"card-write", price_card_write, 4, 4}, Needs::intel_card},
    {{"port-read", price_port_read, 4, 4}, Needs::nothing},
    {{"port-write", price_port_write, 4, 4}, Needs::nothing},
    {{"ipi", {nullptr, nullptr}, 1, 1}, Needs::other_cores},
    {{"line-from-core", {nullptr, nullptr}, 1, 1}, Needs::other_cores},
};

}  // namespace

std::span<const RingZero> ring0_primitives() { return ring0; }

}  // namespace doorbell::labs
