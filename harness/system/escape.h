// Text from outside, made safe for the stream it goes to.
#pragma once
#include <string>
#include <string_view>

namespace doorbell::harness {

/// Text for HTML and XML.
std::string escaped(std::string_view text);

}  // namespace doorbell::harness
