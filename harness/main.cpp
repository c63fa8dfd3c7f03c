// The command `doorbell`: finds the subcommand, and turns an exception into one line and an exit
// status.
#include <fmt/format.h>
#include <signal.h>

#include <exception>
#include <sstream>
#include <string>
#include <vector>

#include "harness/commands/commands.h"
#include "harness/system/failure.h"
#include "harness/system/output.h"
#include "harness/system/terminal.h"
#include "harness/system/version.h"
#include "harness/text/nearest.h"

namespace {

using namespace doorbell::harness;

std::string overview() {
    std::string text = wrapped(
        "doorbell: ", "measures what it costs to learn of an event, by polling or by interrupt");
    text += "\n";
    for (const Command* command : commands())
        text += wrapped(
            fmt::format("  doorbell {:<20} ", std::string(command->name) + " " + command->words),
            command->summary);
    return text + "\n" +
           wrapped("", fmt::format("For a command's options: doorbell COMMAND --help. "
                                   "Version {}.",
                                   version));
}

int dispatch(const std::vector<std::string>& words) {
    if (words.empty()) {
        std::istringstream lines(overview());
        for (std::string line; std::getline(lines, line);) write_error_line(line);
        return static_cast<int>(Status::usage);
    }
    if (words[0] == "--help" || words[0] == "-h" || words[0] == "help") {
        print_text(overview());
        return 0;
    }
    if (words[0] == "--version") {
        say("doorbell {}\n", version);
        return 0;
    }
    std::vector<std::string> names;
    for (const Command* command : commands()) {
        names.emplace_back(command->name);
        if (words[0] == command->name) return execute(*command, {words.begin() + 1, words.end()});
    }
    throw UsageError(unknown_word("command", words[0], names));
}

/// Runs the command's words; an exception becomes one line and a status.
int run_words(const std::vector<std::string>& words) {
    std::string name = words.empty() ? "" : " " + words[0];
    try {
        return dispatch(words);
    } catch (const Failure& failure) {
        complain("doorbell{}: {}", name, failure.what());
        return static_cast<int>(failure.status());
    } catch (const std::exception& error) {
        complain("doorbell{}: {}", name, error.what());
        return static_cast<int>(Status::machine_failed);
    }
}

}  // namespace

int main(int argc, char** argv) {
    hold_standard_streams();
    // A file-size limit or a closed reader is an error to report; it must not kill the program.
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    return finish_output(run_words(std::vector<std::string>(argv + 1, argv + argc)));
}
