#include "harness/peers/guest.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <fstream>

#include "harness/data/digest.h"
#include "harness/machine/machine.h"
#include "harness/peers/initramfs.h"
#include "harness/run/qemu_run.h"
#include "harness/run/watch.h"
#include "harness/system/failure.h"
#include "harness/system/file.h"
#include "harness/system/sha256.h"
#include "harness/system/version.h"

namespace doorbell::harness {

namespace fs = std::filesystem;

namespace {

/// `name` below a package's files; there /usr may or may not have become one with /.
fs::path file_in(const fs::path& files, const fs::path& name) {
    return fs::exists(files / name) ? files / name : files / "usr" / name;
}

/// The file of a module; "" where the kernel has it built in.
fs::path module_file(const fs::path& modules, std::string name) {
    std::replace(name.begin(), name.end(), '-', '_');
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(modules)) {
        if (entry.path().extension() != ".ko") continue;
        std::string stem = entry.path().stem();
        std::replace(stem.begin(), stem.end(), '-', '_');
        if (stem == name) return entry.path();
    }
    return {};
}

/// What a module needs, from its own .modinfo section ("depends=a,b").
std::vector<std::string> needs_of(const fs::path& module) {
    using namespace std::string_literals;
    std::string bytes = content_of(module);
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
    fs::path file;
    std::string parameters;
};

/// `words` (a name and its parameters) after everything that it needs.
void add_module(std::vector<Module>& order, const fs::path& modules, const std::string& words) {
    size_t blank = std::min(words.find(' '), words.size());
    fs::path file = module_file(modules, words.substr(0, blank));
    auto same = [&](const Module& there) { return there.file == file; };
    if (file.empty() || std::any_of(order.begin(), order.end(), same)) return;
    for (const std::string& needed : needs_of(file)) add_module(order, modules, needed);
    order.push_back({file, words.substr(blank)});
}

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
    for (const std::string& words : guest.modules) add_module(order, system.modules, words);
    for (const Module& module : order) {
        std::string name = "lib/" + module.file.filename().string();
        archive.copy(name, module.file);
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

/// What the guest said last for people, a panic before all else; "" where it said nothing.
std::string last_words(const fs::path& console) {
    std::ifstream in(console);
    std::string last;
    for (std::string line; std::getline(in, line);) {
        while (!line.empty() && line.back() == '\r') line.pop_back();
        if (line.find("Kernel panic") != line.npos) return line;
        // Records, QEMU's word about the cable's hub, and a good night are no explanation.
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

/// A file that is made again from the same parts each time.
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

Finished run_guest(const Guest& guest, const GuestSystem& system, const fs::path& qemu,
                   const fs::path& out, unsigned timeout_s, bool progress) {
    if (!fs::exists(guest.program))
        throw MachineError(
            fmt::format("there is no {}; build it with make", guest.program.string()));
    std::string version_of_qemu = check_qemu(qemu);

    RunFolder folder = RunFolder::create(out, guest.clock, guest.name);
    fs::path console = folder.path() / "console.log";
    Temporary initramfs(folder.path() / "initramfs.cpio");
    if (std::string trouble = write_whole(initramfs.path(), initramfs_of(guest, system));
        !trouble.empty())
        throw MachineError(trouble);

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
    std::vector<std::string> argv = qemu_arguments(machine);
    argv.insert(argv.end(), {"-initrd", initramfs.path().string()});

    Json manifest = {
        {"schema", "doorbell-manifest/1"},
        {"doorbell", version},
        {"time", time_stamp()},
        {"status", "running"},
        {"clock", machine.clock},
        {"machine", machine.machine},
        {"accel", machine.accel},
        {"nic", machine.nic},
        {"net", machine.net},
        {"peer", guest.name},
        {"kernel", {{"package", system.package}, {"sha256", sha256_file(system.kernel)}}},
        {"program",
         {{"path", guest.program.string()},
          {"sha256", sha256_file(guest.program)},
          {"words", guest.words}}},
        {"initramfs", {{"sha256", sha256_file(initramfs.path())}}},
        {"qemu", {{"path", qemu.string()}, {"version", version_of_qemu}, {"command", argv}}},
        {"host", describe_host()}};
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
