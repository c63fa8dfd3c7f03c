#include "harness/text/members.h"

#include <fmt/format.h>

#include <stdexcept>

#include "harness/text/number.h"

namespace doorbell::harness {

const Json& member(const Json& object, const char* name) {
    static const Json nothing;
    auto found = object.find(name);
    return found == object.end() ? nothing : *found;
}

std::string text_of(const Json& object, const char* name) {
    const Json& value = member(object, name);
    if (value.is_null()) return {};
    if (!value.is_string()) throw std::runtime_error(fmt::format("\"{}\" is not text", name));
    return value.get<std::string>();
}

uint64_t number_of(const Json& object, const char* name) {
    const Json& value = member(object, name);
    return value.is_null() ? 0 : whole_number(value, fmt::format("\"{}\"", name));
}

const Json& list_of(const Json& object, const char* name) {
    static const Json none = Json::array();
    const Json& value = member(object, name);
    if (value.is_null()) return none;
    if (!value.is_array()) throw std::runtime_error(fmt::format("\"{}\" is not a list", name));
    return value;
}

std::vector<std::string> texts_of(const Json& object, const char* name) {
    std::vector<std::string> texts;
    for (const Json& value : list_of(object, name)) {
        if (!value.is_string())
            throw std::runtime_error(fmt::format("\"{}\" holds something other than text", name));
        texts.push_back(value.get<std::string>());
    }
    return texts;
}

void expect_schema(const Json& document, std::string_view schema) {
    if (std::string said = text_of(document, "schema"); said != schema)
        throw std::runtime_error(fmt::format("its schema is \"{}\", not {}", said, schema));
}

}  // namespace doorbell::harness
