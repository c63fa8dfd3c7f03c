// Members of a JSON document that somebody else may have written. A missing member is empty; one of
// the wrong kind is refused with a sentence that names it.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "harness/text/json.h"

namespace doorbell::harness {

/// The member, or null where there is none, or `object` is not an object.
const Json& member(const Json& object, const char* name);

/// Throw std::runtime_error where the member is something else; null counts as missing.
std::string text_of(const Json& object, const char* name);
uint64_t number_of(const Json& object, const char* name);  ///< whole, not negative; 0: missing
const Json& list_of(const Json& object, const char* name);
std::vector<std::string> texts_of(const Json& object, const char* name);

/// Throws std::runtime_error where the document's "schema" is another one.
void expect_schema(const Json& document, std::string_view schema);

}  // namespace doorbell::harness
