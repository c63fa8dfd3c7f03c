// JSON as this command reads and writes it.
#pragma once
#include <nlohmann/json.hpp>

namespace doorbell::harness {

/// Members keep the order in which they were written: people read these files too.
using Json = nlohmann::ordered_json;

}  // namespace doorbell::harness
