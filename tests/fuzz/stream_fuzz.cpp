// A console stream: records in any surroundings, cut anywhere. Whole or in pieces, compressed or
// not, the same bytes give the same runs. The output never contains a terminal's control sequences.
//
// The first byte of the input chooses what surrounds the lines, the second how the stream is cut.
// The rest is the stream; it is tried again with its lines as records with the right CRC.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "harness/results/table/table.h"
#include "harness/run/collector.h"
#include "harness/system/escape.h"
#include "harness/system/gunzip.h"
#include "tests/harness/wire_lines.h"

namespace {

using namespace doorbell;
using harness::Json;

std::string quoted(const std::string& text) {
    return Json(text).dump(-1, ' ', true, Json::error_handler_t::replace);
}

/// A line as a log, a terminal or an editor leaves it.
std::string dressed(const std::string& line, unsigned how) {
    switch (how % 8) {
        case 0:
            return line + "\n";
        case 1:
            return line + " \x1b[K\r\n";
        case 2:
            return line + "\r";
        case 3:
            return "{\"log\":" + quoted(line + "\n") + ",\"stream\":\"stdout\"}\n";
        case 4:
            return "[ 1.5] host: " + line + std::string("\0\0", 2) + "\n";
        case 5:
            return "{\"a\":" + quoted("{\"log\":" + quoted(line) + "}") + "}\r\n";
        case 6:
            return line + ";";
        default: {
            std::string wide;
            for (char c : line + "\n") wide += std::string{c, '\0'};
            return wide;
        }
    }
}

/// The lines of `bytes` as records 0, 1, 2 ..., a "hello" at 0 again.
std::string with_right_crcs(std::string_view bytes, unsigned how) {
    std::string text;
    uint64_t sequence = 0;
    harness::each_record(bytes, [&](std::string_view line, bool is_record) {
        if (!is_record) {
            text += dressed(std::string(line), how);
            return;
        }
        if (line.find("\"hello\"") != line.npos) sequence = 0;
        std::string record = harness::wire_line(sequence++, line);
        record.pop_back();  // the line end: dressed() adds one of its kind
        text += dressed(record, how);
    });
    return text;
}

struct Outcome {
    std::string json;
    size_t runs, chosen;
    bool operator==(const Outcome&) const = default;
};

Outcome outcome_of(std::string_view bytes, size_t piece, bool show) {
    harness::Collector collector;
    collector.expect_several(0);
    harness::Gunzip unpack([&](std::string_view some) { collector.feed(some); });
    // Pieces of growing length, so that few inputs reach many cuts.
    for (size_t at = 0, length = piece; at < bytes.size(); at += length, length += piece / 2)
        unpack.feed(bytes.substr(at, length));
    (void)unpack.end();
    harness::Run run = collector.finish("");
    std::string text = harness::json_document(run.json());
    harness::Run again = harness::Run::from(Json::parse(text));
    if (again.series.size() != run.series.size()) abort();
    if (show) {
        std::string table = harness::table(run);
        if (table.empty() || harness::printable(table) != table) abort();
    }
    return {text, collector.captured().size(), collector.chosen()};
}

void check(std::string_view bytes, size_t piece) {
    if (outcome_of(bytes, bytes.size() + 1, true) != outcome_of(bytes, piece, false)) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
    if (size < 2) return 0;
    std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
    size_t piece = data[1] + 1u;
    check(bytes, piece);
    check(with_right_crcs(bytes, data[0]), piece);
    return 0;
}
