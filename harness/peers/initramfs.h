// A Linux guest's first file system: a cpio archive (format "newc", as in the kernel's
// Documentation/driver-api/early-userspace/buffer-format.rst), the same bytes for the same content.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>

namespace doorbell::harness {

class Initramfs {
  public:
    /// Names have no leading slash. Add a folder before its content.
    void folder(const std::string& name) { entry(name, 0040755, {}); }
    void file(const std::string& name, std::string_view content, bool program = false) {
        entry(name, program ? 0100755 : 0100644, content);
    }
    /// Adds a copy of a file. Throws MachineError where it cannot be read.
    void copy(const std::string& name, const std::filesystem::path& from, bool program = false);
    /// Closes the archive and returns it.
    std::string finish();

  private:
    void entry(const std::string& name, unsigned mode, std::string_view content);
    void pad();
    std::string bytes_;
    unsigned next_inode_ = 1;
};

/// A file's content. Throws MachineError.
std::string content_of(const std::filesystem::path& file);

}  // namespace doorbell::harness
