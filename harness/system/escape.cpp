#include "harness/system/escape.h"

namespace doorbell::harness {

std::string escaped(std::string_view text) {
    std::string html;
    for (char c : text) switch (c) {
            case '&':
                html += "&amp;";
                break;
            case '<':
                html += "&lt;";
                break;
            case '>':
                html += "&gt;";
                break;
            case '"':
                html += "&quot;";
                break;
            default:
                html += c;
        }
    return html;
}

}  // namespace doorbell::harness
