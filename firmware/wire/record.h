// The records that image and harness exchange. A record is one line of printable ASCII:
//
//     @<sequence, decimal> <CRC-32C, 8 hex digits> <JSON object>
//
// The CRC is over "<sequence> <JSON object>" (one blank between), so that neither can be changed
// alone. The sequence starts at 0 and grows by one. Text around a record on the same line (a
// firmware's escape sequences, what a terminal program adds) and every line without a record is for
// people. words.h says which
// records there are.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "firmware/wire/json.h"

namespace doorbell::wire {

/// The longest line that a sender may send, '@' to the end, without the line end.
inline constexpr size_t max_record_length = 4096;

/// Numbers records and hands finished lines to a sink. One for a wire.
class Sender {
  public:
    /// Gets the line without its line end.
    using Sink = void (*)(void* context, std::string_view line);
    Sender(Sink sink, void* context) : sink_(sink), context_(context) {}

    /// Begins a record of kind `kind`: {"t":kind, ... The caller adds members and calls send(). One
    /// at a time.
    Json& begin(std::string_view kind);
    /// Closes the record's object and sends it. A record that did not fit is sent as an `error`
    /// record that names the kind: nothing is lost silently.
    void send();
    uint64_t sent() const { return sequence_; }

  private:
    static constexpr size_t head = 32;  // room for "@<sequence> <crc> "
    Sink sink_;
    void* context_;
    uint64_t sequence_ = 0;
    std::string_view kind_;
    char line_[max_record_length];
    Json json_{std::span<char>(line_ + head, max_record_length - head - 1)};
};

/// What one line from the wire is.
struct Line {
    enum class Kind {
        words,    ///< no record: for people
        record,   ///< a record whose CRC is right
        damaged,  ///< begins like a record and is not one: `fault` says why
    };
    Kind kind = Kind::words;
    uint64_t sequence = 0;
    std::string_view json;   ///< points into the line given to decode()
    std::string_view words;  ///< decode(): the text in front of the record, or the whole line
    const char* fault = "";
};

/// Reads one line (without its line end). The first record in it is taken, whatever stands in front
/// of it and behind it. Never reads outside `line`; any bytes are allowed.
Line decode(std::string_view line);

/// Reads the record that begins at text[0], which is its '@'; `words` is what stands behind it. A
/// `text` that does not begin with '@' and a digit is words.
Line decode_at(std::string_view text);

/// Follows the sequence numbers of one wire.
class Sequence {
  public:
    enum class Step { next, repeated };
    /// Takes the sequence number of the record that just arrived; a gap before it is added to
    /// lost().
    Step take(uint64_t sequence);
    uint64_t expected() const { return expected_; }
    /// Records that were skipped over.
    uint64_t lost() const { return lost_; }

  private:
    uint64_t expected_ = 0;
    uint64_t lost_ = 0;
};

}  // namespace doorbell::wire
