#include "harness/commands/documents.h"

#include "harness/run/options.h"
#include "harness/system/failure.h"
#include "harness/system/file.h"
#include "harness/system/output.h"

namespace doorbell::harness {

namespace po = boost::program_options;
namespace fs = std::filesystem;

Showing showing_from(const po::variables_map& map) {
    return {.json = map["json"].as<bool>(), .quiet = map["quiet"].as<bool>()};
}

void write_or_print(const std::string& out, const std::string& text) {
    if (out == "-") return write_out(text);
    if (std::string trouble = write_whole(out, text); !trouble.empty()) throw MachineError(trouble);
}

std::optional<std::string> write_document(const po::variables_map& map, const fs::path& folder,
                                          const std::string& name, const std::string& text) {
    std::string out = said(map, "out").value_or((folder / name).string());
    std::error_code error;
    if (out != "-" && fs::is_directory(out, error)) out = (fs::path(out) / name).string();
    write_or_print(out, text);
    if (out == "-") return {};
    return out;
}

}  // namespace doorbell::harness
