// Bodies that do little else than load and store.
#include "labs/kit/bodies/body.h"

namespace doorbell::labs::bodies {
namespace {

constexpr u64 line = 64;

struct alignas(line) Link {
    Link* next;
};

/// A ring in random order (Sattolo, 1986), and behind it the place where the next run begins. A run
/// ends elsewhere than it began.
template <u64 bytes>
struct Ring {
    Link links[bytes / line];
    Link at;

    void prepare(u64 seed) {
        constexpr u64 count = bytes / line;
        Random random(seed);
        for (u64 i = 0; i < count; ++i) links[i].next = &links[i];
        for (u64 i = count - 1; i > 0; --i) {
            u64 j = random.below(i);
            Link* other = links[i].next;
            links[i].next = links[j].next;
            links[j].next = other;
        }
        at.next = links;
    }
    u64 run() {
        Link* here = at.next;
        for (u64 i = 0; i < 16383; ++i) here = here->next;
        at.next = here;
        return static_cast<u64>(here - links);
    }
};

template <u64 bytes, u64 count>
struct Scattered {
    u64 values[bytes / 8];
    u32 order[count];

    void prepare(u64 seed) {
        fill_random(values, bytes, seed);
        Random random(seed + 1);
        for (u32& i : order) i = static_cast<u32>(random.below(bytes / 8));
    }
    u64 run() const {
        u64 sum = 0;
        for (u32 i : order) sum += values[i];
        return sum;
    }
};

/// Loads `stride` bytes apart through all of it, `passes` times, each pass a line further.
template <u64 bytes, u64 stride, u64 passes>
u64 sum_stride(const void* memory) {
    auto* values = static_cast<const u64*>(memory);
    u64 sum = 0;
    for (u64 pass = 0; pass < passes; ++pass)
        for (u64 at = pass * line / 8; at < bytes / 8; at += stride / 8) sum += values[at];
    return sum;
}

struct Copy {
    static constexpr u64 bytes = 64 * kib, strings = 64;
    u8 from[bytes], to[bytes];
    struct {
        u32 from, to, length;
    } pieces[strings];
};

struct Transpose {
    static constexpr u64 n = 256;
    u64 from[n][n], to[n][n];
};

struct Histogram {
    u8 bytes[64 * kib];
    u32 counts[256];
};

struct Update {
    static constexpr u64 count = 2 * mib / 8;
    u64 values[count];
    Draw draw;
};

}  // namespace

void prepare_ring_16k(void* m, u64 seed) { as<Ring<16 * kib>>(m).prepare(seed); }
u64 run_ring_16k(void* m) { return as<Ring<16 * kib>>(m).run(); }
void prepare_ring_128k(void* m, u64 seed) { as<Ring<128 * kib>>(m).prepare(seed); }
u64 run_ring_128k(void* m) { return as<Ring<128 * kib>>(m).run(); }
void prepare_ring_1m(void* m, u64 seed) { as<Ring<1 * mib>>(m).prepare(seed); }
u64 run_ring_1m(void* m) { return as<Ring<1 * mib>>(m).run(); }
void prepare_ring_4m(void* m, u64 seed) { as<Ring<4 * mib>>(m).prepare(seed); }
u64 run_ring_4m(void* m) { return as<Ring<4 * mib>>(m).run(); }

void prepare_scattered_256k(void* m, u64 seed) { as<Scattered<256 * kib, 16384>>(m).prepare(seed); }
u64 run_scattered_256k(void* m) { return as<Scattered<256 * kib, 16384>>(m).run(); }
void prepare_scattered_4m(void* m, u64 seed) { as<Scattered<4 * mib, 65536>>(m).prepare(seed); }
u64 run_scattered_4m(void* m) { return as<Scattered<4 * mib, 65536>>(m).run(); }

void prepare_stream_8(void* m, u64 seed) { fill_random(m, 256 * kib, seed); }
u64 run_stream_8(void* m) { return sum_stride<256 * kib, 8, 1>(m); }
void prepare_stream_64(void* m, u64 seed) { fill_random(m, 1 * mib, seed); }
u64 run_stream_64(void* m) { return sum_stride<1 * mib, 64, 1>(m); }
void prepare_stream_256(void* m, u64 seed) { fill_random(m, 4 * mib, seed); }
u64 run_stream_256(void* m) { return sum_stride<4 * mib, 256, 1>(m); }
void prepare_stream_4096(void* m, u64 seed) { fill_random(m, 4 * mib, seed); }
u64 run_stream_4096(void* m) { return sum_stride<4 * mib, 4096, 16>(m); }

void prepare_fill(void* m, u64 seed) { fill_random(m, 1 * mib, seed); }
u64 run_fill(void* m) {
    auto* words = static_cast<u64*>(m);
    constexpr u64 count = 1 * mib / 8;
    u64 value = words[count - 1] + 1;
    for (u64 i = 0; i < count; ++i) words[i] = value;
    return words[count / 2] + words[0];
}

void prepare_copy_words(void* m, u64 seed) { fill_random(m, 2 * Copy::bytes, seed); }
u64 run_copy_words(void* m) {
    auto* from = static_cast<const u64*>(m);
    u64* to = static_cast<u64*>(m) + Copy::bytes / 8;
    for (u64 i = 0; i < Copy::bytes / 8; ++i) to[i] = from[i];
    return to[0] + to[Copy::bytes / 16] + to[Copy::bytes / 8 - 1];
}

void prepare_copy_strings(void* m, u64 seed) {
    Copy& copy = as<Copy>(m);
    fill_random(copy.from, 2 * Copy::bytes, seed);
    Random random(seed + 1);
    for (auto& piece : copy.pieces) {
        piece.length = 16 + static_cast<u32>(random.below(1500));
        piece.from = static_cast<u32>(random.below(Copy::bytes - piece.length));
        piece.to = static_cast<u32>(random.below(Copy::bytes - piece.length));
    }
}
u64 run_copy_strings(void* m) {
    Copy& copy = as<Copy>(m);
    u64 sum = 0;
    for (const auto& piece : copy.pieces) {
        const u8* from = copy.from + piece.from;
        u8* to = copy.to + piece.to;
        u64 length = piece.length;
        asm volatile("rep movsb" : "+S"(from), "+D"(to), "+c"(length) : : "memory");
        sum = sum * 31 + to[-1];
    }
    return sum;
}

void prepare_transpose(void* m, u64 seed) { fill_random(m, sizeof(Transpose), seed); }
u64 run_transpose(void* m) {
    auto& [from, to] = as<Transpose>(m);
    for (u64 row = 0; row < Transpose::n; ++row)
        for (u64 column = 0; column < Transpose::n; ++column) to[column][row] = from[row][column];
    u64 sum = 0;
    for (u64 i = 0; i < Transpose::n; ++i) sum = sum * 31 + to[i][i ^ 1];
    return sum;
}

void prepare_histogram(void* m, u64 seed) { fill_random(m, sizeof(Histogram::bytes), seed); }
u64 run_histogram(void* m) {
    Histogram& h = as<Histogram>(m);
    for (u32& count : h.counts) count = 0;
    for (u8 byte : h.bytes) ++h.counts[byte];
    return sum_of(h.counts, 256);
}

void prepare_update(void* m, u64 seed) {
    fill_random(m, sizeof(Update), seed);
    as<Update>(m).draw.seed(seed + 1);
}
u64 run_update(void* m) {
    Update& update = as<Update>(m);
    Draw draw = update.draw;
    u64 last = 0;
    for (u64 i = 0; i < 16384; ++i) {
        u64 value = draw.next();
        u64& place = update.values[value % Update::count];
        place ^= value;
        last = last * 3 + place;
    }
    update.draw = draw;
    return last;
}

}  // namespace doorbell::labs::bodies
