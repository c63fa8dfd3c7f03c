// From bytes to records: finds them within anything that a wire, a terminal program or a log has
// put around them.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "firmware/wire/record.h"

namespace doorbell::harness {

/// Takes bytes as they come, cut anywhere: the outcome does not depend on the cuts. A line ends
/// with LF, CR or both. NULs are ignored, so that UTF-16 reads like ASCII. A line may hold several
/// records, anywhere, also inside a JSON string, as container logs keep their lines
/// (`{"log":"@0 ... {\"t\": ...}\n", ...}`).
class WireReader {
  public:
    struct Handlers {
        std::function<void(const wire::Line& record)> record;  ///< CRC and form are right
        /// A line, or the text around its records. May hold any bytes.
        std::function<void(std::string_view words)> words;
        /// A line without a record that has something like one.
        std::function<void(const char* fault)> damaged;
    };
    explicit WireReader(Handlers handlers) : handlers_(std::move(handlers)) {}

    void feed(std::string_view bytes);
    /// No more bytes will come: takes a last line that has no line end.
    void end_of_input();

    /// Bytes that were not a record's, so far.
    uint64_t bytes_of_words() const { return bytes_of_words_; }
    /// Where lines look like records but none is right: how many, and what probably happened to
    /// them. "" otherwise.
    std::string lookalikes() const;

  private:
    size_t take(std::string_view text, bool whole);
    void words(std::string_view text);
    void note_lookalike(std::string_view text);

    Handlers handlers_;
    std::string pending_;
    uint64_t bytes_of_words_ = 0, records_ = 0;
    uint64_t lookalikes_ = 0, cut_ = 0, html_ = 0, no_quotes_ = 0;
    size_t line_length_ = 0;  // of the first lookalike
    uint64_t same_length_ = 0;
};

}  // namespace doorbell::harness
