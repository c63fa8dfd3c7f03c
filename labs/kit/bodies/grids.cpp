// Bodies that fill a table of two dimensions, each field from its neighbours.
#include "labs/kit/bodies/body.h"

namespace doorbell::labs::bodies {
namespace {

/// Conway's Game of Life on a torus.
struct Life {
    static constexpr u64 n = 64;
    u8 now[n][n], next[n][n];
};

struct Roads {
    static constexpr u64 n = 48;
    u32 length[n][n];
};

struct Knapsack {
    static constexpr u64 items = 64, capacity = 1024;
    struct {
        u32 weight, value;
    } things[items];
    u32 best[capacity + 1];
};

struct Edit {
    static constexpr u64 length = 192;
    u8 first[length], second[length];
    u32 row[length + 1];
};

}  // namespace

void prepare_life(void* m, u64 seed) {
    fill_random(m, sizeof(Life), seed);
    for (auto& row : as<Life>(m).now)
        for (u8& cell : row) cell = cell % 3 == 0;
}
u64 run_life(void* m) {
    constexpr u64 n = Life::n;
    auto& [now, next] = as<Life>(m);
    for (u64 y = 0; y < n; ++y) {
        const u8 *above = now[(y + n - 1) % n], *row = now[y], *below = now[(y + 1) % n];
        for (u64 x = 0; x < n; ++x) {
            u64 left = (x + n - 1) % n, right = (x + 1) % n;
            int around = above[left] + above[x] + above[right] + row[left] + row[right] +
                         below[left] + below[x] + below[right];
            next[y][x] = around == 3 || (around == 2 && row[x] != 0);
        }
    }
    u64 sum = 0;
    for (u64 y = 0; y < n; ++y)
        for (u64 x = 0; x < n; ++x) {
            now[y][x] = next[y][x];
            sum = sum * 3 + now[y][x];
        }
    return sum;
}

void prepare_floyd_warshall(void* m, u64 seed) {
    Random random(seed);
    for (auto& row : as<Roads>(m).length)
        for (u32& length : row) length = static_cast<u32>(1 + random.below(1000));
}
u64 run_floyd_warshall(void* m) {
    auto& [length] = as<Roads>(m);
    for (u64 over = 0; over < Roads::n; ++over)
        for (u64 from = 0; from < Roads::n; ++from)
            for (u64 to = 0; to < Roads::n; ++to) {
                u32 way = length[from][over] + length[over][to];
                if (way < length[from][to]) length[from][to] = way;
            }
    return sum_of(&length[0][0], Roads::n * Roads::n);
}

void prepare_knapsack(void* m, u64 seed) {
    Random random(seed);
    for (auto& thing : as<Knapsack>(m).things) {
        thing.weight = static_cast<u32>(1 + random.below(100));
        thing.value = static_cast<u32>(1 + random.below(1000));
    }
}
u64 run_knapsack(void* m) {
    auto& [things, best] = as<Knapsack>(m);
    for (u32& value : best) value = 0;
    for (const auto& thing : things)
        for (u64 room = Knapsack::capacity; room >= thing.weight; --room) {
            u32 with = best[room - thing.weight] + thing.value;
            if (with > best[room]) best[room] = with;
        }
    return best[Knapsack::capacity] * 1000ull + best[Knapsack::capacity / 2];
}

void prepare_edit_distance(void* m, u64 seed) {
    Random random(seed);
    auto& edit = as<Edit>(m);
    for (u64 i = 0; i < Edit::length; ++i) {
        edit.first[i] = static_cast<u8>('a' + random.below(4));
        edit.second[i] =
            random.below(4) != 0 ? edit.first[i] : static_cast<u8>('a' + random.below(4));
    }
}
u64 run_edit_distance(void* m) {
    auto& [first, second, row] = as<Edit>(m);
    for (u32 i = 0; i <= Edit::length; ++i) row[i] = i;
    for (u64 y = 0; y < Edit::length; ++y) {
        u32 diagonal = row[0];
        row[0] = static_cast<u32>(y + 1);
        for (u64 x = 0; x < Edit::length; ++x) {
            u32 change = diagonal + (first[y] != second[x]);
            diagonal = row[x + 1];
            u32 less = row[x] < diagonal ? row[x] : diagonal;
            row[x + 1] = change < less + 1 ? change : less + 1;
        }
    }
    return sum_of(row, Edit::length + 1);
}

}  // namespace doorbell::labs::bodies
