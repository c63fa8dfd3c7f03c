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

/// Notes what the hierarchy has counted by itself, for samples that begin at an event.
void note_hierarchy() {
    Model& m = *model;
    if (!m.attribution.history.on() || m.hierarchy.counted() == m.noted.of) return;
    m.noted.each_more(*m.tally, m.hierarchy.counted(),
                      [&](ModelCount c) { m.attribution.history.note(c, *m.tally); });
}

void fetch(uint64_t line, bool two) {
    Model& m = *model;
    Level level = m.hierarchy.fetch(line, two);
    if (level == Level::l1) [[likely]]
        return;
    m.attribution.history.note_next(ModelCount::l1i_misses, *m.tally);
    m.count_next(served(ModelCount::fetch_l2, level));
    note_hierarchy();
}

void branch_was(const Branch& branch, bool taken) {
    Model& m = *model;
    if (m.hierarchy.branch(branch.address, taken)) return;
    m.attribution.history.note(ModelCount::branch_misses, *m.tally);
    if (m.flow.flags_wait(m.tally->ticks())) m.count(ModelCount::late_branch_misses);
    m.flow.resolve_branch();
}

/// Catches up with the turns of a loop that were only counted.
void leave_loop() {
    Model& m = *model;
    if (!m.loop.steady()) return;
    Loop::Rest rest = m.loop.leave(m.flow);
    const Block* before = rest.last;
    for (const Loop::Step& step : rest.steps) {
        if (step.branched) m.hierarchy.branch(before->branch->address, step.taken);
        m.execute(step.block->flow);
        before = step.block;
    }
    m.block = before;
}

/// Something happens that is not in every turn of a loop, or that a turn cannot be counted with.
void interrupt_loop() {
    leave_loop();
    model->loop.interrupt();
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
    interrupt_loop();
    m.attribution.history.note(ModelCount::l1d_misses, *m.tally);
    bool crowded = m.crowd.miss(physical >> m.hierarchy.line_shift());
    if (store) {
        if (crowded) m.count(ModelCount::crowded_stores);
        return m.count(served(ModelCount::store_l2, level));
    }
    uint64_t line = physical >> m.hierarchy.line_shift() << m.hierarchy.line_shift();
    // A prefetcher has it by then, so that nothing waits for it.
    if (site.streams(line)) {
        if (crowded) m.count(ModelCount::crowded_loads);
        return m.count(served(ModelCount::streamed_l2, level));
    }
    bool chained = m.flow.chained(site.use, m.tally->ticks());
    // A chained load is alone on its way.
    if (crowded && !chained) m.count(ModelCount::crowded_loads);
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
            m.page_tables.are_at(box.page_tables, box.newest_tables, m.ram_end);
            if (!m.geometry.small_pages) m.hierarchy.page_sizes(&m.page_tables);
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
            m.noted.are(*m.tally, m.hierarchy.counted());
            break;
        case MailboxCommand::end:
            m.attribution.end(m.guest);
            hand_over_regions(box);
            break;
        case MailboxCommand::forget:
            m.hierarchy.forget();
            m.flow.forget();
            m.crowd = SetCrowd(m.geometry.l1d.sets());
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
    ModelCounts& tally = *m.tally;
    if (m.loop.goes_on(&block)) [[likely]] {
        const Loop::Step& step = m.loop.step();
        if (step.branched) {
            ++m.branches;
            m.attribution.history.note_before(ModelCount::branches, tally);
        }
        tally[ModelCount::path_steps] += step.path;
        if (block.line != no_line) fetch(block.line, block.two);
        return;
    }
    leave_loop();
    Loop::Step step{.block = &block};
    if (uint64_t branches = tally[ModelCount::branches]; branches != m.branches) {
        m.branches = branches;
        m.attribution.history.note_before(ModelCount::branches, tally);
        // Anywhere else is an interrupt in between: nothing is known of the branch.
        const Branch& branch = *m.block->branch;
        step.branched = block.address == branch.target || block.address == branch.next;
        step.taken = block.address == branch.target;
        if (step.branched) branch_was(branch, step.taken);
    }
    m.block = &block;
    if (m.regions.on()) m.regions.block(block.gate, *m.tally);
    if (block.gate >= 0) [[unlikely]] {
        if (!m.software) m.count_next(ModelCount::interrupts);
        m.software = false;
    }
    uint64_t path = tally.path();
    m.execute(block.flow);
    step.path = tally.path() - path;
    if (block.gate >= 0)
        m.loop.interrupt();
    else
        m.loop.passed(step, m.flow, m.hierarchy.predictor_changes(), tally.ticks());
    if (block.line != no_line) fetch(block.line, block.two);
}

void at_line(unsigned, void* data) {
    fetch(from_data<uint64_t>(data) >> 1, from_data<uint64_t>(data) & 1);
}

void at_event(unsigned, void* count) {
    model->count(static_cast<ModelCount>(from_data<uint64_t>(count)));
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
    interrupt_loop();
    auto& point = *static_cast<PointSite*>(data);
    model->regions.pass(point.what, *model->tally);
    model->execute(point.rest);
}

void at_cr3(unsigned, void*) {
    model->count(ModelCount::cr3_writes);
    model->count(ModelCount::serializing);
    model->hierarchy.forget_pages();
    model->forget_translations();
}

/// Translations may have changed. `kind`: a count beside `serializing`, or 0.
void at_serializing(unsigned, void* kind) {
    model->count(ModelCount::serializing);
    if (kind != nullptr) model->count(static_cast<ModelCount>(from_data<uint64_t>(kind)));
    model->forget_translations();
}

void at_edge(unsigned, void* data) {
    auto& edge = *static_cast<EdgeSite*>(data);
    Model& m = *model;
    interrupt_loop();
    ++m.tally->silent;
    m.flow.drain();
    (*m.tally)[ModelCount::path_steps] = m.flow.now();
    m.count(ModelCount::timestamps);
    m.attribution.edge(*m.tally, edge.begins);
    m.execute(edge.rest);
}

namespace {

template <bool store>
void used_memory(qemu_plugin_meminfo_t info, uint64_t address, void* site) {
    Model& m = *model;
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
    // QEMU is asked for the size only where it matters.
    unsigned bytes = 1;
    if (m.hierarchy.near_end_of_line(physical)) [[unlikely]]
        bytes = 1u << qemu_plugin_mem_size_shift(info);
    const MemoryUse& use = static_cast<MemorySite*>(site)->use;
    if constexpr (store)
        m.flow.stored(use, physical, m.tally->ticks());
    else
        m.flow.loaded(use, physical, m.tally->ticks());
    Level level = m.hierarchy.data(address, physical, bytes);
    if (level != Level::l1) [[unlikely]]
        classify(*static_cast<MemorySite*>(site), physical, store, level);
    note_hierarchy();
    if (store && physical - m.attribution.low() < m.attribution.span())
        m.attribution.stored(m.guest, physical);
}

}  // namespace

void at_memory(unsigned, qemu_plugin_meminfo_t info, uint64_t address, void* site) {
    // QEMU 7.2 calls also those who register for the other kind of use.
    if (qemu_plugin_mem_is_store(info))
        used_memory<true>(info, address, site);
    else
        used_memory<false>(info, address, site);
}

void at_marker(unsigned, void* data) {
    interrupt_loop();
    ++model->tally->silent;
    command(static_cast<MailboxCommand>(from_data<uint64_t>(data)));
}

}  // namespace doorbell::model
