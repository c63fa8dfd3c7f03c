#include "firmware/wire/record.h"

#include "firmware/wire/crc32c.h"

namespace doorbell::wire {
namespace {

constexpr char hex_digits[] = "0123456789abcdef";

/// Appends to a small buffer that is known to be large enough.
struct Head {
    char text[32];
    size_t length = 0;
    void put(char c) { text[length++] = c; }
    void decimal(uint64_t number) {
        char digits[20];
        size_t count = 0;
        do {
            digits[count++] = static_cast<char>('0' + number % 10);
            number /= 10;
        } while (number != 0);
        while (count != 0) put(digits[--count]);
    }
};

constexpr int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// The length of the JSON object at the beginning of `text`, by its brackets and quotes; 0 where it
/// does not close within `most` bytes.
size_t object_length(std::string_view text, size_t most) {
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.size() && i < most; ++i) {
        if (in_string) {
            if (text[i] == '\\')
                ++i;
            else if (text[i] == '"')
                in_string = false;
        } else if (text[i] == '"') {
            in_string = true;
        } else if (text[i] == '{') {
            ++depth;
        } else if (text[i] == '}' && --depth == 0) {
            return i + 1;
        }
    }
    return 0;
}

/// "<sequence> <json>" is not contiguous in the line, so it is put together here.
bool has_crc(std::string_view digits, std::string_view json, uint32_t crc) {
    char joined[max_record_length];
    size_t length = 0;
    for (char c : digits) joined[length++] = c;
    joined[length++] = ' ';
    for (char c : json) joined[length++] = c;
    return crc32c({joined, length}) == crc;
}

}  // namespace

Json& Sender::begin(std::string_view kind) {
    kind_ = kind;
    json_.clear();
    json_.object().member("t", kind);
    return json_;
}

void Sender::send() {
    json_.end();
    if (json_.overflowed()) {
        json_.clear();
        json_.object()
            .member("t", "error")
            .member("text", "a record was longer than the wire allows and was dropped");
        json_.member("kind", kind_).end();
    }
    std::string_view text = json_.text();

    // The CRC runs over "<sequence> <json>": write the sequence directly in front of the JSON
    // first.
    Head sequence;
    sequence.decimal(sequence_);
    sequence.put(' ');
    char* start = line_ + head - sequence.length;
    for (size_t i = 0; i < sequence.length; ++i) start[i] = sequence.text[i];
    uint32_t crc = crc32c({start, sequence.length + text.size()});

    Head front;
    front.put('@');
    front.decimal(sequence_);
    front.put(' ');
    for (int shift = 28; shift >= 0; shift -= 4) front.put(hex_digits[crc >> shift & 15]);
    front.put(' ');
    start = line_ + head - front.length;
    for (size_t i = 0; i < front.length; ++i) start[i] = front.text[i];

    ++sequence_;
    sink_(context_, {start, front.length + text.size()});
}

Line decode_at(std::string_view text) {
    Line result;
    result.words = text;
    if (text.size() < 2 || text[0] != '@' || !is_digit(text[1])) return result;
    auto damaged = [&](const char* why) {
        result.kind = Line::Kind::damaged;
        result.fault = why;
        return result;
    };
    size_t i = 1;
    uint64_t sequence = 0;
    while (i < text.size() && is_digit(text[i])) {
        if (i == 19) return damaged("sequence number too long");
        sequence = sequence * 10 + static_cast<uint64_t>(text[i++] - '0');
    }
    std::string_view digits = text.substr(1, i - 1);
    if (text.size() - i < 11) return damaged("cut short");
    if (text[i] != ' ') return damaged("no blank after the sequence number");
    uint32_t crc = 0;
    for (size_t k = i + 1; k < i + 9; ++k) {
        int nibble = hex_value(text[k]);
        if (nibble < 0) return damaged("the CRC is not 8 hexadecimal digits");
        crc = crc << 4 | static_cast<uint32_t>(nibble);
    }
    if (text[i + 9] != ' ' || text[i + 10] != '{') return damaged("no JSON object after the CRC");

    // Most lines end with their record; where one does not, its brackets say where it ends.
    std::string_view rest = text.substr(i + 10), whole = rest;
    while (whole.back() == '\r' || whole.back() == '\n') whole.remove_suffix(1);
    size_t most = max_record_length - digits.size() - 1;
    std::string_view object = rest.substr(0, object_length(rest, most));
    for (std::string_view json : {whole, object}) {
        if (json.empty() || json.size() > most || !has_crc(digits, json, crc)) continue;
        result.kind = Line::Kind::record;
        result.sequence = sequence;
        result.json = json;
        result.words = rest.substr(json.size());
        return result;
    }
    return damaged(object.empty() && whole.size() > most ? "longer than a record may be"
                                                         : "wrong CRC");
}

Line decode(std::string_view line) {
    while (!line.empty() && (line.back() == '\r' || line.back() == '\n')) line.remove_suffix(1);
    Line result;
    result.words = line;
    // A record may stand behind the beginning of another one, which a reset cut off.
    for (size_t at = line.find('@'); at != line.npos; at = line.find('@', at + 1)) {
        Line found = decode_at(line.substr(at));
        if (found.kind == Line::Kind::record) {
            found.words = line.substr(0, at);
            return found;
        }
        if (found.kind == Line::Kind::damaged && result.kind == Line::Kind::words) {
            result = found;
            result.words = line;
        }
    }
    return result;
}

Sequence::Step Sequence::take(uint64_t sequence) {
    if (sequence < expected_) return Step::repeated;
    lost_ += sequence - expected_;
    expected_ = sequence + 1;
    return Step::next;
}

}  // namespace doorbell::wire
