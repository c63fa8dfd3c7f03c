// doorbell-model.so: the cache model as a plugin of QEMU's TCG, for QEMU 7.2 to 10.
//
//   qemu-system-x86_64 -plugin doorbell-model.so,l1d=32K:8:64,...      words as geometry.h reads
//   them
//
// Only one processor is modelled, and guest memory below Mailbox::ram_end is taken to be
// identity-mapped: asking QEMU for every address's translation would cost more than the whole
// model.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <stdexcept>
#include <string>
#include <unordered_set>

#include "firmware/wire/mailbox.h"
#include "host/model/attribution.h"
#include "host/model/dataflow.h"
#include "host/model/decode.h"
#include "host/model/device_lines.h"
#include "host/model/geometry.h"
#include "host/model/model.h"
#include "host/model/plugin_api.h"

extern "C" {
[[gnu::visibility("default")]] int qemu_plugin_version = 1;
[[gnu::visibility("default")]] int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t* info,
                                                       int argc, char** argv);
}

namespace doorbell::model {
namespace {

using wire::Mailbox;
using wire::MailboxCommand;
using wire::ModelCount;

int api = 1;
[[gnu::constructor]] void choose_version() { qemu_plugin_version = api = plugin_api_version(); }

/// Where a block of translated code begins.
struct Block {
    uint64_t address;
    uint64_t line;  ///< none: its first instruction is not modelled
    bool two;
    bool gate;                        ///< an interrupt's or exception's first instruction
    const BlockFlow* flow = nullptr;  ///< up to its first timestamp
};
/// A timestamp, and what of its block comes after it.
struct EdgeSite {
    bool begins;
    const BlockFlow* rest;
};
/// An instruction that uses memory.
struct MemorySite {
    MemoryUse use;
    /// Of its own misses: where the last was, how far from the one before, how often in a row.
    uint64_t last = 0;
    int64_t stride = 0;
    unsigned steady = 0;

    /// A miss at `address`: whether its like came at a constant stride, which a prefetcher learns
    /// (Intel's reaches 2 KiB: "Optimization Reference Manual", "Hardware Prefetching").
    bool streams(uint64_t address) {
        constexpr int64_t reach = 2048;
        auto now = static_cast<int64_t>(address - last);
        last = address;
        steady = now == stride && now != 0 && now <= reach && now >= -reach ? steady + 1 : 0;
        stride = now;
        return steady >= 2;
    }
};
constexpr uint64_t no_line = ~0ull;

struct Branch {
    uint64_t address, next, target;
};

/// 256 gates of 16 bytes (SDM vol. 3A, "64-Bit Mode IDT").
constexpr uint64_t idt_bytes = 256 * 16;

/// Where pages lie that are not mapped at their own address. QEMU is asked once for each, since its
/// answer takes longer than all else, until translations may have changed.
class Translations {
  public:
    struct Page {
        uint64_t virtual_page = ~0ull, physical_page = 0;
        bool io = false;
    };
    const Page& of(qemu_plugin_meminfo_t info, uint64_t address) {
        uint64_t page = address >> page_shift;
        Page& p = pages_[page % places];
        if (p.virtual_page == page) return p;
        qemu_plugin_hwaddr* where = qemu_plugin_get_hwaddr(info, address);
        p.io = where == nullptr || qemu_plugin_hwaddr_is_io(where);
        p.virtual_page = page;
        if (!p.io) p.physical_page = qemu_plugin_hwaddr_phys_addr(where) >> page_shift;
        return p;
    }
    void forget() { pages_ = {}; }

    static constexpr unsigned page_shift = 12;

  private:
    static constexpr unsigned places = 64;
    std::array<Page, places> pages_{};
};

struct Model {
    explicit Model(const Geometry& g) : geometry(g), hierarchy(g) {}

    Geometry geometry;
    Hierarchy hierarchy;
    Attribution attribution;
    Dataflow flow;
    DeviceLines device_lines;
    ModelCounts own_tally;
    ModelCounts* tally = &own_tally;  ///< from version 2 on in QEMU's scoreboard
    qemu_plugin_scoreboard* board = nullptr;

    Translations translations;
    Guest guest;
    uint64_t mailbox = 0;
    uint64_t ram_end = 0xC0000000;
    uint64_t idt = 0;  ///< as in the mailbox; 0: not known
    /// When the processor last read a gate: Tally::ticks(). Until the next instruction it delivers
    /// an interrupt or exception.
    uint64_t delivery = ~0ull;
    const Branch* pending = nullptr;
    bool software = false;  ///< the last control transfer was INT n

    // What callbacks are handed; kept for good, since translated code may be run again at any time.
    std::deque<Block> blocks;
    std::deque<Branch> branches;
    std::deque<BlockFlow> flows;
    std::deque<EdgeSite> edges;
    std::deque<MemorySite> memory;
    std::unordered_set<uint64_t> silent;  ///< addresses of what follows a begin()'s RDTSC

    /// One more of that count, where a callback counts.
    void count(ModelCount what) {
        ++(*tally)[what];
        attribution.history.note(what, *tally);
    }
    /// Of what the next instruction brings with it.
    void count_next(ModelCount what) {
        ++(*tally)[what];
        attribution.history.note_next(what, *tally);
    }
    /// It was counted elsewhere.
    void noted(ModelCount what) { attribution.history.note(what, *tally); }
    void execute(const BlockFlow* block) {
        if (block == nullptr) return;
        flow.execute(*block, tally->ticks());
        (*tally)[ModelCount::path_steps] = flow.now();
    }
};
std::unique_ptr<Model> model;

/// The count of what `level` served, given the first of the three of its class.
ModelCount served(ModelCount first, Level level) {
    return static_cast<ModelCount>(static_cast<unsigned>(first) + static_cast<unsigned>(level) - 1);
}

template <class T>
T from_data(void* data) {
    return static_cast<T>(reinterpret_cast<uintptr_t>(data));
}
void* to_data(uint64_t value) { return reinterpret_cast<void*>(value); }

void count_inline(qemu_plugin_insn* insn, size_t offset) {
    if (api == 1)
        qemu_plugin_register_vcpu_insn_exec_inline(
            insn, QEMU_PLUGIN_INLINE_ADD_U64, reinterpret_cast<char*>(&model->own_tally) + offset,
            1);
    else
        qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, QEMU_PLUGIN_INLINE_ADD_U64,
                                                            {model->board, offset}, 1);
}
void count_inline(qemu_plugin_insn* insn, ModelCount what) {
    count_inline(insn, offsetof(ModelCounts, counts) + 8 * static_cast<size_t>(what));
}
void on_execution(qemu_plugin_insn* insn, qemu_plugin_exec_t callback, void* data) {
    qemu_plugin_register_vcpu_insn_exec_cb(insn, callback, QEMU_PLUGIN_CB_NO_REGS, data);
}

/// What the hierarchy counts by itself, noted for samples that begin at an event: what has come to
/// these counts while this lives.
class Noted {
  public:
    Noted() { read(before_); }
    ~Noted() {
        if (!model->attribution.history.on()) return;
        uint64_t after[std::size(counts)];
        read(after);
        for (size_t i = 0; i < std::size(counts); ++i)
            for (uint64_t n = before_[i]; n < after[i]; ++n) model->noted(counts[i]);
    }
    Noted(const Noted&) = delete;

  private:
    static constexpr ModelCount counts[] = {ModelCount::l2_misses, ModelCount::llc_misses,
                                            ModelCount::dtlb_misses};
    static void read(uint64_t* values) {
        for (ModelCount c : counts) *values++ = (*model->tally)[c];
    }
    uint64_t before_[std::size(counts)];
};

void fetch(uint64_t line, bool two) {
    Noted noted;
    Level level = model->hierarchy.fetch(line, two);
    if (level == Level::l1) [[likely]]
        return;
    model->attribution.history.note_next(ModelCount::l1i_misses, *model->tally);
    model->count_next(served(ModelCount::fetch_l2, level));
}
void branch_was(bool taken) {
    Model& m = *model;
    if (m.hierarchy.branch(m.pending->address, taken)) return;
    m.noted(ModelCount::branch_misses);
    if (m.flow.flags_wait(m.tally->ticks())) m.count(ModelCount::late_branch_misses);
    m.flow.resolve_branch();
}
void at_block(unsigned, void* data) {
    auto& block = *static_cast<Block*>(data);
    Model& m = *model;
    if (m.pending != nullptr) {
        // Anywhere else is an interrupt in between: nothing is known of the branch.
        if (block.address == m.pending->target)
            branch_was(true);
        else if (block.address == m.pending->next)
            branch_was(false);
        m.pending = nullptr;
    }
    if (block.gate) [[unlikely]] {
        if (!m.software) m.count_next(ModelCount::interrupts);
        m.software = false;
    }
    m.execute(block.flow);
    if (block.line != no_line) fetch(block.line, block.two);
}
void at_line(unsigned, void* data) {
    fetch(from_data<uint64_t>(data) >> 1, from_data<uint64_t>(data) & 1);
}
/// Two counts, or one twice: bits 0 to 7 and 8 to 15.
void at_event(unsigned, void* data) {
    auto counts = from_data<uint64_t>(data);
    model->count(static_cast<ModelCount>(counts & 0xFF));
    if (counts >> 8 != 0) model->count(static_cast<ModelCount>(counts >> 8));
}
void at_branch(unsigned, void* data) {
    model->count(ModelCount::branches);
    model->pending = static_cast<Branch*>(data);
}
void at_software_interrupt(unsigned, void*) {
    model->count_next(ModelCount::software_interrupts);
    model->software = true;
}
void at_cr3(unsigned, void*) {
    model->count(ModelCount::cr3_writes);
    model->count(ModelCount::serializing);
    model->hierarchy.forget_pages();
    model->translations.forget();
}
/// Translations may have changed. `kind`: a count beside `serializing`, or 0.
void at_serializing(unsigned, void* kind) {
    model->count(ModelCount::serializing);
    if (kind != nullptr) model->count(static_cast<ModelCount>(from_data<uint64_t>(kind)));
    model->translations.forget();
}
void at_edge(unsigned, void* data) {
    auto& edge = *static_cast<EdgeSite*>(data);
    Model& m = *model;
    ++m.tally->silent;
    m.flow.drain();
    (*m.tally)[ModelCount::path_steps] = m.flow.now();
    m.count(ModelCount::timestamps);
    m.attribution.edge(*m.tally, edge.begins);
    m.execute(edge.rest);
}

/// A device's register is read or written.
void device_register(uint64_t address, bool store) {
    constexpr uint64_t local_apic = 0xFEE00000, hpet = 0xFED00000, page = ~uint64_t{0xFFF};
    model->count(store ? ModelCount::mmio_writes : ModelCount::mmio_reads);
    if ((address & page) == local_apic)
        model->count(store ? ModelCount::apic_writes : ModelCount::apic_reads);
    if ((address & page) == hpet)
        model->count(store ? ModelCount::hpet_writes : ModelCount::hpet_reads);
}

/// Of which class a miss of level 1 is.
void classify(MemorySite& site, uint64_t physical, bool store, Level level) {
    Model& m = *model;
    m.noted(ModelCount::l1d_misses);
    if (store) return m.count(served(ModelCount::store_l2, level));
    uint64_t line = physical >> m.hierarchy.line_shift() << m.hierarchy.line_shift();
    // A prefetcher has it by then, so that nothing waits for it.
    if (site.streams(line)) return m.count(served(ModelCount::streamed_l2, level));
    bool chained = m.flow.chained(site.use, m.tally->ticks());
    m.flow.missed(site.use, m.tally->ticks());
    m.count(served(chained ? ModelCount::chained_l2 : ModelCount::scattered_l2, level));
}

/// A poll's look at what a device is to write: it misses where the device has written.
void look_at_device_line(uint64_t physical, bool store) {
    Model& m = *model;
    uint64_t line = physical & ~(DeviceLines::bytes - 1);
    const void* bytes = &m.guest.at<uint8_t>(line);
    if (store)
        m.device_lines.stored(line, bytes);
    else if (m.device_lines.written(line, bytes))
        m.hierarchy.device(line, DeviceLines::bytes);
}

void at_memory(unsigned, qemu_plugin_meminfo_t info, uint64_t address, void* data) {
    Model& m = *model;
    bool store = qemu_plugin_mem_is_store(info);
    // QEMU 7.2 shows what the processor itself reads and pushes on the way into a handler, or not,
    // by what instruction came before; later versions do not. The model leaves it out: what begins
    // with a gate and lasts until the handler's first instruction, which is counted before its own
    // uses of memory.
    if (!store && address - m.idt < idt_bytes && m.idt != 0) m.delivery = m.tally->ticks();
    if (m.delivery == m.tally->ticks()) [[unlikely]]
        return;
    uint64_t physical = address;
    if (address >= m.ram_end) [[unlikely]] {
        const Translations::Page& page = m.translations.of(info, address);
        if (page.io) return device_register(address, store);
        physical = page.physical_page << Translations::page_shift |
                   (address & ((1u << Translations::page_shift) - 1));
    }
    m.count(store ? ModelCount::stores : ModelCount::loads);
    if (m.device_lines.near(physical)) [[unlikely]]
        look_at_device_line(physical, store);
    Noted noted;
    Level level = m.hierarchy.data(address, physical, 1u << qemu_plugin_mem_size_shift(info));
    if (level != Level::l1) [[unlikely]]
        classify(*static_cast<MemorySite*>(data), physical, store, level);
    if (store && physical - m.attribution.low() < m.attribution.span())
        m.attribution.stored(m.guest, physical);
}

void command(MailboxCommand what) {
    Model& m = *model;
    auto& box = m.guest.at<Mailbox>(m.mailbox);
    m.idt = box.idt;
    switch (what) {
        case MailboxCommand::hello: {
            if (box.ram_end != 0) m.ram_end = box.ram_end;
            std::string text = m.geometry.text();
            text.resize(std::min(text.size(), sizeof box.geometry - 1));
            text.copy(box.geometry, text.size());
            box.geometry[text.size()] = 0;
            box.absent = m.hierarchy.absent();
            box.model = 1;
            break;
        }
        case MailboxCommand::begin:
            m.attribution.begin(box);
            break;
        case MailboxCommand::end:
            m.attribution.end(m.guest);
            break;
        case MailboxCommand::forget:
            m.hierarchy.forget();
            m.flow.forget();
            m.device_lines.forget();
            break;
        case MailboxCommand::device:
            m.hierarchy.device(box.device_start, box.device_bytes);
            // Of what is longer than a line, nobody waits for the rest.
            if (box.device_bytes <= DeviceLines::bytes) {
                uint64_t line = box.device_start & ~(DeviceLines::bytes - 1);
                m.device_lines.watch(line, &m.guest.at<uint8_t>(line));
            }
            break;
    }
}
void at_marker(unsigned, void* data) {
    ++model->tally->silent;
    command(static_cast<MailboxCommand>(from_data<uint64_t>(data)));
}

/// One instruction while its block is translated.
struct Insn {
    qemu_plugin_insn* insn;
    uint64_t address;
    size_t size;
    const uint8_t* host;  ///< where it lies in this process; null where it is not RAM
    uint8_t bytes[16];
    Decoded decoded;

    explicit Insn(qemu_plugin_insn* i)
        : insn(i),
          address(qemu_plugin_insn_vaddr(i)),
          size(qemu_plugin_insn_size(i)),
          host(static_cast<const uint8_t*>(qemu_plugin_insn_haddr(i))),
          bytes{} {
        size_t length = std::min(size, sizeof bytes);
        if (api >= 3) {
            reinterpret_cast<size_t (*)(const qemu_plugin_insn*, void*, size_t)>(
                qemu_plugin_insn_data)(i, bytes, length);
        } else {
            const void* data = reinterpret_cast<const void* (*)(const qemu_plugin_insn*)>(
                qemu_plugin_insn_data)(i);
            std::memcpy(bytes, data, length);
        }
        decoded = decode(bytes, size);
    }
};

/// A marker of ours: its displacement leads to a mailbox. (Compilers pad with the same NOP,
/// displacement 0.)
bool is_marker(const Insn& i) {
    if (i.decoded.kind != Kind::marker || i.host == nullptr || i.decoded.displacement < (1 << 20))
        return false;
    uint64_t box = static_cast<uint64_t>(i.decoded.displacement) & ~63ull;
    if (box > i.address + (64u << 20)) return false;
    Guest guest(reinterpret_cast<uint64_t>(i.host) - i.address);
    if (guest.word(box) != Mailbox::magic_word) return false;
    model->guest = guest;
    model->mailbox = box;
    return true;
}

/// Whether an interrupt's gate leads to `address` (SDM vol. 3A, "64-Bit Mode IDT").
bool is_gate(uint64_t address) {
    if (model->mailbox == 0) return false;
    uint64_t idt = model->guest.at<Mailbox>(model->mailbox).idt;
    for (unsigned i = 0; idt != 0 && i < 256; ++i) {
        uint64_t low = model->guest.word(idt + 16 * i), high = model->guest.word(idt + 16 * i + 8);
        uint64_t target = (low & 0xFFFF) | (low >> 48 & 0xFFFF) << 16 | high << 32;
        if ((low >> 47 & 1) != 0 && target == address) return true;
    }
    return false;
}

/// The instructions of a timestamp are neither counted nor modelled; RDTSC itself is the edge.
bool take_timestamp(const Insn& i) {
    constexpr uint64_t page = 4096;
    if (i.host == nullptr) return false;
    if (i.decoded.kind == Kind::timestamp) {
        // An RDTSC right behind a begin() is the measured code's own.
        if (model->silent.count(i.address - 3) != 0) return false;
        // Guest memory is contiguous, so that the byte in front can be read, except in front of
        // all.
        if (i.address < page || std::memcmp(i.host - 3, "\x0F\xAE\xE8", 3) != 0) return false;
        bool begins = is_begin_tail(i.host + 2);
        if (begins)
            for (size_t at : measure::begin_tail_starts) model->silent.insert(i.address + 2 + at);
        model->edges.push_back({begins, nullptr});
        on_execution(i.insn, at_edge, &model->edges.back());
        return true;
    }
    bool before = i.decoded.kind == Kind::lfence && std::memcmp(i.host + 3, "\x0F\x31", 2) == 0;
    if (!before && model->silent.count(i.address) == 0) return false;
    count_inline(i.insn, offsetof(ModelCounts, silent));
    return true;
}

constexpr uint64_t one(ModelCount what) { return static_cast<uint64_t>(what); }
constexpr uint64_t both(ModelCount what, ModelCount other) { return one(what) | one(other) << 8; }

/// Kinds that are counted and no more.
uint64_t events_of(Kind kind) {
    switch (kind) {
        case Kind::port_read:
            return one(ModelCount::port_reads);
        case Kind::port_write:
            return one(ModelCount::port_writes);
        case Kind::iretq:
            return both(ModelCount::iretq, ModelCount::serializing);
        case Kind::syscall:
            return one(ModelCount::syscall);
        case Kind::sysret:
            return one(ModelCount::sysret);
        case Kind::rdmsr:
            return one(ModelCount::rdmsr);
        case Kind::locked:
            return one(ModelCount::locked);
        case Kind::lfence:
            return one(ModelCount::lfence);
        case Kind::mfence:
            return one(ModelCount::mfence);
        case Kind::timestamp:
        case Kind::rdtscp:
            return one(ModelCount::rdtsc);
        case Kind::pause:
            return one(ModelCount::pause);
        case Kind::hlt:
            return one(ModelCount::hlt);
        case Kind::mwait:
            return one(ModelCount::mwait);
        case Kind::swapgs:
            return one(ModelCount::swapgs);
        case Kind::xsave:
            return one(ModelCount::xsave);
        case Kind::xrstor:
            return one(ModelCount::xrstor);
        case Kind::clflush:
            return one(ModelCount::clflush);
        default:
            return 0;
    }
}

void instrument(const Insn& i, const MemoryUse& use) {
    count_inline(i.insn, ModelCount::instructions);
    switch (i.decoded.kind) {
        case Kind::branch:
            model->branches.push_back(
                {i.address, i.address + i.size,
                 i.address + i.size + static_cast<uint64_t>(i.decoded.displacement)});
            on_execution(i.insn, at_branch, &model->branches.back());
            break;
        case Kind::software_interrupt:
            on_execution(i.insn, at_software_interrupt, nullptr);
            break;
        case Kind::cr3_write:
            on_execution(i.insn, at_cr3, nullptr);
            break;
        case Kind::serializing:
            on_execution(i.insn, at_serializing, nullptr);
            break;
        case Kind::cpuid:
            on_execution(i.insn, at_serializing, to_data(one(ModelCount::cpuid)));
            break;
        case Kind::wrmsr:
            on_execution(i.insn, at_serializing, to_data(one(ModelCount::wrmsr)));
            break;
        case Kind::invlpg:
            on_execution(i.insn, at_serializing, to_data(one(ModelCount::invlpg)));
            break;
        case Kind::repeated:
            count_inline(i.insn, ModelCount::rep_iterations);
            break;
        default:
            if (uint64_t events = events_of(i.decoded.kind); events != 0)
                on_execution(i.insn, at_event, to_data(events));
            break;
    }
    model->memory.push_back({use});
    qemu_plugin_register_vcpu_mem_cb(i.insn, at_memory, QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW,
                                     &model->memory.back());
}

/// Gathers the dataflow of a block, anew behind each of its timestamps.
class FlowMaker {
  public:
    explicit FlowMaker(Block& block) : block_(block) {}
    ~FlowMaker() { close(); }
    FlowMaker(const FlowMaker&) = delete;
    MemoryUse add(const Insn& i) {
        // Each of its turns is executed as an instruction; a core makes many at once.
        if (i.decoded.kind == Kind::repeated) return {};
        if (flow_ == nullptr) {
            model->flows.emplace_back(model->flow.core());
            flow_ = &model->flows.back();
        }
        return flow_->add(operands_of(i.bytes, std::min(i.size, sizeof i.bytes)));
    }
    /// `edge` begins the next part.
    void at(EdgeSite& edge) {
        close();
        edge_ = &edge;
    }

  private:
    void close() {
        if (flow_ != nullptr) flow_->finish();
        (edge_ != nullptr ? edge_->rest : block_.flow) = flow_;
        flow_ = nullptr;
    }
    Block& block_;
    EdgeSite* edge_ = nullptr;
    BlockFlow* flow_ = nullptr;
};

void on_translation(qemu_plugin_id_t, qemu_plugin_tb* tb) {
    Model& m = *model;
    unsigned shift = m.hierarchy.line_shift();
    uint64_t line_now = no_line;
    size_t count = qemu_plugin_tb_n_insns(tb);
    m.blocks.emplace_back();
    FlowMaker flow(m.blocks.back());
    for (size_t n = 0; n < count; ++n) {
        Insn i(qemu_plugin_tb_get_insn(tb, n));
        // Memory is identity-mapped, so the physical address follows from where the byte lies.
        uint64_t physical =
            m.mailbox != 0 && i.host != nullptr ? m.guest.address_of(i.host) : i.address;
        if (n == 0) {
            m.blocks.back() = {i.address, no_line, false, is_gate(i.address)};
            on_execution(i.insn, at_block, &m.blocks.back());
        }
        if (is_marker(i)) {
            on_execution(i.insn, at_marker,
                         to_data(static_cast<uint64_t>(i.decoded.displacement) & 63));
            continue;
        }
        size_t edges = m.edges.size();
        if (take_timestamp(i)) {
            if (m.edges.size() != edges) flow.at(m.edges.back());
            continue;
        }
        uint64_t first = physical >> shift, last = (physical + i.size - 1) >> shift;
        if (first != line_now || last != line_now) {
            // A use of two lines, unless the first is the one that was used last.
            bool two = first != last && first != line_now;
            uint64_t line = two ? first : last;
            if (n == 0) {
                m.blocks.back().line = line;
                m.blocks.back().two = two;
            } else {
                on_execution(i.insn, at_line, to_data(line << 1 | two));
            }
            line_now = last;
        }
        instrument(i, flow.add(i));
    }
}

void on_vcpu(qemu_plugin_id_t, unsigned vcpu) {
    if (model->board == nullptr || vcpu != 0) return;
    model->tally = static_cast<ModelCounts*>(qemu_plugin_scoreboard_find(model->board, 0));
    model->hierarchy.count_into(model->tally);
}

int install(qemu_plugin_id_t id, const qemu_info_t* info, int argc, char** argv) {
    if (std::string_view(info->target_name) != "x86_64")
        throw std::invalid_argument(std::string("it models x86_64, not ") + info->target_name);
    if (!info->system_emulation)
        throw std::invalid_argument("it models a machine, not one program's emulation");
    if (info->smp_vcpus > 1)
        throw std::invalid_argument("it models one processor, not " +
                                    std::to_string(info->smp_vcpus) + "; use -smp 1");
    bool inlines = api == 1 ? qemu_plugin_register_vcpu_insn_exec_inline != nullptr
                            : qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu != nullptr &&
                                  qemu_plugin_scoreboard_new != nullptr;
    if (info->version.min > api || info->version.cur < api || !inlines ||
        qemu_plugin_insn_data == nullptr || qemu_plugin_register_vcpu_mem_cb == nullptr)
        throw std::invalid_argument("this QEMU's plugin interface (versions " +
                                    std::to_string(info->version.min) + " to " +
                                    std::to_string(info->version.cur) +
                                    ") is not one it knows; it needs QEMU 7.2 to 10 (1 to 4)");
    std::string words;
    for (int i = 0; i < argc; ++i) {
        // QEMU turns a word alone into "word=on".
        std::string word = argv[i];
        if (word.ends_with("=on")) word.resize(word.size() - 3);
        words += (i == 0 ? "" : ",") + word;
    }
    model = std::make_unique<Model>(parse(words));
    model->hierarchy.count_into(model->tally);
    if (api >= 2) model->board = qemu_plugin_scoreboard_new(sizeof(ModelCounts));
    qemu_plugin_register_vcpu_init_cb(id, on_vcpu);
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    return 0;
}

}  // namespace
}  // namespace doorbell::model

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t* info, int argc, char** argv) {
    try {
        return doorbell::model::install(id, info, argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "doorbell-model: %s\n", error.what());
        return 1;
    }
}
