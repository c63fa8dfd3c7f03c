// Sorts. Each is given other numbers at each run.
#include "labs/kit/bodies/body.h"

namespace doorbell::labs::bodies {
namespace {

void exchange(u32& a, u32& b) {
    u32 other = a;
    a = b;
    b = other;
}

void insert_in_order(u32* values, u64 count) {
    for (u64 i = 1; i < count; ++i) {
        u32 value = values[i];
        u64 at = i;
        for (; at > 0 && values[at - 1] > value; --at) values[at] = values[at - 1];
        values[at] = value;
    }
}

/// Median of three, Hoare's partition, insertion for what is short.
void quick_sort(u32* values, u64 count) {
    while (count > 16) {
        u64 middle = count / 2, last = count - 1;
        if (values[middle] < values[0]) exchange(values[middle], values[0]);
        if (values[last] < values[0]) exchange(values[last], values[0]);
        if (values[last] < values[middle]) exchange(values[last], values[middle]);
        u32 pivot = values[middle];
        u64 low = 0, high = last;
        for (;;) {
            while (values[low] < pivot) ++low;
            while (values[high] > pivot) --high;
            if (low >= high) break;
            exchange(values[low++], values[high--]);
        }
        quick_sort(values, low);
        values += low;
        count -= low;
    }
    insert_in_order(values, count);
}

void merge_sort(u32* values, u32* room, u64 count) {
    if (count < 2) return;
    u64 half = count / 2;
    merge_sort(values, room, half);
    merge_sort(values + half, room, count - half);
    for (u64 i = 0; i < half; ++i) room[i] = values[i];
    u64 left = 0, right = half, to = 0;
    while (left < half && right < count)
        values[to++] = values[right] < room[left] ? values[right++] : room[left++];
    while (left < half) values[to++] = room[left++];
}

void sift_down(u32* heap, u64 at, u64 count) {
    u32 value = heap[at];
    for (u64 child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && heap[child + 1] > heap[child]) ++child;
        if (heap[child] <= value) break;
        heap[at] = heap[child];
    }
    heap[at] = value;
}

constexpr u64 insertion_count = 512, sort_count = 4096, radix_count = 16384;

struct Radix {
    u32 values[radix_count], other[radix_count], begins[256];
};

}  // namespace

void prepare_quick_sort(void* m, u64 seed) { fill_random(m, sort_count * 4, seed); }
u64 run_quick_sort(void* m) {
    auto* values = static_cast<u32*>(m);
    quick_sort(values, sort_count);
    return sum_of(values, sort_count);
}

void prepare_insertion_sort(void* m, u64 seed) { fill_random(m, insertion_count * 4, seed); }
u64 run_insertion_sort(void* m) {
    auto* values = static_cast<u32*>(m);
    insert_in_order(values, insertion_count);
    return sum_of(values, insertion_count);
}

void prepare_merge_sort(void* m, u64 seed) { fill_random(m, sort_count * 4, seed); }
u64 run_merge_sort(void* m) {
    auto* values = static_cast<u32*>(m);
    merge_sort(values, values + sort_count, sort_count);
    return sum_of(values, sort_count);
}

void prepare_heap_sort(void* m, u64 seed) { fill_random(m, sort_count * 4, seed); }
u64 run_heap_sort(void* m) {
    auto* values = static_cast<u32*>(m);
    for (u64 i = sort_count / 2; i-- > 0;) sift_down(values, i, sort_count);
    for (u64 left = sort_count; left-- > 1;) {
        exchange(values[0], values[left]);
        sift_down(values, 0, left);
    }
    return sum_of(values, sort_count);
}

void prepare_radix_sort(void* m, u64 seed) { fill_random(m, radix_count * 4, seed); }
u64 run_radix_sort(void* m) {
    Radix& radix = as<Radix>(m);
    u32 *from = radix.values, *to = radix.other;
    for (unsigned shift = 0; shift < 32; shift += 8) {
        for (u32& begin : radix.begins) begin = 0;
        for (u64 i = 0; i < radix_count; ++i) ++radix.begins[from[i] >> shift & 0xFF];
        u32 before = 0;
        for (u32& begin : radix.begins) {
            u32 count = begin;
            begin = before;
            before += count;
        }
        for (u64 i = 0; i < radix_count; ++i) to[radix.begins[from[i] >> shift & 0xFF]++] = from[i];
        u32* other = from;
        from = to;
        to = other;
    }
    return sum_of(from, radix_count);
}

}  // namespace doorbell::labs::bodies
