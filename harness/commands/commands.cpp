#include "harness/commands/commands.h"

namespace doorbell::harness {
namespace {

constexpr Command all[] = {
    {"list", "", "the labs, their questions, cases and needs", command_list},
    {"run", "[LAB...]", "run labs in QEMU", command_run},
    {"attach", "DEVICE|-", "collect from a machine on a serial line", command_attach},
    {"image", "", "write a bootable ISO / USB image, BIOS and UEFI", command_image},
    {"host", "[LAB...]", "the same labs on this Linux, with its counters", command_host},
    {"report", "RUN...", "one self-contained HTML page", command_report},
    {"compare", "A B", "what changed, and whether it is more than noise", command_compare},
    {"reproduce", "RUN", "run it again from its manifest and prove the digits equal",
     command_reproduce},
    {"export", "RUN", "a run for other tools: gbench, hgrm, csv, junit", command_export},
    {"quiz", "", "ten questions, answered by your own last run", command_quiz},
    {"peers", "", "Linux and DPDK in the same exact clock, beside Doorbell", command_peers},
    {"doctor", "", "what this machine can and cannot measure, and what to change", command_doctor},
};

}  // namespace

std::span<const Command> commands() { return all; }

}  // namespace doorbell::harness
