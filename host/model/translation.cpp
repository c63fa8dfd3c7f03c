#include "host/model/translation.h"

#include <algorithm>
#include <cstring>

#include "host/model/callbacks.h"
#include "host/model/decode.h"
#include "host/model/plugin_state.h"

namespace doorbell::model {
namespace {

using wire::Mailbox;

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

/// The vector whose gate leads to `address` (SDM vol. 3A, "64-Bit Mode IDT"); below 0: none.
int gate_of(uint64_t address) {
    if (model->mailbox == 0) return -1;
    uint64_t idt = model->guest.at<Mailbox>(model->mailbox).idt;
    for (unsigned i = 0; idt != 0 && i < 256; ++i) {
        uint64_t low = model->guest.word(idt + 16 * i), high = model->guest.word(idt + 16 * i + 8);
        uint64_t target = (low & 0xFFFF) | (low >> 48 & 0xFFFF) << 16 | high << 32;
        if ((low >> 47 & 1) != 0 && target == address) return static_cast<int>(i);
    }
    return -1;
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

/// Kinds that are counted and no more.
uint64_t events_of(Kind kind) {
    switch (kind) {
        case Kind::port_read:
            return one(ModelCount::port_reads);
        case Kind::port_write:
            return one(ModelCount::port_writes);
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
            // What becomes of it is known where the next block begins.
            model->blocks.back().branch = {
                i.address, i.address + i.size,
                i.address + i.size + static_cast<uint64_t>(i.decoded.displacement)};
            count_inline(i.insn, ModelCount::branches);
            break;
        case Kind::software_interrupt:
            on_execution(i.insn, at_software_interrupt, nullptr);
            break;
        case Kind::iretq:
            on_execution(i.insn, at_iretq, nullptr);
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

/// Gathers the dataflow of a block, anew behind each of its timestamps and places.
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
    /// The next part begins, which `part` is to name.
    void at(const BlockFlow*& part) {
        close();
        part_ = &part;
    }

  private:
    void close() {
        if (flow_ != nullptr) flow_->finish();
        (part_ != nullptr ? *part_ : block_.flow) = flow_;
        flow_ = nullptr;
    }
    Block& block_;
    const BlockFlow** part_ = nullptr;
    BlockFlow* flow_ = nullptr;
};

/// The places of regions that stand in front of an instruction.
void pass_points(const Insn& i, FlowMaker& flow) {
    const auto& known = model->known_points;
    auto at = std::lower_bound(known.begin(), known.end(), i.address,
                               [](const auto& p, uint64_t a) { return p.address < a; });
    for (; at != known.end() && at->address == i.address; ++at) {
        model->points.push_back({at->what, nullptr});
        on_execution(i.insn, at_point, &model->points.back());
        flow.at(model->points.back().rest);
    }
}

}  // namespace

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
            Block& block = m.blocks.back();
            block.address = i.address;
            block.gate = gate_of(i.address);
            on_execution(i.insn, at_block, &m.blocks.back());
        }
        pass_points(i, flow);
        if (is_marker(i)) {
            on_execution(i.insn, at_marker,
                         to_data(static_cast<uint64_t>(i.decoded.displacement) & 63));
            continue;
        }
        size_t edges = m.edges.size();
        if (take_timestamp(i)) {
            if (m.edges.size() != edges) flow.at(m.edges.back().rest);
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

}  // namespace doorbell::model
