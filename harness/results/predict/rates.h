// Rates of packets at which one way of taking them overtakes another, or gives up, on the machine
// of a profile.
//
// The exact clock shows such a rate in packets for so many instructions: its cases keep a period
// between packets in virtual time, and an interrupt or an access to a device takes one instruction
// of it. No scale turns that into a rate on hardware, where each of these costs something else. So
// the rate is not scaled. The model counts what is executed in each region of the code (an
// interrupt's handler, a packet, a look, the job's steps), the profile prices these counts, and the
// rate is where the costs say that both ways are equal:
//
//   break-even (lab pizza)  Interrupts take r * Ci of each second: Ci is the interrupt (entry,
//       handler, IRETQ) and the packet that it brings. Polling takes of each round of job and look
//       the share f = look / (job + look), whether packets come or not, and of the time r * Cp for
//       the packets. A look is all that a round takes beyond the same steps in one go. What is left
//       to the job is 1 - r * Ci, and (1 - r * Cp) * (1 - f). These are equal at r = f / (Ci - Cp *
//       (1 - f)).
//   capacity (lab livelock)  A packet costs R until it is in the queue (interrupt, receive, input)
//       and D for its delivery. All are delivered up to r = 1 / (R + D). Where receiving goes first
//       (irq, poll), deliveries decline from there on, which is livelock, and nothing is delivered
//       from r = 1 / R on. Where a quota leaves time for deliveries, they stay at that capacity.
//   cost of a packet (lab moderation)  P + I / n, where one interrupt I serves n packets.
//
// The job's digits depend on each other through memory, which the dataflow does not follow: what
// its steps cost is known within a factor of three or four only, and the looks' share with it. A
// look may be hidden behind what the job waits for; the interval reaches to one that is not.
//
// One interrupt for each packet is right below the capacity: its handler is over before the next
// packet comes. The time of a message on its way to the local APIC is latency, and nobody's time,
// so these costs do not include `msi-delivery`. A device's write takes a line from the caches: each
// packet brings two such lines, its descriptor (four packets that come together share one) and the
// start of its frame.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "harness/results/predict/cost.h"

namespace doorbell::harness {

struct SeriesPrediction;

/// A rate or cost of packets.
struct RatePrediction {
    /// What one of a kind costs on the way to it.
    struct Part {
        std::string name;
        Estimate ns;
    };
    std::string lab, name;  ///< "break-even every=256"
    std::string sentence;   ///< what it means
    std::string unit;       ///< "packets/s", "ns/packet"
    /// The same where each counted instruction takes one nanosecond and nothing else takes time: as
    /// the exact clock has it.
    std::optional<double> counted;
    std::optional<Estimate> value;  ///< `high` may be infinite: at some prices it never comes
    std::vector<Part> parts;
    std::vector<std::string> missing;  ///< prices without which it is not known
    std::string why_not;               ///< another reason why it is not known
    /// Where prices are missing: what the known ones leave possible, since no price is below 0.
    std::optional<double> at_most, at_least;
    bool known() const { return value.has_value(); }
};

/// What is predicted of a run's packets. `shares`: of lab pizza's `work`, in ppm, by the same
/// costs.
struct PacketPredictions {
    std::vector<RatePrediction> rates;
    std::vector<SeriesPrediction> shares;
    std::vector<std::string> cost_parts;  ///< the names of all parts of the costs
};
PacketPredictions predict_packets(const Run& run, const Profile& profile);

/// Packets a second at which polling and interrupts leave the job the same; infinite where
/// interrupts leave it more at any rate. All in ns; `look_share` of 1.
double break_even_rate(double by_interrupt, double by_polling, double look_share);
/// The share of its time that is left to the job; at least 0.
double share_left_by_interrupts(double rate, double by_interrupt);
double share_left_by_polling(double rate, double by_polling, double look_share);

}  // namespace doorbell::harness
