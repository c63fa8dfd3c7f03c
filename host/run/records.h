// Turns samples into the records that the image sends.
#pragma once
#include "firmware/wire/record.h"
#include "host/bench.h"
#include "host/lab.h"
#include "host/run/case_counters.h"

namespace doorbell::host {

/// Sends the case's series with their histograms, counters and raw samples; `id` counts series of
/// the run.
void emit_case(wire::Sender& sender, uint64_t& id, const Lab& lab, const Case& test_case,
               const LinuxBench& bench);
/// What was counted around that series' case.
void emit_counts(wire::Sender& sender, uint64_t id, const CaseCounts& counted);
/// How a case ended without figures: kind::skip or kind::fail.
void emit_end(wire::Sender& sender, const char* kind, const Lab& lab, const Case& test_case,
              const std::string& reason);

}  // namespace doorbell::host
