#include "harness/run/outside.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "firmware/wire/words.h"
#include "harness/system/failure.h"
#include "harness/text/number.h"
#include "labs/catalogue.h"

namespace doorbell::harness {
namespace {

constexpr const char* lab_name = "echo";
/// From the case's beginning to its first answer: a whole operating system may have to set up its
/// card.
constexpr unsigned patience_s = 30;
/// Beyond this, the schedule slipped so much that the result must mention it.
constexpr uint64_t noted_slip_ns = 1'000'000;

uint64_t setting_of(const labs::Lab& lab, const Selection& selection, std::string_view name) {
    for (const auto& [key, value] : selection.settings)
        if (key == name) return value;
    for (const labs::Setting& one : lab.settings)
        if (one.name == name) return one.normal;
    throw std::logic_error(fmt::format("lab {} has no setting {}", lab.name, name));
}

void fill(Series& series, const measure::Histogram& from) {
    for (size_t bin = 0; bin < measure::Histogram::bins; ++bin)
        series.bins.add(measure::Histogram::lowest_of(bin), from.at(bin));
    series.count = series.bins.count();
    if (series.count == 0) return;
    series.min = from.min();
    series.max = from.max();
    series.sum = from.sum();
}

}  // namespace

std::optional<OutsidePlan> outside_plan(const Selection& selection, const MachineOptions& machine) {
    bool wanted = std::any_of(selection.labs.begin(), selection.labs.end(), [](const LabChoice& c) {
        return std::string_view(c.lab->name) == lab_name;
    });
    OutsidePlan plan;
    plan.net = parse_net(machine.net);
    const labs::Lab* lab = labs::find(lab_name);
    if (!wanted || !plan.net.outside() || lab == nullptr) return std::nullopt;
    auto setting = [&](const char* name) { return setting_of(*lab, selection, name); };
    plan.nic = machine.nic;
    plan.address = static_cast<uint32_t>(setting("address"));
    plan.prefix = static_cast<unsigned>(setting("prefix"));
    plan.requests = {setting("requests"), setting("rate"), setting("window"), setting("payload"),
                     0};
    plan.evidence = machine.accel == "kvm" ? "measured" : "rough";
    if (plan.requests.count == 0) return std::nullopt;
    return plan;
}

void check_this_end(const OutsidePlan& plan) {
    // A tap may be made by QEMU itself.
    if (plan.net.kind != Net::Kind::udp) return;
    for (const std::string& model : nic_choices())
        if (model == plan.nic ||
            (plan.nic == "all" && model != "none" && model != "auto" && model != "all"))
            (void)Channel::make(plan.net, card_ports(plan.net, plan.nic, model), plan.address,
                                plan.prefix);
}

Outside::Outside(Session& session, OutsidePlan plan) : session_(session), plan_(std::move(plan)) {
    session_.listeners.emplace_back(
        [this](const std::string& kind, const Json& record) { this->record(kind, record); });
}

Outside::~Outside() {
    if (!thread_.joinable()) return;
    cancel_->now();
    thread_.join();
}

void Outside::record(const std::string& kind, const Json& record) {
    auto lab = record.find("lab");
    bool ours = lab != record.end() && *lab == lab_name;
    if (kind == wire::kind::alive) return;
    // Any other record ends the case before it.
    end();
    if (kind == wire::kind::begin && ours) begin(CaseKeys::from(record.value("case", Json())));
}

void Outside::begin(const CaseKeys& test_case) {
    case_ = test_case;
    // A mark for this case: an answer to an earlier case must not be taken for one of this.
    plan_.requests.mark = plan_.requests.mark * 6364136223846793005ull + 1442695040888963407ull;
    cancel_ = std::make_unique<Cancel>();
    echoes_ = std::make_unique<Echoes>();
    try {
        channel_ = Channel::make(plan_.net, card_ports(plan_.net, plan_.nic, test_case["model"]),
                                 plan_.address, plan_.prefix);
    } catch (const MachineError& error) {
        session_.skip({lab_name, case_, error.what()});
        return;
    }
    thread_ = std::thread(
        [this] { send_requests(*channel_, plan_.requests, patience_s, *cancel_, *echoes_); });
}

void Outside::end() {
    if (!thread_.joinable()) return;
    cancel_->now();
    thread_.join();
    keep();
    channel_.reset();
}

void Outside::keep() {
    const Echoes& echoes = *echoes_;
    if (echoes.sent == 0) {
        if (!echoes.failure.empty()) session_.fail({lab_name, case_, echoes.failure});
        return;
    }
    bool closed = plan_.requests.window != 0;
    auto series = [&](const char* metric, const char* unit,
                      wire::Better better = wire::Better::less) {
        Series one;
        one.lab = lab_name;
        one.test_case = case_;
        one.metric = metric;
        one.unit = unit;
        one.evidence = plan_.evidence;
        one.better = better;
        if (!echoes.failure.empty()) one.flags.push_back("unstable: " + echoes.failure);
        return one;
    };
    Series round_trip = series("round-trip", "ns"), slip = series("slip", "ns"),
           throughput = series("throughput", "packet/s", wire::Better::more);
    fill(round_trip, echoes.round_trip);
    fill(slip, echoes.slip);
    if (closed)
        round_trip.flags.push_back(
            fmt::format("closed loop: each request waited until fewer than {} were unanswered, so "
                        "a stall is counted once",
                        plan_.requests.window));
    else if (slip.count != 0 && slip.percentile(99000).value_or(0) > noted_slip_ns)
        round_trip.flags.push_back(
            fmt::format("the sender itself was late for its schedule: by {} ns or more for 1 % of "
                        "the requests; that time is in the figures",
                        grouped(*slip.percentile(99000))));
    if (echoes.lost != 0)
        round_trip.flags.push_back(fmt::format("{} of {} requests were never answered",
                                               grouped(echoes.lost), grouped(echoes.sent)));
    session_.add(std::move(round_trip));
    if (!closed) session_.add(std::move(slip));
    if (echoes.took != 0 && echoes.answered != 0) {
        measure::Histogram one;
        one.record(static_cast<uint64_t>(static_cast<double>(echoes.answered) * 1e9 /
                                         static_cast<double>(echoes.took)));
        fill(throughput, one);
        session_.add(std::move(throughput));
    }
    session_.add(Tally{lab_name,
                       case_,
                       "requests",
                       {{"sent", echoes.sent},
                        {"answered", echoes.answered},
                        {"lost", echoes.lost},
                        {"late", echoes.late},
                        {"duplicated", echoes.duplicated},
                        {"damaged", echoes.damaged},
                        {"knocks", echoes.knocks}}});
}

}  // namespace doorbell::harness
