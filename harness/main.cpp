// The command `doorbell`: finds the subcommand, and turns what it throws into one line and an exit
// status.
#include <fmt/format.h>
#include <signal.h>

#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "harness/commands/commands.h"
#include "harness/system/failure.h"
#include "harness/system/nearest.h"
#include "harness/system/version.h"

namespace {

using namespace doorbell::harness;

void print_overview(std::FILE* where) {
    fmt::print(where,
               "doorbell: what it costs to find out that something happened, by polling or by "
               "interrupt\n\n");
    for (const Command& command : commands())
        fmt::print(where, "  doorbell {:<20} {}{}\n",
                   std::string(command.name) + " " + command.words, command.summary,
                   command.function == nullptr ? " (not there yet)" : "");
    fmt::print(where, "\nOptions of each: doorbell COMMAND --help. Version {}.\n", version);
}

int dispatch(const std::vector<std::string>& words) {
    if (words.empty()) {
        print_overview(stderr);
        return static_cast<int>(Status::usage);
    }
    if (words[0] == "--help" || words[0] == "-h" || words[0] == "help") {
        print_overview(stdout);
        return 0;
    }
    if (words[0] == "--version") {
        fmt::print("doorbell {}\n", version);
        return 0;
    }
    std::vector<std::string> names;
    for (const Command& command : commands()) {
        names.emplace_back(command.name);
        if (words[0] != command.name) continue;
        if (command.function == nullptr)
            throw UsageError(fmt::format("\"{}\" is not there yet", words[0]));
        return command.function({words.begin() + 1, words.end()});
    }
    throw UsageError(unknown_word("command", words[0], names));
}

}  // namespace

int main(int argc, char** argv) {
    // A full disk under a file-size limit, or a reader that went away, is an error to be told, not
    // the end.
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    std::vector<std::string> words(argv + 1, argv + argc);
    try {
        return dispatch(words);
    } catch (const Failure& failure) {
        fmt::print(stderr, "doorbell{}: {}\n", words.empty() ? "" : " " + words[0], failure.what());
        return static_cast<int>(failure.status());
    } catch (const std::exception& error) {
        fmt::print(stderr, "doorbell: {}\n", error.what());
        return static_cast<int>(Status::machine_failed);
    }
}
