#include "firmware/measure/pmu_pass.h"

#include "firmware/cpu/descriptors.h"
#include "firmware/cpu/registers.h"
#include "firmware/measure/timestamp.h"
#include "firmware/measure/timestamp_sites.h"
#include "firmware/wire/text.h"

// What the call at each timestamp leads to. The log's next place is taken in one instruction, so
// that an interrupt in between takes another. Flags and every register but RAX and RDX are as RDTSC
// would leave them. It takes pmu_edge_words of stack, of which a handler that interrupted
// ring 3 has few (INTERRUPT_STACK_WORDS). The NOP keeps this timestamp from being taken for one
// that is to be replaced.
extern "C" {
[[gnu::used]] uint64_t pmu_log_next, pmu_log_end;
[[gnu::used]] uint32_t pmu_indices[doorbell::measure::PmuEdge::most], pmu_index_count;
extern char pmu_edge_begins[], pmu_edge_ends[], pmu_user_begins[], pmu_user_ends[];
extern char text_start[], text_end[], user_text_start[], user_text_end[];
void pmu_gate_begins();
void pmu_gate_ends();
}
// Code in ring 3 cannot come here itself: a gate does it for its timestamps, on the stack that an
// interrupt gets.
#define USER_BEGINS 0xF2
#define USER_ENDS 0xF3
#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)
static_assert(sizeof(doorbell::measure::PmuEdge) == 112);
asm(R"(
        .pushsection .user_text, "ax"
pmu_user_begins:
        int     $)" TEXT(USER_BEGINS) R"(
        ret
pmu_user_ends:
        int     $)" TEXT(USER_ENDS) R"(
        ret
        .popsection
        .pushsection .text.pmu, "ax"
        .global pmu_gate_begins, pmu_gate_ends
pmu_gate_begins:
        call    2f
        iretq
pmu_gate_ends:
        call    3f
        iretq
2:      pushq   $3
        jmp     1f
3:      pushq   $2
        jmp     1f
pmu_edge_begins:
        pushq   $1
        jmp     1f
pmu_edge_ends:
        pushq   $0
        jmp     1f                      # as many instructions as a begin()
1:      pushfq
        pushq   %rbx
        pushq   %rcx
        pushq   %rsi
        pushq   %rdi
        movl    $112, %ebx
        xaddq   %rbx, pmu_log_next(%rip)
        cmpq    pmu_log_end(%rip), %rbx
        jae     5f
        leaq    16(%rbx), %rdi
        movl    pmu_index_count(%rip), %esi
2:      decl    %esi
        js      3f
        movl    pmu_indices(,%rsi,4), %ecx
        rdpmc
        shlq    $32, %rdx
        orq     %rdx, %rax
        movq    %rax, (%rdi,%rsi,8)
        jmp     2b
3:      lfence
        nop
        rdtsc
        movq    %rdx, %rcx
        shlq    $32, %rcx
        movl    %eax, %esi
        orq     %rsi, %rcx
        movq    %rcx, (%rbx)
        movq    40(%rsp), %rcx
        movq    %rcx, 8(%rbx)
4:      popq    %rdi
        popq    %rsi
        popq    %rcx
        popq    %rbx
        popfq
        leaq    8(%rsp), %rsp
        ret
5:      lfence
        nop
        rdtsc
        jmp     4b
        .popsection
)");

namespace doorbell::measure {
namespace {

TimestampSites sites;

/// The image's text, that of ring 3 as well, is written to and run here: never with interrupts on.
class OpenText {
  public:
    OpenText() : cr0_(cpu::read_cr0()), cr4_(cpu::read_cr4()) {
        cpu::write_cr0(cr0_ & ~cpu::cr0::write_protect);
        cpu::write_cr4(cr4_ & ~(cpu::cr4::smep | cpu::cr4::smap));
    }
    ~OpenText() {
        cpu::write_cr0(cr0_);
        cpu::write_cr4(cr4_);
        (void)cpu::Cpuid{}(0);  // serialising, as self-modified code wants (SDM vol. 3A, 9.1.3)
    }

  private:
    uint64_t cr0_, cr4_;
};

/// Calls in place of the timestamps of ring 0, and of ring 3. Error: too many of them.
Result<void> put_calls() {
    OpenText open;
    auto put = sites.replace(text_start, text_end, pmu_edge_begins, pmu_edge_ends);
    if (put) put = sites.replace(user_text_start, user_text_end, pmu_user_begins, pmu_user_ends);
    return put;
}

void take_calls_out() {
    OpenText open;
    sites.restore();
}

uint64_t rdpmc(uint32_t index) {
    uint32_t low, high;
    asm volatile("lfence\n\trdpmc\n\tlfence" : "=a"(low), "=d"(high) : "c"(index) : "memory");
    return uint64_t{high} << 32 | low;
}

void random_branches() {
    uint64_t state = 88172645463325252, left = 4096;
    asm volatile(
        "1:\n\t"
        "movq %0, %%rax\n\tshlq $13, %%rax\n\txorq %%rax, %0\n\t"
        "movq %0, %%rax\n\tshrq $7, %%rax\n\txorq %%rax, %0\n\t"
        "movq %0, %%rax\n\tshlq $17, %%rax\n\txorq %%rax, %0\n\t"
        "testq $1, %0\n\tjz 2f\n\tnop\n2:\n\tdecq %1\n\tjnz 1b"
        : "+r"(state), "+r"(left)
        :
        : "rax", "cc");
}

constexpr uint64_t pages = 64, lines = 256, tail_writes = 16;

/// Certain interrupts: from the local APIC to itself, each answered before the next.
const cpu::LocalApic* local_apic;
volatile uint64_t answered;
void answer(cpu::Frame&) {
    answered = answered + 1;
    local_apic->eoi();
}
void ring_for_itself() {
    cpu::Handler before = cpu::set_handler(cpu::vector::first_free, answer);
    answered = 0;
    cpu::enable_interrupts();
    for (uint64_t i = 1; i <= tail_writes; ++i) {
        (void)local_apic->send_self(cpu::vector::first_free);
        // It arrives within microseconds; without it the counter is one that does not count.
        for (unsigned polls_left = 100000; answered < i && polls_left != 0; --polls_left)
            asm volatile("pause");
    }
    cpu::disable_interrupts();
    cpu::set_handler(cpu::vector::first_free, before);
}

}  // namespace

bool PmuPass::proven(const cpu::PmuCounter& c, uint64_t scratch) const {
    // Once to warm the body, then the one that counts.
    uint64_t moved = 0;
    for (int round = 0; round < 2; ++round) {
        if (c.event->proof == cpu::Proof::lines)
            for (uint64_t i = 0; i < lines; ++i)
                asm volatile("clflush (%0)" : : "r"(scratch + 64 * i) : "memory");
        asm volatile("mfence" : : : "memory");
        uint64_t first = rdpmc(c.rdpmc);
        switch (c.event->proof) {
            case cpu::Proof::lines:
                for (uint64_t i = 0; i < lines; ++i)
                    (void)*reinterpret_cast<volatile uint64_t*>(scratch + 64 * i);
                break;
            case cpu::Proof::branches:
                random_branches();
                break;
            case cpu::Proof::interrupts:
                ring_for_itself();
                break;
            case cpu::Proof::pages:
                for (uint64_t i = 0; i < pages; ++i) {
                    cpu::invalidate_page(scratch + 4096 * i);
                    (void)*reinterpret_cast<volatile uint64_t*>(scratch + 4096 * i);
                }
                break;
            default: {
                // A thousand of them, in ten rounds.
                uint32_t left = 10;
                asm volatile("1:\n\t.rept 100\n\tnop\n\t.endr\n\tdecl %0\n\tjnz 1b"
                             : "+r"(left)
                             :
                             : "memory", "cc");
            }
        }
        moved = c.between(first, rdpmc(c.rdpmc));
    }
    switch (c.event->proof) {
        case cpu::Proof::instructions:
            return moved >= 1000 && moved <= 1100;
        case cpu::Proof::cycles:
            return moved >= 50;
        case cpu::Proof::lines:
            return moved >= lines / 4;
        case cpu::Proof::branches:
            return moved >= 400;
        case cpu::Proof::pages:
            return moved >= pages / 2;
        case cpu::Proof::interrupts:
            return moved >= tail_writes;
    }
    return true;
}

Result<void> PmuPass::open(const cpu::Features& features, uint64_t scratch,
                           const cpu::LocalApic& apic) {
    local_apic = &apic;
    auto found = cpu::Pmu::find(cpu::Cpuid{}, cpu::Msrs{}, features);
    if (!found) return found.error();
    pmu_ = *found;
    wire::Text text(description_);
    text << pmu_.table() << ", version " << uint64_t{pmu_.version()};
    cpu::FaultGuard guard;
    auto all = pmu_.events();
    bool any_doubted = false, instructions = false;
    for (size_t next = 0; next < all.size();) {
        auto taken = pmu_.program(all.subspan(next), running_);
        if (guard.faulted()) return Error{"advertised but does not count: its registers raise #GP"};
        if (!taken) return taken.error();
        if (*taken == 0) break;
        auto started = pmu_.start();
        if (guard.faulted()) return Error{"advertised but does not count: its registers raise #GP"};
        if (!started) return started.error();
        for (unsigned i = 0; i < *taken; ++i) {
            const cpu::PmuEvent* e = running_[i].event;
            bool counts = proven(running_[i], scratch);
            if (guard.faulted()) return Error{"advertised but does not count: RDPMC faults"};
            if (counts) {
                believed_[believed_count_++] = e;
                instructions = instructions || e->proof == cpu::Proof::instructions;
            } else {
                text << (any_doubted ? ", " : "; advertised but does not count: ") << e->counter;
                any_doubted = true;
            }
        }
        pmu_.stop();
        next += *taken;
    }
    if (!instructions)
        return Error{"advertised but does not count: 1000 NOPs are not 1000 instructions"};
    // How the events share the counters.
    for (unsigned next = 0; next < believed_count_;) {
        first_of_turn_[turns_++] = next;
        auto taken = pmu_.program({believed_ + next, believed_count_ - next}, running_);
        if (!taken || *taken == 0) return Error{"the counters cannot be programmed twice"};
        next += *taken;
    }
    first_of_turn_[turns_] = believed_count_;
    pmu_.stop();
    return {};
}

Result<void> PmuPass::start(unsigned turn, std::span<PmuEdge> log) {
    unsigned first = first_of_turn_[turn], count = first_of_turn_[turn + 1] - first;
    auto taken = pmu_.program({believed_ + first, count}, running_);
    if (!taken) return taken.error();
    DOORBELL_TRY(pmu_.start());
    counters_ = *taken;
    pmu_index_count = counters_;
    for (unsigned i = 0; i < counters_; ++i) {
        names_[i] = running_[i].event->counter;
        pmu_indices[i] = running_[i].rdpmc;
    }
    edges_ = log;
    log_.count({running_, counters_});
    for (PmuEdge& e : edges_) e = {};
    pmu_log_end = reinterpret_cast<uint64_t>(edges_.data() + edges_.size());
    forget_log();
    cpu::set_gate(USER_BEGINS, pmu_gate_begins, 3);
    cpu::set_gate(USER_ENDS, pmu_gate_ends, 3);
    auto put = put_calls();
    if (!put) {
        stop();
        return put;
    }
    measure_pairs();
    forget_log();
    return {};
}

/// What lies between the readings of two timestamps with nothing between them: the least of many,
/// for each kind that the first can be and each ring of the second.
[[gnu::noinline]] void PmuPass::measure_pairs() {
    constexpr unsigned rounds = 64;
    OpenText open;
    // Timestamps of ring 3, from where that is not a fault: what they execute is the same.
    auto user_begins = [] {
        asm volatile(
            "call pmu_user_begins\n\tshlq $32, %%rdx\n\torq %%rdx, %%rax\n\tmovq %%rax, "
            "%%rcx\n\tlfence"
            :
            :
            : "rax", "rcx", "rdx", "memory", "cc");
    };
    auto user_ends = [] { asm volatile("call pmu_user_ends" : : : "rax", "rdx", "memory", "cc"); };
    for (unsigned i = 0; i < rounds; ++i) {
        begin();
        (void)end();
        (void)end();
        user_ends();
        user_ends();
        (void)end();
        begin();
        user_ends();
        user_begins();
        user_ends();
        user_begins();
        (void)end();
    }
    log_.learn_costs(logged());
}

void PmuPass::forget_log() { pmu_log_next = reinterpret_cast<uint64_t>(edges_.data()); }

void PmuPass::stop() {
    take_calls_out();
    cpu::reset_gate(USER_BEGINS);
    cpu::reset_gate(USER_ENDS);
    pmu_.stop();
}

std::span<const PmuEdge> PmuPass::logged() const {
    uint64_t used = (pmu_log_next - reinterpret_cast<uint64_t>(edges_.data())) / sizeof(PmuEdge);
    return edges_.first(used < edges_.size() ? used : edges_.size());
}

void PmuPass::attribute(const Series& series, bool check, std::span<wire::MailboxRow> rows) const {
    log_.attribute(logged(), series, check, rows);
}

}  // namespace doorbell::measure
