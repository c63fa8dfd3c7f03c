// The walks of the lab `caches` as a Linux program, for another cache simulator (valgrind's
// cachegrind):
//   oracle stride 64 | oracle chase 16384 twice | oracle random 65536 |
//   oracle transpose 64 | oracle branches 0 | oracle empty
// Memory is at the same multiple of 1 MiB as in the image, so that the same lines share a set.
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "labs/kit/walks.h"

DOORBELL_WALKS;

namespace {
constexpr uint64_t room = 1 << 20, count = 4096;
constexpr uint64_t others_bytes = 4 * room;  // larger than any compared cache
volatile char sink;
}  // namespace

int main(int argc, char** argv) {
    std::string_view walk = argc > 1 ? argv[1] : "";
    uint64_t number = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 0;
    bool twice = argc > 3 && argv[3] == std::string_view("twice");
    // Not in .bss: valgrind reads no symbols of a program whose segments are aligned that far.
    char* memory = static_cast<char*>(std::aligned_alloc(room, room));
    char* others = static_cast<char*>(std::aligned_alloc(room, others_bytes));
    if (memory == nullptr || others == nullptr) return 1;
    for (uint64_t i = 0; i < others_bytes; i += 64) others[i] = 1;
    for (uint64_t i = 0; i < room; i += 64) memory[i] = 0;
    if (walk == "chase") doorbell::labs::link_ring(memory, number);
    // Evicts everything that was touched so far.
    for (int round = 0; round < 2; ++round)
        for (uint64_t i = 0; i < others_bytes; i += 16) sink = others[i];
    Walk* chosen = walk_empty;
    uint64_t second = 0, third = 0;
    if (walk == "stride")
        chosen = walk_stride, second = number, third = count;
    else if (walk == "chase")
        chosen = walk_chase, third = number / 64;
    else if (walk == "random")
        chosen = walk_random, second = number, third = count;
    else if (walk == "transpose")
        chosen = walk_transpose, second = reinterpret_cast<uint64_t>(memory + room / 2),
        third = number;
    else if (walk == "branches")
        chosen = walk_branches, third = count;
    Walked w = twice ? walk_twice(memory, second, third, chosen) : chosen(memory, second, third);
    std::printf("%d\n", w.ended >= w.began);
}
