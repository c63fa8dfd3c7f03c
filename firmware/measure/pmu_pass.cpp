#include "firmware/measure/pmu_pass.h"

#include "firmware/cpu/descriptors.h"
#include "firmware/cpu/registers.h"
#include "firmware/measure/timestamp.h"
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

constexpr unsigned char timestamp[5] = {0x0F, 0xAE, 0xE8, 0x0F, 0x31};
constexpr unsigned char begin_tail[7] = {0x48, 0xC1, 0xE2, 0x20, 0x48, 0x09, 0xD0};
/// From a begin() to its own last LFENCE, which a RDTSC of the measured code may follow: that is no
/// timestamp.
constexpr unsigned begin_last_lfence = 5 + 7 + 3;
constexpr unsigned most_sites = 1024;
uint32_t sites[most_sites];
unsigned site_count;

bool same(const unsigned char* a, const unsigned char* b, unsigned n) {
    for (unsigned i = 0; i < n; ++i)
        if (a[i] != b[i]) return false;
    return true;
}

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

/// Error: more timestamps than `sites` has room for; some of them would go uncounted.
Result<void> put_calls(char* from, char* until, char* begins_target, char* ends_target) {
    OpenText open;
    const char* no_timestamp = nullptr;
    for (char* at = from; at + 18 < until; ++at) {
        auto* bytes = reinterpret_cast<unsigned char*>(at);
        if (!same(bytes, timestamp, 5) || at == no_timestamp) continue;
        if (site_count == most_sites)
            return Error{"more timestamps in the image than a counting pass replaces", most_sites};
        sites[site_count++] = static_cast<uint32_t>(reinterpret_cast<uint64_t>(at));
        bool begins =
            same(bytes + 5, begin_tail, 7) && same(bytes + begin_last_lfence, timestamp, 3);
        if (begins) no_timestamp = at + begin_last_lfence;
        char* target = begins ? begins_target : ends_target;
        auto distance = static_cast<uint32_t>(target - (at + 5));
        bytes[0] = 0xE8;
        for (unsigned i = 0; i < 4; ++i)
            bytes[1 + i] = static_cast<unsigned char>(distance >> 8 * i);
    }
    return {};
}

void take_calls_out() {
    OpenText open;
    for (unsigned s = 0; s < site_count; ++s)
        for (unsigned i = 0; i < 5; ++i)
            reinterpret_cast<unsigned char*>(static_cast<uint64_t>(sites[s]))[i] = timestamp[i];
    site_count = 0;
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

/// Interrupts for certain: by the local APIC to itself, each answered before the next.
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
        // It is there within microseconds; whoever never answers makes the counter one that does
        // not count.
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
    auto started = pmu_.start();
    if (!started) return started;
    counters_ = *taken;
    pmu_index_count = counters_;
    for (unsigned i = 0; i < counters_; ++i) {
        names_[i] = running_[i].event->counter;
        pmu_indices[i] = running_[i].rdpmc;
    }
    log_ = log;
    for (PmuEdge& e : log_) e = {};
    pmu_log_end = reinterpret_cast<uint64_t>(log_.data() + log_.size());
    forget_log();
    cpu::set_gate(USER_BEGINS, pmu_gate_begins, 3);
    cpu::set_gate(USER_ENDS, pmu_gate_ends, 3);
    auto put = put_calls(text_start, text_end, pmu_edge_begins, pmu_edge_ends);
    if (put) put = put_calls(user_text_start, user_text_end, pmu_user_begins, pmu_user_ends);
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
    auto all = logged();
    for (unsigned c = 0; c < counters_; ++c) {
        for (auto& of_first : cost_[c])
            for (uint64_t& cost : of_first) cost = ~0ull;
        for (size_t i = 0; i + 1 < all.size(); ++i) {
            uint64_t moved = running_[c].between(all[i].counts[c], all[i + 1].counts[c]);
            uint64_t& known = cost_[c][all[i].kind][all[i + 1].kind >> 1];
            if ((all[i + 1].kind & PmuEdge::begins) == 0 && moved < known) known = moved;
        }
        pair_cost_[c] = cost_[c][PmuEdge::begins][0];
        user_pair_cost_[c] = cost_[c][PmuEdge::user | PmuEdge::begins][1];
    }
}

void PmuPass::forget_log() { pmu_log_next = reinterpret_cast<uint64_t>(log_.data()); }

void PmuPass::stop() {
    take_calls_out();
    cpu::reset_gate(USER_BEGINS);
    cpu::reset_gate(USER_ENDS);
    pmu_.stop();
}

std::span<const PmuEdge> PmuPass::logged() const {
    uint64_t used = (pmu_log_next - reinterpret_cast<uint64_t>(log_.data())) / sizeof(PmuEdge);
    return log_.first(used < log_.size() ? used : log_.size());
}

void PmuPass::add(wire::MailboxRow& row, const PmuEdge& from, const PmuEdge& to) const {
    ++row.samples;
    for (unsigned c = 0; c < counters_; ++c) {
        uint64_t moved = running_[c].between(from.counts[c], to.counts[c]), own = 0;
        for (const PmuEdge* e = &from; e != &to; ++e) own += cost_[c][e->kind][e[1].kind >> 1];
        row.counts[c] += moved > own ? moved - own : 0;
    }
}

void PmuPass::attribute(const Series& s, bool check, std::span<wire::MailboxRow> rows) const {
    auto all = logged();
    uint64_t stages = s.parts().stages.size(), overhead = s.parts().overhead_removed;
    size_t at = 0;
    if (stages != 0) {
        // Marks are timestamps, and the log has each by its value; a mark that is none (a deadline)
        // is not there.
        auto paths = s.parts().paths;
        for (size_t p = 0; p + stages < paths.size() && p / (stages + 1) < s.parts().warm->count();
             p += stages + 1) {
            auto find = [&](uint64_t tsc) -> const PmuEdge* {
                for (size_t i = at; i < all.size() && all[i].tsc <= tsc; ++i)
                    if (all[i].tsc == tsc) return &all[at = i];
                return nullptr;
            };
            const PmuEdge *whole = nullptr, *before = find(paths[p]);
            whole = before;
            for (uint64_t stage = 0; stage < stages; ++stage) {
                const PmuEdge* after = find(paths[p + stage + 1]);
                if (before != nullptr && after != nullptr)
                    add(rows[stage + 1], *before, *after);
                else
                    whole = nullptr;
                before = after;
            }
            if (whole != nullptr && before != nullptr) add(rows[0], *whole, *before);
        }
        return;
    }
    for (uint64_t value : s.raw()) {
        // The next begin() from which some edge is as far as the value says, or the last edge
        // before another.
        for (size_t from = at; from < all.size(); ++from) {
            if ((all[from].kind & PmuEdge::begins) == 0) continue;
            size_t to = from + 1;
            auto fits = [&](size_t i) {
                uint64_t distance = all[i].tsc - all[from].tsc;
                return value == 0 ? distance <= overhead : distance == value + overhead;
            };
            if (check)
                while (to < all.size() && to < from + 16 && !fits(to)) ++to;
            else
                while (to + 1 < all.size() && (all[to + 1].kind & PmuEdge::begins) == 0) ++to;
            if (to >= all.size() || to >= from + 16) continue;
            add(rows[0], all[from], all[to]);
            at = from + 1;
            break;
        }
    }
}

}  // namespace doorbell::measure
