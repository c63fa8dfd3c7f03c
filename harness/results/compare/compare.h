// Two runs: what changed, and whether it is more than noise.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "harness/results/statistics.h"
#include "harness/results/stored_run.h"

namespace doorbell::harness {

/// The verdict on a figure. `different`: neither value is the better one.
enum class Word { equal, no_change, faster, slower, different, too_noisy, too_few };
/// Whether the verdict is a change.
bool is_change(Word word);
/// In words. Where the unit is not a time, "faster" and "slower" read "better" and "worse".
const char* word(Word word, const std::string& unit);

/// One figure of a series, in both runs.
struct FigureChange {
    std::string what;  ///< median, p99; for counted series also mean
    double a = 0, b = 0;
    Interval interval = {};  ///< of b - a; for counted series its ends are the difference itself
    double probability = 1;  ///< probability that chance does this, corrected for the number of
                             ///< tests; 1 for counted series
    Word word = Word::equal;
    bool worse = false;     ///< a change, and not for the better
    bool lost = false;      ///< B cannot show what A shows: it has too few samples
    std::string note = {};  ///< why the verdict is open
    /// (b - a) / a; infinite where a is 0 and b is not.
    double share() const;
};

struct StageChange {
    std::string name;
    double a = 0, b = 0;  ///< means
    double share = 0;     ///< of the whole's difference
};

/// A counter that goes into the digest (counted or modelled), a sample.
struct CounterChange {
    std::string name, stage, evidence;     ///< stage "": the whole
    std::optional<double> a = {}, b = {};  ///< nothing: only the other has it
};

struct SeriesChange {
    std::string lab, test_case, metric, unit, evidence;
    bool counted =
        false;  ///< evidence exact and not unstable: differences are facts, not statistics
    bool identical = false;  ///< each bin, stage and counted counter
    std::vector<FigureChange> figures = {};
    std::vector<StageChange> stages = {};      ///< those that differ, the largest share first
    std::vector<CounterChange> counters = {};  ///< those that differ
    std::string name() const;
    /// The verdict on the median, or on the p99 where only that changed.
    Word summary() const;
    bool changed() const;
    /// The greatest relative difference among the figures that changed.
    double size() const;
};

/// A series that A has and B does not.
struct Missing {
    std::string name;
    enum class Why {
        lacking,  ///< B records that its machine lacks what the case needs
        failed,   ///< B records that the case has failed
        unknown,  ///< B has no record of it: it was not asked for, or got lost
    } why = Why::unknown;
    std::string reason = {};  ///< B's own
    /// "name: why it is missing".
    std::string text() const;
};

struct Comparison {
    std::vector<std::string> remarks;  ///< what differs between the runs besides the figures
    std::vector<SeriesChange> series;  ///< changed ones first, the largest share of the whole first
    std::vector<Missing> only_in_a;
    std::vector<std::string> only_in_b;
    std::vector<CaseEnd> failed_in_b;  ///< cases that have failed in B, and not in A
    size_t tests = 0;  ///< the number of tests that the probabilities were corrected for
    size_t count(Word word) const;
};

struct CompareOptions {
    /// The smallest difference that matters, as a share: an interval inside it is "no change", one
    /// that reaches beyond it and holds zero is "too noisy to say".
    double margin = 0.05;
};

/// Where different compilers built the runs' images: which ones, and what that means; else "".
std::string different_compilers(const StoredRun& a, const StoredRun& b);

/// Why the two runs cannot be compared, or "".
std::string why_not_comparable(const StoredRun& a, const StoredRun& b);

/// Compares; throws UsageError with why_not_comparable().
Comparison compare(const StoredRun& a, const StoredRun& b, const CompareOptions& options = {});

/// What keeps B from passing, in sentences: figures that got worse by more than `share`; series of
/// A that B does not have, unless its machine lacks them, or that have too few samples; failed
/// cases.
std::vector<std::string> beyond_gate(const Comparison& comparison, double share);

/// For the terminal. `all`: also the series that did not change.
std::string comparison_text(const Comparison& comparison, bool all);
Json comparison_json(const Comparison& comparison);

/// Why `run` does not have a series that another run has.
Missing missing_from(const Run& run, const Series& series);

/// The cases that have failed in `run`, and not in `other`.
std::vector<CaseEnd> failed_only_in(const Run& run, const Run& other);

/// Whether two series hold the same counts, as the digest takes them.
bool identical(const Series& a, const Series& b);

/// A series as a sample; `dependence` from raw samples where there are any.
Sample sample_of(const StoredRun& stored, const Series& series);

}  // namespace doorbell::harness
