// What `doorbell peers` prints and leaves behind when something is missing or goes wrong. QEMU and
// the kernel's package are fakes; the command is in a folder of its own, because it looks beside
// itself.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <fstream>

#include "tests/image/run.h"

namespace doorbell::test {
namespace {

class PeersErrors : public testing::Test {
  protected:
    PeersErrors() {
        fs::create_directories(scratch / "bin");
        for (const char* program : {DOORBELL_COMMAND, DOORBELL_GUEST})
            fs::copy(program, scratch / "bin");
        file("bin/doorbell.elf", "image");
    }
    void file(const std::string& name, const std::string& text, bool program = false) {
        fs::create_directories((scratch / name).parent_path());
        std::ofstream(scratch / name) << text;
        if (program) fs::permissions(scratch / name, fs::perms::owner_all);
    }
    /// Debian's packages, already unpacked.
    void packages() {
        for (const char* name : {"linux-image-1-amd64/files/boot/vmlinuz-1-amd64",
                                 "linux-image-1-amd64/files/lib/modules/1-amd64/e1000e.ko",
                                 "linux-image-1-amd64/complete", "busybox-static/files/bin/busybox",
                                 "busybox-static/complete"})
            file(std::string("bin/peers/") + name, "x");
        file(modules + "modules.builtin",
             "kernel/drivers/virtio/virtio_pci.ko\nkernel/drivers/net/virtio_net.ko\n"
             "kernel/net/packet/af_packet.ko\n");
    }
    const std::string modules = "bin/peers/linux-image-1-amd64/files/lib/modules/1-amd64/";
    /// `before` is shell text in front of the command.
    Outcome peers(const std::string& before, const std::string& arguments = "") {
        return shell(scratch, before + " " + (scratch / "bin/doorbell").string() +
                                  " peers --samples 10 --out run " + arguments);
    }
    static std::string qemu() { return std::string("--qemu ") + FAKE_QEMU; }
    /// Lines that are not progress.
    static long lines(const std::string& text) {
        return std::count(text.begin(), text.end(), '\n');
    }
    bool said(const Outcome& run, const std::string& words) {
        return run.err.find(words) != std::string::npos;
    }
    Scratch scratch;
};

TEST_F(PeersErrors, WithoutQemuNothingIsBegun) {
    Outcome run = peers("", "--qemu /nowhere/qemu");
    EXPECT_EQ(run.status, 3);
    EXPECT_TRUE(said(run, "install the package qemu-system-x86")) << run.err;
    EXPECT_EQ(lines(run.err), 1) << run.err;
    EXPECT_FALSE(fs::exists(scratch / "run"));
}

TEST_F(PeersErrors, WithoutPackagesNothingIsBegun) {
    Outcome none = peers("PATH=/nowhere", qemu() + " --quiet");
    EXPECT_EQ(none.status, 3);
    EXPECT_TRUE(said(none, "apt-cache")) << none.err;
    EXPECT_EQ(lines(none.err), 1) << none.err;

    file("apt/apt-get", "#!/bin/sh\necho 'E: the archive is not reached' >&2\nexit 100\n", true);
    file("apt/apt-cache", "#!/bin/sh\n", true);
    std::string path = "PATH=" + (scratch / "apt").string() + ":$PATH";
    Outcome unknown = peers(path, qemu() + " --quiet");
    EXPECT_EQ(unknown.status, 3);
    EXPECT_TRUE(said(unknown, "run: apt-get update")) << unknown.err;
    EXPECT_EQ(lines(unknown.err), 1) << unknown.err;

    file("apt/apt-cache", "#!/bin/sh\necho '  Depends: linux-image-1-amd64'\n", true);
    Outcome unreached = peers(path, qemu() + " --quiet");
    EXPECT_EQ(unreached.status, 3);
    EXPECT_TRUE(
        said(unreached,
             "cannot download the package linux-image-1-amd64: E: the archive is not reached"))
        << unreached.err;
    EXPECT_EQ(lines(unreached.err), 1) << unreached.err;
    EXPECT_FALSE(fs::exists(scratch / "run"));
}

TEST_F(PeersErrors, AKernelsPackageWithoutAKernelIsReported) {
    packages();
    fs::remove(scratch / "bin/peers/linux-image-1-amd64/files/boot/vmlinuz-1-amd64");
    Outcome run = peers("", qemu());
    EXPECT_EQ(run.status, 3);
    EXPECT_TRUE(said(run, "the package linux-image-1-amd64 holds no vmlinuz-1-amd64")) << run.err;
    EXPECT_EQ(lines(run.err), 1) << run.err;
    EXPECT_FALSE(fs::exists(scratch / "run"));
}

TEST_F(PeersErrors, AMissingModuleIsReportedAndNotTakenForBuiltIn) {
    packages();
    fs::remove(scratch / (modules + "e1000e.ko"));
    Outcome run = peers("", qemu());
    EXPECT_EQ(run.status, 3);
    EXPECT_TRUE(said(run, "the kernel's package has no module e1000e")) << run.err;
}

TEST_F(PeersErrors, APackedModuleIsUnpacked) {
    packages();
    fs::remove(scratch / (modules + "e1000e.ko"));
    file(modules + "e1000e.ko.xz", "not packed by xz");
    Outcome broken = peers("", qemu());
    EXPECT_EQ(broken.status, 3);
    EXPECT_TRUE(said(broken, "cannot unpack")) << broken.err;
    EXPECT_TRUE(said(broken, "e1000e.ko.xz with xz")) << broken.err;

    // The needed module is in the archive.
    std::string content("x\0depends=mii\0y", 15);
    file(modules + "e1000e.ko", content);
    ASSERT_EQ(shell(scratch, "xz -f " + (scratch / (modules + "e1000e.ko")).string()).status, 0);
    Outcome needs = peers("", qemu());
    EXPECT_TRUE(said(needs, "the kernel's package has no module mii")) << needs.err;
    file(modules + "mii.ko", "x");
    Outcome whole = peers("FAKE=linux-panic", qemu());
    EXPECT_TRUE(said(whole, "Kernel panic")) << whole.err;
}

TEST_F(PeersErrors, APanicIsReportedInItsOwnWords) {
    packages();
    Outcome run = peers("FAKE=linux-panic", qemu());
    EXPECT_EQ(run.status, 3);
    EXPECT_TRUE(said(run,
                     "linux: the guest ended without its end record, before the first record (QEMU "
                     "ended with status 0): "
                     "[    0.5] Kernel panic - not syncing: No working init found.\n"))
        << run.err;
    // The available figures are in the table's files, and no image of the guest's file system is
    // left behind.
    EXPECT_TRUE(fs::exists(scratch / "run/peers.json"));
    EXPECT_TRUE(fs::exists(scratch / "run/linux/console.log"));
    EXPECT_FALSE(fs::exists(scratch / "run/linux/initramfs.cpio"));
}

TEST_F(PeersErrors, AHangEndsAfterSilence) {
    packages();
    Outcome run = peers("FAKE=hang", qemu() + " --timeout 1");
    EXPECT_EQ(run.status, 3);
    for (const char* name : {"doorbell: ", "linux: "})
        EXPECT_TRUE(said(run, std::string("doorbell peers: ") + name + "no record for 1 s"))
            << run.err;
    EXPECT_TRUE(said(run, "DPDK is left out")) << run.err;
    // The fake's records are those of an image.
    EXPECT_FALSE(series(Json::parse(content(scratch / "run/linux/results.json")), "timer",
                        {{"source", "lapic"}, {"wait", "poll"}}, "latency")
                     .is_null());
}

TEST_F(PeersErrors, CtrlCSavesAndEndsAllOfIt) {
    packages();
    file("events", "");
    Outcome run = peers("export FAKE=hang FAKE_EVENTS=events;",
                        qemu() +
                            " --timeout 60 & pid=$!; for i in $(seq 1200); do grep -q running "
                            "events && break; sleep 0.05; done; kill -INT $pid; wait $pid");
    EXPECT_EQ(run.status, 130) << run.err;
    Json got = Json::parse(content(scratch / "run/doorbell/results.json"));
    EXPECT_FALSE(got.at("complete").get<bool>());
    EXPECT_EQ(got.at("series").size(), 1u);
    EXPECT_FALSE(Json::parse(content(scratch / "run/peers.json"))
                     .at("runs")
                     .at("doorbell")
                     .at("complete")
                     .get<bool>());
    EXPECT_FALSE(fs::exists(scratch / "run/linux"));
    std::string event = content(scratch / "events");
    EXPECT_NE(kill(std::stoi(event.substr(event.find(' '))), 0), 0) << "the machine runs on";
}

TEST_F(PeersErrors, AFullDiskIsReported) {
    packages();
    Outcome run = peers("ulimit -f 200;", qemu());
    EXPECT_EQ(run.status, 3);
    EXPECT_TRUE(said(run, "cannot write run/linux/initramfs.cpio: File too large")) << run.err;
    EXPECT_FALSE(fs::exists(scratch / "run/linux/initramfs.cpio"));
    EXPECT_TRUE(
        Json::parse(content(scratch / "run/doorbell/results.json")).at("complete").get<bool>());
}

}  // namespace
}  // namespace doorbell::test
