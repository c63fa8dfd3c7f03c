// From samples to records: how series, the self-statement and the machine look on the wire.
#pragma once
#include "firmware/measure/counters.h"
#include "firmware/measure/instrument.h"
#include "firmware/measure/series.h"
#include "firmware/platform/machine.h"
#include "firmware/wire/record.h"
#include "firmware/wire/text.h"
#include "labs/kit/bench.h"
#include "labs/kit/lab.h"
#include "labs/kit/results.h"

namespace doorbell::labs {

/// An error in words, with the number that goes with it.
void write_error(wire::Text& text, Error error);

void emit_machine(wire::Sender& sender, const platform::Machine& machine, const char* boot_protocol,
                  std::string_view console);
void emit_instrument(wire::Sender& sender, const measure::Instrument& instrument,
                     const measure::Counters& counters);

/// Sends a series with its histograms and raw samples; `id` ties the records together.
void emit_series(wire::Sender& sender, uint64_t id, const Lab& lab, const Case& test_case,
                 const measure::Series& series);

/// What was counted for a series: the whole, then each stage, then each region.
struct Counted {
    std::span<const measure::CountRow> rows;
    std::span<const char* const> names;
    const char* evidence;
    uint64_t absent = 0;  ///< bits of the names that there is no counter for
    /// What reading the counters itself counted, taken off each sample: by code of ring 0, and of
    /// ring 3.
    std::span<const uint64_t> pair_cost = {}, user_pair_cost = {};
    std::span<const char* const> regions = {};
};

/// Sends it, a record for each stretch that has samples.
void emit_counters(wire::Sender& sender, uint64_t id, const measure::Series& series,
                   const Counted& counted);

/// The same, kept for the claims; of the whole and the stages.
std::span<const Figure> figures_of(const measure::Series& series, const Counted& counted,
                                   Results& results);

/// What is kept of it for the claims.
Summary summarize(const Lab& lab, const Case& test_case, const measure::Series& series,
                  const measure::Instrument& instrument);

void emit_tally(wire::Sender& sender, const Lab& lab, const Case& test_case, const Tally& tally);
void emit_alive(wire::Sender& sender, const Lab& lab, const Case& test_case, uint64_t frames);
/// How a case ended that is not simply done: skipped, or failed.
void emit_end(wire::Sender& sender, const Lab& lab, const Case& test_case, Error reason);
void emit_claim(wire::Sender& sender, const Lab& lab, const Claim& claim,
                const ClaimVerdict& verdict);

}  // namespace doorbell::labs
