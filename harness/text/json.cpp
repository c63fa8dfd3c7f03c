#include "harness/text/json.h"

#include <fmt/format.h>

#include "harness/system/failure.h"

namespace doorbell::harness {

std::string json_document(const Json& document) {
    return document.dump(2, ' ', true, Json::error_handler_t::replace) + "\n";
}

Json parse_document(std::string_view text, const std::string& where) {
    try {
        return Json::parse(text);
    } catch (const Json::parse_error& error) {
        // The parser counts from 1, and the end of the text is the byte behind it.
        bool cut = error.byte > text.size();
        throw UsageError(
            fmt::format("{} is damaged: {}", where,
                        text.empty() ? "it is empty"
                        : cut ? fmt::format("it ends in the middle, after {} bytes", text.size())
                              : fmt::format("it is not JSON from byte {} on", error.byte)));
    } catch (const Json::exception&) {
        // Not a parse_error: a number that no double holds.
        throw UsageError(fmt::format("{} is damaged: it holds a number that is too large", where));
    }
}

}  // namespace doorbell::harness
