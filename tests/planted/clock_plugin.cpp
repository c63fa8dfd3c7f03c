// A clock with planted prices, as a plugin of QEMU's TCG: it shows the number of executed
// instructions plus the price of each event. A lab that measures by that clock must find the
// planted prices. The plugin knows nothing about the lab: it uses the instructions themselves, the
// memory that they access, and the model's caches (host/model/model.h).
//
//   -plugin planted-clock.so,imul=2,rdtsc=20,l2-miss=40,...
//
// with the words
//
//   EVENT=N    the cost of an event; an event that is not named costs nothing
//   drift=N    the price of an IMUL doubles every N million instructions
//   wobble=N   a write to CR3 costs 0 to N more, as much until the clock is read again
//   noise=N    every reading of the clock finds 0 to N ticks more gone by, by a random sequence
//   smi=N      every N thousand instructions 100,000 ticks are gone
//   l1d=, l2=, llc=, dtlb=, predictor=   the caches, as the model's geometry has them
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_set>

#include "firmware/measure/random.h"
#include "firmware/wire/mailbox.h"
#include "host/model/decode.h"
#include "host/model/geometry.h"
#include "host/model/model.h"
#include "host/model/plugin_api.h"

extern "C" {
[[gnu::visibility("default")]] int qemu_plugin_version = 1;
[[gnu::visibility("default")]] int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t* info,
                                                       int argc, char** argv);
}

namespace doorbell::planted {
namespace {

using model::Kind;
using wire::ModelCount;

int api = 1;
[[gnu::constructor]] void choose_version() {
    qemu_plugin_version = api = model::plugin_api_version();
}

struct Branch {
    uint64_t address, next, target;
};
struct Block {
    uint64_t address;
    bool gate;
};
constexpr uint64_t marker_bytes = 7, load_bytes = 6;
constexpr int64_t marker_word = 0x7C10C000, start_word = 0x7C10C040;
constexpr uint64_t page_shift = 12;

struct Page {
    uint64_t virtual_page = ~0ull, physical_page = 0;
    bool io = false;
};

struct Clock {
    explicit Clock(const std::string& words) : hierarchy(model::parse(words)) {
        hierarchy.count_into(&misses);
    }
    std::map<std::string, uint64_t> prices;
    model::Hierarchy hierarchy;
    model::ModelCounts misses;
    bool on = false;     ///< whether events have prices yet
    uint64_t ticks = 0;  ///< instructions and the prices of what a callback saw
    uint64_t instructions = 0;
    uint64_t began = 0, drift = 0, noise = 0, smi = 0, next_smi = 0, wobble = 0, wobbles = 0;
    measure::Random random{1};

    uint64_t mailbox = 0, offset = 0;  ///< the image's own mailbox, for its IDT; guest to host
    uint64_t delivery = ~0ull;         ///< `instructions` when a gate was read
    bool software = false;
    const Branch* pending = nullptr;
    std::deque<Branch> branches;
    std::deque<Block> blocks;
    std::deque<uint64_t*> places;
    std::unordered_set<uint64_t> silent;
    std::array<Page, 64> pages{};

    uint64_t price(const std::string& event) const {
        auto found = prices.find(event);
        return found == prices.end() ? 0 : found->second;
    }
    uint64_t idt() const {
        return mailbox == 0 ? 0 : reinterpret_cast<wire::Mailbox*>(mailbox + offset)->idt;
    }
    uint64_t now() {
        static const std::pair<ModelCount, uint64_t> levels[] = {
            {ModelCount::l1d_misses, price("l1d-miss")},
            {ModelCount::l1i_misses, price("l1d-miss")},
            {ModelCount::l2_misses, price("l2-miss")},
            {ModelCount::llc_misses, price("llc-miss")},
            {ModelCount::dtlb_misses, price("dtlb-miss")},
            {ModelCount::branch_misses, price("branch-miss")}};
        uint64_t all = ticks;
        if (!on) return all;
        for (const auto& [count, each] : levels) all += misses[count] * each;
        return all;
    }
};
std::unique_ptr<Clock> planted;

void on_execution(qemu_plugin_insn* insn, qemu_plugin_exec_t callback, void* data) {
    qemu_plugin_register_vcpu_insn_exec_cb(insn, callback, QEMU_PLUGIN_CB_NO_REGS, data);
}

void at_insn(unsigned, void* price) {
    ++planted->instructions;
    planted->ticks += 1 + (planted->on ? reinterpret_cast<uintptr_t>(price) : 0);
}
void at_imul(unsigned, void* price) {
    Clock& c = *planted;
    auto each = reinterpret_cast<uintptr_t>(price);
    if (c.on && c.drift != 0)
        each = static_cast<uintptr_t>(static_cast<double>(each) *
                                      std::exp2(static_cast<double>(c.instructions - c.began) /
                                                static_cast<double>(c.drift)));
    ++c.instructions;
    c.ticks += 1 + (c.on ? each : 0);
}
void at_marker(unsigned, void* place) {
    Clock& c = *planted;
    ++c.instructions;
    if (c.on && c.noise != 0) c.ticks += c.random.below(c.noise + 1);
    c.wobbles = c.random.below(c.wobble + 1);
    if (c.on && c.smi != 0 && c.instructions >= c.next_smi) {
        c.next_smi = c.instructions + c.smi;
        c.ticks += 100000;
    }
    *static_cast<uint64_t*>(place) = c.now();
    static const uint64_t price = c.price("rdtsc");
    c.ticks += 1 + (c.on ? price : 0);
}
/// Prices apply from here on.
void at_start(unsigned, void*) {
    planted->on = true;
    planted->began = planted->instructions;
    planted->misses = {};
}
void at_branch(unsigned, void* branch) { planted->pending = static_cast<Branch*>(branch); }
void at_int(unsigned, void*) { planted->software = true; }
void at_block(unsigned, void* data) {
    Clock& c = *planted;
    auto& block = *static_cast<Block*>(data);
    if (c.pending != nullptr) {
        if (block.address == c.pending->target)
            c.hierarchy.branch(c.pending->address, true);
        else if (block.address == c.pending->next)
            c.hierarchy.branch(c.pending->address, false);
        c.pending = nullptr;
    }
    if (!block.gate) return;
    static const uint64_t price = c.price("interrupt");
    if (!c.software && c.on) c.ticks += price;
    c.software = false;
}
void at_new_pages(unsigned, void*) { planted->pages = {}; }
void at_cr3(unsigned, void*) {
    planted->ticks += planted->on ? planted->wobbles : 0;
    planted->hierarchy.forget_pages();
}
/// A line of code: its number, and in bit 0 whether the instruction reaches into the next one.
void at_line(unsigned, void* data) {
    auto line = reinterpret_cast<uintptr_t>(data);
    planted->hierarchy.fetch(line >> 1, (line & 1) != 0);
}

const Page& page_of(qemu_plugin_meminfo_t info, uint64_t address) {
    uint64_t number = address >> page_shift;
    Page& p = planted->pages[number % planted->pages.size()];
    if (p.virtual_page == number) return p;
    qemu_plugin_hwaddr* where = qemu_plugin_get_hwaddr(info, address);
    p = {number, 0, where == nullptr || qemu_plugin_hwaddr_is_io(where)};
    if (!p.io) p.physical_page = qemu_plugin_hwaddr_phys_addr(where) >> page_shift;
    return p;
}

/// The device whose registers are there: "apic", "hpet" or "card".
std::string device_at(uint64_t address) {
    constexpr uint64_t apic = 0xFEE00, hpet = 0xFED00;
    uint64_t page = address >> page_shift;
    return page == apic ? "apic" : page == hpet ? "hpet" : "card";
}

void at_memory(unsigned, qemu_plugin_meminfo_t info, uint64_t address, void*) {
    Clock& c = *planted;
    bool store = qemu_plugin_mem_is_store(info);
    // As in host/model, the accesses by which the processor enters a handler are not events.
    if (!store && c.idt() != 0 && address - c.idt() < 4096) c.delivery = c.instructions;
    if (c.delivery == c.instructions) return;
    constexpr uint64_t ram_end = 0x20000000;
    uint64_t physical = address;
    if (address >= ram_end) {
        const Page& page = page_of(info, address);
        if (page.io) {
            if (c.on) c.ticks += c.price(device_at(address) + (store ? "-write" : "-read"));
            return;
        }
        physical = page.physical_page << page_shift | (address & ((1 << page_shift) - 1));
    }
    c.hierarchy.data(address, physical, 1u << qemu_plugin_mem_size_shift(info));
}

struct Insn {
    qemu_plugin_insn* insn;
    uint64_t address;
    size_t size;
    uint8_t* host;
    uint8_t bytes[16] = {};
    explicit Insn(qemu_plugin_insn* i)
        : insn(i),
          address(qemu_plugin_insn_vaddr(i)),
          size(qemu_plugin_insn_size(i)),
          host(static_cast<uint8_t*>(qemu_plugin_insn_haddr(i))) {
        size_t length = std::min(size, sizeof bytes);
        if (api >= 3) {
            reinterpret_cast<size_t (*)(const qemu_plugin_insn*, void*, size_t)>(
                qemu_plugin_insn_data)(i, bytes, length);
        } else {
            std::memcpy(bytes,
                        reinterpret_cast<const void* (*)(const qemu_plugin_insn*)>(
                            qemu_plugin_insn_data)(i),
                        length);
        }
    }
};

/// The event of an instruction, by its opcode (SDM vol. 2); "" for any other.
std::string event_of(const Insn& i) {
    const uint8_t* b = i.bytes;
    if (*b == 0xF0) return "lock";
    if ((*b & 0xF0) == 0x40) ++b;  // REX
    switch (*b) {
        case 0xE8:
            return "call";
        case 0xC3:
            return "ret";
        case 0xCD:
            return "int";
        case 0xCF:
            return "iretq";
        case 0xE4:
        case 0xEC:
            return "port-read";
        case 0xE6:
        case 0xEE:
            return "port-write";
    }
    if (*b != 0x0F) return "";
    uint8_t modrm = b[2], reg = modrm >> 3 & 7;
    bool memory = modrm < 0xC0;
    switch (b[1]) {
        case 0x01:
            if (modrm == 0xF8) return "swapgs";
            if (modrm == 0xF9) return "rdtscp";
            return memory && reg == 7 ? "invlpg" : "";
        case 0x05:
            return "syscall";
        case 0x07:
            return "sysret";
        case 0x22:
            return reg == 3 ? "cr3-write" : "";
        case 0x30:
            return "wrmsr";
        case 0x32:
            return "rdmsr";
        case 0xA2:
            return "cpuid";
        case 0xAE:
            if (modrm == 0xE8) return "lfence";
            if (modrm == 0xF0) return "mfence";
            if (memory && reg == 4) return "xsave";
            if (memory && reg == 5) return "xrstor";
            return memory && reg == 7 ? "clflush" : "";
        case 0xAF:
            return "imul";
    }
    return "";
}

/// The image's own marker leads to its mailbox, which has the IDT's address.
void look_for_mailbox(const Insn& i, const model::Decoded& decoded) {
    if (decoded.kind != Kind::marker || i.host == nullptr || decoded.displacement < (1 << 20))
        return;
    uint64_t box = static_cast<uint64_t>(decoded.displacement) & ~63ull;
    if (box > i.address + (64u << 20)) return;
    uint64_t offset = reinterpret_cast<uint64_t>(i.host) - i.address;
    if (*reinterpret_cast<uint64_t*>(box + offset) != wire::Mailbox::magic_word) return;
    planted->mailbox = box;
    planted->offset = offset;
}

bool is_gate(uint64_t address) {
    uint64_t idt = planted->idt();
    for (unsigned i = 0; idt != 0 && i < 256; ++i) {
        const auto* gate = reinterpret_cast<const uint64_t*>(idt + planted->offset + 16 * i);
        uint64_t target = (gate[0] & 0xFFFF) | (gate[0] >> 48 & 0xFFFF) << 16 | gate[1] << 32;
        if ((gate[0] >> 47 & 1) != 0 && target == address) return true;
    }
    return false;
}

/// A marker of the clock; the clock does not count the two loads after it.
bool take_marker(const Insn& i, const model::Decoded& decoded) {
    Clock& c = *planted;
    if (c.silent.count(i.address) != 0) return true;
    if (decoded.kind != Kind::marker || decoded.displacement != marker_word) return false;
    // The first load: 8B 05 disp32, relative to what follows it.
    int32_t displacement;
    std::memcpy(&displacement, i.host + marker_bytes + 2, sizeof displacement);
    uint8_t* place = i.host + marker_bytes + load_bytes + displacement;
    for (uint64_t behind : {marker_bytes, marker_bytes + load_bytes})
        c.silent.insert(i.address + behind);
    on_execution(i.insn, at_marker, place);
    return true;
}

void on_translation(qemu_plugin_id_t, qemu_plugin_tb* tb) {
    Clock& c = *planted;
    uint64_t line_now = ~0ull;
    for (size_t n = 0; n < qemu_plugin_tb_n_insns(tb); ++n) {
        Insn i(qemu_plugin_tb_get_insn(tb, n));
        model::Decoded decoded = model::decode(i.bytes, i.size);
        if (n == 0) {
            c.blocks.push_back({i.address, is_gate(i.address)});
            on_execution(i.insn, at_block, &c.blocks.back());
        }
        look_for_mailbox(i, decoded);
        if (decoded.kind == Kind::marker && decoded.displacement == start_word)
            on_execution(i.insn, at_start, nullptr);
        if (take_marker(i, decoded)) continue;
        // Memory is identity-mapped: the physical address follows from where the byte lies.
        uint64_t physical = c.mailbox != 0 && i.host != nullptr
                                ? reinterpret_cast<uint64_t>(i.host) - c.offset
                                : i.address;
        uint64_t first = physical >> c.hierarchy.line_shift(),
                 last = (physical + i.size - 1) >> c.hierarchy.line_shift();
        if (first != line_now || last != line_now) {
            bool two = first != last && first != line_now;
            on_execution(i.insn, at_line,
                         reinterpret_cast<void*>((two ? first : last) << 1 | (two ? 1 : 0)));
            line_now = last;
        }
        std::string event = event_of(i);
        on_execution(i.insn, event == "imul" ? at_imul : at_insn,
                     reinterpret_cast<void*>(c.price(event)));
        if (event == "int") on_execution(i.insn, at_int, nullptr);
        if (event == "cr3-write" || event == "invlpg") on_execution(i.insn, at_new_pages, nullptr);
        if (event == "cr3-write") on_execution(i.insn, at_cr3, nullptr);
        if (decoded.kind == Kind::branch) {
            c.branches.push_back(
                {i.address, i.address + i.size,
                 i.address + i.size + static_cast<uint64_t>(decoded.displacement)});
            on_execution(i.insn, at_branch, &c.branches.back());
        }
        qemu_plugin_register_vcpu_mem_cb(i.insn, at_memory, QEMU_PLUGIN_CB_NO_REGS,
                                         QEMU_PLUGIN_MEM_RW, nullptr);
    }
}

}  // namespace
}  // namespace doorbell::planted

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t*, int argc, char** argv) {
    using namespace doorbell::planted;
    // Gshare mispredicts the ends of both bodies' loops alike, so that they are not in a price.
    std::string geometry = "predictor=4096";
    std::map<std::string, uint64_t> numbers;
    for (int i = 0; i < argc; ++i) {
        std::string word = argv[i], name = word.substr(0, word.find('=')),
                    value = word.substr(word.find('=') + 1);
        if (name == "l1i" || name == "l1d" || name == "l2" || name == "llc" || name == "dtlb" ||
            name == "predictor")
            geometry += "," + word;
        else
            numbers[name] = std::strtoull(value.c_str(), nullptr, 10);
    }
    planted = std::make_unique<Clock>(geometry);
    planted->drift = numbers["drift"] * 1000000;
    planted->noise = numbers["noise"];
    planted->wobble = numbers["wobble"];
    planted->smi = numbers["smi"] * 1000;
    planted->prices = numbers;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    return 0;
}
