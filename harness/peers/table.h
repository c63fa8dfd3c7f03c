// Doorbell, Linux and DPDK side by side.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "harness/data/run_data.h"

namespace doorbell::harness {

/// The runs that are compared; null: not there.
struct PeerRuns {
    const Run* doorbell = nullptr;
    const Run* guest = nullptr;
    const Run* dpdk = nullptr;
};

/// One line of the table; medians in instructions, nothing where a figure is unavailable.
struct PeerRow {
    std::string name{};
    std::optional<uint64_t> polled{}, interrupt{}, blocking{}, busy_poll{}, dpdk{};  ///< insn
};

/// `missing` (may be null) receives the figures of the table that a complete run does not have.
std::vector<PeerRow> peer_rows(const PeerRuns& runs, std::vector<std::string>* missing = nullptr);

/// Definitions, the table, and why its figures differ from published ones.
std::string peer_table(const std::vector<PeerRow>& rows);

Json peer_json(const std::vector<PeerRow>& rows);

}  // namespace doorbell::harness
