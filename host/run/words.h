// The words of the Linux programs' command line. The harness checks the user's words; what is wrong
// here is refused all the same.
#pragma once
#include <string>
#include <vector>

#include "host/bench.h"
#include "host/lab.h"
#include "host/run/case_counters.h"

namespace doorbell::host {

/// One case of one lab that was asked for.
struct Chosen {
    const Lab* lab;
    const Case* test_case;
};

struct Words {
    LinuxRequest request;
    uint64_t repetitions = 1;
    std::string benchmark_out;  ///< Google Benchmark's own JSON; "" for none
    Counting counting = Counting::off;
    std::filesystem::path root =
        "/";            ///< where PCM and what it needs are looked for; another one in tests
    bool list = false;  ///< only say what labs there are, as JSON
    std::vector<Chosen> cases;
};

/// Reads argv. Throws std::invalid_argument with a sentence.
Words read_words(int argc, char** argv);

/// Prints the catalogue as JSON.
void print_catalogue();

}  // namespace doorbell::host
