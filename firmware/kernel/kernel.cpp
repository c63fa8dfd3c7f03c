#include "firmware/kernel/kernel.h"

#include "firmware/cpu/descriptors.h"
#include "firmware/cpu/msr.h"
#include "firmware/cpu/registers.h"

using doorbell::kernel::Kernel;
using doorbell::kernel::Task;

extern "C" {
// gates.S
void kernel_syscall_entry();
void kernel_syscall_entry_apart();
void kernel_int_entry();
void kernel_int_entry_apart();
void kernel_call_by_syscall();
void kernel_null_call();
void kernel_yield_registers();
void kernel_yield_full();
void kernel_change_registers();
void kernel_change_full();
void kernel_resume_all_registers();
void kernel_resume_all_full();
void kernel_resume_signal();
void kernel_tick_registers_xapic();
void kernel_tick_registers_x2apic();
void kernel_tick_full_xapic();
void kernel_tick_full_x2apic();
void kernel_alarm_xapic();
void kernel_alarm_x2apic();
void kernel_user_signal_return();
void kernel_user_exit();
void kernel_user_idle();
void kernel_exit_call();
uint64_t kernel_enter(Task* first, uint64_t timer, uint64_t count);
[[noreturn]] void kernel_leave(uint64_t why);
[[noreturn]] void kernel_leave_trap(Task* next);

doorbell::kernel::State kernel_state;
void (*kernel_fast_calls[FAST_CALLS])();
void (*kernel_slow_calls[ALL_CALLS - FAST_CALLS])();
Kernel::Alarm kernel_alarm;
Task* kernel_call(Task* task) { return Kernel::active()->call(*task); }
Task* kernel_deliver_other(Task* task) { return Kernel::active()->deliver(*task); }
Task* kernel_raise_other(Task* target, uint8_t signal) {
    return Kernel::active()->raise(*target, signal);
}
Task* kernel_end_lost(Task* task) {
    return Kernel::active()->end(*task, doorbell::kernel::sigsegv);
}
}

namespace doorbell::kernel {
namespace {

using cpu::msr::Efer;
using State_ = State;
static_assert(offsetof(State_, current) == STATE_CURRENT && offsetof(State_, stack) == STATE_STACK);
static_assert(offsetof(State_, user_rsp) == STATE_USER_RSP &&
              offsetof(State_, loaded_space) == STATE_LOADED_SPACE);
static_assert(offsetof(State_, ticks_left) == STATE_TICKS_LEFT &&
              offsetof(State_, switches) == STATE_SWITCHES);
static_assert(offsetof(State_, end_of_interrupt) == STATE_END_OF_INTERRUPT &&
              offsetof(State_, kernel_space) == STATE_KERNEL_SPACE);
static_assert(offsetof(State_, change) == STATE_CHANGE &&
              offsetof(State_, resume_all) == STATE_RESUME_ALL);
static_assert(offsetof(State_, scheduler) == STATE_SCHEDULER &&
              Scheduler<Task>::first_at() == SCHEDULER_FIRST &&
              Scheduler<Task>::idle_at() == SCHEDULER_IDLE &&
              offsetof(Space, memory) + UserMemory::first_at() == SPACE_MEMORY &&
              Scheduler<Task>::ready_at() == SCHEDULER_READY);
static_assert(call::yield == CALL_YIELD && call::exit == CALL_EXIT &&
              call::signal_return == CALL_SIGNAL_RETURN && call::fast_lab_last + 1 == FAST_CALLS &&
              call::lab_last + 1 == ALL_CALLS);
static_assert(cpu::selector::user_code == USER_CODE && cpu::selector::user_data == USER_DATA &&
              cpu::rflags::fixed == KERNEL_FLAGS);
static_assert(cpu::vector::system_call == SYSTEM_CALL_VECTOR &&
              static_cast<int>(Left::out_of_time) == LEFT_OUT_OF_TIME &&
              cpu::x2apic_msr(cpu::ApicRegister::end_of_interrupt) == X2APIC_END_OF_INTERRUPT &&
              cpu::rsp0_at == TSS_RSP0);

/// RDI, RSI, RDX, RCX: the registers of the calling convention that a system call's path leaves.
constexpr size_t most_arguments = 4;
/// CR3 bit 63: keep what the TLB knows of this PCID (SDM vol. 3A, "Process-Context Identifiers").
constexpr uint64_t keep_tlb = 1ull << 63;

Kernel* active_kernel;

uint64_t address_of(void (*function)()) { return reinterpret_cast<uint64_t>(function); }

auto alarm_gate(bool x2) { return x2 ? kernel_alarm_x2apic : kernel_alarm_xapic; }

/// Which signal an exception is to the task that caused it; 0 for those that are the machine's own
/// trouble.
uint8_t signal_of(uint64_t vector) {
    switch (vector) {
        case 0:
        case 16:
        case 19:
            return sigfpe;
        case 1:
        case 3:
            return sigtrap;
        case 4:
        case 5:
        case 7:
        case 10:
        case 11:
        case 12:
        case 13:
        case 14:
        case 21:
            return sigsegv;
        case 6:
            return sigill;
        case 17:
            return sigbus;
        default:
            return 0;
    }
}

void on_trap(cpu::Frame& frame) { active_kernel->trap(frame); }

void drain(cpu::Frame&) {}

}  // namespace

Kernel* Kernel::active() { return active_kernel; }

Result<void> Kernel::enable_extended_state() {
    if (!machine_.features.xsave) return {};
    cpu::write_cr0((cpu::read_cr0() | cpu::cr0::monitor_coprocessor) &
                   ~(cpu::cr0::emulation | cpu::cr0::task_switched));
    cpu::write_cr4(cpu::read_cr4() | cpu::cr4::osfxsr | cpu::cr4::osxmmexcpt | cpu::cr4::osxsave);
    // x87, SSE, AVX and AVX-512: what there is of them (SDM vol. 1, "Enabling the XSAVE Feature
    // Set").
    constexpr uint32_t wanted = 0xE7;
    uint32_t low = cpu::Cpuid{}(0xD, 0).eax & wanted;
    asm volatile("xsetbv" : : "c"(0), "a"(low), "d"(0) : "memory");
    extended_bytes_ = cpu::Cpuid{}(0xD, 0).ebx;
    return {};
}

Result<uint64_t> Kernel::extended_area() {
    uint64_t at = machine_.arena.take(extended_bytes_, 64);
    if (at == 0) return Lacking{"not enough memory for a task's extended state"};
    for (uint64_t i = 0; i < extended_bytes_ / 4; ++i)
        reinterpret_cast<volatile uint32_t*>(at)[i] = 0;
    // Everything in its initial configuration, except that MXCSR is always loaded: all exceptions
    // masked.
    reinterpret_cast<volatile uint32_t*>(at)[6] = 0x1F80;
    return at;
}

Result<void> Kernel::start(const Options& options) {
    const cpu::Features& f = machine_.features;
    if (options.extended_state && !f.xsave)
        return Lacking{"this processor has no XSAVE (CPUID.01H:ECX[26])"};
    if (options.pcid && !f.pcid) return Lacking{"this processor has no PCID (CPUID.01H:ECX[17])"};
    options_ = options;
    tasks_ = machine_.arena.array<Task*>(options.most_tasks).data();
    if (tasks_ == nullptr) return Lacking{"not enough memory for the tasks"};

    cpu::disable_interrupts();
    DOORBELL_TRY(enable_extended_state());
    protect();
    reset_state();
    open_gates();

    active_kernel = this;
    started_ = true;
    return options.idle ? make_idle_task() : Result<void>{};
}

/// Control register 4 and the local descriptor table.
void Kernel::protect() const {
    const cpu::Features& f = machine_.features;
    uint64_t cr4 = cpu::read_cr4();
    if (f.smep) cr4 |= cpu::cr4::smep;
    if (f.smap) cr4 |= cpu::cr4::smap;
    if (f.umip) cr4 |= cpu::cr4::umip;
    if (options_.pcid) cr4 |= cpu::cr4::pcid;
    cr4 &= ~cpu::cr4::time_stamp_disable;  // ring 3 measures itself
    cpu::write_cr4(cr4);
    // No local descriptors, whatever firmware left: a selector of theirs must fault.
    asm volatile("lldt %w0" : : "r"(0));
}

/// What gates.S works on: the state and the tables of calls.
void Kernel::reset_state() {
    const bool full = options_.extended_state;
    kernel_state = {};
    kernel_state.scheduler = &scheduler_;
    kernel_state.loaded_space = machine_.tables.root();
    kernel_state.kernel_space = machine_.tables.root() | (options_.pcid ? keep_tlb : 0);
    if (!machine_.apic->x2())
        kernel_state.end_of_interrupt = machine_.apic->xapic().base() +
                                        static_cast<uint64_t>(cpu::ApicRegister::end_of_interrupt);
    kernel_state.change = full ? kernel_change_full : kernel_change_registers;
    kernel_state.resume_all = full ? kernel_resume_all_full : kernel_resume_all_registers;
    for (auto& entry : kernel_fast_calls) entry = kernel_null_call;
    for (auto& entry : kernel_slow_calls) entry = kernel_call_by_syscall;
    kernel_slow_calls[CALL_YIELD - FAST_CALLS] = full ? kernel_yield_full : kernel_yield_registers;
    kernel_slow_calls[CALL_EXIT - FAST_CALLS] = kernel_exit_call;
}

/// The ways in: SYSCALL, INT 80H, the timer's two vectors, and the exceptions that become signals.
void Kernel::open_gates() {
    using namespace cpu::msr;
    cpu::Msrs msrs;
    cpu::write(
        msrs, Star::syscall(cpu::selector::kernel_code) | Star::sysret(cpu::selector::sysret_base));
    cpu::write(msrs, cpu::Value<Lstar>(address_of(options_.apart ? kernel_syscall_entry_apart
                                                                 : kernel_syscall_entry)));
    // In the kernel: no interrupts, no single steps, strings upwards, and nothing that ring 3 set
    // stays.
    cpu::write(msrs, cpu::Value<Fmask>(cpu::rflags::interrupt | cpu::rflags::trap |
                                       cpu::rflags::direction | cpu::rflags::iopl3 |
                                       cpu::rflags::nested | cpu::rflags::alignment_check));
    cpu::write(msrs, cpu::read<Efer>(msrs) | Efer::system_call);
    cpu::set_gate(cpu::vector::system_call,
                  options_.apart ? kernel_int_entry_apart : kernel_int_entry, 3);
    bool x2 = machine_.apic->x2(), full = options_.extended_state;
    cpu::set_gate(tick_vector,
                  full ? (x2 ? kernel_tick_full_x2apic : kernel_tick_full_xapic)
                       : (x2 ? kernel_tick_registers_x2apic : kernel_tick_registers_xapic));
    cpu::set_gate(alarm_vector, alarm_gate(x2));
    for (uint8_t v = 0; v < 32; ++v)
        if (signal_of(v) != 0) before_[v] = cpu::set_handler(v, on_trap);
}

Result<void> Kernel::make_idle_task() {
    Task* idle = new_task();
    if (idle == nullptr) return Lacking{"not enough memory for the idle task"};
    idle->frame.rip = address_of(kernel_user_idle);
    idle->frame.cs = cpu::selector::user_code;
    idle->frame.ss = cpu::selector::user_data;
    idle->frame.rflags = user_flags_always;
    idle->resume = kernel_state.resume_all;
    idle->space_root = kernel_state.kernel_space;
    if (options_.extended_state) {
        idle->extended = DOORBELL_TRY(extended_area());
    }
    scheduler_.set_idle(idle);
    return {};
}

void Kernel::stop() {
    if (!started_) return;
    started_ = false;
    active_kernel = nullptr;
    for (uint8_t v = 0; v < 32; ++v)
        if (before_[v] != nullptr) cpu::set_handler(v, before_[v]);
    cpu::reset_gate(cpu::vector::system_call);
    cpu::Msrs msrs;
    cpu::write(msrs, cpu::read<Efer>(msrs) & ~Efer::system_call);
    if (options_.pcid) cpu::write_cr4(cpu::read_cr4() & ~cpu::cr4::pcid);
    // A timer that fired while it was being stopped may still be waiting to be taken.
    machine_.apic->set_timer_mode(cpu::TimerMode::one_shot, tick_vector, true);
    for (uint8_t v : {tick_vector, alarm_vector}) {
        take_late(v);
        cpu::reset_gate(v);
    }
}

/// An interrupt that came after the last task had left: the gates here expect a task in ring 3.
void Kernel::take_late(uint8_t vector) const {
    if (!machine_.apic->requested(vector)) return;
    cpu::Handler before = cpu::set_handler(vector, drain);
    cpu::reset_gate(vector);
    cpu::enable_interrupts();
    asm volatile("nop\n\tnop");
    cpu::disable_interrupts();
    if (machine_.apic->in_service(vector)) machine_.apic->eoi();
    cpu::set_handler(vector, before);
}

Result<Space*> Kernel::make_space(uint64_t bytes) {
    uint64_t bits = 0;
    if (options_.pcid) bits = keep_tlb | (next_pcid_++ & 0xFFF);
    return Space::make(machine_, bytes, bits);
}

Task* Kernel::new_task() {
    uint64_t in_front = machine_.arena.take(Task::room_in_front, alignof(Task));
    return in_front == 0 ? nullptr : machine_.arena.make<Task>();
}

Result<Task*> Kernel::make_task(Space& space, const void* entry,
                                std::initializer_list<uint64_t> arguments, uint64_t stack_bytes) {
    if (count_ == options_.most_tasks) return Error{"more tasks than the kernel was started for"};
    if (arguments.size() > most_arguments)
        return Error{"more arguments than a task takes", arguments.size()};
    Task* task = new_task();
    uint64_t stack = space.take_stack(stack_bytes);
    if (task == nullptr || stack == 0) return Lacking{"not enough memory for a task"};
    if (options_.extended_state) {
        task->extended = DOORBELL_TRY(extended_area());
    }
    task->space = &space;
    task->space_root = space.root;
    task->stack_top = stack;
    task->id = count_;
    task->state = TaskState::ended;
    tasks_[count_++] = task;
    restart(*task, entry, arguments);
    return task;
}

void Kernel::restart(Task& task, const void* entry, std::initializer_list<uint64_t> arguments) {
    cpu::Frame& f = task.frame;
    f = {};
    uint64_t* registers[most_arguments] = {&f.rdi, &f.rsi, &f.rdx, &f.rcx};
    size_t i = 0;
    for (uint64_t argument : arguments)
        if (i < most_arguments) *registers[i++] = argument;
    f.rip = reinterpret_cast<uint64_t>(entry);
    f.cs = cpu::selector::user_code;
    f.ss = cpu::selector::user_data;
    f.rflags = user_flags_always;
    // As after a CALL; the return address leads to the exit call.
    f.rsp = task.stack_top - 8;
    *task.space->kernel<uint64_t>(f.rsp) = address_of(kernel_user_exit);
    task.resume = kernel_state.resume_all;
    task.signals = {};
    task.signal_return = address_of(kernel_user_signal_return);
    task.ended_by = task.last_fault = 0;
    task.fault_error = task.fault_address = task.exit_value = 0;
    if (task.state != TaskState::ready) scheduler_.add(task, kernel_state.current);
    task.state = TaskState::ready;
}

Left Kernel::run(uint64_t slices) {
    cpu::disable_interrupts();
    Task* first = scheduler_.first();
    if (first == nullptr) return Left::nothing_ready;
    kernel_state.ticks_left = slices;
    uint64_t timer = 0, timer_count = 0;
    if (options_.slice != 0) {
        machine_.apic->set_divide_1();
        machine_.apic->set_timer_mode(cpu::TimerMode::periodic, tick_vector, false);
        timer_count = machine_.apic_rate.counts_to_load(options_.slice);
        // Where one store starts the timer, kernel_enter() does it: the first slice begins at the
        // same instruction whatever a compiler made of this.
        if (machine_.apic->x2())
            machine_.apic->set_initial_count(static_cast<uint32_t>(timer_count));
        else
            timer = machine_.apic->xapic().base() +
                    static_cast<uint64_t>(cpu::ApicRegister::initial_count);
    }
    auto why = static_cast<Left>(kernel_enter(first, timer, timer_count));
    // Each tick was a switch, but for one that ended the run.
    kernel_state.switches += slices - kernel_state.ticks_left - (why == Left::out_of_time ? 1 : 0);
    if (options_.slice != 0)
        machine_.apic->set_timer_mode(cpu::TimerMode::periodic, tick_vector, true);
    kernel_state.current = nullptr;
    kernel_state.loaded_space = machine_.tables.root();
    cpu::write_cr3(machine_.tables.root());
    return why;
}

void Kernel::set_fast(unsigned number, void (*function)()) {
    if (number < FAST_CALLS) kernel_fast_calls[number] = function;
}

void Kernel::set_call(unsigned number, LabCall function) {
    if (number >= call::lab && number <= call::lab_last) lab_calls_[number - call::lab] = function;
}

void Kernel::set_alarm(Alarm alarm) {
    kernel_alarm = alarm;
    machine_.apic->set_divide_1();
    machine_.apic->set_timer_mode(cpu::TimerMode::one_shot, alarm_vector, false);
}

uint64_t Kernel::arm_alarm(uint64_t ticks) const {
    uint32_t count = machine_.apic_rate.counts_to_load(ticks);
    uint64_t due = machine_.apic_rate.ticks(count);
    const cpu::LocalApic& apic = *machine_.apic.device;
    uint32_t low, high;
    if (apic.x2()) {
        asm volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high) : : "memory");
        apic.set_initial_count(count);
    } else {
        // The store stands right behind the timestamp, and is one instruction younger.
        asm volatile("lfence\n\trdtsc\n\tmovl %2, (%3)"
                     : "=&a"(low), "=&d"(high)
                     : "r"(count), "r"(apic.xapic().base() +
                                       static_cast<uint64_t>(cpu::ApicRegister::initial_count))
                     : "memory");
    }
    return (uint64_t{high} << 32 | low) + 1 + due;
}

void Kernel::disarm_alarm() const {
    machine_.apic->set_initial_count(0);
    take_late(alarm_vector);
    cpu::set_gate(alarm_vector, alarm_gate(machine_.apic->x2()));
}

void Kernel::retire(Task& task) {
    if (task.state == TaskState::ready) scheduler_.remove(task);
    task.state = TaskState::ended;
}

Task* Kernel::next_or_leave(Task* next) {
    if (next == nullptr) kernel_leave(static_cast<uint64_t>(Left::nothing_ready));
    return next;
}

Task* Kernel::block(Task& running) {
    running.state = TaskState::blocked;
    return next_or_leave(scheduler_.remove(running));
}

void Kernel::wake(Task& task) {
    if (task.state != TaskState::blocked) return;
    task.state = TaskState::ready;
    scheduler_.add(task, kernel_state.current);
}

Task* Kernel::end(Task& running, uint8_t by_signal) {
    running.state = TaskState::ended;
    running.ended_by = by_signal;
    return next_or_leave(scheduler_.remove(running));
}

Task* Kernel::deliver_more(Task& task) { return deliver(task); }

Task* Kernel::deliver(Task& task) {
    task.resume = kernel_state.resume_all;
    Delivery delivery = task.signals.take();
    if (delivery.kind == Delivery::Kind::none) return &task;
    if (delivery.kind == Delivery::Kind::end) [[unlikely]]
        return end(task, delivery.signal);
    // A stack that cannot take the handler's frame: as for any other fault there, nothing is left
    // to catch it.
    if (!push_signal(task.frame, task.space->memory, delivery, task.signal_return)) [[unlikely]]
        return end(task, sigsegv);
    // The next one, if there is one, interrupts this one's handler at its first instruction.
    return task.signals.due() ? deliver_more(task) : &task;
}

Task* Kernel::raise(Task& target, uint8_t signal) {
    Task* running = kernel_state.current;
    if (target.ended()) return running;
    running->resume = kernel_state.resume_all;
    target.signals.raise(signal);
    if (!target.signals.due()) return running;
    if (&target == running) return deliver(target);
    wake(target);
    // Its frame is whole enough: what a yield did not save, the caller of a system call does not
    // expect back.
    target.resume = kernel_resume_signal;
    return &target;
}

Task* Kernel::call(Task& task) {
    task.resume = kernel_state.resume_all;
    cpu::Frame& f = task.frame;
    uint64_t number = f.rax, a = f.rdi, b = f.rsi;
    f.rax = 0;
    switch (number) {
        case call::yield:
            return task.next;
        case call::exit:
            task.exit_value = a;
            return end(task, 0);
        case call::pause:
            f.rax = interrupted;
            if (task.signals.due()) return deliver(task);
            return block(task);
        case call::raise:
            if (a >= count_ || tasks_[a]->ended())
                f.rax = no_such_task;
            else if (!Signals::exists(b))
                f.rax = invalid;
            else
                return raise(*tasks_[a], static_cast<uint8_t>(b));
            return &task;
        case call::signal_return:
            if (pop_signal(f, task.space->memory, task.signals)) return deliver(task);
            return end(task, sigsegv);
        case call::set_handler:
            if (!task.signals.set_handler(a, b)) f.rax = invalid;
            return &task;
        case call::set_mask:
            f.rax = task.signals.mask();
            task.signals.set_mask(static_cast<uint32_t>(a));
            return deliver(task);
        case call::leave:
            if (options_.extended_state)
                asm volatile("xsave64 (%0)" : : "r"(task.extended), "a"(~0u), "d"(~0u) : "memory");
            kernel_leave(static_cast<uint64_t>(Left::asked));
        default:
            break;
    }
    if (number >= call::lab && number <= call::lab_last &&
        lab_calls_[number - call::lab] != nullptr)
        return lab_calls_[number - call::lab](*this, task);
    f.rax = no_such_call;
    return &task;
}

/// Out of ring 3 the processor pushes at RSP0, which is the end of the running task's frame. A
/// frame that begins below it, and not in the kernel's stack, is of an IRETQ on the way back into
/// the task: what was saved of it cannot be returned to. Anything else is the kernel's own fault.
void Kernel::trap(cpu::Frame& frame) {
    Task* running = kernel_state.current;
    uint64_t at = reinterpret_cast<uint64_t>(&frame), place = reinterpret_cast<uint64_t>(running);
    const bool of_task = running != nullptr && at == place,
               of_return = running != nullptr && frame.cs == cpu::selector::kernel_code &&
                           at < place && at >= place - Task::room_in_front;
    if (!of_task && !of_return) return before_[frame.vector](frame);
    Task& task = *running;
    task.resume = kernel_state.resume_all;
    task.last_fault = static_cast<uint8_t>(frame.vector);
    task.fault_error = frame.error_code;
    task.fault_address = frame.vector == cpu::vector::page_fault ? cpu::read_cr2() : 0;
    if (of_return || !task.returns_to_ring3()) kernel_leave_trap(end(task, sigsegv));
    task.signals.force(signal_of(frame.vector));
    kernel_leave_trap(deliver(task));
}

}  // namespace doorbell::kernel
