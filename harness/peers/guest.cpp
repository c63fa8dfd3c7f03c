#include "harness/peers/guest.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>

#include "harness/digest.h"
#include "harness/failure.h"
#include "harness/machine.h"
#include "harness/peers/initramfs.h"
#include "harness/qemu_run.h"
#include "harness/version.h"
#include "harness/watch.h"

namespace doorbell::harness {

namespace fs = std::filesystem;

namespace {

struct Kernel {
    fs::path image, modules;
    std::string package;
};

Kernel kernel_of(Packages& packages) {
    Kernel kernel;
    kernel.package = packages.depended_on("linux-image-amd64", "linux-image-");
    fs::path files = packages.unpacked(kernel.package);
    std::string release = kernel.package.substr(std::string("linux-image-").size());
    kernel.image = files / "boot" / ("vmlinuz-" + release);
    kernel.modules = files / "lib/modules" / release;
    // Where /lib and /usr/lib have become one.
    if (!fs::exists(kernel.modules)) kernel.modules = files / "usr/lib/modules" / release;
    if (!fs::exists(kernel.image)) throw MachineError(fmt::format("the package {} holds no {}", kernel.package, kernel.image.filename().string()));
    return kernel;
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

/// `name` after everything that it needs.
void add_module(std::vector<fs::path>& order, const fs::path& modules, const std::string& name) {
    fs::path file = module_file(modules, name);
    if (file.empty() || std::find(order.begin(), order.end(), file) != order.end()) return;
    for (const std::string& needed : needs_of(file)) add_module(order, modules, needed);
    order.push_back(file);
}

std::string initramfs_of(const Guest& guest, const Kernel& kernel, const fs::path& busybox) {
    Initramfs archive;
    for (const char* folder : {"bin", "dev", "lib", "proc", "sys", "tmp", "var", "var/run"}) archive.folder(folder);
    archive.copy("bin/busybox", busybox, true);
    archive.copy("bin/peer", guest.program, true);
    std::string init =
        "#!/bin/busybox sh\n"
        "b=/bin/busybox\n"
        "$b mount -t proc proc /proc\n"
        "$b mount -t sysfs sys /sys\n"
        "$b mount -t devtmpfs dev /dev\n";
    std::vector<fs::path> order;
    for (const std::string& name : guest.modules) add_module(order, kernel.modules, name);
    for (const fs::path& module : order) {
        std::string name = "lib/" + module.filename().string();
        archive.copy(name, module);
        init += "$b insmod /" + name + "\n";
    }
    init += guest.before;
    init +=
        "$b stty -F /dev/ttyS0 raw -echo\n"
        "/bin/peer \"$@\" > /dev/ttyS0\n"
        "$b poweroff -f\n";
    archive.file("init", init, true);
    return archive.finish();
}

std::string why_it_failed(int status, const Session& session) {
    std::string said = session.last_aside().empty() ? "" : ": " + session.last_aside();
    return fmt::format("the guest ended without its end record, {} (QEMU {}{}); see console.log", session.where(), how_it_ended(status), said);
}

}  // namespace

Finished run_guest(const Guest& guest, Packages& packages, const fs::path& qemu, const fs::path& out, unsigned timeout_s, bool progress) {
    if (!fs::exists(guest.program)) throw MachineError(fmt::format("there is no {}; build it with make", guest.program.string()));
    Kernel kernel = kernel_of(packages);
    fs::path busybox = packages.unpacked("busybox-static") / "bin/busybox";
    if (!fs::exists(busybox)) busybox = busybox.parent_path().parent_path() / "usr/bin/busybox";
    std::string version_of_qemu = check_qemu(qemu);

    RunFolder folder = RunFolder::create(out, guest.clock, guest.name);
    fs::path initramfs = folder.path() / "initramfs.cpio";
    if (std::string trouble = write_whole(initramfs, initramfs_of(guest, kernel, busybox)); !trouble.empty()) throw MachineError(trouble);

    MachineOptions machine;
    machine.clock = guest.clock;
    machine.nic = guest.nic;
    machine.net = guest.net;
    machine.qemu = qemu;
    machine.image = kernel.image;
    machine.image_words = "console=ttyS0 quiet";
    if (!guest.kernel_words.empty()) machine.image_words += " " + guest.kernel_words;
    machine.image_words += " --";
    for (const std::string& word : guest.words) machine.image_words += " " + word;
    std::vector<std::string> argv = qemu_arguments(machine);
    argv.insert(argv.end(), {"-initrd", initramfs.string()});

    Json manifest = {{"schema", "doorbell-manifest/1"},
                     {"doorbell", version},
                     {"time", time_stamp()},
                     {"status", "running"},
                     {"clock", machine.clock},
                     {"machine", machine.machine},
                     {"accel", machine.accel},
                     {"nic", machine.nic},
                     {"net", machine.net},
                     {"peer", guest.name},
                     {"kernel", {{"package", kernel.package}, {"sha256", sha256_file(kernel.image)}}},
                     {"program", {{"path", guest.program.string()}, {"sha256", sha256_file(guest.program)}, {"words", guest.words}}},
                     {"initramfs", {{"sha256", sha256_file(initramfs)}}},
                     {"qemu", {{"path", qemu.string()}, {"version", version_of_qemu}, {"command", argv}}},
                     {"host", describe_host()}};
    Session session(std::move(folder), manifest, progress);
    session.machine_is({{"type", machine.machine}, {"accel", machine.accel}, {"clock", machine.clock}, {"qemu_version", version_of_qemu},
                        {"nic", machine.nic},      {"peer", guest.name},     {"os_package", kernel.package}});
    session.progress().say(guest.name + ": booting " + kernel.package + " ...");
    Watch watch(session, timeout_s, [&](int status) { return why_it_failed(status, session); });
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
    Finished finished = session.finish(failure, watch.signal(), "");
    std::error_code ignored;
    fs::remove(initramfs, ignored);  // made again from the same parts
    return finished;
}

}  // namespace doorbell::harness
