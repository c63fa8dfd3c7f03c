// Ten questions about the border between programs, kernel and machine, and the figures that answer
// them.
#pragma once
#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "harness/data/run_data.h"

namespace doorbell::harness {

struct Question {
    const char* text;
    std::array<const char*, 4> choices;
    char right;           ///< 'a' to 'd'
    const char* because;  ///< why, in a sentence or two
    const char* lab;      ///< the lab that shows it
    /// The run's figures that prove the answer, in a sentence; "" where the run lacks them.
    std::string (*proof)(const Run& run);
};

std::span<const Question> questions();

/// The letters of an answers file: one a line, `c` or `3: c`; blank lines and lines from # on are
/// skipped. Throws UsageError with the line that is wrong.
std::string read_answers(std::string_view text, size_t wanted);

}  // namespace doorbell::harness
