#include "firmware/kernel/integrity.h"

#include <span>

#include "firmware/cpu/msr.h"
#include "firmware/cpu/registers.h"
#include "firmware/kernel/kernel.h"

namespace doorbell::kernel {
namespace {

constexpr const char* names[] = {"CR0",
                                 "CR3",
                                 "CR4",
                                 "IA32_EFER",
                                 "IA32_STAR",
                                 "IA32_LSTAR",
                                 "IA32_FMASK",
                                 "the GDT's address or limit",
                                 "the GDT",
                                 "the IDT's address or limit",
                                 "the IDT",
                                 "the local descriptor table or the task register",
                                 "interrupts are on in the kernel",
                                 "the direction flag is set in the kernel",
                                 "the alignment-check flag is set in the kernel: SMAP is off",
                                 "a task is said to run"};

struct [[gnu::packed]] TablePointer {
    uint16_t limit;
    uint64_t base;
};

/// Of a table's words; only equality matters.
uint64_t sum_of(const TablePointer& table) {
    std::span<const volatile uint64_t> words(reinterpret_cast<const volatile uint64_t*>(table.base),
                                             (table.limit + 1u) / 8);
    uint64_t sum = 0;
    for (const volatile uint64_t& word : words) sum = (sum ^ word) * 0x9E3779B97F4A7C15;
    return sum;
}

}  // namespace

Integrity Integrity::take() {
    TablePointer gdt, idt;
    uint16_t local, task;
    asm volatile("sgdt %0" : "=m"(gdt));
    asm volatile("sidt %0" : "=m"(idt));
    asm volatile("sldt %0" : "=m"(local));
    asm volatile("str %0" : "=m"(task));
    uint64_t flags = cpu::read_rflags();
    cpu::Msrs msrs;
    Integrity now;
    uint64_t values[] = {cpu::read_cr0(),
                         cpu::read_cr3(),
                         cpu::read_cr4(),
                         cpu::read<cpu::msr::Efer>(msrs).word(),
                         cpu::read<cpu::msr::Star>(msrs).word(),
                         cpu::read<cpu::msr::Lstar>(msrs).word(),
                         cpu::read<cpu::msr::Fmask>(msrs).word(),
                         gdt.base ^ uint64_t{gdt.limit} << 48,
                         sum_of(gdt),
                         idt.base ^ uint64_t{idt.limit} << 48,
                         sum_of(idt),
                         uint64_t{local} << 16 | task,
                         flags & cpu::rflags::interrupt,
                         flags & cpu::rflags::direction,
                         flags & cpu::rflags::alignment_check,
                         reinterpret_cast<uint64_t>(kernel_state.current)};
    static_assert(sizeof values / sizeof *values == sizeof names / sizeof *names &&
                  sizeof values <= sizeof now.values_);
    unsigned i = 0;
    for (uint64_t value : values) now.values_[i++] = value;
    return now;
}

const char* Integrity::differs() const {
    Integrity now = take();
    for (unsigned i = 0; i < sizeof names / sizeof *names; ++i)
        if (now.values_[i] != values_[i]) return names[i];
    return nullptr;
}

}  // namespace doorbell::kernel
