#include "harness/system/escape.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace doorbell::harness {
namespace {

struct Character {
    uint32_t code = 0;
    size_t length = 0;  ///< in bytes; 0: not UTF-8
};

/// The character at the beginning of `text`, by RFC 3629: no overlong form, no surrogate.
Character first_character(std::string_view text) {
    auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
    if (byte(0) < 0x80) return {byte(0), 1};
    size_t length = byte(0) >= 0xF0 ? 4 : byte(0) >= 0xE0 ? 3 : 2;
    if (byte(0) < 0xC2 || byte(0) > 0xF4 || text.size() < length) return {};
    uint32_t code = byte(0) & (0x7F >> length);
    for (size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xC0) != 0x80) return {};
        code = code << 6 | (byte(i) & 0x3F);
    }
    static constexpr uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    bool surrogate = code >= 0xD800 && code <= 0xDFFF;
    if (code < least[length] || code > 0x10FFFF || surrogate) return {};
    return {code, length};
}

/// Characters that control a terminal, change the text direction, break a line, or are not allowed
/// in XML.
bool steers(uint32_t code) {
    auto within = [&](uint32_t first, uint32_t last) { return code >= first && code <= last; };
    return code < 0x20 || within(0x7F, 0x9F) || code == 0x061C || within(0x200E, 0x200F) ||
           within(0x2028, 0x202E) || within(0x2066, 0x2069) || code == 0xFEFF ||
           (code & 0xFFFE) == 0xFFFE;
}

std::string visible(std::string_view text, std::string_view kept) {
    std::string shown;
    shown.reserve(text.size());
    while (!text.empty()) {
        Character c = first_character(text);
        if (c.length == 0) {
            shown += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[0]));
            text.remove_prefix(1);
            continue;
        }
        if (!steers(c.code) || (c.code < 0x80 && kept.find(static_cast<char>(c.code)) != kept.npos))
            shown += text.substr(0, c.length);
        else if (c.code == '\n')
            shown += "\\n";
        else if (c.code < 0x80)
            shown += fmt::format("\\x{:02x}", c.code);
        else
            shown += fmt::format("\\u{:04x}", c.code);
        text.remove_prefix(c.length);
    }
    return shown;
}

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

}  // namespace

std::string printable(std::string_view text) { return visible(text, "\n"); }

std::string one_line(std::string_view text) { return visible(text, ""); }

std::string escaped(std::string_view text) {
    std::string html;
    for (char c : visible(text, "\n\t")) switch (c) {
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

std::string text_of_path(const std::filesystem::path& path) {
    std::string_view bytes = path.native();
    std::string text;
    while (!bytes.empty()) {
        size_t length = first_character(bytes).length;
        if (length == 0)
            text += fmt::format("\\x{:02x}", static_cast<unsigned char>(bytes[0]));
        else if (bytes[0] == '\\')
            text += "\\\\";
        else
            text += bytes.substr(0, length);
        bytes.remove_prefix(std::max<size_t>(length, 1));
    }
    return text;
}

std::vector<std::string> texts_of_words(const std::vector<std::string>& words) {
    std::vector<std::string> texts;
    for (const std::string& word : words) texts.push_back(text_of_path(word));
    return texts;
}

std::filesystem::path path_from_text(std::string_view text) {
    std::string bytes;
    for (size_t i = 0; i < text.size(); ++i) {
        bool backslash = text[i] == '\\' && i + 1 < text.size();
        if (backslash && text[i + 1] == '\\') {
            bytes += '\\';
            ++i;
        } else if (backslash && text[i + 1] == 'x' && i + 3 < text.size() &&
                   hex_value(text[i + 2]) >= 0 && hex_value(text[i + 3]) >= 0) {
            bytes += static_cast<char>(hex_value(text[i + 2]) << 4 | hex_value(text[i + 3]));
            i += 3;
        } else {
            bytes += text[i];
        }
    }
    return bytes;
}

}  // namespace doorbell::harness
