// Why hand over 1000 records in one call? A task makes 1000 records, one after the other, and hands
// them to the kernel in calls of `size`. The kernel checks the batch's address and enters the
// records into its ledger.
//
//     total   1000 records made and deposited
//     cost    a record's share of the depositing: total less the making alone, over 1000, rounded
//     first   from the making of the first record until the call that carried it is back
//
// The same of a network card (`to=card`): 1000 records, a frame each, and one ring of the card's
// doorbell for `size` of them; making them is not part of it. `doorbell run burst` asks more of the
// card.
#include "firmware/kernel/kernel.h"
#include "firmware/measure/timestamp.h"
#include "labs/kit/bench.h"
#include "labs/kit/cards.h"
#include "labs/kit/choice.h"
#include "labs/kit/compare.h"
#include "labs/kit/lab.h"
#include "labs/kit/saved_registers.h"

extern "C" {
// The ledger of ring 0, and the memory of the task that may deposit: its address in ring 3, its
// size, and what to add for the kernel's address.
struct BatchLedger {
    void* entries;
    uint64_t used;
    uint64_t window, window_bytes, kernel_less_user;
};
[[gnu::used]] BatchLedger batch_ledger;
// Ring 0: empties the ledger; enters `count` records that lie at `user` in the task's memory, and
// gives how many, or why not.
uint64_t batch_open();
uint64_t batch_deposit(uint64_t user, uint64_t count);
// Ring 3: `count` samples of three numbers each (making, total, first); 0 where no batch was
// refused.
uint64_t batch_deposit_all(void* times, uint64_t count, void* batch, uint64_t size);
}
asm(R"(
        .set    BATCH_RECORDS, 1000
        .set    BATCH_OPEN, 1           # call::fast_lab
        .set    BATCH_DEPOSIT, 2
        .pushsection .text.batch, "ax"
        .balign 64
        .global batch_open, batch_deposit
batch_open:
        xorl    %eax, %eax
        movq    %rax, batch_ledger + 8(%rip)
        ret
        .balign 64
batch_deposit:
        movq    batch_ledger + 8(%rip), %r8
        movl    $BATCH_RECORDS, %eax
        subq    %r8, %rax
        cmpq    %rax, %rsi
        ja      4f
        # By subtraction, so that no sum can wrap around the end of the address space.
        movq    %rdi, %rax
        subq    batch_ledger + 16(%rip), %rax
        movq    batch_ledger + 24(%rip), %rdx
        subq    %rax, %rdx
        jbe     3f
        movq    %rsi, %rcx
        shlq    $4, %rcx
        cmpq    %rdx, %rcx
        ja      3f
        addq    batch_ledger + 32(%rip), %rdi
        movq    %r8, %rdx
        shlq    $4, %rdx
        addq    batch_ledger(%rip), %rdx
        xorl    %ecx, %ecx
        testq   %rsi, %rsi
        jz      2f
1:      movq    (%rdi), %rax
        movq    %rax, (%rdx)
        movq    8(%rdi), %rax
        movq    %rax, 8(%rdx)
        addq    $16, %rdi
        addq    $16, %rdx
        incq    %rcx
        cmpq    %rsi, %rcx
        jne     1b
2:      addq    %rsi, %r8
        movq    %r8, batch_ledger + 8(%rip)
        movq    %rsi, %rax
        ret
3:      movq    $-14, %rax              # bad_address
        ret
4:      movq    $-22, %rax              # invalid
        ret
        .popsection

        .pushsection .user_text, "ax"
        # In the bytes of begin(): counters know it by them (firmware/measure/timestamp_bytes.h).
        .macro  BATCH_BEGIN
        lfence
        rdtsc
        shlq    $32, %rdx
        orq     %rdx, %rax
        movq    %rax, %rbp
        lfence
        .endm
        .macro  BATCH_SINCE place
        lfence
        rdtsc
        shlq    $32, %rdx
        orq     %rdx, %rax
        subq    %rbp, %rax
        movq    %rax, \place(%r12)
        .endm
        # One batch at %r14 of %r15 records, numbered from %rbx on.
        .macro  BATCH_MAKE
        movabsq $0x9E3779B97F4A7C15, %r9
        movq    %rbx, %rax
        imulq   %r9, %rax
        movq    %r14, %r8
        movq    %r15, %rcx
7:      movq    %rbx, (%r8)
        movq    %rax, 8(%r8)
        addq    %r9, %rax
        addq    $16, %r8
        incq    %rbx
        decq    %rcx
        jnz     7b
        .endm
        .macro  BATCH_HAND_OVER
        movq    %r14, %rdi
        movq    %r15, %rsi
        movl    $BATCH_DEPOSIT, %eax
        syscall
        subq    %r15, %rax
        orq     %rax, (%rsp)            # what was refused
        .endm
        .balign 64
        .global batch_deposit_all
batch_deposit_all:
        PUSH_RBX_R12_TO_R15
        pushq   %rbp
        subq    $8, %rsp
        movq    %rdi, %r12
        movq    %rsi, %r13
        movq    %rdx, %r14
        movq    %rcx, %r15
        movq    $0, (%rsp)
1:      movl    $BATCH_OPEN, %eax
        syscall
        BATCH_BEGIN
        xorl    %ebx, %ebx
2:      BATCH_MAKE
        cmpq    $BATCH_RECORDS, %rbx
        jb      2b
        BATCH_SINCE 0
        BATCH_BEGIN
        xorl    %ebx, %ebx
        BATCH_MAKE
        BATCH_HAND_OVER
        BATCH_SINCE 16
3:      cmpq    $BATCH_RECORDS, %rbx
        jae     4f
        BATCH_MAKE
        BATCH_HAND_OVER
        jmp     3b
4:      BATCH_SINCE 8
        addq    $24, %r12
        decq    %r13
        jnz     1b
        movq    (%rsp), %rax
        addq    $8, %rsp
        popq    %rbp
        RETURN_RBX_R12_TO_R15
        .popsection
)");

namespace doorbell::labs {
namespace {

constexpr Case cases[] = {
    "size=1",         "size=2",          "size=5",           "size=10",           "size=20",
    "size=50",        "size=100",        "size=200",         "size=500",          "size=1000",
    "to=card size=1", "to=card size=10", "to=card size=100", "to=card size=1000",
};
static_assert(keys_are(cases, {"size", "to size"}) && words_are(cases, "to", {"card"}) &&
              numbers_are(cases, {"size"}));

constexpr uint64_t records = 1000;  ///< a multiple of every size

struct Record {
    uint64_t number, amount;
};

struct Times {
    uint64_t making, total, first;
};
static_assert(records == 1000 && sizeof(Record) == 16 && sizeof(Times) == 24);

constexpr uint32_t open_call = kernel::call::fast_lab, deposit_call = open_call + 1;
static_assert(open_call == 1 && kernel::bad_address == -14ull && kernel::invalid == -22ull);

bool ledger_is_whole() {
    if (batch_ledger.used != records) return false;
    auto* entries = static_cast<const Record*>(batch_ledger.entries);
    for (uint64_t i = 0; i < records; ++i)
        if (entries[i].number != i || entries[i].amount != i * 0x9E3779B97F4A7C15) return false;
    return true;
}

Result<void> send_to_card(Bench& bench, uint32_t size) {
    auto pair = open_pair(bench, {}, {256, 1024});
    if (!pair) return pair.error();
    nic::Nic& nic = *pair->under_test;
    if (nic.transmit_room() < size)
        return Lacking{"the card's transmit ring has less room than the batch",
                       nic.transmit_room()};
    auto frames = make_frames(bench, size, nic::shortest_frame, pair->sender().mac(), nic.mac());
    if (frames.empty()) return Lacking{"no memory for the frames"};
    measure::Series& cost = bench.series("cost", {.derived = "first / size"});
    measure::Series& total = bench.series("total", {.less_overhead = true});
    measure::Series& first = bench.series("first", {.less_overhead = true});
    nic::BoundedWait bounded_wait(cpu::Tsc{}, bench.machine.tsc.hz);
    uint64_t overhead = bench.instrument.overhead;
    Result<void> outcome;
    bench.repeat([&](uint64_t count) {
        for (uint64_t round = 0; round < (count + 9) / 10 && outcome; ++round) {
            uint64_t whole = 0, until_first = 0;
            // Batch by batch, since the ring need not hold them all: the card's sending is not the
            // depositor's time.
            for (uint64_t sent = 0; sent < records; sent += size) {
                uint64_t start = measure::begin();
                uint32_t taken = nic.transmit(frames.data(), size);
                uint64_t took = measure::end() - start;
                if (taken != size || !bounded_wait.until(100, [&] { return nic.all_sent(); })) {
                    outcome =
                        why_missing(nic, nic, Error{"the card did not send a batch within 100 ms"});
                    return;
                }
                whole += took - overhead;
                if (sent == 0) until_first = took;
            }
            cost.record((whole + records / 2) / records);
            total.record(whole + overhead);
            first.record(until_first);
        }
    });
    return outcome;
}

Result<void> body(Bench& bench, const Case& test_case) {
    uint64_t size = test_case.number("size");
    if (!test_case["to"].empty()) return send_to_card(bench, static_cast<uint32_t>(size));
    measure::Series& cost = bench.series("cost", {.derived = "total / 1000"});
    measure::Series& total = bench.series("total", {.less_overhead = true});
    measure::Series& first = bench.series("first", {.less_overhead = true});
    // A sample is a thousand records already.
    uint64_t most = bench.samples() < 100        ? bench.samples()
                    : bench.samples() / 10 < 100 ? 100
                                                 : bench.samples() / 10;
    kernel::Kernel kernel(bench.machine);
    auto up = kernel.start({});
    if (!up) return up;
    auto entries = bench.machine.arena.array<Record>(records);
    auto space = kernel.make_space(most * sizeof(Times) + size * sizeof(Record) + 65536);
    if (!space || entries.empty())
        return first_error(Lacking{"not enough memory for the ledger and the samples asked for"},
                           space);
    batch_ledger = {entries.data(), 0, kernel::window_start, (*space)->end - kernel::window_start,
                    (*space)->kernel_less_user};
    kernel.set_fast_call(open_call, batch_open);
    kernel.set_fast_call(deposit_call, batch_deposit);
    uint64_t times = (*space)->take(most * sizeof(Times)),
             batch = (*space)->take(size * sizeof(Record));
    auto task = kernel.make_task(**space, batch_deposit_all, {});
    if (!task || times == 0 || batch == 0)
        return first_error(Lacking{"not enough memory for the samples asked for"}, task);
    auto* sample = (*space)->kernel<Times>(times);
    bench.stored_at(total, &sample->total, most, sizeof(Times));
    bench.stored_at(first, &sample->first, most, sizeof(Times));
    Result<void> done;
    bench.repeat([&](uint64_t wanted) {
        uint64_t count = wanted < most ? wanted : most;
        kernel.restart(**task, reinterpret_cast<const void*>(batch_deposit_all),
                       {times, count, batch, size});
        kernel.run();
        if ((*task)->ended_by != 0)
            done = Error{"the task did not end by itself: signal", (*task)->ended_by};
        else if ((*task)->exit_value != 0)
            done = Error{"the kernel refused a batch"};
        else if (!ledger_is_whole())
            done = Error{"the ledger does not hold every record once"};
        for (uint64_t i = 0; i < count; ++i) {
            uint64_t depositing =
                sample[i].total > sample[i].making ? sample[i].total - sample[i].making : 0;
            cost.record((depositing + records / 2) / records);
            total.record(sample[i].total);
            first.record(sample[i].first);
        }
    });
    return done;
}

ClaimVerdict hundred_is_enough(const Results& results) {
    return judge_series(
        results, "batch", {{"size=1", "cost"}, {"size=100", "cost"}, {"size=1000", "cost"}},
        [](const Summary& one, const Summary& hundred, const Summary& thousand) {
            wire::Text text = because();
            text << "a record costs " << one.p50 << " alone, " << hundred.p50
                 << " in a batch of 100, " << thousand.p50 << " " << one.unit << " in one of 1000 ("
                 << one.evidence << ")";
            // What a batch of 100 leaves unsaved, twenty times, against what a batch of 1000 saves.
            uint64_t still = hundred.p50 > thousand.p50 ? hundred.p50 - thousand.p50 : 0;
            uint64_t needed = thousand.p50 + 20 * still;
            return decide(one.p50 > thousand.p50 && one.p50 >= needed, difference(one.p50, needed),
                          uncertainty({&one, &hundred, &thousand}, 20), text);
        });
}

constexpr Claim claims[] = {
    {"one-bag", "one call with 1000 records costs under a tenth of 1000 calls with one",
     below({"size=1000", "cost"}, {"size=1", "cost"}, 10,
           "this clock counts a ring crossing as one instruction, and so the single calls too "
           "cheap")},
    {"first-waits",
     "the first record waits more than ten times as long in a batch of 1000 as alone",
     below({"size=1", "first"}, {"size=1000", "first"}, 10)},
    {"hundred-is-enough", "a batch of 100 saves at least 95 % of what a batch of 1000 saves",
     hundred_is_enough},
};

}  // namespace

extern const Lab batch_lab =
    define_lab({.name = "batch",
                .question = "Why hand over 1000 records in one call?",
                .needs = "a network card for to=card",
                .wants_card = true,
                .counters = "instructions syscall l1d_misses l2_misses branch_misses"},
               cases, {}, claims, body);

}  // namespace doorbell::labs
