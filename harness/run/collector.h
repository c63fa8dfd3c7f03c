// From bytes of a wire to a Run: lines, records, their sequence and CRC, and what they say.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "firmware/wire/record.h"
#include "harness/data/run_data.h"

namespace doorbell::harness {

/// Takes bytes as they come and builds the run. Never throws over what the wire says: what is wrong
/// is counted in Run::wire, and what is right is kept.
class Collector {
  public:
    /// Called for each record that is taken, in order.
    using OnRecord = std::function<void(const std::string& kind, const Json& record)>;
    /// Called for each line that is for people, without its line end; may hold any bytes.
    using OnWords = std::function<void(std::string_view words)>;

    explicit Collector(OnRecord on_record = {}, OnWords on_words = {});

    /// The next bytes, cut anywhere.
    void feed(std::string_view bytes);
    /// No more bytes will come: takes a last line that has no line end.
    void end_of_input();

    /// The machine ended as if all were done, but the end record is missing: it counts as lost.
    void end_is_lost();

    uint64_t records() const { return records_; }        ///< records taken
    bool ended() const { return !end_status_.empty(); }  ///< the end record came
    /// Nothing more is to be expected: the end record, a panic, or a second start came.
    bool over() const { return ended() || started_again_ || !run_.panic.is_null(); }
    const std::string& end_status() const { return end_status_; }
    /// Bytes of lines for people, so far.
    uint64_t bytes_of_words() const { return bytes_of_words_; }
    /// Why the run cannot be whole, as far as the records tell: a panic, a refusal, a second start.
    /// "" where they tell nothing of the kind.
    std::string complaint() const;

    /// Closes the books: checks that the histograms are whole, computes the digest, and hands over
    /// the run. `failure` is what else went wrong ("" for nothing); the run is complete only
    /// without failure, complaint, lost or damaged records, and with the end record.
    Run finish(const std::string& failure);

  private:
    void line(std::string_view text);
    void record(const wire::Line& line);
    void take(const std::string& kind, const Json& record);
    void take_series(const Json& record);
    void take_histogram(const Json& record);
    void take_core(const Json& record);
    void take_counters(const Json& record);
    void take_raw(const Json& record);
    Series& series_of(const Json& record);
    void damaged(const std::string& why);
    void note(const std::string& text);
    void check_histograms();

    OnRecord on_record_;
    OnWords on_words_;
    std::string pending_;
    bool overlong_ = false;
    wire::Sequence sequence_;
    std::unordered_map<uint64_t, size_t> seen_;  // sequence number -> hash of its JSON
    std::unordered_map<uint64_t, size_t> by_id_;
    std::string end_status_;
    bool started_again_ = false;
    bool end_lost_ = false;
    uint64_t records_ = 0;
    uint64_t bytes_of_words_ = 0;
    Run run_;
};

}  // namespace doorbell::harness
