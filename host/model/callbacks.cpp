#include "host/model/callbacks.h"

#include <algorithm>
#include <iterator>
#include <string>

#include "host/model/plugin_state.h"

namespace doorbell::model {

using wire::Mailbox;
using wire::MailboxCommand;

namespace {

/// The count of what `level` served, given the first of the three of its class.
ModelCount served(ModelCount first, Level level) {
    return static_cast<ModelCount>(static_cast<unsigned>(first) + static_cast<unsigned>(level) - 1);
}

/// What the hierarchy counts by itself, noted for samples that begin at an event: what has come to
/// these counts while this lives.
class Noted {
  public:
    Noted() : on_(model->attribution.history.on()) {
        if (on_) read(before_);
    }
    ~Noted() {
        if (!on_) return;
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
    bool on_;
    uint64_t before_[std::size(counts)] = {};
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

/// The table of places; those of one address stay in its order.
void learn_points(const Mailbox& box) {
    auto& all = model->known_points;
    all.clear();
    for (uint64_t i = 0; i < box.point_count; ++i)
        all.push_back(model->guest.at<wire::ModelPoint>(box.points + i * sizeof(wire::ModelPoint)));
    std::stable_sort(all.begin(), all.end(),
                     [](const auto& a, const auto& b) { return a.address < b.address; });
}

void hand_over_regions(const Mailbox& box) {
    uint64_t at = box.region_rows;
    for (const wire::MailboxRow& row : model->regions.end()) {
        model->guest.at<wire::MailboxRow>(at) = row;
        at += sizeof row;
    }
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
            learn_points(box);
            box.model = 1;
            break;
        }
        case MailboxCommand::begin:
            m.attribution.begin(box);
            m.regions.begin(box.regions, box.region_vector);
            break;
        case MailboxCommand::end:
            m.attribution.end(m.guest);
            hand_over_regions(box);
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

}  // namespace

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
    if (m.regions.on()) m.regions.block(block.gate, *m.tally);
    if (block.gate >= 0) [[unlikely]] {
        if (!m.software) m.count_next(ModelCount::interrupts);
        m.software = false;
    }
    m.execute(block.flow);
    if (block.line != no_line) fetch(block.line, block.two);
}

void at_line(unsigned, void* data) {
    fetch(from_data<uint64_t>(data) >> 1, from_data<uint64_t>(data) & 1);
}

void at_event(unsigned, void* count) {
    model->count(static_cast<ModelCount>(from_data<uint64_t>(count)));
}

void at_branch(unsigned, void* data) {
    model->count(ModelCount::branches);
    model->pending = static_cast<Branch*>(data);
}

void at_software_interrupt(unsigned, void*) {
    model->count_next(ModelCount::software_interrupts);
    model->software = true;
}

void at_iretq(unsigned, void*) {
    model->count(ModelCount::iretq);
    model->count(ModelCount::serializing);
    model->regions.iretq();
}

void at_point(unsigned, void* data) {
    auto& point = *static_cast<PointSite*>(data);
    model->regions.pass(point.what, *model->tally);
    model->execute(point.rest);
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

void at_marker(unsigned, void* data) {
    ++model->tally->silent;
    command(static_cast<MailboxCommand>(from_data<uint64_t>(data)));
}

}  // namespace doorbell::model
