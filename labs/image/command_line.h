// The words that the boot loader hands to the image: which labs, which cases, how many samples.
#pragma once
#include <cstdint>
#include <string_view>

#include "firmware/wire/fault.h"
#include "labs/kit/bench.h"
#include "labs/kit/lab.h"

namespace doorbell::labs {

using wire::Fault;

/// How the image ends.
enum class Leave : uint8_t { halt, debug_exit, power_off, reset };

/// A lab that was asked for, with the keys that choose its cases ("wait=irq,source=lapic"; "" for
/// all).
struct Wanted {
    const Lab* lab = nullptr;
    std::string_view keys;
    bool takes(const Case& test_case) const;
};

struct CommandLine {
    static constexpr unsigned most_labs = 64, most_settings = 32;

    Wanted wanted[most_labs];
    unsigned wanted_count = 0;
    Chosen chosen[most_settings];
    unsigned chosen_count = 0;
    Request request;
    Leave leave = Leave::halt;
    Fault fault = Fault::none;

    /// Words that were not understood: the word and what was wrong with it.
    struct Problem {
        std::string_view word;
        const char* what;
    };
    Problem problems[8];
    unsigned problem_count = 0;

    /// Whether the i-th wanted lab is to run this case: it takes it, and no earlier word for the
    /// same lab does.
    bool runs(unsigned i, const Case& test_case) const;
    /// Whether a later word asks for the i-th wanted lab again.
    bool comes_again(unsigned i) const;

    /// Reads `words`, which must outlive this object. Without a `lab=` every default lab is wanted.
    void read(std::string_view words);

  private:
    void take(std::string_view word);
    void take_lab(std::string_view word, std::string_view value);
    void take_setting(std::string_view word, std::string_view name, std::string_view value);
    void complain(std::string_view word, const char* what);
};

}  // namespace doorbell::labs
