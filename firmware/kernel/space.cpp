#include "firmware/kernel/space.h"

extern "C" char user_text_start[], user_text_end[];

namespace doorbell::kernel {
namespace {

using cpu::PageFlags;
using cpu::PageTables;

constexpr uint64_t data = PageFlags::writable | PageFlags::user | PageFlags::no_execute;
constexpr uint64_t page_up(uint64_t a) {
    return (a + PageTables::page - 1) & ~(PageTables::page - 1);
}

}  // namespace

Result<Space*> Space::make(platform::Machine& machine, uint64_t bytes, uint64_t pcid_bits) {
    constexpr Error no_memory{"not enough memory for an address space"};
    auto* space = machine.arena.make<Space>();
    if (space == nullptr) return no_memory;
    space->tables =
        DOORBELL_TRY(PageTables::make(machine.arena.frames(), false, machine.features.no_execute));
    for (uint64_t entry = 0; entry < 512; ++entry) space->tables.share(machine.tables, entry << 39);

    bytes = page_up(bytes);
    // On a boundary of large pages where it is large, so that the TLB is not what is measured.
    uint64_t alignment =
        bytes >= PageTables::large_page ? PageTables::large_page : PageTables::page;
    uint64_t physical = machine.arena.take(bytes, alignment);
    if (physical == 0) return no_memory;
    auto* words = reinterpret_cast<volatile uint64_t*>(physical);
    // Many at a turn, as in Histogram's constructor.
    constexpr uint64_t at_once = 8;
    for (uint64_t i = 0; i < bytes / 8; i += at_once)
        for (uint64_t j = 0; j < at_once; ++j) words[i + j] = 0;
    DOORBELL_TRY(space->tables.map(window_start, physical, bytes, data));

    space->root = space->tables.root() | pcid_bits;
    space->next = window_start;
    space->end = window_start + bytes;
    space->kernel_less_user = physical - window_start;
    auto text = reinterpret_cast<uint64_t>(user_text_start);
    space->memory.add({window_start, bytes, physical, true});
    space->memory.add({text, reinterpret_cast<uint64_t>(user_text_end) - text, text, false});
    return space;
}

uint64_t Space::take(uint64_t bytes, uint64_t alignment) {
    uint64_t at = (next + alignment - 1) & ~(alignment - 1);
    if (at > end || bytes > end - at) return 0;
    next = at + bytes;
    return at;
}

uint64_t Space::take_stack(uint64_t bytes) {
    uint64_t guard = take(PageTables::page + page_up(bytes), PageTables::page);
    if (guard == 0) return 0;
    // Below the window nothing is mapped anyway. A space is not loaded while stacks are made in it.
    if (guard != window_start && !tables.unmap(guard, PageTables::page)) return 0;
    return next;
}

Result<uint64_t> Space::share(uint64_t kernel_address, uint64_t bytes, bool writable) {
    bytes = page_up(bytes);
    uint64_t at = next_shared;
    DOORBELL_TRY(
        tables.map(at, kernel_address, bytes, writable ? data : data & ~PageFlags::writable));
    if (!memory.add({at, bytes, kernel_address, writable}))
        return Error{"too many shared stretches in one address space"};
    next_shared = at + bytes + PageTables::page;
    return at;
}

}  // namespace doorbell::kernel
