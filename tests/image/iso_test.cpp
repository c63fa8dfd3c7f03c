// The ISO boots under BIOS and UEFI, from a CD and from a USB stick. Under BIOS it gives the same
// digits as -kernel. UEFI firmware takes minutes in the exact clock, so there it boots in the live
// clock.
#include <gtest/gtest.h>

#include "tests/image/run.h"

namespace doorbell::test {
namespace {

constexpr const char* machine =
    "timeout 400 qemu-system-x86_64 -nodefaults -M q35 -m 512M -smp 1 -accel "
    "tcg,thread=single -display none -serial stdio -monitor none -no-reboot "
    "-device isa-debug-exit,iobase=0xf4,iosize=4 ";

/// Without x2APIC in the exact clock, as in `doorbell run`; with it in the live clock, where QEMU
/// has it.
constexpr const char* live_clock = "-cpu max ";
constexpr const char* exact_clock =
    "-cpu max,-x2apic -icount shift=0,sleep=off -seed 1 -rtc base=2026-01-01,clock=vm ";

struct Way {
    const char* name;
    bool exact;
    const char* drive;
};

class Iso : public testing::TestWithParam<Way> {
  protected:
    static void SetUpTestSuite() {
        scratch_ = new Scratch;
        Outcome made =
            shell(*scratch_, DOORBELL_COMMAND
                  " image --labs timer:source=lapic --samples 50 --exit debug --out doorbell.iso");
        ASSERT_EQ(made.status, 0) << made.err;
        Outcome direct = doorbell_run(*scratch_, "timer:source=lapic --samples 50");
        ASSERT_EQ(direct.status, 0) << direct.err;
        digest_ = results(*scratch_)["digest"];
    }
    static void TearDownTestSuite() { delete scratch_; }
    inline static Scratch* scratch_ = nullptr;
    inline static Json digest_;
};

TEST_P(Iso, BootsAndCountsTheSame) {
    Outcome run =
        shell(*scratch_, "cp /usr/share/OVMF/OVMF_VARS_4M.fd . && rm -rf run && " +
                             std::string(machine) + (GetParam().exact ? exact_clock : live_clock) +
                             GetParam().drive + " | " DOORBELL_COMMAND " attach - --out run");
    ASSERT_EQ(run.status, 0) << run.err;
    Json r = results(*scratch_);
    EXPECT_EQ(r["complete"], true);
    EXPECT_EQ(r["machine"]["boot"], "multiboot2");
    EXPECT_EQ(r["machine"]["acpi"], true);
    EXPECT_FALSE(r["series"].empty());
    if (GetParam().exact) {
        EXPECT_EQ(r["digest"], digest_);
    }
}

constexpr const char* ovmf =
    "-drive if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd -drive "
    "if=pflash,format=raw,file=OVMF_VARS_4M.fd ";
const std::string uefi_cd = std::string(ovmf) + "-cdrom doorbell.iso";
const std::string uefi_stick = std::string(ovmf) +
                               "-drive if=none,id=stick,format=raw,file=doorbell.iso -device "
                               "qemu-xhci -device usb-storage,drive=stick";

INSTANTIATE_TEST_SUITE_P(Boot, Iso,
                         testing::Values(Way{"BiosCd", true, "-cdrom doorbell.iso"},
                                         Way{"BiosStick", true,
                                             "-drive if=none,id=stick,format=raw,file=doorbell.iso "
                                             "-device qemu-xhci -device usb-storage,drive=stick"},
                                         Way{"UefiCd", false, uefi_cd.c_str()},
                                         Way{"UefiStick", false, uefi_stick.c_str()}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace doorbell::test
