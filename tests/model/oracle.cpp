// The walks of the lab `caches` as a Linux program, for another cache simulator (valgrind's cachegrind) to watch:
//   oracle stride 64 | oracle chase 16384 [TIMES] | oracle transpose 64 | oracle branches | oracle empty
// Memory stands at the same multiple of 1 MiB as in the image, so that the same lines meet in the same sets.
#include "labs/walks.h"

#include <cstdio>
#include <cstdlib>
#include <string_view>

DOORBELL_WALKS;

namespace {
constexpr uint64_t room = 1 << 20, count = 4096;
constexpr uint64_t others_bytes = 4 * room;  // more than any cache that is compared
volatile char sink;
}  // namespace

int main(int argc, char** argv) {
    std::string_view walk = argc > 1 ? argv[1] : "";
    uint64_t number = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 0, times = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1;
    // Not in .bss: valgrind reads no symbols of a program whose segments are aligned that far.
    char* memory = static_cast<char*>(std::aligned_alloc(room, room));
    char* others = static_cast<char*>(std::aligned_alloc(room, others_bytes));
    if (memory == nullptr || others == nullptr) return 1;
    for (uint64_t i = 0; i < others_bytes; i += 64) others[i] = 1;
    for (uint64_t i = 0; i < room; i += 64) memory[i] = 0;
    if (walk == "chase") doorbell::labs::link_ring(memory, number);
    // Everything that was touched so far leaves the caches.
    for (int round = 0; round < 2; ++round)
        for (uint64_t i = 0; i < others_bytes; i += 16) sink = others[i];
    Walked w{};
    for (uint64_t i = 0; i < times; ++i) {
        if (walk == "stride") w = walk_stride(memory, number, count);
        else if (walk == "chase") w = walk_chase(memory, 0, number / 64);
        else if (walk == "transpose") w = walk_transpose(memory, reinterpret_cast<uint64_t>(memory + room / 2), number);
        else if (walk == "branches") w = walk_branches(memory, 0, count);
        else w = walk_empty(memory, 0, 0);
    }
    std::printf("%d\n", w.ended >= w.began);
}
