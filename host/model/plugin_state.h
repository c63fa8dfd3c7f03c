// What the plugin keeps while the guest runs: one model, and what its callbacks are handed.
#pragma once
#include <array>
#include <cstdint>
#include <deque>
#include <iterator>
#include <memory>
#include <optional>
#include <unordered_set>
#include <vector>

#include "host/model/attribution.h"
#include "host/model/crowd.h"
#include "host/model/dataflow.h"
#include "host/model/device_lines.h"
#include "host/model/geometry.h"
#include "host/model/loop.h"
#include "host/model/model.h"
#include "host/model/page_tables.h"
#include "host/model/plugin_api.h"
#include "host/model/regions.h"

namespace doorbell::model {

using wire::ModelCount;

/// The version of QEMU's plugin interface: plugin_api_version().
extern int api;

constexpr uint64_t no_line = ~0ull;

/// A conditional branch, which ends its block.
struct Branch {
    uint64_t address, next, target;
};
/// A block of translated code.
struct Block {
    uint64_t address = 0;
    uint64_t line = no_line;  ///< none: its first instruction is not modelled
    bool two = false;
    int gate = -1;  ///< the vector whose first instruction it begins with; below 0: none
    const BlockFlow* flow = nullptr;  ///< up to its first timestamp
    std::optional<Branch> branch;
};
/// A timestamp, and what of its block comes after it.
struct EdgeSite {
    bool begins;
    const BlockFlow* rest;
};
/// A place where a region begins or ends, and what of its block comes after it.
struct PointSite {
    uint64_t what;
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

/// What the hierarchy counts by itself, as far as the history has it.
struct NotedCounts {
    static constexpr ModelCount counts[] = {ModelCount::l2_misses,   ModelCount::llc_misses,
                                            ModelCount::dtlb_misses, ModelCount::dtlb_large_misses,
                                            ModelCount::page_walks,  ModelCount::page_walks_large};
    uint64_t of = 0;  ///< Hierarchy::counted()
    std::array<uint64_t, std::size(counts)> values{};

    void are(ModelCounts& tally, uint64_t counted) {
        each_more(tally, counted, [](ModelCount) {});
    }
    /// Calls `note` for each one that has been added to each.
    template <class Note>
    void each_more(ModelCounts& tally, uint64_t counted, Note&& note) {
        of = counted;
        for (size_t i = 0; i < std::size(counts); ++i)
            for (uint64_t now = tally[counts[i]]; values[i] < now; ++values[i]) note(counts[i]);
    }
};

struct Model {
    explicit Model(const Geometry& g) : geometry(g), hierarchy(g), crowd(g.l1d.sets()) {}

    Geometry geometry;
    Hierarchy hierarchy;
    SetCrowd crowd;
    Attribution attribution;
    NotedCounts noted;
    Regions regions;
    Dataflow flow;
    Loop loop;
    DeviceLines device_lines;
    ModelCounts own_tally;
    ModelCounts* tally = &own_tally;  ///< from version 2 on in QEMU's scoreboard
    qemu_plugin_scoreboard* board = nullptr;

    Translations translations;
    Guest guest;
    PageTables page_tables{guest};
    uint64_t mailbox = 0;
    uint64_t ram_end = 0xC0000000;
    uint64_t idt = 0;  ///< as in the mailbox; 0: not known
    /// When the processor last read a gate: Tally::ticks(). Until the next instruction it delivers
    /// an interrupt or exception.
    uint64_t delivery = ~0ull;
    const Block* block = nullptr;  ///< the one that began last
    uint64_t branches = 0;         ///< counted when it began
    bool software = false;         ///< the last control transfer was INT n

    // What callbacks are handed; kept for good, since translated code may be run again at any time.
    std::deque<Block> blocks;
    std::deque<BlockFlow> flows;
    std::deque<EdgeSite> edges;
    std::deque<PointSite> points;
    std::vector<wire::ModelPoint> known_points;  ///< of the image's table, by address
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
    void forget_translations() {
        translations.forget();
        page_tables.forget();
    }
    void execute(const BlockFlow* block) {
        if (block == nullptr) return;
        flow.execute(*block, tally->ticks());
        (*tally)[ModelCount::path_steps] = flow.now();
    }
};
extern std::unique_ptr<Model> model;

/// Numbers travel to callbacks as QEMU's `void*`.
template <class T>
T from_data(void* data) {
    return static_cast<T>(reinterpret_cast<uintptr_t>(data));
}
inline void* to_data(uint64_t value) { return reinterpret_cast<void*>(value); }

}  // namespace doorbell::model
