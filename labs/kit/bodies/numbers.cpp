// Bodies that compute: in registers, and on small arrays of numbers.
#include "labs/kit/bodies/body.h"

namespace doorbell::labs::bodies {
namespace {

constexpr u64 sieve_limit = 65536;

struct Collatz {
    u64 from;
};

struct Pi {
    static constexpr u64 digits = 60, places = digits * 10 / 3 + 2;
    u32 remainders[places];
};

struct Matrices {
    static constexpr u64 n = 64, block = 16;
    u64 a[n][n], b[n][n], c[n][n];
};

struct Bits {
    u8 bits[16384];
};

[[gnu::noinline]] u64 fibonacci(u64 n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }

u64 queens(u32 columns, u32 left, u32 right, u32 all) {
    if (columns == all) return 1;
    u64 found = 0;
    for (u32 free = all & ~(columns | left | right); free != 0;) {
        u32 here = free & -free;
        free ^= here;
        found += queens(columns | here, (left | here) << 1, (right | here) >> 1, all);
    }
    return found;
}

}  // namespace

void prepare_sieve(void* m, u64 seed) { fill_random(m, sieve_limit, seed); }
u64 run_sieve(void* m) {
    auto* composite = static_cast<u8*>(m);
    for (u64 i = 0; i < sieve_limit; ++i) composite[i] = 0;
    u64 sum = 0;
    for (u64 i = 2; i < sieve_limit; ++i) {
        if (composite[i]) continue;
        sum += i;
        for (u64 at = i * i; at < sieve_limit; at += i) composite[at] = 1;
    }
    return sum;
}

void prepare_fibonacci(void* m, u64) { as<u64>(m) = 20; }
u64 run_fibonacci(void* m) { return fibonacci(as<u64>(m)); }

void prepare_collatz(void* m, u64 seed) {
    as<Collatz>(m).from = 1000 + Random(seed).below(1 << 20);
}
u64 run_collatz(void* m) {
    auto& collatz = as<Collatz>(m);
    u64 steps = 0;
    for (u64 n = collatz.from; n < collatz.from + 512; ++n)
        for (u64 x = n; x != 1; ++steps) x = x & 1 ? 3 * x + 1 : x / 2;
    collatz.from += 512;
    return steps;
}

void prepare_gcd(void* m, u64 seed) { as<Draw>(m).seed(seed); }
u64 run_gcd(void* m) {
    auto& draw = as<Draw>(m);
    u64 sum = 0;
    for (u64 i = 0; i < 1024; ++i) {
        u64 a = draw.next() >> 16, b = draw.next() >> 16 | 1;
        while (b != 0) {
            u64 rest = a % b;
            a = b;
            b = rest;
        }
        sum = sum * 3 + a;
    }
    return sum;
}

void prepare_pi(void* m, u64) { as<Pi>(m).remainders[0] = 2; }
u64 run_pi(void* m) {
    auto& [remainders] = as<Pi>(m);
    for (u32& r : remainders) r = 2;
    u64 sum = 0;
    for (u64 digit = 0; digit < Pi::digits; ++digit) {
        u32 carry = 0;
        for (u32 i = Pi::places - 1; i > 0; --i) {
            u32 value = remainders[i] * 10 + carry * (i + 1);
            carry = value / (2 * i + 1);
            remainders[i] = value % (2 * i + 1);
        }
        u32 value = remainders[0] * 10 + carry;
        remainders[0] = value % 10;
        sum = sum * 31 + value / 10;
    }
    return sum;
}

void prepare_xorshift(void* m, u64 seed) { as<Draw>(m).seed(seed); }
u64 run_xorshift(void* m) {
    Draw draw = as<Draw>(m);
    u64 sum = 0;
    for (u64 i = 0; i < 32768; ++i) sum += draw.next();
    as<Draw>(m) = draw;
    return sum;
}

void prepare_matrix(void* m, u64 seed) { fill_random(m, sizeof(Matrices), seed); }
u64 run_matrix(void* m) {
    auto& [a, b, c] = as<Matrices>(m);
    for (u64 i = 0; i < Matrices::n; ++i)
        for (u64 j = 0; j < Matrices::n; ++j) {
            u64 sum = 0;
            for (u64 k = 0; k < Matrices::n; ++k) sum += a[i][k] * b[k][j];
            c[i][j] = sum;
        }
    return sum_of(&c[0][0], Matrices::n * Matrices::n);
}

void prepare_matrix_blocked(void* m, u64 seed) { fill_random(m, sizeof(Matrices), seed); }
u64 run_matrix_blocked(void* m) {
    constexpr u64 n = Matrices::n, block = Matrices::block;
    auto& [a, b, c] = as<Matrices>(m);
    for (auto& row : c)
        for (u64& value : row) value = 0;
    for (u64 rows = 0; rows < n; rows += block)
        for (u64 inner = 0; inner < n; inner += block)
            for (u64 i = rows; i < rows + block; ++i)
                for (u64 k = inner; k < inner + block; ++k) {
                    u64 factor = a[i][k];
                    for (u64 j = 0; j < n; ++j) c[i][j] += factor * b[k][j];
                }
    return sum_of(&c[0][0], n * n);
}

void prepare_popcount_loop(void* m, u64 seed) { as<Draw>(m).seed(seed); }
u64 run_popcount_loop(void* m) {
    Draw draw = as<Draw>(m);
    u64 count = 0;
    for (u64 i = 0; i < 2048; ++i)
        for (u64 word = draw.next(); word != 0; word &= word - 1) ++count;
    as<Draw>(m) = draw;
    return count + draw.state;
}

void prepare_popcount_words(void* m, u64 seed) { fill_random(m, 128 * kib, seed); }
u64 run_popcount_words(void* m) {
    auto* words = static_cast<const u64*>(m);
    u64 count = 0;
    for (u64 i = 0; i < 128 * kib / 8; ++i) {
        u64 x = words[i];
        x -= x >> 1 & 0x5555555555555555;
        x = (x & 0x3333333333333333) + (x >> 2 & 0x3333333333333333);
        x = (x + (x >> 4)) & 0x0F0F0F0F0F0F0F0F;
        count += x * 0x0101010101010101 >> 56;
    }
    return count;
}

void prepare_random_branches(void* m, u64 seed) {
    fill_random(m, sizeof(Bits), seed);
    for (u8& bit : as<Bits>(m).bits) bit &= 1;
}
u64 run_random_branches(void* m) {
    u64 sum = 0;
    for (u8 bit : as<Bits>(m).bits) {
        if (bit != 0) {
            asm volatile("");  // so that it stays a branch
            sum += 3;
        } else {
            sum ^= 5;
        }
    }
    return sum;
}

void prepare_queens(void* m, u64) { as<u64>(m) = 8; }
u64 run_queens(void* m) { return queens(0, 0, 0, (1u << as<u64>(m)) - 1); }

}  // namespace doorbell::labs::bodies
