#include "harness/results/compare/again.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "harness/data/digest.h"
#include "harness/results/compare/compare.h"
#include "harness/results/figures.h"
#include "harness/run/options.h"
#include "harness/system/escape.h"
#include "harness/system/failure.h"
#include "harness/system/sha256.h"
#include "harness/text/members.h"
#include "harness/text/number.h"

namespace doorbell::harness {
namespace {

uint64_t number_of(const Json& manifest, const char* name, uint64_t normal) {
    const Json& value = member(manifest, name);
    try {
        return value.is_null() ? normal : whole_number(value, fmt::format("its \"{}\"", name));
    } catch (const std::exception& error) {
        throw UsageError(fmt::format("the manifest is damaged: {}", error.what()));
    }
}

std::string choice(const Json& manifest, const char* name, const char* normal,
                   const std::vector<std::string>& choices) {
    std::string word = word_of(manifest, name);
    if (word.empty()) return normal;
    if (std::find(choices.begin(), choices.end(), word) == choices.end())
        throw UsageError(fmt::format(
            "the manifest's {} is \"{}\", which this version does not have", name, word));
    return word;
}

/// The words of a `lab=...` choice, in the form of `doorbell run`.
std::string lab_word(const Json& lab) {
    std::string word = word_of(lab, "lab");
    char before = ':';
    for (const auto& [key, value] : member(lab, "cases").items()) {
        word += before + key + "=" + (value.is_string() ? value.get<std::string>() : value.dump());
        before = ',';
    }
    return word;
}

/// Words of the image's command line that no option covers (fault=...).
std::string extra_words(const std::string& image_words) {
    std::istringstream in(image_words);
    std::string extra;
    for (std::string word; in >> word;) {
        bool known = false;
        for (const char* start : {"lab=", "samples=", "seed=", "raw=", "set.", "exit="})
            known = known || word.starts_with(start);
        if (!known) extra += (extra.empty() ? "" : " ") + word;
    }
    return extra;
}

/// What two series of as many samples differ in.
std::string figures_now(const Series& was, const Series& is) {
    return fmt::format("median {} {}, now {}; p99 {}, now {}; max {}, now {}",
                       percentile_figure(was, 50000, 1), was.unit, percentile_figure(is, 50000, 1),
                       percentile_figure(was, 99000, 1), percentile_figure(is, 99000, 1),
                       figure(static_cast<double>(was.max)), figure(static_cast<double>(is.max)));
}

void missing(Identity& identity, const Missing& one) {
    if (one.why == Missing::Why::lacking)
        identity.lacking.push_back(one.name + ": this machine lacks it: " + one.reason);
    else if (one.why == Missing::Why::failed)
        identity.differences.push_back(one.name + ": failed this time: " + one.reason);
    else
        identity.differences.push_back(one.name + ": it was not measured this time");
}

}  // namespace

QemuRun request_from(const Json& manifest) {
    if (!manifest.is_object())
        throw UsageError(
            "there is no manifest.json beside the results; without it nothing says how the run was "
            "made");
    std::string schema = word_of(manifest, "schema");
    if (schema != "doorbell-manifest/1")
        throw UsageError(fmt::format(
            "the manifest's schema is \"{}\"; this version reads \"doorbell-manifest/1\"", schema));
    if (std::string peer = word_of(manifest, "peer"); !peer.empty())
        throw UsageError(
            fmt::format("this run is a guest's of doorbell peers: run that again and compare with "
                        "--with NEW/{}",
                        peer));
    if (word_of(manifest, "machine") == "linux")
        throw UsageError(
            "this run is one of doorbell host: run that again and compare with --with RUN2");
    if (!member(manifest, "qemu").is_object())
        throw UsageError(
            "this run was not made in QEMU: boot the same image on its machine, collect with "
            "doorbell attach, and compare with --with RUN2");
    QemuRun request;
    std::vector<std::string> labs, settings;
    for (const Json& lab : member(manifest, "labs")) labs.push_back(lab_word(lab));
    for (const auto& [key, value] : member(manifest, "settings").items())
        settings.push_back(key + "=" + value.dump());
    request.selection = select(labs, settings);
    request.selection.samples = number_of(manifest, "samples", 0);
    request.selection.seed = number_of(manifest, "seed", 1);
    request.selection.raw =
        member(manifest, "raw").is_boolean() && member(manifest, "raw").get<bool>();
    MachineOptions& machine = request.machine;
    machine.clock = choice(manifest, "clock", "exact", clock_choices());
    machine.machine = choice(manifest, "machine", "q35", machine_choices());
    machine.accel = choice(manifest, "accel", "tcg", accel_choices());
    machine.nic = choice(manifest, "nic", "auto", nic_choices());
    if (std::string net = word_of(manifest, "net"); !net.empty()) machine.net = net;
    (void)parse_net(machine.net);
    machine.model = word_of(manifest, "model").empty() ? "off" : word_of(manifest, "model");
    std::error_code none;
    machine.model_plugin = path_from_text(word_of(manifest, "model_plugin"));
    if (!std::filesystem::is_regular_file(machine.model_plugin, none))
        machine.model_plugin = beside_command("doorbell-model.so");
    if (std::string qemu = word_of(member(manifest, "qemu"), "path"); !qemu.empty())
        machine.qemu = path_from_text(qemu);
    // The same QEMU may have another path on another machine; its version is checked anyway.
    if (!std::filesystem::exists(machine.qemu, none)) machine.qemu = machine.qemu.filename();
    machine.image = path_from_text(word_of(member(manifest, "image"), "path"));
    request.timeout_s = static_cast<unsigned>(number_of(manifest, "timeout", 0));
    request.extra_words = extra_words(word_of(manifest, "image_words"));
    return request;
}

std::vector<std::string> differences_before(const Json& manifest, const QemuRun& request) {
    std::vector<std::string> differences;
    auto differ = [&](const char* what, const std::string& was, const std::string& is) {
        if (!was.empty() && was != is)
            differences.push_back(fmt::format("{} was {}, is {}", what, was, is));
    };
    std::string image;
    try {
        image = sha256_file(request.machine.image);
    } catch (const std::exception&) {
        throw MachineError(fmt::format("there is no image at {}; name it with --image",
                                       request.machine.image.string()));
    }
    differ("the image's SHA-256", word_of(member(manifest, "image"), "sha256"), image);
    differ("QEMU's version", word_of(member(manifest, "qemu"), "version"),
           check_qemu(request.machine.qemu));
    std::string words = image_words(request.selection);
    if (!request.extra_words.empty()) words += " " + request.extra_words;
    differ("the image's command line", word_of(manifest, "image_words"), words + " exit=debug");
    return differences;
}

Identity identity_of(const StoredRun& before, const StoredRun& after) {
    Identity identity;
    auto counts = [](const Series& series) {
        return series.evidence == "exact" && !series.unstable();
    };
    auto find = [](const StoredRun& in, const Series& wanted) -> const Series* {
        for (const Series& series : in.run.series)
            if (series.lab == wanted.lab && series.metric == wanted.metric &&
                series.test_case == wanted.test_case)
                return &series;
        return nullptr;
    };
    auto differ = [&](const std::string& name, const std::string& what) {
        identity.differences.push_back(name + ": " + what);
    };
    for (const Series& was : before.run.series) {
        if (!counts(was)) continue;
        ++identity.all;
        const Series* is = find(after, was);
        if (is != nullptr && identical(was, *is))
            ++identity.same;
        else if (is == nullptr)
            missing(identity, missing_from(after.run, was));
        else
            differ(was.name(), is->count != was.count
                                   ? fmt::format("{} samples, now {}", was.count, is->count)
                                   : figures_now(was, *is));
    }
    for (const Series& is : after.run.series)
        if (counts(is) && find(before, is) == nullptr)
            differ(is.name(), "it was not measured before");
    for (const CaseEnd& fail : failed_only_in(after.run, before.run))
        differ(fail.name(), "failed: " + fail.reason);
    return identity;
}

}  // namespace doorbell::harness
