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

/// Reads the record that begins with the '@' at `at`, behind which a digit stands.
Line decode_from(std::string_view line, size_t at) {
    Line result;
    result.words = line;
    auto damaged = [&](const char* why) {
        result.kind = Line::Kind::damaged;
        result.fault = why;
        return result;
    };
    size_t i = at + 1;
    uint64_t sequence = 0;
    size_t first_digit = i;
    while (i < line.size() && is_digit(line[i])) {
        if (i - first_digit == 18) return damaged("sequence number too long");
        sequence = sequence * 10 + static_cast<uint64_t>(line[i++] - '0');
    }
    std::string_view digits = line.substr(first_digit, i - first_digit);
    if (line.size() - i < 11) return damaged("cut short");
    if (line[i] != ' ') return damaged("no blank after the sequence number");
    uint32_t crc = 0;
    for (size_t k = i + 1; k < i + 9; ++k) {
        int nibble = hex_value(line[k]);
        if (nibble < 0) return damaged("the CRC is not 8 hexadecimal digits");
        crc = crc << 4 | static_cast<uint32_t>(nibble);
    }
    if (line[i + 9] != ' ' || line[i + 10] != '{') return damaged("no JSON object after the CRC");
    std::string_view json = line.substr(i + 10);

    // "<sequence> <json>" is not contiguous in the line, so it is put together here.
    if (digits.size() + 1 + json.size() > max_record_length)
        return damaged("longer than a record may be");
    char joined[max_record_length];
    size_t length = 0;
    for (char c : digits) joined[length++] = c;
    joined[length++] = ' ';
    for (char c : json) joined[length++] = c;
    if (crc32c({joined, length}) != crc) return damaged("wrong CRC");

    result.kind = Line::Kind::record;
    result.sequence = sequence;
    result.json = json;
    result.words = line.substr(0, at);
    return result;
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

Line decode(std::string_view line) {
    while (!line.empty() && (line.back() == '\r' || line.back() == '\n')) line.remove_suffix(1);
    Line result;
    result.words = line;
    // A record may stand behind the beginning of another one, which a reset cut off.
    for (size_t at = line.find('@'); at != line.npos; at = line.find('@', at + 1)) {
        if (at + 1 == line.size() || !is_digit(line[at + 1])) continue;
        Line found = decode_from(line, at);
        if (found.kind == Line::Kind::record) return found;
        if (result.kind == Line::Kind::words) result = found;
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
