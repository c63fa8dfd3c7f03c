// The outside of a run: for each case of lab `echo` this command runs a sender, in a thread beside
// the collection.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "harness/machine/machine.h"
#include "harness/outside/sender.h"
#include "harness/run/selection.h"
#include "harness/run/session.h"

namespace doorbell::harness {

/// What to send in each case, and where.
struct OutsidePlan {
    Net net;
    std::string nic;       ///< the cards in the machine, as --nic says
    uint32_t address = 0;  ///< the image's, host byte order
    unsigned prefix = 24;
    Requests requests;
    std::string evidence;  ///< of the times: "rough" under emulation, else "measured"
};

/// The plan, or nothing where nothing is to be sent: another network, another lab, requests=0.
std::optional<OutsidePlan> outside_plan(const Selection& selection, const MachineOptions& machine);

/// Throws MachineError where this end of a card's cable is unavailable, before a machine is started
/// for it.
void check_this_end(const OutsidePlan& plan);

/// Watches the session's records and sends while a case of lab `echo` runs; what it measured joins
/// the session's run.
class Outside {
  public:
    Outside(Session& session, OutsidePlan plan);
    ~Outside();
    Outside(const Outside&) = delete;
    /// No more records will come: ends the current case and keeps what it measured.
    void end();

  private:
    void record(const std::string& kind, const Json& record);
    void begin(const CaseKeys& test_case);
    void keep();

    Session& session_;
    OutsidePlan plan_;
    CaseKeys case_;
    std::unique_ptr<Channel> channel_;
    std::unique_ptr<Cancel> cancel_;
    std::unique_ptr<Echoes> echoes_;
    std::thread thread_;
};

}  // namespace doorbell::harness
