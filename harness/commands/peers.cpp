// doorbell peers: Linux and DPDK in the very same exact clock, beside Doorbell.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "harness/commands/commands.h"
#include "harness/peers/guest.h"
#include "harness/peers/table.h"
#include "harness/results/table/show.h"
#include "harness/run/options.h"
#include "harness/run/qemu_run.h"
#include "harness/system/escape.h"
#include "harness/system/file.h"
#include "harness/system/number.h"
#include "harness/system/output.h"

namespace doorbell::harness {

namespace fs = std::filesystem;
namespace po = boost::program_options;

namespace {

/// What Doorbell is asked for; a lab or case that this image does not have is left out.
constexpr const char* doorbell_cases[] = {
    "timer:source=lapic,wait=poll-tsc", "timer:source=lapic,wait=irq",
    "nic:model=e1000e,wait=poll",       "nic:model=e1000e,wait=irq",
    "nic:model=e1000e,op=empty-poll",   "nic:model=e1000e,op=receive,burst=32",
    "burst:model=virtio-net,burst=1",   "burst:model=e1000e,burst=32",
    "syscall:gate=syscall,space=same",  "switch:state=registers",
    "signals:target=running",
};

std::vector<std::string> known_cases() {
    std::vector<std::string> words;
    for (const char* word : doorbell_cases) try {
            (void)select({word}, {});
            words.emplace_back(word);
        } catch (const UsageError&) {
            // Not in this image: its cells stay empty.
        }
    return words;
}

Guest linux_guest(const std::string& samples) {
    Guest guest;
    guest.name = "linux";
    guest.program = beside_command("doorbell-guest");
    // napi_tx=0: no interrupt where the sender's card is done with a packet. It would come at the
    // tick of the arrival, on the same CPU, and a sender is another machine's affair.
    guest.modules = {"virtio_pci", "virtio_net napi_tx=0", "e1000e", "af_packet"};
    guest.words = {"--samples",
                   samples,
                   "timer",
                   "nic",
                   "syscall",
                   "switch:by=sched_yield",
                   "switch:by=pipe,set=",
                   "switch:by=eventfd",
                   "switch:by=futex",
                   "signals:target=running",
                   "signals:target=blocked"};
    return guest;
}

Guest dpdk_guest(const std::string& samples) {
    Guest guest;
    guest.name = "dpdk";
    guest.program = beside_command("doorbell-dpdk");
    guest.modules = {"uio_pci_generic"};
    guest.kernel_words = "hugepages=64";
    guest.words = {"--samples", samples};
    // The cards by their PCI identities: 82574L, and a virtio 1.0 network card. A kernel that has a
    // driver built in has bound it before.
    guest.before =
        "for card in /sys/bus/pci/devices/*; do\n"
        "  read vendor < $card/vendor\n"
        "  read device < $card/device\n"
        "  case $vendor:$device in 0x8086:0x10d3|0x1af4:0x1041)\n"
        "    [ ! -e $card/driver ] || echo ${card##*/} > $card/driver/unbind\n"
        "    echo uio_pci_generic > $card/driver_override\n"
        "    echo ${card##*/} > /sys/bus/pci/drivers_probe;;\n"
        "  esac\n"
        "done\n";
    return guest;
}

/// Says it where nobody sees the line that Progress draws.
void announce(bool quiet, const std::string& text) {
    if (!quiet) complain("doorbell peers: {}", text);
}

/// Tells what went wrong with a run, if something did.
int report(const Finished& finished, const char* name) {
    int status = finished.exit_status();
    if (status == 0) return 0;
    complain("doorbell peers: {}: {}", name,
             finished.run.failure.empty() ? "the run is incomplete" : finished.run.failure);
    for (const std::string& trouble : finished.troubles)
        complain("doorbell peers: {}: {}", name, trouble);
    complain("doorbell peers: what arrived is in {}", finished.folder.string());
    return status;
}

fs::path fresh_folder() {
    fs::path base = fs::path("results") / fmt::format("{}-exact-peers", time_stamp()), name = base;
    for (int i = 2; fs::exists(name); ++i) name = fmt::format("{}-{}", base.string(), i);
    return name;
}

}  // namespace

int command_peers(const std::vector<std::string>& args) {
    po::options_description options("Options", 100);
    options.add_options()                                                                     //
        ("samples", po::value<std::string>()->default_value("1000"), "samples of each case")  //
        ("short", po::bool_switch(), "only boot Linux, measure getppid, and power off")       //
        ("out", po::value<std::string>(),
         "folder for the runs (default: results/<time>-exact-peers)")  //
        ("timeout", po::value<std::string>()->default_value("300"),
         "seconds without a record that mean a hang")  //
        ("qemu", po::value<std::string>()->default_value("qemu-system-x86_64"),
         "the QEMU to run")                                         //
        ("json", po::bool_switch(), "the table as JSON on stdout")  //
        ("quiet", po::bool_switch(), "no table, no progress");
    auto map = parse(
        args,
        "doorbell peers\n\nDebian's Linux kernel and DPDK's poll-mode driver in the same exact "
        "clock as Doorbell, in one table.\n"
        "The kernel comes from Debian's package, unpacked beside this command and not installed.\n",
        options);
    if (!map) return 0;
    bool json = (*map)["json"].as<bool>(), quiet = (*map)["quiet"].as<bool>(),
         only_boot = (*map)["short"].as<bool>();
    std::string samples = std::to_string(
        parse_number((*map)["samples"].as<std::string>(), "--samples", 1, 1'000'000));
    auto timeout = static_cast<unsigned>(
        parse_number((*map)["timeout"].as<std::string>(), "--timeout", 1, 1'000'000));
    fs::path qemu = (*map)["qemu"].as<std::string>();
    fs::path out = said(*map, "out") ? fs::path(*said(*map, "out")) : fresh_folder();
    // First, so that no measurement is wasted.
    (void)check_qemu(qemu);
    Packages packages(beside_command("peers"),
                      [quiet](const std::string& what) { announce(quiet, what); });
    GuestSystem system = guest_system(packages);

    if (only_boot) {
        Guest guest = linux_guest("20");
        guest.modules.clear();
        guest.words = {"--samples", "20", "syscall:call=getppid"};
        announce(quiet, "booting Linux ...");
        return show(run_guest(guest, system, qemu, out / "linux", timeout, !quiet), {json, quiet});
    }

    std::vector<std::pair<const char*, Finished>> finished;
    auto ran = [&](const char* name) -> const Run* {
        for (const auto& [known, one] : finished)
            if (std::string_view(known) == name) return &one.run;
        return nullptr;
    };
    int worst = 0;
    bool interrupted = false;
    auto keep = [&](const char* name, Finished one) {
        int status = report(one, name);
        interrupted = one.signal != 0;
        if (worst == 0 || interrupted) worst = status;
        finished.emplace_back(name, std::move(one));
    };
    announce(quiet, "1/3 Doorbell ...");
    QemuRun request;
    request.selection = select(known_cases(), {});
    request.selection.samples = std::stoull(samples);
    request.machine.qemu = qemu;
    request.machine.image = image_path("");
    request.machine.nic = "all";
    request.out = out / "doorbell";
    request.timeout_s = timeout;
    request.progress = !quiet;
    keep("doorbell", run_in_qemu(request));
    if (!interrupted) {
        announce(quiet, "2/3 Linux ...");
        keep("linux",
             run_guest(linux_guest(samples), system, qemu, out / "linux", timeout, !quiet));
    }
    Guest dpdk = dpdk_guest(samples);
    if (!fs::exists(dpdk.program)) {
        complain(
            "doorbell peers: DPDK is left out: this build has no {} (install libdpdk-dev, "
            "then make)",
            dpdk.program.filename().string());
        if (worst == 0) worst = static_cast<int>(Status::refuted);
    } else if (!interrupted) {
        announce(quiet, "3/3 DPDK ...");
        keep("dpdk", run_guest(dpdk, system, qemu, out / "dpdk", timeout, !quiet));
    }

    std::vector<std::string> missing;
    std::vector<PeerRow> rows = peer_rows({ran("doorbell"), ran("linux"), ran("dpdk")}, &missing);
    std::string table = peer_table(rows);
    Json document = {
        {"schema", "doorbell-peers/1"}, {"rows", peer_json(rows)}, {"runs", Json::object()}};
    std::string folders;
    for (const auto& [name, one] : finished) {
        document["runs"][name] = {{"folder", text_of_path(one.folder)},
                                  {"digest", one.run.digest},
                                  {"complete", one.run.complete}};
        table += fmt::format("{:<9} {} {}{}\n", name, one.folder.string(), one.run.digest,
                             one.run.complete ? "" : " INCOMPLETE");
        folders += " " + one.folder.string();
        for (const CaseEnd& fail : one.run.failed)
            table += fmt::format("  FAILED: {}: {}\n", fail.name(), fail.reason);
        for (const CaseEnd& skip : one.run.skipped)
            table += fmt::format("  skipped: {}: {}\n", skip.name(), skip.reason);
    }
    table += fmt::format("side by side: doorbell report{} --out {}\n", folders,
                         (out / "peers.html").string());
    // A peer that ran and lacks a figure of the table failed, whatever its own status says.
    for (const std::string& figure : missing) complain("doorbell peers: no figure of {}", figure);
    if (!missing.empty() && worst == 0) worst = static_cast<int>(Status::refuted);
    for (const auto& [file, content] :
         {std::pair("peers.json", json_document(document)), std::pair("peers.txt", table)})
        if (std::string trouble = write_whole(out / file, content); !trouble.empty()) {
            complain("doorbell peers: {}", trouble);
            worst = worst == 0 ? static_cast<int>(Status::machine_failed) : worst;
        }
    if (json)
        write_out(json_document(document));
    else if (!quiet)
        say("{}", table);
    return worst;
}

}  // namespace doorbell::harness
