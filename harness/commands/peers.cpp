// doorbell peers: Linux and DPDK in the same exact clock, beside Doorbell.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "harness/commands/commands.h"
#include "harness/commands/documents.h"
#include "harness/peers/guest.h"
#include "harness/peers/table.h"
#include "harness/results/table/show.h"
#include "harness/run/options.h"
#include "harness/run/qemu_run.h"
#include "harness/system/escape.h"
#include "harness/system/file.h"
#include "harness/system/output.h"
#include "harness/text/number.h"

namespace doorbell::harness {

namespace fs = std::filesystem;
namespace po = boost::program_options;

namespace {

/// What Doorbell runs; a lab or case that this image does not have is left out.
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
    // tick of the arrival and on the same CPU, whereas a real sender is another machine.
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

/// Announces it where the line that Progress draws is not visible.
void announce(bool quiet, const std::string& text) {
    if (!quiet) complain("doorbell peers: {}", text);
}

/// Reports what went wrong with a run, if anything did.
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

po::options_description peers_options() {
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
    return options;
}

/// What all the runs share.
struct PeersRequest {
    uint64_t samples = 0;
    unsigned timeout_s = 0;
    fs::path qemu, out;
    Showing showing;
};

/// The runs so far, and the first of their exit statuses that is not 0.
class Measured {
  public:
    void keep(const char* name, Finished one) {
        int status = report(one, name);
        interrupted_ = one.signal != 0;
        if (worst_ == 0 || interrupted_) worst_ = status;
        finished_.emplace_back(name, std::move(one));
    }
    /// Notes a failure outside the runs.
    void failed(Status status) {
        if (worst_ == 0) worst_ = static_cast<int>(status);
    }
    const Run* run(std::string_view name) const {
        for (const auto& [known, one] : finished_)
            if (known == name) return &one.run;
        return nullptr;
    }
    const std::vector<std::pair<const char*, Finished>>& all() const { return finished_; }
    bool interrupted() const { return interrupted_; }
    int worst() const { return worst_; }

  private:
    std::vector<std::pair<const char*, Finished>> finished_;
    int worst_ = 0;
    bool interrupted_ = false;
};

QemuRun doorbell_run(const PeersRequest& request) {
    QemuRun run;
    run.selection = select(known_cases(), {});
    run.selection.samples = request.samples;
    run.machine.qemu = request.qemu;
    run.machine.image = image_path("");
    run.machine.nic = "all";
    run.out = request.out / "doorbell";
    run.timeout_s = request.timeout_s;
    run.progress = !request.showing.quiet;
    return run;
}

Finished guest_run(const PeersRequest& request, const Guest& guest, const GuestSystem& system) {
    return run_guest(guest, system, request.qemu, request.out / guest.name, request.timeout_s,
                     !request.showing.quiet);
}

Measured measure_all(const PeersRequest& request, const GuestSystem& system) {
    bool quiet = request.showing.quiet;
    std::string samples = std::to_string(request.samples);
    Measured measured;
    announce(quiet, "1/3 Doorbell ...");
    measured.keep("doorbell", run_in_qemu(doorbell_run(request)));
    if (!measured.interrupted()) {
        announce(quiet, "2/3 Linux ...");
        measured.keep("linux", guest_run(request, linux_guest(samples), system));
    }
    Guest dpdk = dpdk_guest(samples);
    if (!fs::exists(dpdk.program)) {
        complain(
            "doorbell peers: DPDK is left out: this build has no {} (install libdpdk-dev, "
            "then make)",
            dpdk.program.filename().string());
        measured.failed(Status::refuted);
    } else if (!measured.interrupted()) {
        announce(quiet, "3/3 DPDK ...");
        measured.keep("dpdk", guest_run(request, dpdk, system));
    }
    return measured;
}

/// The lines below the table: each run's folder and digest, and what it left out.
std::string text_of_runs(const Measured& measured, const fs::path& out) {
    std::string text, folders;
    for (const auto& [name, one] : measured.all()) {
        text += fmt::format("{:<9} {} {}{}\n", name, one.folder.string(), one.run.digest,
                            one.run.complete ? "" : " INCOMPLETE");
        folders += " " + one.folder.string();
        for (const CaseEnd& fail : one.run.failed)
            text += fmt::format("  FAILED: {}: {}\n", fail.name(), fail.reason);
        for (const CaseEnd& skip : one.run.skipped)
            text += fmt::format("  skipped: {}: {}\n", skip.name(), skip.reason);
    }
    return text + fmt::format("side by side: doorbell report{} --out {}\n", folders,
                              (out / "peers.html").string());
}

Json json_of_runs(const Measured& measured) {
    Json runs = Json::object();
    for (const auto& [name, one] : measured.all())
        runs[name] = {{"folder", text_of_path(one.folder)},
                      {"digest", one.run.digest},
                      {"complete", one.run.complete}};
    return runs;
}

/// Writes the table into the runs' folder and shows it. Returns the exit status.
int show_table(const PeersRequest& request, Measured& measured) {
    std::vector<std::string> missing;
    std::vector<PeerRow> rows = peer_rows(
        {measured.run("doorbell"), measured.run("linux"), measured.run("dpdk")}, &missing);
    std::string table = peer_table(rows) + text_of_runs(measured, request.out);
    Json document = {{"schema", "doorbell-peers/1"},
                     {"rows", peer_json(rows)},
                     {"runs", json_of_runs(measured)}};
    // A peer that ran and lacks a figure of the table failed, whatever its own status says.
    for (const std::string& figure : missing) {
        complain("doorbell peers: {} is missing", figure);
        measured.failed(Status::refuted);
    }
    for (const auto& [file, content] :
         {std::pair("peers.json", json_document(document)), std::pair("peers.txt", table)})
        if (std::string trouble = write_whole(request.out / file, content); !trouble.empty()) {
            complain("doorbell peers: {}", trouble);
            measured.failed(Status::machine_failed);
        }
    if (request.showing.json)
        write_out(json_document(document));
    else if (!request.showing.quiet)
        say("{}", table);
    return measured.worst();
}

int run_peers(const po::variables_map& map) {
    PeersRequest request;
    request.showing = showing_from(map);
    request.samples = parse_number(map["samples"].as<std::string>(), "--samples", 1, 1'000'000);
    request.timeout_s = static_cast<unsigned>(
        parse_number(map["timeout"].as<std::string>(), "--timeout", 1, 1'000'000));
    request.qemu = map["qemu"].as<std::string>();
    request.out = said(map, "out") ? fs::path(*said(map, "out")) : fresh_folder();
    // First, so that no measurement is wasted.
    (void)check_qemu(request.qemu);
    bool quiet = request.showing.quiet;
    Packages packages(beside_command("peers"),
                      [quiet](const std::string& what) { announce(quiet, what); });
    GuestSystem system = guest_system(packages);

    if (map["short"].as<bool>()) {
        Guest guest = linux_guest("20");
        guest.modules.clear();
        guest.words = {"--samples", "20", "syscall:call=getppid"};
        announce(quiet, "booting Linux ...");
        return show(guest_run(request, guest, system), request.showing);
    }
    Measured measured = measure_all(request, system);
    return show_table(request, measured);
}

}  // namespace

const Command peers_command = {
    .name = "peers",
    .words = "",
    .summary = "measure Linux and DPDK in the same exact clock",
    .help =
        "Measures Debian's Linux kernel and DPDK's poll-mode driver in the same exact clock as "
        "Doorbell, and prints one table. The kernel comes from Debian's package, unpacked beside "
        "this command and not installed.",
    .options = peers_options,
    .run = run_peers};

}  // namespace doorbell::harness
