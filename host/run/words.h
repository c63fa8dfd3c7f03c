// The command line of the Linux programs. The harness checks the user's words first; these programs
// reject wrong ones as well.
#pragma once
#include <string>
#include <vector>

#include "host/bench.h"
#include "host/lab.h"
#include "host/run/case_counters.h"

namespace doorbell::host {

/// One requested case of one lab.
struct Chosen {
    const Lab* lab;
    const Case* test_case;
};

struct Words {
    LinuxRequest request;
    uint64_t repetitions = 1;
    std::string benchmark_out;  ///< Google Benchmark's own JSON; "" for none
    Counting counting = Counting::off;
    /// Folder that holds PCM and its files; tests set another one.
    std::filesystem::path root = "/";
    bool list = false;  ///< only print the catalogue as JSON
    std::vector<Chosen> cases;
};

/// Reads argv. Throws std::invalid_argument with a sentence for the user.
Words read_words(int argc, char** argv);

/// Prints the catalogue as JSON.
void print_catalogue();

}  // namespace doorbell::host
