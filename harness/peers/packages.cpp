#include "harness/peers/packages.h"

#include <fmt/format.h>
#include <unistd.h>

#include <sstream>

#include "harness/system/child.h"
#include "harness/system/failure.h"

namespace doorbell::harness {

namespace fs = std::filesystem;

namespace {

constexpr unsigned download_s = 900, unpack_s = 300;

/// The tool's last message, or that it is missing.
std::string complaint(const ToolResult& tool) {
    if (!tool.started) return tool.err;
    if (tool.timed_out) return "it took too long";
    std::string text = tool.err.empty() ? tool.out : tool.err;
    while (!text.empty() && text.back() == '\n') text.pop_back();
    size_t line = text.rfind('\n');
    return line == text.npos ? text : text.substr(line + 1);
}

fs::path the_package_in(const fs::path& folder) {
    for (const fs::directory_entry& entry : fs::directory_iterator(folder))
        if (entry.path().extension() == ".deb") return entry.path();
    return {};
}

}  // namespace

void Packages::update_lists() {
    if (updated_ || geteuid() != 0) return;
    updated_ = true;
    say_("apt-get update");
    (void)run_tool_or_end({"apt-get", "update", "-qq"}, download_s);
}

std::string Packages::depended_on(const std::string& package, const std::string& prefix) {
    // Keep what was found once: a newer kernel would be another machine.
    for (std::error_code error;
         const fs::directory_entry& entry : fs::directory_iterator(folder_, error))
        if (std::string name = entry.path().filename();
            name.starts_with(prefix) && fs::exists(entry.path() / "complete"))
            return name;
    for (int tries = 0; tries < 2; ++tries) {
        ToolResult tool = run_tool_or_end({"apt-cache", "depends", package}, 60);
        std::istringstream lines(tool.out);
        for (std::string line; std::getline(lines, line);)
            if (size_t at = line.find("Depends: " + prefix); at != line.npos)
                return line.substr(at + 9);
        if (!tool.started)
            throw MachineError(
                fmt::format("apt-cache: {}; the peers are made of Debian's packages", tool.err));
        update_lists();
    }
    throw MachineError(
        fmt::format("apt-cache does not know what {} depends on; run: apt-get update", package));
}

fs::path Packages::unpacked(const std::string& package) {
    fs::path home = folder_ / package, files = home / "files", mark = home / "complete";
    if (fs::exists(mark)) return files;
    std::error_code ignored;
    fs::remove_all(home, ignored);
    fs::create_directories(files);
    for (int tries = 0; the_package_in(home).empty(); ++tries) {
        say_("downloading " + package);
        // apt-get writes into its working folder.
        ToolResult tool = run_tool_or_end(
            {"env", "-C", home.string(), "apt-get", "download", package}, download_s);
        if (tool.exit_status == 0) continue;
        if (tries != 0 || !tool.started || geteuid() != 0)
            throw MachineError(
                fmt::format("cannot download the package {}: {}", package, complaint(tool)));
        update_lists();
    }
    say_("unpacking " + package);
    fs::path archive = the_package_in(home);
    ToolResult tool =
        run_tool_or_end({"dpkg-deb", "-x", archive.string(), files.string()}, unpack_s);
    if (tool.exit_status != 0)
        throw MachineError(fmt::format("cannot unpack {}: {}", archive.string(), complaint(tool)));
    fs::remove(archive, ignored);
    // Last, so that an interrupted run starts over.
    if (FILE* done = std::fopen(mark.c_str(), "w"); done == nullptr || std::fclose(done) != 0)
        throw MachineError(fmt::format("cannot write {}", mark.string()));
    return files;
}

}  // namespace doorbell::harness
