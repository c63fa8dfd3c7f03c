#include "harness/commands.h"

namespace doorbell::harness {
namespace {

constexpr Command all[] = {
    {"list", "", "the labs, their questions, cases and needs", command_list},
    {"run", "[LAB...]", "run labs in QEMU", command_run},
    {"attach", "DEVICE|-", "collect from a machine on a serial line", command_attach},
    {"image", "", "write a bootable ISO / USB image, BIOS and UEFI", command_image},
    {"host", "[LAB...]", "the same labs on this Linux, with its counters", command_host},
    {"report", "RUN...", "one self-contained HTML page", nullptr},
    {"compare", "A B", "what changed, and whether it is more than noise", nullptr},
    {"reproduce", "RUN", "run it again from its manifest and prove the digits equal", nullptr},
    {"export", "RUN", "a run in other formats", nullptr},
    {"quiz", "", "guess the numbers before you see them", nullptr},
    {"peers", "", "Linux and DPDK in the same exact clock, beside Doorbell", command_peers},
    {"doctor", "", "what this machine can and cannot measure, and what to change", command_doctor},
};

}  // namespace

std::span<const Command> commands() { return all; }

}  // namespace doorbell::harness
