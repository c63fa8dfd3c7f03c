// What subcommands that show a run or write a document share.
#pragma once
#include <boost/program_options.hpp>
#include <filesystem>
#include <optional>
#include <string>

#include "harness/results/table/show.h"

namespace doorbell::harness {

/// How --json and --quiet ask for a run to be shown.
Showing showing_from(const boost::program_options::variables_map& map);

/// Writes `text` to the file `out`, or to standard output where `out` is "-". Throws MachineError.
void write_or_print(const std::string& out, const std::string& text);

/// Writes a document of a run to the file that --out names. A folder there means `name` in that
/// folder; without --out it is `name` in `folder`. Returns the file, or nothing where the document
/// went to standard output. Throws MachineError.
std::optional<std::string> write_document(const boost::program_options::variables_map& map,
                                          const std::filesystem::path& folder,
                                          const std::string& name, const std::string& text);

}  // namespace doorbell::harness
