#include "harness/commands/commands.h"

namespace doorbell::harness {
namespace {

constexpr Command all[] = {
    {"list", "", "list the labs with their questions, cases and needs", command_list},
    {"run", "[LAB...]", "run labs in QEMU", command_run},
    {"attach", "DEVICE|-", "collect a run from a machine on a serial line", command_attach},
    {"image", "", "write a bootable ISO / USB image, BIOS and UEFI", command_image},
    {"host", "[LAB...]", "run the same labs as Linux programs, with counters", command_host},
    {"report", "RUN...", "write one self-contained HTML page", command_report},
    {"compare", "A B", "show what changed, and whether it exceeds noise", command_compare},
    {"reproduce", "RUN", "repeat a run from its manifest and prove the digits equal",
     command_reproduce},
    {"export", "RUN", "convert a run for other tools: gbench, hgrm, csv, junit", command_export},
    {"quiz", "", "ask ten questions that your last run answers", command_quiz},
    {"peers", "", "measure Linux and DPDK in the same exact clock", command_peers},
    {"profile", "RUN", "write the prices of a machine as profile.json", command_profile},
    {"predict", "RUN", "predict what a run's counts cost on a machine", command_predict},
    {"doctor", "", "show what this machine can measure, and what to change", command_doctor},
};

}  // namespace

std::span<const Command> commands() { return all; }

}  // namespace doorbell::harness
