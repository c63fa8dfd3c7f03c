// Any bytes may come over a wire: the decoder and the collector must survive them, and their result
// must be readable again. Each line is also tried with the right CRC, so that the fuzzer reaches
// the JSON.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "firmware/wire/record.h"
#include "harness/results/table/table.h"
#include "harness/run/collector.h"
#include "tests/harness/wire_lines.h"

namespace {

using namespace doorbell;

/// Lines of `bytes` as records 0, 1, 2 ...
std::string with_right_crcs(std::string_view bytes) {
    std::string text;
    uint64_t sequence = 0;
    harness::each_record(bytes, [&](std::string_view line, bool is_record) {
        if (is_record) text += harness::wire_line(sequence++, line);
    });
    return text;
}

void survive(std::string_view bytes) {
    harness::Collector collector;
    // In two pieces, so that a line is cut somewhere.
    collector.feed(bytes.substr(0, bytes.size() / 2));
    collector.feed(bytes.substr(bytes.size() / 2));
    harness::Run run = collector.finish("");
    std::string text = run.json().dump(-1, ' ', false, harness::Json::error_handler_t::replace);
    harness::Run again = harness::Run::from(harness::Json::parse(text));
    if (again.series.size() != run.series.size()) abort();
    if (harness::table(run).empty()) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
    std::string_view bytes(reinterpret_cast<const char*>(data), size);
    wire::Line line = wire::decode(bytes);
    if (line.json.size() > size) abort();
    survive(bytes);
    survive(with_right_crcs(bytes));
    return 0;
}
