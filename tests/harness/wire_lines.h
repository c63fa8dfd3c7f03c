// Lines of the wire for tests, with right CRCs.
#pragma once
#include <fmt/format.h>

#include <string>
#include <string_view>

#include "firmware/wire/crc32c.h"
#include "harness/run/collector.h"

namespace doorbell::harness {

/// "@<sequence> <CRC> <json>\n".
inline std::string wire_line(uint64_t sequence, std::string_view json) {
    std::string body = fmt::format("{} {}", sequence, json);
    return fmt::format("@{} {:08x} {}\n", sequence, wire::crc32c(body), json);
}

/// The record in each line of `bytes`, from its first brace on, or the whole line where it has
/// none. `with` is called with the text, and whether it is a record.
template <class With>
void each_record(std::string_view bytes, With&& with) {
    while (!bytes.empty()) {
        size_t newline = bytes.find('\n');
        std::string_view line = bytes.substr(0, newline);
        bytes = newline == bytes.npos ? std::string_view{} : bytes.substr(newline + 1);
        size_t brace = line.find('{');
        with(line.substr(brace == line.npos ? 0 : brace), brace != line.npos);
    }
}

/// Numbers records from 0.
class Lines {
  public:
    Lines& add(std::string_view json) {
        text_ += wire_line(next_++, json);
        return *this;
    }
    /// A series of three samples (5, 5, `last`) with its histogram.
    Lines& series(unsigned id, std::string_view test_case, unsigned last = 9,
                  std::string_view extra = R"("flags":[])") {
        add(fmt::format(
            R"({{"t":"series","id":{},"lab":"timer","case":"{}","metric":"latency","unit":"insn","evidence":"exact","count":3,"min":5,"max":{},"sum":{},{}}})",
            id, test_case, last, 10 + last, extra));
        return add(fmt::format(R"({{"t":"histogram","of":{},"part":"all","bins":[[5,2],[{},1]]}})",
                               id, last));
    }
    Lines& begin(std::string_view test_case) {
        return add(fmt::format(R"({{"t":"begin","lab":"timer","case":"{}"}})", test_case));
    }
    Lines& skip(std::string_view test_case, std::string_view reason) {
        return add(fmt::format(R"({{"t":"skip","lab":"timer","case":"{}","reason":"{}"}})",
                               test_case, reason));
    }
    Lines& end() { return add(R"({"t":"end","status":"done","records":0})"); }
    const std::string& text() const { return text_; }

  private:
    std::string text_;
    uint64_t next_ = 0;
};

inline Run collect(std::string_view bytes, const std::string& failure = "") {
    Collector collector;
    collector.feed(bytes);
    return collector.finish(failure);
}

}  // namespace doorbell::harness
