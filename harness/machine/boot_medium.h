// The bootable ISO, which also boots from a USB stick when it is written there raw.
#pragma once
#include <filesystem>
#include <string>

namespace doorbell::harness {

/// GRUB's configuration: boots the image at once, on the screen and on the serial line where there
/// is one.
std::string grub_config(const std::string& image_words);

/// Writes `iso` with `image` in it, by grub-mkrescue, for BIOS and UEFI, and reads it back. Throws
/// MachineError with the missing packages, or with what is wrong with the written file.
void write_boot_medium(const std::filesystem::path& image, const std::string& image_words,
                       const std::filesystem::path& iso);

}  // namespace doorbell::harness
