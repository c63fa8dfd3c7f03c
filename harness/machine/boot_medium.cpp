#include "harness/machine/boot_medium.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <vector>

#include "harness/system/child.h"
#include "harness/system/failure.h"
#include "harness/system/file.h"
#include "harness/system/sha256.h"

namespace doorbell::harness {

namespace fs = std::filesystem;

namespace {

/// A folder that is gone with this object.
struct Scratch {
    fs::path path;
    Scratch() {
        std::string name = (temporary_folder() / "doorbell-iso-XXXXXX").string();
        if (mkdtemp(name.data()) == nullptr)
            throw MachineError(fmt::format("cannot make a folder in {}: {}",
                                           temporary_folder().string(), std::strerror(errno)));
        path = name;
    }
    ~Scratch() {
        std::error_code ignored;
        fs::remove_all(path, ignored);
    }
};

bool in_path(const std::string& program) {
    std::string path = std::getenv("PATH") != nullptr ? std::getenv("PATH") : "/usr/bin:/bin";
    for (size_t at = 0; at <= path.size();) {
        size_t colon = std::min(path.find(':', at), path.size());
        if (access((fs::path(path.substr(at, colon - at)) / program).c_str(), X_OK) == 0)
            return true;
        at = colon + 1;
    }
    return false;
}

void check_tools() {
    std::vector<std::string> missing;
    if (!in_path("grub-mkrescue")) missing.emplace_back("grub-common");
    if (!fs::exists("/usr/lib/grub/i386-pc")) missing.emplace_back("grub-pc-bin");
    if (!fs::exists("/usr/lib/grub/x86_64-efi")) missing.emplace_back("grub-efi-amd64-bin");
    if (!in_path("xorriso")) missing.emplace_back("xorriso");
    if (!in_path("mformat")) missing.emplace_back("mtools");
    if (!missing.empty())
        throw MachineError(fmt::format("packages are missing; install them: apt-get install {}",
                                       fmt::join(missing, " ")));
}

/// The last line with a message: grub-mkrescue ends its output with a line that holds a dot.
std::string last_line(const std::string& text) {
    size_t end = text.find_last_not_of("\n. ");
    if (end == text.npos) return "no word why";
    size_t start = text.rfind('\n', end);
    return text.substr(start == text.npos ? 0 : start + 1,
                       end - (start == text.npos ? size_t(-1) : start));
}

void put(const fs::path& file, const std::string& content) {
    if (std::string trouble = write_whole(file, content); !trouble.empty())
        throw MachineError(trouble);
}

/// Reads the file back: both boot paths, and the image byte by byte.
void verify(const fs::path& iso, const fs::path& image, const fs::path& scratch) {
    auto wrong = [&](const std::string& what) {
        throw MachineError(fmt::format("{} was written, but {}", iso.string(), what));
    };
    std::ifstream in(iso, std::ios::binary);
    std::string start(0x8006, '\0');
    if (!in.read(start.data(), static_cast<std::streamsize>(start.size())))
        wrong("it is too short for an ISO");
    if (start.compare(0x8001, 5, "CD001") != 0) wrong("it is not an ISO 9660 file system");
    if (start[510] != '\x55' || static_cast<unsigned char>(start[511]) != 0xAA)
        wrong("it has no boot sector for a USB stick");
    ToolResult report =
        run_tool_or_end({"xorriso", "-indev", iso.string(), "-report_el_torito", "plain"}, 60);
    if (report.exit_status != 0) wrong("xorriso cannot read it: " + last_line(report.err));
    if (report.out.find("BIOS") == std::string::npos) wrong("it has no boot entry for BIOS");
    if (report.out.find("UEFI") == std::string::npos) wrong("it has no boot entry for UEFI");
    fs::path back = scratch / "back.elf";
    ToolResult extract = run_tool_or_end({"xorriso", "-osirrox", "on", "-indev", iso.string(),
                                          "-extract", "/boot/doorbell.elf", back.string()},
                                         60);
    if (extract.exit_status != 0 || !fs::exists(back))
        wrong("the image in it cannot be read: " + last_line(extract.err));
    if (sha256_file(back) != sha256_file(image))
        wrong("the image in it differs from " + image.string());
}

}  // namespace

std::string grub_config(const std::string& image_words) {
    // GRUB splits a line into words like a shell does; quotes keep each of ours whole.
    return fmt::format(
        "set timeout=0\n"
        "set default=0\n"
        "if serial --unit=0 --speed=115200; then\n"
        "    terminal_input console serial\n"
        "    terminal_output console serial\n"
        "fi\n"
        // UEFI has no text mode: the image gets a frame buffer.
        "if [ \"$grub_platform\" = efi ]; then\n"
        "    insmod all_video\n"
        "    set screen=auto\n"
        "else\n"
        "    set screen=text\n"
        "fi\n"
        "menuentry \"Doorbell\" {{\n"
        "    multiboot2 /boot/doorbell.elf {}\n"
        // Behind that command, which sets it to "auto".
        "    set gfxpayload=$screen\n"
        "    boot\n"
        "}}\n",
        image_words);
}

void write_boot_medium(const fs::path& image, const std::string& image_words, const fs::path& iso) {
    std::error_code error;
    if (!fs::is_regular_file(image, error))
        throw MachineError(
            fmt::format("there is no image at {}; build it with make, or name it with --image",
                        image.string()));
    Scratch scratch;
    check_tools();
    fs::path tree = scratch.path / "tree";
    fs::create_directories(tree / "boot/grub", error);
    fs::copy_file(image, tree / "boot/doorbell.elf", error);
    if (error)
        throw MachineError(fmt::format("cannot copy {}: {}", image.string(), error.message()));
    put(tree / "boot/grub/grub.cfg", grub_config(image_words));
    fs::path beside = iso;
    beside += fmt::format(".{}.part", getpid());
    if (!std::ofstream(beside))
        throw UsageError(fmt::format("cannot write {}: {}; choose another place with --out",
                                     iso.string(), std::strerror(errno)));
    ToolResult made = run_tool_or_end({"grub-mkrescue", "-o", beside.string(), tree.string()}, 300);
    if (made.exit_status != 0) {
        fs::remove(beside, error);
        throw MachineError(made.started ? "grub-mkrescue failed: " + last_line(made.err)
                                        : made.err);
    }
    try {
        verify(beside, image, scratch.path);
    } catch (...) {
        fs::remove(beside, error);
        throw;
    }
    fs::rename(beside, iso, error);
    if (error)
        throw MachineError(fmt::format("cannot write {}: {}", iso.string(), error.message()));
}

}  // namespace doorbell::harness
