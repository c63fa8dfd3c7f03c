#include "harness/peers/initramfs.h"

#include <fmt/format.h>

#include <fstream>
#include <iterator>

#include "harness/system/failure.h"

namespace doorbell::harness {

std::string content_of(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in) throw MachineError(fmt::format("cannot read {}", file.string()));
    return {std::istreambuf_iterator<char>(in), {}};
}

void Initramfs::copy(const std::string& name, const std::filesystem::path& from, bool program) {
    file(name, content_of(from), program);
}

void Initramfs::pad() { bytes_.append((4 - bytes_.size() % 4) % 4, '\0'); }

void Initramfs::entry(const std::string& name, unsigned mode, std::string_view content) {
    // magic, inode, mode, user, group, links, time, size, device (2), its own device (2), name's
    // length, check. Time and owner are 0: the archive depends on its content alone.
    bytes_ += fmt::format(
        "070701{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}",
        next_inode_++, mode, 0, 0, 1, 0, content.size(), 0, 0, 0, 0, name.size() + 1, 0);
    bytes_ += name;
    bytes_ += '\0';
    pad();
    bytes_ += content;
    pad();
}

std::string Initramfs::finish() {
    entry("TRAILER!!!", 0, {});
    return std::move(bytes_);
}

}  // namespace doorbell::harness
