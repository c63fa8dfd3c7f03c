// What the image and the cache model (host/model, a QEMU plugin) share: a few words of guest
// memory, and a no-op by which the image speaks. On a machine without the model both do nothing.
//
// The marker is the 7-byte NOP `0F 1F 80 disp32` (SDM vol. 2B, NOP; `nopl disp32(%rax)`), which
// touches no memory. disp32 is the mailbox's address, a multiple of 64, plus the command in its low
// 6 bits. The model also knows every timestamp, the bytes of `lfence; rdtsc`, as an edge: nothing
// is added to measured code.
//
// The mailbox, and what its descriptors point at, lie in identity-mapped, contiguous RAM below
// `ram_end`.
#pragma once
#include <cstdint>

namespace doorbell::wire {

/// What the model counts, in the order of a row. Instructions of a timestamp and markers are in
/// none of them.
enum class ModelCount : unsigned {
    instructions,
    loads,
    stores,
    l1i_misses,
    l1d_misses,
    l2_misses,
    llc_misses,
    dtlb_misses,  ///< of the first level; caches: instructions and data alike from L2 on
    branches,
    branch_misses,  ///< conditional ones
    mmio_reads,
    mmio_writes,
    port_reads,
    port_writes,  ///< what hardware charges for, too
    software_interrupts,
    interrupts,
    iretq,
    syscall,
    sysret,
    cr3_writes,
    serializing,
    // Kinds of instruction that have a price of their own; the first three serialise, too.
    cpuid,
    wrmsr,
    invlpg,
    rdmsr,
    locked,
    lfence,
    mfence,
    rdtsc,  ///< RDTSC and RDTSCP that are not a timestamp of ours
    pause,
    hlt,
    mwait,
    swapgs,
    xsave,
    xrstor,
    clflush,
    rep_iterations,  ///< of instructions: a string instruction's turns under REP
    // Of mmio_reads and mmio_writes.
    apic_reads,
    apic_writes,
    hpet_reads,
    hpet_writes,
    // Who served an access that missed in L1: together l1d_misses and l1i_misses. A chained load's
    // address waits for another load that missed, a streamed one's misses lie a constant stride
    // apart, a scattered one is neither.
    chained_l2,
    chained_llc,
    chained_memory,
    scattered_l2,
    scattered_llc,
    scattered_memory,
    streamed_l2,
    streamed_llc,
    streamed_memory,
    store_l2,
    store_llc,
    store_memory,
    fetch_l2,
    fetch_llc,
    fetch_memory,
    // Of dtlb_misses: pages of 2 MiB or more, and what the second level did not know either.
    dtlb_large_misses,
    page_walks,
    page_walks_large,
    late_branch_misses,  ///< of branch_misses: those that wait for a load that missed
    // Of the misses of loads and of stores: those whose set of L1D took many of the last misses, so
    // that few of them go on at once.
    crowded_loads,
    crowded_stores,
    timestamps,  ///< of ours, inside of the stretch
    path_steps,  ///< what the dataflow takes where nothing misses, in core cycles of the model
    count,
};
inline constexpr unsigned model_counts = static_cast<unsigned>(ModelCount::count);
inline constexpr const char* model_count_names[model_counts] = {
    "instructions",
    "loads",
    "stores",
    "l1i_misses",
    "l1d_misses",
    "l2_misses",
    "llc_misses",
    "dtlb_misses",
    "branches",
    "branch_misses",
    "mmio_reads",
    "mmio_writes",
    "port_reads",
    "port_writes",
    "int",
    "interrupts",
    "iretq",
    "syscall",
    "sysret",
    "cr3_writes",
    "serializing",
    "cpuid",
    "wrmsr",
    "invlpg",
    "rdmsr",
    "locked",
    "lfence",
    "mfence",
    "rdtsc",
    "pause",
    "hlt",
    "mwait",
    "swapgs",
    "xsave",
    "xrstor",
    "clflush",
    "rep_iterations",
    "apic_reads",
    "apic_writes",
    "hpet_reads",
    "hpet_writes",
    "chained_l2",
    "chained_llc",
    "chained_memory",
    "scattered_l2",
    "scattered_llc",
    "scattered_memory",
    "streamed_l2",
    "streamed_llc",
    "streamed_memory",
    "store_l2",
    "store_llc",
    "store_memory",
    "fetch_l2",
    "fetch_llc",
    "fetch_memory",
    "dtlb_large_misses",
    "page_walks",
    "page_walks_large",
    "late_branch_misses",
    "crowded_loads",
    "crowded_stores",
    "timestamps",
    "path_steps",
};
/// The counts up to here are always sent, the others where they are not 0.
inline constexpr unsigned model_counts_always = static_cast<unsigned>(ModelCount::serializing) + 1;
static_assert(model_counts <= 64);

/// The command in a marker's low 6 bits.
enum class MailboxCommand : unsigned {
    hello = 0,  ///< the mailbox is ready: the model says in `model` and `geometry` that it is there
    begin =
        1,    ///< descriptors are complete: rows start at zero, samples are attributed from here on
    end = 2,  ///< no more samples: the rows are written to guest memory
    forget = 3,  ///< every cache, TLB and predictor is emptied
    device =
        4,  ///< a device wrote [device_start, + device_bytes): invalidated, or placed in the LLC
};

/// One series that the model attributes counts to. A sample is known by the store of its value.
struct MailboxSeries {
    static constexpr unsigned max_stages = 8;
    uint64_t value_start, value_bytes;  ///< where values are stored, in the order of measuring
    uint64_t stride;                    ///< from one value to the next
    uint64_t marks;     ///< the path's timestamps, stages + 1 words, stored before the value
    uint64_t stages;    ///< 0: the sample lies between a begin() and the last timestamp
    uint64_t overhead;  ///< what was taken off the value
    /// 1: a value that is not the distance of its timestamps is not attributed (only where the
    /// clock counts instructions can that be seen).
    uint64_t check;
    uint64_t rows;  ///< address of stages + 1 MailboxRows: the whole, then each stage
    /// 1: its beginning is an event, where no timestamp stands: that of the first stage, or of a
    /// sample without stages, which then ends at the last timestamp.
    uint64_t since_event = 0;
};

/// Sums over the samples that were attributed.
struct MailboxRow {
    uint64_t samples;
    uint64_t counts[model_counts];
};

/// A place in measured code where a region begins or ends, known to the model by its address: no
/// instruction stands there (measure/model_region.h).
struct ModelPoint {
    uint64_t address;
    uint64_t what;  ///< the region's number << 1, | 1 where it ends
};

struct alignas(64) Mailbox {
    static constexpr uint64_t magic_word = 0x31584F424C4C4542;  // "BELLBOX1"
    static constexpr unsigned max_series = 8, max_regions = 8;
    uint64_t magic = magic_word;
    uint64_t ram_end = 0;  ///< at and above, addresses are devices' (or need translation)
    uint64_t idt =
        0;  ///< address of the 256 gates: a block that begins at one's target was entered by it
    uint64_t page_tables = 0;    ///< root of the image's own, always valid
    uint64_t newest_tables = 0;  ///< address of a word: the root of those that were made last
    uint64_t device_start = 0, device_bytes = 0;
    uint64_t series_count = 0;
    MailboxSeries series[max_series] = {};
    uint64_t model = 0;  ///< written by the model: 1 where there is one
    uint64_t absent =
        0;  ///< written by the model: bits of the ModelCounts that its geometry cannot have
    char geometry[224] = {};               ///< written by the model: what it models
    uint64_t points = 0, point_count = 0;  ///< ModelPoints; read at hello
    /// Regions 0 .. regions - 1 of the case are counted. What an interrupt's handler executes is in
    /// no region that it interrupts; region 0 is the handler of `region_vector`, from its entry to
    /// its IRETQ.
    uint64_t regions = 0, region_vector = 0;
    uint64_t region_rows = 0;  ///< address of `regions` MailboxRows; `samples`: how often it ended
};

}  // namespace doorbell::wire
