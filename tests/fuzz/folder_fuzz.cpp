// A run's folder: any bytes as manifest.json and results.json, separated by a NUL. Either a
// sentence refuses them, or everything that reads runs can read them. The output never contains a
// terminal's control sequences.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "harness/data/digest.h"
#include "harness/results/compare/again.h"
#include "harness/results/compare/compare.h"
#include "harness/results/export.h"
#include "harness/results/report/report.h"
#include "harness/results/table/table.h"
#include "harness/system/escape.h"
#include "harness/system/failure.h"

namespace {

using namespace doorbell::harness;

void must_be_printable(const std::string& text) {
    if (printable(text) != text) abort();
}

void read_everything(const StoredRun& stored) {
    must_be_printable(table(stored.run));
    std::vector<const Series*> series;
    for (const Series& one : stored.run.series) {
        series.push_back(&one);
        if (one.whole()) (void)export_hgrm(one);
    }
    must_be_printable(export_csv(stored, series));
    must_be_printable(export_junit(stored));
    (void)export_gbench(stored, series);
    (void)report_page({stored});
    Comparison comparison = compare(stored, stored);
    must_be_printable(comparison_text(comparison, true));
    (void)json_document(comparison_json(comparison));
    if (!identity_of(stored, stored).differences.empty()) abort();
    Run again = Run::from(Json::parse(json_document(stored.run.json())));
    if (again.series.size() != stored.run.series.size()) abort();
}

/// The results with their right digest, so that the fuzzer gets past the check.
std::string with_right_digest(const std::string& results) {
    Json document = Json::parse(results, nullptr, false);
    if (!document.is_object()) return results;
    try {
        document["schema"] = "doorbell/1";
        document["digest"] = digest(Run::from(document));
        return json_document(document);
    } catch (const std::exception&) {
        return results;
    }
}

template <typename Reader>
void survive(Reader reader) {
    try {
        reader();
    } catch (const UsageError& refused) {
        if (std::string_view(refused.what()).empty()) abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
    std::string bytes(reinterpret_cast<const char*>(data), size);
    size_t nul = bytes.find('\0');
    std::string manifest = bytes.substr(0, nul),
                results = nul == bytes.npos ? manifest : bytes.substr(nul + 1);
    for (const std::string& text : {results, with_right_digest(results)})
        survive([&] {
            StoredRun stored = run_from_texts(manifest, text, "folder/results.json");
            survive([&] { read_everything(stored); });
            survive([&] { (void)request_from(stored.manifest); });
        });
    return 0;
}
