// From bytes of a wire to a Run: lines, records, their sequence and CRC, and their content.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "firmware/wire/record.h"
#include "harness/data/run_data.h"
#include "harness/run/wire_reader.h"

namespace doorbell::harness {

/// One of the runs that a capture holds, in the order of their starts.
struct CapturedRun {
    bool complete = false;
    uint64_t records = 0;
    std::string failure;  ///< why it is incomplete, as far as known
};

/// Takes bytes as they come and builds the run. Never throws because of the wire's content:
/// Run::wire counts what is wrong, and what is right is kept.
class Collector {
  public:
    /// Called for each record that is taken, in order.
    using OnRecord = std::function<void(const std::string& kind, const Json& record)>;
    /// Called for each line that is for people, without its line end; may hold any bytes.
    using OnWords = std::function<void(std::string_view words)>;

    explicit Collector(OnRecord on_record = {}, OnWords on_words = {});
    Collector(const Collector&) = delete;

    /// What follows an end record, or begins with a second hello, is another run: a recorded line
    /// may hold several. finish() returns run `run_number` of them, from 1; 0: the last complete
    /// one, or the last where none is complete. Without this a second start is a fault of the one
    /// run.
    void expect_several(size_t run_number);

    /// The next bytes, cut anywhere.
    void feed(std::string_view bytes) { reader_.feed(bytes); }
    /// No more bytes will come: takes a last line that has no line end.
    void end_of_input() { reader_.end_of_input(); }

    /// The machine ended as after a whole run, but the end record is missing: it counts as lost.
    void end_is_lost();

    uint64_t records() const { return now_.records; }        ///< taken of the current run
    bool ended() const { return !now_.end_status.empty(); }  ///< its end record came
    /// Nothing more will come: the end record, a panic or a second start arrived.
    bool over() const { return ended() || started_again_ || !now_.run.panic.is_null(); }
    const std::string& end_status() const { return now_.end_status; }
    /// Bytes of lines for people, so far.
    uint64_t bytes_of_words() const { return reader_.bytes_of_words(); }
    /// Why the run cannot be whole, according to its records: a panic, a refusal, a second start.
    /// "" otherwise.
    std::string complaint() const;

    /// Ends the collection: checks that the histograms are whole, computes the digest, and returns
    /// the run. `failure` is what else went wrong ("" for nothing); the run is complete only
    /// without failure, complaint, lost or damaged records, and with the end record.
    Run finish(const std::string& failure);

    /// After finish(): the runs in the capture, and which of them was returned (from 1).
    const std::vector<CapturedRun>& captured() const { return captured_; }
    size_t chosen() const { return chosen_; }

  private:
    /// What is known about one run.
    struct Book {
        wire::Sequence sequence;
        std::unordered_map<uint64_t, size_t> seen;  // sequence number -> hash of its JSON
        std::unordered_map<uint64_t, size_t> by_id;
        std::vector<std::pair<std::string, CaseKeys>> begun;  // lab and case
        std::string end_status;
        bool end_lost = false;
        uint64_t records = 0;
        Run run;
    };

    void record(const wire::Line& line);
    void repeated(const wire::Line& line, const std::string& kind, bool same);
    void take(const std::string& kind, const Json& record);
    void take_series(const Json& record);
    void take_histogram(const Json& record);
    void take_counters(const Json& record);
    void take_raw(const Json& record);
    Series& series_of(const Json& record);
    void damaged(const std::string& why);
    void note(const std::string& text);
    void check_histograms();
    void check_cases();
    void close(const std::string& failure);

    OnRecord on_record_;
    WireReader reader_;
    Book now_;
    bool several_ = false;
    size_t run_number_ = 0, chosen_ = 0;
    std::vector<Run> closed_;
    std::vector<CapturedRun> captured_;
    bool started_again_ = false;
};

}  // namespace doorbell::harness
