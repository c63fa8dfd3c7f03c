#include "host/model/predictor.h"

#include <algorithm>
#include <utility>

namespace doorbell::model {

void Tage::clear() {
    base_.assign(base_entries, 1);
    for (unsigned t = 0; t < tables; ++t) {
        tables_[t].assign(1u << entries_log2, {});
        index_[t] = tag_[t] = tag_again_[t] = 0;
    }
    history_.fill(false);
    newest_ = run_ = 0;
    last_ = false;
    settled_.fill(nowhere);
    ++changes_;
}

bool Tage::predict_slowly(uint64_t address, bool taken) {
    int provider = -1, second = -1;
    for (unsigned t = 0; t < tables; ++t) {
        at_[t] = static_cast<uint32_t>(address ^ address >> (entries_log2 - t) ^ index_[t]) &
                 ((1u << entries_log2) - 1);
        tags_[t] = static_cast<uint16_t>((address ^ tag_[t] ^ tag_again_[t] << 1) &
                                         ((1u << tag_bits) - 1));
        // A tag of 0 is an empty place.
        tags_[t] = std::max<uint16_t>(tags_[t], 1);
        if (tables_[t][at_[t]].tag != tags_[t]) continue;
        second = provider;
        provider = static_cast<int>(t);
    }
    bool base = base_[address & (base_entries - 1)] >= 2;
    auto says = [&](int t) {
        return t < 0 ? base
                     : tables_[static_cast<size_t>(t)][at_[static_cast<size_t>(t)]].counter >= 4;
    };
    bool other = says(second), prediction = says(provider);
    if (provider >= 0) {
        // A place that has learned nothing yet leaves it to the next.
        const Entry& e = tables_[static_cast<size_t>(provider)][at_[static_cast<size_t>(provider)]];
        if (e.useful == 0 && (e.counter == 3 || e.counter == 4)) prediction = other;
    }
    bool learned = learn(address, taken, provider, other);
    changes_ += learned || prediction != taken;
    if (prediction != taken) allocate(static_cast<unsigned>(provider + 1), taken);
    remember(taken);
    run_ = taken == last_ ? run_ + (run_ < history_room) : 1;
    last_ = taken;
    if (learned || prediction != taken || run_ < history_room)
        settled_.fill(nowhere);
    else
        settled_[place_of(address)] = address;
    return prediction == taken;
}

bool Tage::learn(uint64_t address, bool taken, int provider, bool other) {
    if (provider < 0) {
        uint8_t& c = base_[address & (base_entries - 1)];
        uint8_t before = c;
        c = static_cast<uint8_t>(taken ? std::min(c + 1, 3) : std::max(c - 1, 0));
        return c != before;
    }
    Entry& e = tables_[static_cast<size_t>(provider)][at_[static_cast<size_t>(provider)]];
    Entry before = e;
    bool right = (e.counter >= 4) == taken;
    if ((e.counter >= 4) != other)
        e.useful =
            static_cast<uint8_t>(right ? std::min(e.useful + 1, 3) : std::max(e.useful - 1, 0));
    e.counter =
        static_cast<uint8_t>(taken ? std::min(e.counter + 1, 7) : std::max(e.counter - 1, 0));
    return e.counter != before.counter || e.useful != before.useful;
}

/// The shortest history from `from` on with a place that is not useful; where there is none, all
/// become less so.
void Tage::allocate(unsigned from, bool taken) {
    for (unsigned t = from; t < tables; ++t) {
        Entry& e = tables_[t][at_[t]];
        if (e.useful != 0) continue;
        e = {tags_[t], static_cast<uint8_t>(taken ? 4 : 3), 0};
        return;
    }
    for (unsigned t = from; t < tables; ++t) --tables_[t][at_[t]].useful;
}

template <unsigned table>
void Tage::remember_in(bool taken) {
    constexpr unsigned length = lengths[table];
    bool oldest = history_[(newest_ - length + 1) % history_room];
    fold<length, entries_log2>(index_[table], taken, oldest);
    fold<length, tag_bits>(tag_[table], taken, oldest);
    fold<length, tag_bits - 1>(tag_again_[table], taken, oldest);
}

void Tage::remember(bool taken) {
    [&]<unsigned... table>(std::integer_sequence<unsigned, table...>) {
        (remember_in<table>(taken), ...);
    }(std::make_integer_sequence<unsigned, tables>());
    history_[++newest_ % history_room] = taken;
}

}  // namespace doorbell::model
