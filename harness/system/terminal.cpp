#include "harness/system/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>

#include "harness/system/escape.h"

namespace doorbell::harness {
namespace {

/// 0 where `file` is not a terminal or does not tell.
size_t columns_of(int file) {
    winsize size{};
    return ioctl(file, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

size_t columns_from_environment() {
    const char* said = std::getenv("COLUMNS");
    if (said == nullptr) return 0;
    std::string_view text = said;
    size_t columns = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), columns);
    return error == std::errc{} && end == text.data() + text.size() ? columns : 0;
}

}  // namespace

size_t text_width() {
    size_t columns = columns_from_environment();
    if (columns == 0) columns = columns_of(STDOUT_FILENO);
    return columns == 0 ? widest_line : std::clamp(columns, narrowest_line, widest_line);
}

size_t error_terminal_width() {
    size_t columns = columns_of(STDERR_FILENO);
    return columns == 0 ? 80 : columns;
}

std::string wrapped(const std::string& first, const std::string& raw, size_t width) {
    if (width == 0) width = text_width();
    std::string result = one_line(first), text = one_line(raw);
    size_t indent = result.size(), column = indent;
    bool line_begins = true;
    size_t at = 0;
    while (at < text.size()) {
        size_t end = std::min(text.find(' ', at), text.size());
        std::string word = text.substr(at, end - at);
        at = end + 1;
        if (word.empty()) continue;
        // A list of alternatives may be longer than a line.
        if (size_t room = width - std::min(indent, width - 1); word.size() > room) {
            size_t last = word.rfind('|', room - 1);
            if (last != word.npos) {
                at -= word.size() - last;
                word.resize(last + 1);
            }
        }
        if (!line_begins && column + 1 + word.size() > width) {
            result += "\n" + std::string(indent, ' ');
            column = indent;
            line_begins = true;
        }
        if (!line_begins) {
            result += ' ';
            ++column;
        }
        result += word;
        column += word.size();
        line_begins = false;
    }
    return result + "\n";
}

}  // namespace doorbell::harness
