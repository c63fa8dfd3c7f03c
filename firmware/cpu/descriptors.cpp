#include "firmware/cpu/descriptors.h"

#include <cstddef>

extern "C" {
extern char boot_stack_top[], double_fault_stack_top[], nmi_stack_top[], machine_check_stack_top[];
// interrupts.S: 256 stubs of equal size.
extern char interrupt_stubs[];
extern const uint64_t interrupt_stub_size;
doorbell::cpu::Handler interrupt_handlers[256];

struct [[gnu::packed]] TaskState {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t io_map_base;
};
static_assert(sizeof(TaskState) == 104 && offsetof(TaskState, rsp) == doorbell::cpu::rsp0_at);
// interrupts.S: 17 words from the registers to RIP, in its order, the vector at the 16th.
static_assert(offsetof(doorbell::cpu::Frame, vector) == 15 * 8 &&
              offsetof(doorbell::cpu::Frame, rip) == 17 * 8);
/// By this name because the kernel's assembly changes RSP0 in it.
alignas(64) TaskState cpu_task_state;
}

namespace doorbell::cpu {
namespace {

struct Gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
};
static_assert(sizeof(Gate) == 16);

struct [[gnu::packed]] TablePointer {
    uint16_t limit;
    uint64_t base;
};

// The Accessed bit is set from the start: the processor need not write the table when a segment is
// loaded, which ring 3 may do, too.
constexpr uint64_t code_segment(unsigned dpl) { return 0x00209B0000000000 | uint64_t{dpl} << 45; }
constexpr uint64_t data_segment(unsigned dpl) { return 0x0000930000000000 | uint64_t{dpl} << 45; }

uint64_t gdt[8];
TaskState& task_state = cpu_task_state;
alignas(16) Gate idt[256];

void write_gate(uint8_t vector, uint64_t entry, unsigned dpl, Ist ist) {
    constexpr uint8_t present = 0x80, interrupt_gate = 0xE;
    idt[vector] = {static_cast<uint16_t>(entry),
                   selector::kernel_code,
                   static_cast<uint8_t>(ist),
                   static_cast<uint8_t>(present | dpl << 5 | interrupt_gate),
                   static_cast<uint16_t>(entry >> 16),
                   static_cast<uint32_t>(entry >> 32),
                   0};
}

uint64_t stub(uint8_t vector) {
    return reinterpret_cast<uint64_t>(interrupt_stubs) + vector * interrupt_stub_size;
}

Ist ist_of(uint8_t v) {
    switch (v) {
        case vector::double_fault:
            return Ist::double_fault;
        case vector::nmi:
            return Ist::nmi;
        case vector::machine_check:
            return Ist::machine_check;
        default:
            return Ist::none;
    }
}

}  // namespace

void load_descriptors(Handler otherwise) {
    gdt[selector::kernel_code / 8] = code_segment(0);
    gdt[selector::kernel_data / 8] = data_segment(0);
    gdt[selector::user_data / 8] = data_segment(3);
    gdt[selector::user_code / 8] = code_segment(3);

    task_state.rsp[0] = reinterpret_cast<uint64_t>(boot_stack_top);
    task_state.ist[0] = reinterpret_cast<uint64_t>(double_fault_stack_top);
    task_state.ist[1] = reinterpret_cast<uint64_t>(nmi_stack_top);
    task_state.ist[2] = reinterpret_cast<uint64_t>(machine_check_stack_top);
    task_state.io_map_base = sizeof task_state;  // no map: every port is refused to ring 3

    uint64_t base = reinterpret_cast<uint64_t>(&task_state);
    constexpr uint64_t available_tss = 0x89;
    gdt[selector::tss / 8] = (sizeof task_state - 1) | (base & 0xFFFFFF) << 16 |
                             available_tss << 40 | (base >> 24 & 0xFF) << 56;
    gdt[selector::tss / 8 + 1] = base >> 32;

    for (unsigned v = 0; v < 256; ++v) {
        interrupt_handlers[v] = otherwise;
        reset_gate(static_cast<uint8_t>(v));
    }

    TablePointer gdt_pointer{sizeof gdt - 1, reinterpret_cast<uint64_t>(gdt)};
    TablePointer idt_pointer{sizeof idt - 1, reinterpret_cast<uint64_t>(idt)};
    asm volatile(
        "lgdt %0\n\t"
        "lidt %1\n\t"
        "pushq %2\n\t"
        "leaq 1f(%%rip), %%rax\n\t"
        "pushq %%rax\n\t"
        "lretq\n"
        "1:\n\t"
        "movl %3, %%eax\n\t"
        "movl %%eax, %%ds\n\t"
        "movl %%eax, %%es\n\t"
        "movl %%eax, %%ss\n\t"
        "movl %4, %%eax\n\t"
        "ltr %%ax"
        :
        : "m"(gdt_pointer), "m"(idt_pointer), "i"(selector::kernel_code),
          "i"(selector::kernel_data), "i"(selector::tss)
        : "rax", "memory");
}

Handler set_handler(uint8_t vector, Handler handler) {
    Handler before = interrupt_handlers[vector];
    interrupt_handlers[vector] = handler;
    return before;
}

namespace {
bool stepped_over;
void step_over(Frame& frame) {
    stepped_over = true;
    frame.rax = frame.rdx = 0;
    frame.rip += 2;  // each of the three is two bytes long
}
}  // namespace

FaultGuard::FaultGuard()
    : protection_(set_handler(vector::general_protection, step_over)),
      opcode_(set_handler(vector::invalid_opcode, step_over)) {
    stepped_over = false;
}

FaultGuard::~FaultGuard() {
    set_handler(vector::general_protection, protection_);
    set_handler(vector::invalid_opcode, opcode_);
}

bool FaultGuard::faulted() const { return stepped_over; }

void set_gate(uint8_t vector, void (*entry)(), unsigned dpl, Ist ist) {
    write_gate(vector, reinterpret_cast<uint64_t>(entry), dpl, ist);
}

void reset_gate(uint8_t vector, unsigned dpl) {
    write_gate(vector, stub(vector), dpl, ist_of(vector));
}

}  // namespace doorbell::cpu
