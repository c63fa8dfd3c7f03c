// Real-world machines that differ from the default one: more processors, more buses, cards with
// other options, serial ports at other addresses.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/image/run.h"

namespace doorbell::test {
namespace {

TEST(Processors, MwaitWakesUpBesideASecondOne) {
    for (const char* clock : {"exact", "live"}) {
        Scratch scratch;
        Outcome run = doorbell_run(
            scratch, std::string("timer:wait=mwait --samples 50 --timeout 60 --clock ") + clock +
                         // A busy host may let a short deadline pass before it is armed.
                         (clock == std::string("live") ? " --set spacing=200000" : "") +
                         qemu_with(scratch, "-smp 2"));
        ASSERT_EQ(run.status, 0) << clock << run.err;
        Json r = results(scratch);
        for (const char* source : {"lapic", "hpet", "pit"}) {
            Json s = series(r, "timer", {{"source", source}, {"wait", "mwait"}}, "latency");
            ASSERT_TRUE(s.is_object()) << clock << source << r["skipped"].dump();
            EXPECT_EQ(s["count"], 50);
        }
    }
}

/// Runs one case of lab nic on the cards in `devices` alone. Returns its latency, or null with a
/// failure.
Json latency_of(const std::string& model, const std::string& machine, const std::string& devices) {
    Scratch scratch;
    Outcome run = doorbell_run(scratch, "nic:wait=poll,model=" + model +
                                            " --samples 20 --nic none --machine " + machine +
                                            qemu_with(scratch, devices));
    EXPECT_EQ(run.status, 0) << devices << run.err;
    Json r = results(scratch);
    if (!r.is_object()) return nullptr;
    const Json test_case{{"model", model}, {"wait", "poll"}};
    Json s = series(r, "nic", test_case, "latency");
    EXPECT_TRUE(s.is_object()) << devices << "\n" << reason_of(r, "nic", test_case);
    return s;
}

TEST(PciBuses, CardsBehindASecondRootBusAreFound) {
    EXPECT_EQ(latency_of("e1000e", "q35",
                         "-device pxb-pcie,id=x,bus_nr=0x80 -device pcie-root-port,id=p,bus=x,"
                         "chassis=9 -device e1000e,romfile=,bus=p")["count"],
              20);
    EXPECT_EQ(latency_of("e1000e", "pc",
                         "-device pxb,id=x,bus_nr=0x40 -device e1000e,romfile=,bus=x")["count"],
              20);
}

TEST(PciBuses, NoNumberOfOtherCardsHidesOne) {
    std::string others;
    for (int device = 4; device < 7; ++device)
        for (int function = 0; function < 8; ++function)
            others += "-device ne2k_pci,romfile=,multifunction=on,addr=" + std::to_string(device) +
                      "." + std::to_string(function) + " ";
    EXPECT_EQ(latency_of("e1000e", "pc", others + "-device e1000e,romfile=,addr=10")["count"], 20);
}

/// Doorbell's own cable with a virtio-net under test that has `options`.
std::string virtio_with(const std::string& options) {
    return "-netdev hubport,id=h0,hubid=0 -netdev hubport,id=h1,hubid=0 -device virtio-net-pci,"
           "netdev=h0,mac=02:44:42:00:00:00,disable-legacy=on,ioeventfd=off,tx=timer,"
           "x-txtimer=150000,romfile= -device virtio-net-pci,netdev=h1,mac=02:44:42:00:00:01,"
           "ioeventfd=off,tx=timer,romfile=," +
           options;
}

TEST(Virtio, WorksWithCommonOptions) {
    Json plain = latency_of("virtio-net", "q35", virtio_with("disable-legacy=on"));
    for (const char* option :
         {"disable-legacy=on,modern-pio-notify=on", "disable-legacy=on,iommu_platform=on"}) {
        Json other = latency_of("virtio-net", "q35", virtio_with(option));
        ASSERT_TRUE(other.is_object());
        EXPECT_EQ(other["p50"], plain["p50"]) << option;
    }
}

TEST(Virtio, ALegacyDeviceIsSkippedWithThatReason) {
    Scratch scratch;
    Outcome run = doorbell_run(scratch, "nic:wait=poll,model=virtio-net --samples 20 --nic none" +
                                            qemu_with(scratch, virtio_with("disable-modern=on")));
    ASSERT_TRUE(run.status == 0 || run.status == 1) << run.err;
    EXPECT_NE(content(scratch / "run/results.json").find("legacy only"), std::string::npos);
    EXPECT_EQ(content(scratch / "run/results.json").find("no loopback"), std::string::npos);
}

/// Runs the image with its records on `ports`, which are QEMU's -serial options. Returns its
/// output.
std::string said_by(const Scratch& scratch, const std::string& ports, const std::string& words) {
    Outcome run =
        shell(scratch,
              "timeout 120 qemu-system-x86_64 -nodefaults -no-user-config -M q35 -m 512M -cpu "
              "max -accel tcg,thread=single -icount shift=0,sleep=off -display none -monitor "
              "none -no-reboot -device isa-debug-exit,iobase=0xf4,iosize=4 " +
                  ports +
                  " -kernel " DOORBELL_IMAGE
                  " -append 'lab=timer:source=lapic,wait=irq samples=5 exit=debug " +
                  words + "'");
    return run.out;
}

TEST(SerialPorts, TheOneThatAnswersCarriesTheRecords) {
    const std::string end = R"("t":"end","status":"done")";
    const std::string to_stdout = "-serial none -chardev stdio,id=c -device ";
    for (const char* device : {"isa-serial,chardev=c,iobase=0x2f8", "isa-serial,chardev=c,index=2",
                               "pci-serial,chardev=c"}) {
        Scratch scratch;
        EXPECT_NE(said_by(scratch, to_stdout + device, "").find(end), std::string::npos) << device;
    }
    Scratch scratch;
    EXPECT_NE(said_by(scratch, "-serial null -serial stdio", "serial=com2").find(end),
              std::string::npos)
        << "COM1 is there, too, and nobody listens";
}

TEST(SerialPorts, TheOneThatTheFirmwareNamesGoesBeforeTheFirst) {
    Scratch scratch;
    // The table behind its header: a 16550 at I/O port 0x2F8, 57600 baud.
    std::string table(44, '\0');
    table[4] = 1;
    table[5] = 8;
    table[8] = '\xF8';
    table[9] = 2;
    table[22] = 6;
    scratch.write("spcr", table);
    const std::string ports = "-serial null -serial stdio -acpitable sig=SPCR,rev=2,data=spcr";
    EXPECT_NE(said_by(scratch, ports, "").find(R"("serial":"port 0x2f8, 57600 baud")"),
              std::string::npos);
    EXPECT_NE(said_by(scratch, ports, "baud=9600").find(R"("serial":"port 0x2f8, 9600 baud")"),
              std::string::npos);
    EXPECT_NE(said_by(scratch, "-serial stdio", "baud=9601").find("a whole part of it"),
              std::string::npos);
}

TEST(SerialPorts, WithoutOneTheScreenReportsThat) {
    Scratch scratch;
    // Reads the screen's memory through QEMU's monitor until it holds the words.
    Outcome run = shell(
        scratch,
        "mkfifo keys && (timeout 120 qemu-system-x86_64 -nodefaults -no-user-config -M q35 -m 512M "
        "-cpu max -accel tcg,thread=single -display none -serial none -device VGA -monitor stdio "
        "-kernel " DOORBELL_IMAGE
        " -append 'lab=timer:source=lapic,wait=irq samples=5' <keys >screen & pid=$!; exec 3>keys; "
        "for i in $(seq 600); do echo 'xp /40xb 0xb8000' >&3; sleep 0.1; "
        "grep -q '0x44 0x07 0x6f 0x07 0x6f 0x07 0x72 0x07' screen && echo seen && break; done; "
        "echo quit >&3; wait $pid)");
    EXPECT_NE(run.out.find("seen"), std::string::npos) << content(scratch / "screen");
}

}  // namespace
}  // namespace doorbell::test
