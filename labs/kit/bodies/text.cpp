// Bodies that read and write bytes: strings, numbers as text, codes, checksums.
#include "labs/kit/bodies/body.h"

namespace doorbell::labs::bodies {
namespace {

constexpr u64 text_bytes = 16 * kib;

struct Text {
    u8 bytes[text_bytes];
    u8 pattern[16];
    u32 pattern_length;
};

/// Words of one to ten letters out of eight, so that the beginning of a pattern is met often.
void write_words(u8* bytes, u64 count, Random& random) {
    for (u64 i = 0, left = 0; i < count; ++i) {
        if (left == 0) left = 2 + random.below(10);
        bytes[i] = --left == 0 ? ' ' : static_cast<u8>('a' + random.below(8));
    }
}

struct Strings {
    static constexpr u64 count = 2048, longest = 32;
    u8 first[count][longest], second[count][longest];
};

struct Decimals {
    u8 bytes[text_bytes];
};

struct Format {
    static constexpr u64 count = 1024;
    u64 numbers[count];
    u8 text[count * 21];
};

struct Runs {
    u8 bytes[text_bytes];
    u8 packed[2 * text_bytes];
};

/// A complete code of 16 symbols, 1 to 9 bits each. An inner node's two children; from `leaf` on
/// they are symbols.
struct Code {
    static constexpr u8 leaf = 64;
    u8 children[15][2];
    u8 bits[4096];
};
constexpr u8 code_tree[15][2] = {
    {64, 1},  {2, 3},   {65, 4},  {5, 6},   {66, 67}, {68, 7},  {8, 9},   {69, 70},
    {71, 10}, {11, 12}, {72, 73}, {74, 13}, {75, 14}, {76, 77}, {78, 79},
};

struct Crc {
    u32 table[256];
    u8 bytes[text_bytes];
};

struct Packets {
    static constexpr u64 count = 64, bytes = 1500;
    u16 words[count][bytes / 2 + 18];
};

struct Keys {
    static constexpr u64 count = 1024, longest = 40;
    struct {
        u8 length, bytes[longest - 1];
    } keys[count];
};

struct Sip {
    u64 v0, v1, v2, v3;
    static constexpr u64 rotate(u64 x, unsigned by) { return x << by | x >> (64 - by); }
    void round() {
        v0 += v1, v1 = rotate(v1, 13) ^ v0, v0 = rotate(v0, 32);
        v2 += v3, v3 = rotate(v3, 16) ^ v2;
        v0 += v3, v3 = rotate(v3, 21) ^ v0;
        v2 += v1, v1 = rotate(v1, 17) ^ v2, v2 = rotate(v2, 32);
    }
};

struct Base64 {
    u8 letters[64];
    u8 bytes[12 * kib];
    u8 text[16 * kib];
};

/// The length of the sequence that begins with `lead`, and the bounds of its second byte (Unicode
/// 15, table 3-7); 0 where no sequence begins with it.
struct Sequence {
    u64 length;
    u8 low, high;
};
inline Sequence sequence_of(u8 lead) {
    if (lead < 0xC2) return {0, 0, 0};
    if (lead < 0xE0) return {2, 0x80, 0xBF};
    if (lead < 0xF0)
        return {3, static_cast<u8>(lead == 0xE0 ? 0xA0 : 0x80),
                static_cast<u8>(lead == 0xED ? 0x9F : 0xBF)};
    if (lead < 0xF5)
        return {4, static_cast<u8>(lead == 0xF0 ? 0x90 : 0x80),
                static_cast<u8>(lead == 0xF4 ? 0x8F : 0xBF)};
    return {0, 0, 0};
}

}  // namespace

void prepare_string_search(void* m, u64 seed) {
    Text& text = as<Text>(m);
    Random random(seed);
    write_words(text.bytes, text_bytes, random);
    text.pattern_length = 6;
    for (u8& c : text.pattern) c = static_cast<u8>('a' + random.below(8));
}
u64 run_string_search(void* m) {
    const Text& text = as<Text>(m);
    u64 found = 0, partly = 0;
    for (u64 at = 0; at + text.pattern_length <= text_bytes; ++at) {
        u64 same = 0;
        while (same < text.pattern_length && text.bytes[at + same] == text.pattern[same]) ++same;
        partly += same;
        if (same == text.pattern_length) found = found * 31 + at;
    }
    return found + partly;
}

void prepare_string_compare(void* m, u64 seed) {
    Strings& s = as<Strings>(m);
    Random random(seed);
    for (u64 i = 0; i < Strings::count; ++i) {
        u64 length = 8 + random.below(Strings::longest - 8), differs = random.below(length + 1);
        for (u64 at = 0; at < Strings::longest; ++at) {
            u8 c = at < length ? static_cast<u8>('a' + random.below(26)) : u8{0};
            s.first[i][at] = c;
            s.second[i][at] = at == differs && c != 0 ? static_cast<u8>(c ^ 1) : c;
        }
    }
}
u64 run_string_compare(void* m) {
    const Strings& s = as<Strings>(m);
    u64 sum = 0;
    for (u64 i = 0; i < Strings::count; ++i) {
        const u8 *a = s.first[i], *b = s.second[i];
        while (*a != 0 && *a == *b) ++a, ++b;
        sum = sum * 3 + static_cast<u64>(*a - *b);
    }
    return sum;
}

void prepare_parse_decimal(void* m, u64 seed) {
    auto& text = as<Decimals>(m);
    Random random(seed);
    for (u64 at = 0, left = 0; at < text_bytes; ++at) {
        if (left == 0) left = 2 + random.below(8);
        text.bytes[at] =
            --left == 0 || at + 1 == text_bytes ? ',' : static_cast<u8>('0' + random.below(10));
    }
}
u64 run_parse_decimal(void* m) {
    const auto& text = as<Decimals>(m);
    u64 sum = 0;
    for (const u8* at = text.bytes; at < text.bytes + text_bytes;) {
        u64 number = 0;
        for (; *at >= '0' && *at <= '9'; ++at) number = number * 10 + *at - '0';
        sum = sum * 3 + number;
        ++at;
    }
    return sum;
}

void prepare_format_decimal(void* m, u64 seed) {
    Format& format = as<Format>(m);
    Random random(seed);
    for (u64& n : format.numbers) n = random.next() >> random.below(64);
}
u64 run_format_decimal(void* m) {
    Format& format = as<Format>(m);
    u8* to = format.text;
    for (u64 number : format.numbers) {
        u8 digits[20];
        u64 count = 0;
        do {
            digits[count++] = static_cast<u8>('0' + number % 10);
            number /= 10;
        } while (number != 0);
        while (count != 0) *to++ = digits[--count];
        *to++ = '\n';
    }
    return static_cast<u64>(to - format.text) * 31 + format.text[0] + to[-2];
}

void prepare_utf8(void* m, u64 seed) {
    u8* bytes = as<Text>(m).bytes;
    Random random(seed);
    u64 at = 0;
    while (at + 4 <= text_bytes) {
        u64 kind = random.below(8), bits = random.next();
        auto more = [&] { bytes[at++] = static_cast<u8>(0x80 | (bits >>= 6, bits & 0x3F)); };
        if (kind < 5) {
            bytes[at++] = static_cast<u8>(bits & 0x7F);
        } else if (kind == 5) {
            bytes[at++] = static_cast<u8>(0xC2 + bits % 30);
            more();
        } else if (kind == 6) {
            bytes[at++] = static_cast<u8>(0xE1 + bits % 12);
            more(), more();
        } else {
            bytes[at++] = static_cast<u8>(0xF1 + bits % 3);
            more(), more(), more();
        }
    }
    while (at < text_bytes) bytes[at++] = ' ';
}
u64 run_utf8(void* m) {
    const u8 *at = as<Text>(m).bytes, *end = at + text_bytes;
    u64 characters = 0, wrong = 0;
    while (at < end) {
        ++characters;
        if (*at < 0x80) {
            ++at;
            continue;
        }
        Sequence s = sequence_of(*at++);
        if (s.length == 0 || end - at < static_cast<int64_t>(s.length) - 1 || *at < s.low ||
            *at > s.high) {
            ++wrong;
            continue;
        }
        ++at;
        for (u64 i = 2; i < s.length && *at >= 0x80 && *at <= 0xBF; ++i) ++at;
    }
    return characters * 65536 + wrong;
}

void prepare_run_length(void* m, u64 seed) {
    Runs& runs = as<Runs>(m);
    Random random(seed);
    for (u64 at = 0; at < text_bytes;) {
        u64 length = 1 + (random.below(3) == 0 ? random.below(40) : random.below(3));
        auto byte = static_cast<u8>(random.next());
        for (; length != 0 && at < text_bytes; --length) runs.bytes[at++] = byte;
    }
}
u64 run_run_length(void* m) {
    Runs& runs = as<Runs>(m);
    u8* to = runs.packed;
    for (u64 at = 0; at < text_bytes;) {
        u8 byte = runs.bytes[at];
        u64 length = 1;
        while (length < 255 && at + length < text_bytes && runs.bytes[at + length] == byte)
            ++length;
        *to++ = static_cast<u8>(length);
        *to++ = byte;
        at += length;
    }
    u64 sum = 0;
    for (const u8* at = runs.packed; at < to; at += 2)
        for (u64 i = 0; i < at[0]; ++i) sum = sum * 3 + at[1];
    return sum + static_cast<u64>(to - runs.packed);
}

void prepare_huffman(void* m, u64 seed) {
    Code& code = as<Code>(m);
    for (u64 i = 0; i < 15; ++i)
        for (u64 bit = 0; bit < 2; ++bit) code.children[i][bit] = code_tree[i][bit];
    fill_random(code.bits, sizeof code.bits, seed);
}
u64 run_huffman(void* m) {
    const Code& code = as<Code>(m);
    u64 sum = 0;
    u8 node = 0;
    for (u8 byte : code.bits)
        for (unsigned bit = 0; bit < 8; ++bit) {
            node = code.children[node][byte >> bit & 1];
            if (node < Code::leaf) continue;
            sum = sum * 3 + node;
            node = 0;
        }
    return sum;
}

void prepare_crc32c(void* m, u64 seed) {
    Crc& crc = as<Crc>(m);
    for (u32 i = 0; i < 256; ++i) {
        u32 c = i;
        for (unsigned bit = 0; bit < 8; ++bit) c = c >> 1 ^ (c & 1 ? 0x82F63B78 : 0);
        crc.table[i] = c;
    }
    fill_random(crc.bytes, sizeof crc.bytes, seed);
}
u64 run_crc32c(void* m) {
    const Crc& crc = as<Crc>(m);
    u32 c = ~0u;
    for (u8 byte : crc.bytes) c = c >> 8 ^ crc.table[(c ^ byte) & 0xFF];
    return ~c;
}

void prepare_internet_checksum(void* m, u64 seed) { fill_random(m, sizeof(Packets), seed); }
u64 run_internet_checksum(void* m) {
    const Packets& packets = as<Packets>(m);
    u64 all = 0;
    for (const auto& words : packets.words) {
        u32 sum = 0;
        for (u64 i = 0; i < Packets::bytes / 2; ++i) sum += words[i];
        sum = (sum & 0xFFFF) + (sum >> 16);
        sum = (sum & 0xFFFF) + (sum >> 16);
        all = all * 31 + (~sum & 0xFFFF);
    }
    return all;
}

void prepare_fnv(void* m, u64 seed) {
    fill_random(m, sizeof(Keys), seed);
    Random random(seed);
    for (auto& key : as<Keys>(m).keys) key.length = static_cast<u8>(8 + random.below(32));
}
u64 run_fnv(void* m) {
    u64 sum = 0;
    for (const auto& key : as<Keys>(m).keys) {
        u64 hash = 0xCBF29CE484222325;
        for (u64 i = 0; i < key.length; ++i) hash = (hash ^ key.bytes[i]) * 0x100000001B3;
        sum ^= hash;
    }
    return sum;
}

void prepare_siphash(void* m, u64 seed) { fill_random(m, 1024 * 16 + 16, seed); }
u64 run_siphash(void* m) {
    auto* words = static_cast<const u64*>(m);
    u64 key0 = words[2048], key1 = words[2049], sum = 0;
    for (u64 message = 0; message < 2048; message += 2) {
        Sip s{key0 ^ 0x736F6D6570736575, key1 ^ 0x646F72616E646F6D, key0 ^ 0x6C7967656E657261,
              key1 ^ 0x7465646279746573};
        for (u64 word : {words[message], words[message + 1], u64{16} << 56}) {
            s.v3 ^= word;
            s.round(), s.round();
            s.v0 ^= word;
        }
        s.v2 ^= 0xFF;
        s.round(), s.round(), s.round(), s.round();
        sum ^= s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
    }
    return sum;
}

void prepare_base64(void* m, u64 seed) {
    Base64& b = as<Base64>(m);
    u8* to = b.letters;
    for (u8 c = 'A'; c <= 'Z'; ++c) *to++ = c;
    for (u8 c = 'a'; c <= 'z'; ++c) *to++ = c;
    for (u8 c = '0'; c <= '9'; ++c) *to++ = c;
    *to++ = '+';
    *to = '/';
    fill_random(b.bytes, sizeof b.bytes, seed);
}
u64 run_base64(void* m) {
    Base64& b = as<Base64>(m);
    u8* to = b.text;
    for (u64 at = 0; at < sizeof b.bytes; at += 3) {
        u32 three = u32{b.bytes[at]} << 16 | u32{b.bytes[at + 1]} << 8 | b.bytes[at + 2];
        *to++ = b.letters[three >> 18];
        *to++ = b.letters[three >> 12 & 63];
        *to++ = b.letters[three >> 6 & 63];
        *to++ = b.letters[three & 63];
    }
    return b.text[0] + b.text[4096] * 256u + b.text[16383] * 65536u;
}

}  // namespace doorbell::labs::bodies
