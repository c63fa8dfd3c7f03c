#include "harness/system/json.h"

namespace doorbell::harness {

std::string json_document(const Json& document) {
    return document.dump(2, ' ', true, Json::error_handler_t::replace) + "\n";
}

}  // namespace doorbell::harness
