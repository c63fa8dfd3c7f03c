// What a lab's series become: specifications of charts, which page.js draws with the charting
// library.
#pragma once
#include <string>
#include <vector>

#include "harness/results/stored_run.h"
#include "harness/results/verdict.h"

namespace doorbell::harness {

/// A chart: `spec` is what page.js reads; title, summary and remarks are text beside it.
struct Chart {
    std::string title;
    std::string summary;               ///< for readers who cannot see it
    std::vector<std::string> remarks;  ///< crossovers and the like, in sentences
    Json spec;
};

/// How fine the charts are.
struct Detail {
    int points_a_decade = 8;  ///< of the percentile axis
    size_t in_order = 100;    ///< points of a chart in the order of measuring; 0: no such charts
};

/// All charts of one lab over all runs, the kind chosen by what the cases are: a numeric key gives
/// curves with their crossovers, stages give stacked bars that sum to the whole, all else is
/// latency by percentile or, where all samples are equal, bars.
std::vector<Chart> charts_of(const std::vector<StoredRun>& runs, const std::string& lab,
                             const Detail& detail);

/// Poll against interrupt in one picture for each unit; none where no run has both.
std::vector<Chart> first_pictures(const std::vector<StoredRun>& runs);

/// "0.1", "64", "32K", "4MiB" as a number; nothing where it is not a number.
std::optional<double> number_of_word(std::string_view word);

/// What the runs are called in charts: A, B, ... where there are several.
std::string letter(const std::vector<StoredRun>& runs, size_t index);

}  // namespace doorbell::harness
