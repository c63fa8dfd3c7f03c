// JSON as this command reads and writes it.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace doorbell::harness {

/// Members keep the order in which they were written: people read these files too.
using Json = nlohmann::ordered_json;

/// A document as text, for a file or for --json: ASCII only, indented, with a line end. Never
/// throws because of a text's content: bytes that are not UTF-8 become U+FFFD.
std::string json_document(const Json& document);

/// The document that `text` holds. Throws UsageError with what is wrong, and at which byte; `where`
/// is what the text was read from.
Json parse_document(std::string_view text, const std::string& where);

}  // namespace doorbell::harness
