// Which counts belong to which sample: the edges (timestamps) that were passed last, and the
// samples' values, which the image stores where the mailbox says.
#pragma once
#include <array>
#include <cstdint>
#include <cstring>

#include "firmware/wire/mailbox.h"
#include "host/model/history.h"
#include "host/model/model.h"
#include "host/model/operands.h"

namespace doorbell::model {

/// Reads 64-bit words of the guest's memory, by guest address.
class Guest {
  public:
    /// `offset`: from a guest address to where its byte lies here.
    explicit Guest(uint64_t offset = 0) : offset_(offset) {}
    template <class T>
    T& at(uint64_t address) const {
        return *reinterpret_cast<T*>(address + offset_);
    }
    uint64_t word(uint64_t address) const { return at<uint64_t>(address); }
    uint64_t address_of(const void* here) const {
        return reinterpret_cast<uint64_t>(here) - offset_;
    }

  private:
    uint64_t offset_;
};

class Attribution {
  public:
    /// A timestamp was passed. `begins`: it may begin a sample.
    void edge(const ModelCounts& tally, bool begins) {
        Edge& e = ring_[++newest_ % edges];
        e.number = newest_;
        e.ticks = tally.ticks();
        std::memcpy(e.counts, tally.counts, sizeof e.counts);
        if (begins) begin_ = e;
    }
    /// The descriptors are complete; sums start at zero.
    void begin(const wire::Mailbox& mailbox);
    /// A store was made to [low, high) of the mailbox.
    void stored(const Guest& guest, uint64_t address);
    /// Hands the sums over and stops.
    void end(const Guest& guest);
    History history;
    /// Where values are stored: none outside of [low(), low() + span()).
    uint64_t low() const { return low_; }
    uint64_t span() const { return span_; }

  private:
    static constexpr unsigned edges = 32;
    struct Edge {
        uint64_t number = 0;
        uint64_t ticks = 0;
        uint64_t counts[wire::model_counts] = {};
    };
    /// The edge that was passed `back` edges before the newest.
    const Edge& before(unsigned back) const { return ring_[(newest_ - back) % edges]; }
    static void add(wire::MailboxRow& row, const uint64_t* from, const uint64_t* to, bool to_edge);
    unsigned start_of(unsigned end, uint64_t length) const;
    void add_pair(unsigned series, uint64_t value);
    void add_since(unsigned series, uint64_t value);
    void add_path(unsigned series, const uint64_t* marks);

    /// Kept apart: any number of timestamps may lie in a sample.
    Edge begin_;
    std::array<Edge, edges> ring_{};
    uint64_t newest_ = edges;
    uint64_t count_ = 0;
    uint64_t low_ = 0, span_ = 0;
    wire::MailboxSeries series_[wire::Mailbox::max_series] = {};
    uint64_t taken_[wire::Mailbox::max_series] =
        {};  ///< the edge that the series' last sample ended or began with
    wire::MailboxRow rows_[wire::Mailbox::max_series][wire::MailboxSeries::max_stages + 1] = {};
};

}  // namespace doorbell::model
