// UDP echoes a second from outside, in the live clock: the image against Debian's Linux, which
// echoes with recvfrom(2) and sendto(2). QEMU, card, cable and sender are the same. Closed loop: 32
// requests are outstanding at any time, so that neither side loses any. ECHO_REQUESTS is the number
// of requests in a run.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "harness/peers/guest.h"
#include "harness/run/options.h"
#include "harness/run/qemu_run.h"
#include "harness/system/failure.h"

namespace {

using namespace doorbell::harness;
namespace fs = std::filesystem;

constexpr unsigned runs = 5;
const std::string net = "udp:47470";

std::vector<std::string> settings() {
    const char* requests = std::getenv("ECHO_REQUESTS");
    return {std::string("requests=") + (requests != nullptr ? requests : "20000"), "window=32",
            "payload=64"};
}

/// Echoes a second of each case; reports a case that lost some.
std::vector<uint64_t> rates(const Finished& finished, const char* who) {
    std::vector<uint64_t> all;
    if (!finished.run.complete) fmt::print("{}: {}\n", who, finished.run.failure);
    for (const auto* ends : {&finished.run.failed, &finished.run.skipped})
        for (const CaseEnd& end : *ends)
            fmt::print("{}: {}: {}\n", who, end.test_case.text(), end.reason);
    for (const Series& series : finished.run.series)
        if (series.metric == "throughput") all.push_back(series.max);
    for (const Tally& tally : finished.run.tallies)
        for (const auto& [name, count] : tally.values)
            if (name == "lost" && count != 0)
                fmt::print("{}: {}: {} lost\n", who, tally.test_case.text(), count);
    return all;
}

std::vector<uint64_t> the_image(const fs::path& out, const std::string& model,
                                const std::string& wait) {
    std::vector<uint64_t> all;
    for (unsigned i = 0; i < runs; ++i) {
        QemuRun request;
        request.selection = select({"echo:model=" + model + ",wait=" + wait}, settings());
        request.machine.clock = "live";
        request.machine.nic = model;
        request.machine.net = net;
        request.machine.image = DOORBELL_IMAGE;
        request.out = out / fmt::format("{}-{}-{}", model, wait, i);
        request.progress = false;
        for (uint64_t rate : rates(run_in_qemu(request), "Doorbell")) all.push_back(rate);
    }
    return all;
}

std::vector<uint64_t> linux_guest(const fs::path& out) {
    Packages packages(beside_command("peers"), [](const std::string&) {});
    MachineOptions machine;
    machine.clock = "live";
    machine.nic = "virtio-net";
    machine.net = net;
    Guest guest;
    guest.name = "linux";
    guest.program = beside_command("doorbell-guest");
    guest.modules = {"virtio_pci", "virtio_net"};
    guest.words = {"--samples", "1", "echo"};
    guest.clock = machine.clock;
    guest.nic = machine.nic;
    guest.net = machine.net;
    guest.outside = outside_plan(select({"echo"}, settings()), machine);
    return rates(
        run_guest(guest, guest_system(packages), "qemu-system-x86_64", out / "linux", 300, false),
        "Linux");
}

void line(const char* what, std::vector<uint64_t> rates) {
    if (rates.empty()) return fmt::print("{:<44} nothing was measured\n", what);
    std::sort(rates.begin(), rates.end());
    fmt::print("{:<44} {:>9} {:>9} {:>9} {:>5}\n", what, rates[rates.size() / 2], rates.front(),
               rates.back(), rates.size());
}

}  // namespace

int main() {
    std::string pattern = (fs::temp_directory_path() / "doorbell-bench-XXXXXX").string();
    fs::path out = mkdtemp(pattern.data());
    int status = 0;
    try {
        fmt::print("{:<44} {:>9} {:>9} {:>9} {:>5}\n", "UDP echoes a second, live clock, TCG",
                   "median", "least", "most", "runs");
        line("virtio-net, Doorbell, wait=poll", the_image(out, "virtio-net", "poll"));
        line("virtio-net, Doorbell, wait=irq-halt", the_image(out, "virtio-net", "irq-halt"));
        std::vector<uint64_t> of_linux;
        try {
            of_linux = linux_guest(out);
        } catch (const MachineError& error) {
            // Its kernel comes from Debian's archive.
            fmt::print("Linux: {}\n", error.what());
        }
        line("virtio-net, Linux, recvfrom and sendto", of_linux);
        line("e1000e, Doorbell, wait=poll", the_image(out, "e1000e", "poll"));
    } catch (const std::exception& error) {
        fmt::print(stderr, "echo-bench: {}\n", error.what());
        status = 1;
    }
    fs::remove_all(out);
    return status;
}
