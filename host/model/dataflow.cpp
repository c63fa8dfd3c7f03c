#include "host/model/dataflow.h"

#include <algorithm>
#include <bit>

namespace doorbell::model {
namespace {

constexpr int16_t independent = -1;

template <class Do>
void for_each(uint32_t registers, Do&& what) {
    for (; registers != 0; registers &= registers - 1) what(std::countr_zero(registers));
}

}  // namespace

void BlockFlow::begin_values() {
    for (unsigned r = 0; r < flow_registers; ++r) {
        values_[r].before.fill(independent);
        values_[r].after_load.fill(independent);
        values_[r].before[r] = 0;
    }
}

void BlockFlow::latest(Time& time, const Time& other) {
    time.fetch = std::max(time.fetch, other.fetch);
    for (unsigned i = 0; i < flow_registers; ++i)
        time.before[i] = std::max(time.before[i], other.before[i]);
    for (unsigned i = 0; i < most_loads; ++i)
        time.after_load[i] = std::max(time.after_load[i], other.after_load[i]);
    time.loads |= other.loads;
}

void BlockFlow::delay(Time& time, int by) {
    constexpr int most = 0x7FFF;
    time.fetch = std::min(time.fetch + by, most);
    auto later = [&](int16_t& t) {
        if (t != independent) t = static_cast<int16_t>(std::min(t + by, most));
    };
    std::for_each(time.before.begin(), time.before.end(), later);
    std::for_each(time.after_load.begin(), time.after_load.end(), later);
}

MemoryUse BlockFlow::add(const Operands& o) {
    Time time;
    time.before.fill(independent);
    time.after_load.fill(independent);
    time.fetch = static_cast<int>(instructions_++ * step / core_->width);
    MemoryUse use{.load = o.loads};
    Time address = time;
    for_each(o.address, [&](int r) { latest(address, values_[static_cast<size_t>(r)]); });
    for (unsigned i = 0; i < flow_registers; ++i)
        if (address.before[i] != independent) use.address |= 1u << i;
    use.loads = address.loads;
    stores_all_ += o.stores;
    jumps_ |= o.jumps;
    if (o.loads) {
        use.number = loads_++;
        delay(address, static_cast<int>(core_->load_latency + o.load_latency));
        if (use.number < most_loads) {
            address.loads |= 1u << use.number;
            address.after_load[use.number] = 0;
        }
        latest(time, address);
    }
    for_each(o.reads, [&](int r) { latest(time, values_[static_cast<size_t>(r)]); });
    delay(time, static_cast<int>(o.latency));
    latest_ = std::max(latest_, static_cast<uint32_t>(time.fetch));
    if (o.stores && o.keeps && followed_stores_ < most_stores) {
        use.store = static_cast<uint8_t>(followed_stores_++);
        stored_.push_back(time);
    }
    for_each(o.writes, [&](int r) { values_[static_cast<size_t>(r)] = time; });
    written_ |= o.writes;
    return use;
}

void BlockFlow::finish() {
    length_ = std::max(instructions_ * step / core_->width, jumps_ ? step : 0);
    loads_length_ = loads_ * step / core_->loads;
    stores_length_ = stores_all_ * step / core_->stores;
    for_each(written_,
             [&](int r) { put_out(static_cast<unsigned>(r), values_[static_cast<size_t>(r)]); });
    for (unsigned n = 0; n < followed_stores_; ++n) put_out(flow_registers + n, stored_[n]);
    stored_ = {};
}

void BlockFlow::put_out(unsigned reg, const Time& t) {
    Output out{static_cast<uint8_t>(reg), 0, static_cast<uint16_t>(t.fetch), 0, t.loads};
    for (unsigned i = 0; i < flow_registers; ++i) {
        if (t.before[i] == independent) continue;
        inputs_.push_back({static_cast<uint16_t>(t.before[i]), static_cast<uint8_t>(i)});
        ++out.inputs;
        out.registers |= 1u << i;
    }
    outputs_.push_back(out);
    for (unsigned n = 0; n < most_loads; ++n)
        if (t.after_load[n] != independent)
            effects_[n].push_back({static_cast<uint16_t>(t.after_load[n]), out.reg});
}

uint64_t Dataflow::Stand::further_than(const Stand& before, uint32_t written) const {
    uint64_t by = fetch - before.fetch;
    bool alike =
        done - before.done == by && loads - before.loads == by && stores - before.stores == by;
    for_each(written, [&](int r) {
        auto i = static_cast<size_t>(r);
        alike &= ready[i] - before.ready[i] == by;
    });
    return alike ? by : 0;
}

void Dataflow::repeat(uint64_t turns, uint64_t time, uint64_t instructions, uint32_t written) {
    fetch_ += turns * time;
    done_ += turns * time;
    loads_at_ += turns * time;
    stores_at_ += turns * time;
    begun_ += turns * instructions;
    for_each(written, [&](int r) { ready_[static_cast<size_t>(r)] += turns * time; });
    for (unsigned i = oldest_; i != newest_; ++i) {
        blocks_[i % ring].at += turns * time;
        blocks_[i % ring].instructions += turns * instructions;
    }
}

void Dataflow::advance(const BlockFlow& block) {
    // What stands a window before the block's end is done.
    begun_ += block.instructions_;
    while (oldest_ != newest_ && begun_ - blocks_[oldest_ % ring].instructions > core_.window)
        fetch_ = std::max(fetch_, blocks_[oldest_++ % ring].at);
    began_at_ = fetch_;
    std::array<uint64_t, outputs> after;
    const BlockFlow::Input* input = block.inputs_.data();
    unsigned n = 0;
    for (const BlockFlow::Output& out : block.outputs_) {
        uint64_t at = fetch_ + out.fetch;
        for (unsigned i = 0; i < out.inputs; ++i, ++input)
            at = std::max(at, ready_[input->reg] + input->after);
        after[n++] = at;
        done_ = std::max(done_, at);
    }
    n = 0;
    for (const BlockFlow::Output& out : block.outputs_) ready_[out.reg] = after[n++];
    done_ = std::max(done_, fetch_ + block.latest_);
    // Loads and stores wait for places of their own while other instructions go on.
    loads_at_ = std::max(loads_at_, fetch_) + block.loads_length_;
    stores_at_ = std::max(stores_at_, fetch_) + block.stores_length_;
    done_ = std::max({done_, loads_at_, stores_at_});
    fetch_ += block.length_;
    blocks_[newest_++ % ring] = {begun_, done_};
    if (newest_ - oldest_ == ring) fetch_ = std::max(fetch_, blocks_[oldest_++ % ring].at);
}

bool Dataflow::chained(const MemoryUse& use, uint64_t instructions) const {
    bool waiting = (use.loads & missed_) != 0;
    for_each(use.address, [&](int r) { waiting |= waits(static_cast<unsigned>(r), instructions); });
    return waiting;
}

void Dataflow::missed(const MemoryUse& use, uint64_t instructions) {
    if (use.load && use.number < BlockFlow::most_loads) missed_ |= 1u << use.number;
    last_miss_ = instructions;
}

void Dataflow::forward(unsigned number, uint64_t at) {
    if (before_ == nullptr) return;
    for (const BlockFlow::Effect& e : before_->effects_[number]) {
        uint64_t& ready = ready_[e.reg];
        ready = std::max(ready, at + e.after);
        done_ = std::max(done_, ready);
    }
    Done& last = blocks_[(newest_ - 1) % ring];
    last.at = std::max(last.at, done_);
}

uint64_t Dataflow::miss_of(const BlockFlow::Output& out) const {
    uint64_t at = (out.loads & missed_) != 0 ? last_miss_ : 0;
    for_each(out.registers, [&](int r) { at = std::max(at, missed_at_[static_cast<size_t>(r)]); });
    return at;
}

uint64_t Dataflow::store_waits(unsigned store) const {
    if (before_ == nullptr) return 0;
    for (const BlockFlow::Output& out : before_->outputs_)
        if (out.reg == flow_registers + store) return miss_of(out);
    return 0;
}

void Dataflow::follow_misses() {
    if (before_ == nullptr) return;
    std::array<uint64_t, flow_registers> after = missed_at_;
    for (const BlockFlow::Output& out : before_->outputs_)
        if (out.reg < flow_registers) after[out.reg] = miss_of(out);
    missed_at_ = after;
    missed_ = 0;
    before_ = nullptr;
}

}  // namespace doorbell::model
