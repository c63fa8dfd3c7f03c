#include "harness/run/qemu_run.h"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <regex>
#include <sstream>
#include <system_error>

#include "firmware/wire/words.h"
#include "harness/data/digest.h"
#include "harness/machine/kvm.h"
#include "harness/run/outside.h"
#include "harness/run/run_folder.h"
#include "harness/run/vcpu.h"
#include "harness/run/watch.h"
#include "harness/system/child.h"
#include "harness/system/escape.h"
#include "harness/system/failure.h"
#include "harness/system/file.h"
#include "harness/system/output.h"
#include "harness/system/sha256.h"

namespace doorbell::harness {

namespace fs = std::filesystem;

namespace {

constexpr unsigned least_qemu[2] = {7, 2};
/// QEMU's exit status for what the image writes to isa-debug-exit.
constexpr int debug_exit(wire::Exit value) { return 2 * static_cast<int>(value) + 1; }

/// Why a QEMU that ended without an end record is a failure; "" where only the end record is
/// missing.
std::string why_it_failed(int status, const Session& session) {
    std::string said = session.last_aside().empty() ? "" : ": " + session.last_aside();
    if (WIFSIGNALED(status))
        return fmt::format("QEMU {} {}{}", how_it_ended(status), session.where(), said);
    switch (WEXITSTATUS(status)) {
        case debug_exit(wire::Exit::done):
            return {};
        case debug_exit(wire::Exit::refused):
            return fmt::format("the image refused to run, {}{}", session.where(), said);
        case debug_exit(wire::Exit::failed):
            return fmt::format("the image failed, {}; see console.log", session.where());
        case 0:
            return fmt::format("the machine reset itself (a triple fault?) {}", session.where());
        default:
            return fmt::format("QEMU {} {}{}", how_it_ended(status), session.where(), said);
    }
}

Json manifest_of(const QemuRun& request, const std::vector<std::string>& argv,
                 const std::string& qemu_version) {
    const MachineOptions& machine = request.machine;
    Json labs = Json::array();
    for (const LabChoice& choice : request.selection.labs) {
        Json keys = Json::object();
        for (const auto& [key, value] : choice.keys) keys[key] = value;
        labs.push_back({{"lab", choice.lab->name}, {"cases", keys}});
    }
    Json settings = Json::object();
    for (const auto& [key, value] : request.selection.settings) settings[key] = value;
    Json manifest = manifest_head(machine.clock, machine.machine);
    manifest.update(Json{
        {"accel", machine.accel},
        {"nic", machine.nic},
        {"net", machine.net},
        {"model", machine.model},
        {"image", {{"path", text_of_path(machine.image)}, {"sha256", sha256_file(machine.image)}}},
        {"image_words", machine.image_words},
        {"labs", labs},
        {"samples", request.selection.samples},
        {"seed", request.selection.seed},
        {"raw", request.selection.raw},
        {"settings", settings},
        {"timeout", request.timeout_s},
        {"qemu",
         {{"path", text_of_path(machine.qemu)},
          {"version", qemu_version},
          {"command", texts_of_words(argv)}}},
        {"host", describe_host()}});
    if (machine.model != "off") manifest["model_plugin"] = text_of_path(machine.model_plugin);
    return manifest;
}

}  // namespace

unsigned default_timeout(const Selection& selection) {
    return 120 + static_cast<unsigned>(selection.samples / 500);
}

fs::path absolute_program(const fs::path& program) {
    std::error_code error;
    if (program.native().find('/') != std::string::npos) {
        fs::path absolute = fs::absolute(program, error);
        return error ? program : absolute;
    }
    const char* path = std::getenv("PATH");
    std::istringstream folders(path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path);
    for (std::string folder; std::getline(folders, folder, ':');) {
        fs::path file = fs::absolute((folder.empty() ? "." : folder) / program, error);
        if (!error && access(file.c_str(), X_OK) == 0 && fs::is_regular_file(file, error))
            return file;
    }
    return program;
}

std::string check_qemu(const fs::path& path) {
    ToolResult tool = run_tool_or_end({path.string(), "--version"}, 20);
    if (!tool.started && (tool.error == ENOENT || tool.error == ENOTDIR))
        throw NoQemu(fmt::format(
            "{}; install the package qemu-system-x86, or name another with --qemu", tool.err));
    if (!tool.started) throw MachineError(tool.err + "; name another with --qemu");
    std::smatch match;
    if (tool.timed_out ||
        !std::regex_search(tool.out, match,
                           std::regex("QEMU emulator version ((\\d+)\\.(\\d+)[0-9.]*)")))
        throw MachineError(fmt::format("{} does not say that it is QEMU (tried: {} --version)",
                                       path.string(), path.string()));
    std::pair<unsigned long, unsigned long> have(std::stoul(match[2].str().substr(0, 6)),
                                                 std::stoul(match[3].str().substr(0, 6)));
    if (have < std::pair<unsigned long, unsigned long>(least_qemu[0], least_qemu[1]))
        throw MachineError(fmt::format("{} is QEMU {}; at least {}.{} is needed", path.string(),
                                       match[1].str(), least_qemu[0], least_qemu[1]));
    return match[1];
}

std::string why_no_model(const MachineOptions& machine) {
    std::error_code error;
    if (!fs::is_regular_file(machine.model_plugin, error))
        return fmt::format("it is not at {}", text_of_path(machine.model_plugin));
    // QEMU loads its plugins before it begins, and its monitor can end it at once.
    std::vector<std::string> argv{machine.qemu.string(),
                                  "-nodefaults",
                                  "-no-user-config",
                                  "-display",
                                  "none",
                                  "-M",
                                  "none",
                                  "-monitor",
                                  "stdio"};
    for (const std::string& word : model_arguments(machine)) argv.push_back(word);
    ToolResult tool = run_tool_or_end(argv, 20, "quit\n");
    if (tool.started && tool.exit_status == 0) return {};
    if (tool.timed_out) return "QEMU does not end when it has loaded it";
    std::string why = tool.err.substr(0, tool.err.find('\n'));
    return why.empty() ? "QEMU does not load it" : why;
}

namespace {

/// Throws UsageError or MachineError where something is missing that the machine is made of.
void check_files(const MachineOptions& machine) {
    std::error_code error;
    if (!fs::is_regular_file(machine.image, error))
        throw MachineError(
            fmt::format("there is no image at {}; build it with make, or name it with --image",
                        machine.image.string()));
    if (machine.model != "off" && !machine.model_by_default &&
        !fs::is_regular_file(machine.model_plugin, error))
        throw UsageError(
            fmt::format("--model: the cache model is not at {}", machine.model_plugin.string()));
    if (machine.accel == "kvm")
        if (Kvm kvm = look_for_kvm(); !kvm.usable)
            throw MachineError(fmt::format("--accel kvm: {}; use --accel tcg", kvm.because));
}

/// Leaves out a cache model that nobody asked for and QEMU does not load: why; "" where it stays.
std::string leave_model_out(MachineOptions& machine) {
    if (machine.model == "off" || !machine.model_by_default) return {};
    std::string why = why_no_model(machine);
    if (why.empty()) return {};
    machine.model = "off";
    complain("doorbell: the run goes on without the cache model (no counters, no prediction): {}",
             why);
    return why;
}

}  // namespace

Finished run_in_qemu(QemuRun request) {
    MachineOptions& machine = request.machine;
    check(machine);
    if (request.timeout_s == 0) request.timeout_s = default_timeout(request.selection);
    check_files(machine);
    std::string qemu_version = check_qemu(machine.qemu);
    // Absolute paths from here on: the run may be repeated from another folder.
    machine.qemu = absolute_program(machine.qemu);
    machine.image = fs::absolute(machine.image);
    if (machine.model != "off") machine.model_plugin = fs::absolute(machine.model_plugin);
    std::string no_model = leave_model_out(machine);

    if (machine.nic == "auto")
        machine.nic =
            cards_for(machine.machine, wants_card(request.selection), parse_net(machine.net));
    machine.image_words = image_words(request.selection);
    if (!request.extra_words.empty()) machine.image_words += " " + request.extra_words;
    machine.image_words += " exit=debug";
    std::vector<std::string> argv = qemu_arguments(machine);

    std::optional<OutsidePlan> plan = outside_plan(request.selection, machine);
    if (plan) check_this_end(*plan);
    Json manifest = manifest_of(request, argv, qemu_version);
    if (!no_model.empty()) manifest["model_missing"] = no_model;
    Session session(RunFolder::create(request.out, machine.clock, machine.machine),
                    std::move(manifest), request.progress);
    session.machine_is({{"type", machine.machine},
                        {"accel", machine.accel},
                        {"clock", machine.clock},
                        {"qemu_version", qemu_version},
                        {"nic", machine.nic}});
    session.progress().say("starting QEMU ...");
    std::optional<Outside> outside;
    if (plan) outside.emplace(session, *plan);
    Watch watch(session, request.timeout_s,
                [&](int status) { return why_it_failed(status, session); });
    VcpuCounters vcpu;
    if (machine.accel == "kvm") {
        watch.on_start = [&](pid_t qemu) { vcpu.started(qemu); };
        session.listeners.emplace_back(
            [&](const std::string& kind, const Json& record) { vcpu.record(kind, record); });
        session.on_finish = [&](Run& run) { vcpu.add_to(run); };
    }
    try {
        watch.run(argv);
    } catch (const std::system_error& trouble) {
        return session.finish(trouble.what(), 0, machine.image);
    }
    if (outside) outside->end();
    if (watch.end_is_lost()) session.collector().end_is_lost();
    return session.finish(watch.failure(), watch.signal(), machine.image);
}

}  // namespace doorbell::harness
