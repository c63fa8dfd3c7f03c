// Lists in JSON documents, from and to vectors.
#pragma once
#include <vector>

#include "harness/text/members.h"

namespace doorbell::harness {

/// A list of what `to_json` makes of each of `all`.
template <class Range, class ToJson>
Json json_list(const Range& all, ToJson to_json) {
    Json list = Json::array();
    for (const auto& one : all) list.push_back(to_json(one));
    return list;
}

/// What `from_json` makes of each element of the member `name`. Throws as list_of() does.
template <class FromJson>
auto vector_of(const Json& object, const char* name, FromJson from_json) {
    std::vector<decltype(from_json(object))> all;
    for (const Json& one : list_of(object, name)) all.push_back(from_json(one));
    return all;
}

}  // namespace doorbell::harness
