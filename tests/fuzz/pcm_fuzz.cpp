// Any bytes as PCM's CSV: a table, or a sentence; every cell of the table can be read.
#include <stdexcept>

#include "host/counters/pcm_csv.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
    try {
        auto csv = doorbell::host::PcmCsv::parse({reinterpret_cast<const char*>(data), size});
        for (size_t row = 0; row < csv.rows(); ++row)
            for (const auto& [group, column] : csv.columns()) (void)csv.value(row, group, column);
        (void)csv.value(csv.rows(), "System", "Date");
    } catch (const std::runtime_error&) {
    }
    return 0;
}
