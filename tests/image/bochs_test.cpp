// Bochs: a machine whose CPUID promises a PMU that does not count. Its processor raises #GP on the registers, or
// takes writes and forgets them; the image must survive the one and see through the other.
#include <gtest/gtest.h>

#include "tests/image/run.h"

namespace doorbell::test {
namespace {

constexpr const char* configuration = R"(config_interface: textconfig
display_library: term
memory: guest=256, host=256
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/vgabios/vgabios.bin
cpu: model=corei7_skylake_x, count=1, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=)";
constexpr const char* devices = R"(
clock: sync=none, time0=utc
boot: cdrom
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path=doorbell.iso, status=inserted
com1: enabled=1, mode=file, dev=serial.txt
log: bochs.log
panic: action=fatal
)";

class Bochs : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Registers, Bochs, testing::Bool(), [](const auto& info) { return info.param ? "Ignored" : "Faulting"; });

TEST_P(Bochs, ThePmuIsAdvertisedAndDoesNotCount) {
    Scratch scratch;
    std::ofstream(scratch / "bochsrc") << configuration << (GetParam() ? 1 : 0) << devices;
    // Debian's Bochs stops in its debugger first, and never ends by itself: the end record ends it.
    std::ofstream(scratch / "commands") << "continue\n";
    ASSERT_EQ(shell(scratch, DOORBELL_COMMAND " image --labs clock:clock=rdtsc --samples 20 --out doorbell.iso").status, 0);
    Outcome run = shell(scratch,
                        "export TERM=linux; script -qec 'bochs -q -f bochsrc -rc commands' /dev/null >screen.txt 2>&1 & "
                        "bochs=$!; touch serial.txt; timeout 240 tail -n +1 -f serial.txt | grep -m1 '\"t\":\"\\(end\\|panic\\)\"'; kill $bochs; wait $bochs 2>/dev/null; true");
    std::string wire = content(scratch / "serial.txt");
    ASSERT_NE(run.out.find("\"status\":\"done\""), std::string::npos) << wire << run.err << content(scratch / "screen.txt");
    size_t at = wire.find("\"counters\":\"none\"");
    ASSERT_NE(at, std::string::npos) << wire;
    EXPECT_NE(wire.find("advertised but does not count", at), std::string::npos) << wire.substr(at, 200);
}

}  // namespace
}  // namespace doorbell::test
