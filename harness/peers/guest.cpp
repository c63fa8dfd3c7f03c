#include "harness/peers/guest.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <map>
#include <set>

#include "harness/data/digest.h"
#include "harness/machine/machine.h"
#include "harness/peers/initramfs.h"
#include "harness/run/qemu_run.h"
#include "harness/run/run_folder.h"
#include "harness/run/watch.h"
#include "harness/system/child.h"
#include "harness/system/escape.h"
#include "harness/system/failure.h"
#include "harness/system/file.h"
#include "harness/system/sha256.h"

namespace doorbell::harness {

namespace fs = std::filesystem;

namespace {

/// `name` below a package's files; /usr may or may not be merged with / there.
fs::path file_in(const fs::path& files, const fs::path& name) {
    return fs::exists(files / name) ? files / name : files / "usr" / name;
}

/// A module's name for comparison: the kernel treats '-' and '_' alike.
std::string plain_name(std::string name) {
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

/// How a kernel's package may compress a module, and the tool that unpacks it.
struct Packing {
    const char *extension, *tool;
};
constexpr Packing packings[] = {
    {".ko", nullptr}, {".ko.xz", "xz"}, {".ko.zst", "zstd"}, {".ko.gz", "gzip"}};

/// The name of the module in `file`, and how it is compressed; null where the file is not a module.
const Packing* packing_of(const fs::path& file, std::string& name) {
    std::string whole = file.filename();
    for (const Packing& packing : packings)
        if (whole.ends_with(packing.extension)) {
            name = plain_name(whole.substr(0, whole.size() - std::strlen(packing.extension)));
            return &packing;
        }
    return nullptr;
}

/// A module's content, unpacked.
std::string unpacked(const fs::path& file, const Packing& packing) {
    if (packing.tool == nullptr) return content_of(file);
    ToolResult tool = run_tool_or_end({packing.tool, "-dc", file.string()}, 60);
    if (tool.exit_status != 0)
        throw MachineError(
            fmt::format("cannot unpack {} with {}: {}", file.string(), packing.tool, tool.err));
    return tool.out;
}

/// What a module needs, from its own .modinfo section ("depends=a,b").
std::vector<std::string> needs_of(const std::string& bytes) {
    using namespace std::string_literals;
    std::vector<std::string> names;
    size_t at = bytes.find("\0depends="s);
    if (at == bytes.npos) return names;
    std::string list = bytes.c_str() + at + 9;
    for (size_t from = 0; from < list.size();) {
        size_t comma = std::min(list.find(',', from), list.size());
        names.push_back(list.substr(from, comma - from));
        from = comma + 1;
    }
    return names;
}

struct Module {
    std::string name, content, parameters;
};

/// The kernel's modules, as its package has them below lib/modules/RELEASE.
class Modules {
  public:
    explicit Modules(const fs::path& folder) : folder_(folder) {
        for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
            std::string name;
            if (const Packing* packing = packing_of(entry.path(), name); packing != nullptr)
                files_[name] = {entry.path(), packing};
        }
        // One path a line: what is built into the kernel.
        std::ifstream list(folder / "modules.builtin");
        std::string name;
        for (std::string line; std::getline(list, line);)
            if (packing_of(line, name) != nullptr) built_in_.insert(name);
    }
    /// Adds `words` (a name and its parameters) after everything that the module needs. Throws
    /// MachineError where the kernel has no such module.
    void add(std::vector<Module>& order, const std::string& words) const {
        size_t blank = std::min(words.find(' '), words.size());
        std::string name = plain_name(words.substr(0, blank));
        auto same = [&](const Module& there) { return there.name == name; };
        if (built_in_.count(name) != 0 || std::any_of(order.begin(), order.end(), same)) return;
        auto found = files_.find(name);
        if (found == files_.end())
            throw MachineError(fmt::format(
                "the kernel's package has no module {} (no file below {}, not in modules.builtin)",
                name, folder_.string()));
        std::string content = unpacked(found->second.first, *found->second.second);
        for (const std::string& needed : needs_of(content)) add(order, needed);
        order.push_back({name, std::move(content), words.substr(blank)});
    }

  private:
    fs::path folder_;
    std::map<std::string, std::pair<fs::path, const Packing*>> files_;
    std::set<std::string> built_in_;
};

std::string initramfs_of(const Guest& guest, const GuestSystem& system) {
    Initramfs archive;
    for (const char* folder : {"bin", "dev", "lib", "proc", "sys", "tmp", "var", "var/run"})
        archive.folder(folder);
    archive.copy("bin/busybox", system.busybox, true);
    archive.copy("bin/peer", guest.program, true);
    std::string init =
        "#!/bin/busybox sh\n"
        "b=/bin/busybox\n"
        "$b mount -t proc proc /proc\n"
        "$b mount -t sysfs sys /sys\n"
        "$b mount -t devtmpfs dev /dev\n";
    std::vector<Module> order;
    const Modules modules(system.modules);
    for (const std::string& words : guest.modules) modules.add(order, words);
    for (const Module& module : order) {
        std::string name = "lib/" + module.name + ".ko";
        archive.file(name, module.content);
        init += "$b insmod /" + name + module.parameters + "\n";
    }
    init += guest.before;
    init +=
        "$b stty -F /dev/ttyS0 raw -echo\n"
        "/bin/peer \"$@\" > /dev/ttyS0\n"
        "$b poweroff -f\n";
    archive.file("init", init, true);
    return archive.finish();
}

/// The guest's last message for people, a panic first; "" where there is none.
std::string last_words(const fs::path& console) {
    std::ifstream in(console);
    std::string last;
    for (std::string line; std::getline(in, line);) {
        while (!line.empty() && line.back() == '\r') line.pop_back();
        if (line.find("Kernel panic") != line.npos) return line;
        // Records, QEMU's remark about the cable's hub and a clean shutdown do not explain it.
        bool tells = !line.empty() && line[0] != '@' && line.find("warning: hub") == line.npos &&
                     line.find("reboot: ") == line.npos;
        if (tells) last = line;
    }
    return last;
}

std::string why_it_failed(int status, const Session& session, const fs::path& console) {
    std::string said = last_words(console);
    return fmt::format("the guest ended without its end record, {} (QEMU {}){}", session.where(),
                       how_it_ended(status), said.empty() ? "; it said nothing" : ": " + said);
}

/// A file that is rebuilt from the same parts each time.
class Temporary {
  public:
    explicit Temporary(fs::path file) : file_(std::move(file)) {}
    ~Temporary() {
        std::error_code ignored;
        fs::remove(file_, ignored);
    }
    Temporary(const Temporary&) = delete;
    const fs::path& path() const { return file_; }

  private:
    fs::path file_;
};

}  // namespace

GuestSystem guest_system(Packages& packages) {
    GuestSystem system;
    system.package = packages.depended_on("linux-image-amd64", "linux-image-");
    fs::path files = packages.unpacked(system.package);
    std::string release = system.package.substr(std::string("linux-image-").size());
    system.kernel = files / "boot" / ("vmlinuz-" + release);
    system.modules = file_in(files, "lib/modules/" + release);
    if (!fs::exists(system.kernel))
        throw MachineError(fmt::format("the package {} holds no {}", system.package,
                                       system.kernel.filename().string()));
    system.busybox = file_in(packages.unpacked("busybox-static"), "bin/busybox");
    return system;
}

namespace {

MachineOptions machine_of(const Guest& guest, const GuestSystem& system, const fs::path& qemu) {
    MachineOptions machine;
    machine.clock = guest.clock;
    machine.nic = guest.nic;
    machine.net = guest.net;
    machine.qemu = qemu;
    machine.image = system.kernel;
    // A panic ends the machine (-no-reboot) instead of holding it.
    machine.image_words = "console=ttyS0 quiet panic=-1";
    if (!guest.kernel_words.empty()) machine.image_words += " " + guest.kernel_words;
    machine.image_words += " --";
    for (const std::string& word : guest.words) machine.image_words += " " + word;
    return machine;
}

Json manifest_of(const Guest& guest, const GuestSystem& system, const MachineOptions& machine,
                 const fs::path& initramfs) {
    Json manifest = manifest_head(machine.clock, machine.machine);
    manifest.update(
        Json{{"accel", machine.accel},
             {"nic", machine.nic},
             {"net", machine.net},
             {"peer", guest.name},
             {"kernel", {{"package", system.package}, {"sha256", sha256_file(system.kernel)}}},
             {"program",
              {{"path", text_of_path(guest.program)},
               {"sha256", sha256_file(guest.program)},
               {"words", guest.words}}},
             {"initramfs", {{"sha256", sha256_file(initramfs)}}},
             {"host", describe_host()}});
    return manifest;
}

}  // namespace

Finished run_guest(const Guest& guest, const GuestSystem& system, const fs::path& program,
                   const fs::path& out, unsigned timeout_s, bool progress) {
    if (!fs::exists(guest.program))
        throw MachineError(
            fmt::format("there is no {}; build it with make", guest.program.string()));
    std::string version_of_qemu = check_qemu(program);
    MachineOptions machine = machine_of(guest, system, absolute_program(program));

    RunFolder folder = RunFolder::create(out, guest.clock, guest.name);
    fs::path console = folder.path() / "console.log";
    Temporary initramfs(folder.path() / "initramfs.cpio");
    if (std::string trouble = write_whole(initramfs.path(), initramfs_of(guest, system));
        !trouble.empty())
        throw MachineError(trouble);
    std::vector<std::string> argv = qemu_arguments(machine);
    argv.insert(argv.end(), {"-initrd", initramfs.path().string()});
    Json manifest = manifest_of(guest, system, machine, initramfs.path());
    manifest["qemu"] = {{"path", text_of_path(machine.qemu)},
                        {"version", version_of_qemu},
                        {"command", texts_of_words(argv)}};
    Session session(std::move(folder), manifest, progress);
    session.machine_is({{"type", machine.machine},
                        {"accel", machine.accel},
                        {"clock", machine.clock},
                        {"qemu_version", version_of_qemu},
                        {"nic", machine.nic},
                        {"peer", guest.name},
                        {"os_package", system.package}});
    session.progress().say(guest.name + ": booting " + system.package + " ...");
    Watch watch(session, timeout_s,
                [&](int status) { return why_it_failed(status, session, console); });
    std::optional<Outside> outside;
    if (guest.outside) outside.emplace(session, *guest.outside);
    std::string failure;
    try {
        watch.run(argv);
        if (outside) outside->end();
        failure = watch.failure();
    } catch (const std::system_error& trouble) {
        failure = trouble.what();
    }
    return session.finish(failure, watch.signal(), "");
}

}  // namespace doorbell::harness
