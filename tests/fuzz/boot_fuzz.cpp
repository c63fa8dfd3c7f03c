// Fuzzes the parser of the boot loader's information: the input is the memory at its address, as
// multiboot2 or PVH according to its content. On any input the parser must end, stay inside memory
// and keep the map's promises.
#include <cstdlib>
#include <memory>

#include "firmware/boot/boot_info.h"

namespace {

using doorbell::boot::BootInfo;
using doorbell::boot::MemoryRegion;

void require(bool truth) {
    if (!truth) std::abort();
}

constexpr uint64_t base = 0x10000;
struct Input {
    const uint8_t* data;
    size_t size;
};

const uint8_t* read(void* context, uint64_t address, uint64_t length) {
    auto& input = *static_cast<Input*>(context);
    if (address < base || address - base > input.size || length > input.size - (address - base))
        return nullptr;
    return input.data + (address - base);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    Input input{data, size};
    auto info = std::make_unique<BootInfo>();
    if (!doorbell::boot::read_boot_info({read, &input}, base, *info)) return 0;
    require(info->command_line_length <= BootInfo::max_command_line);
    require(info->words().find('\0') == std::string_view::npos);
    require(info->rsdp_copy_length <= sizeof info->rsdp_copy);
    require(info->memory.size() <= doorbell::boot::MemoryMap::most);
    const MemoryRegion* before = nullptr;
    for (const MemoryRegion& r : info->memory) {
        require(r.length != 0 && r.end() > r.base);
        require(before == nullptr || before->base <= r.base);
        before = &r;
        for (const MemoryRegion& other : info->memory) {
            if (&other == &r) continue;
            const bool apart = other.end() <= r.base || other.base >= r.end();
            require(apart || r.usable() == other.usable());
            require(apart || r.type != other.type);
        }
    }
    return 0;
}
