// The subcommands. A new one is one file NAME.cpp, its declaration here, and its line in
// commands.cpp.
#pragma once
#include <boost/program_options.hpp>
#include <span>
#include <string>
#include <vector>

namespace doorbell::harness {

/// A subcommand: its command line, and what it does.
struct Command {
    const char* name;
    const char* words;          ///< what may follow, for the overview and the usage
    const char* required = "";  ///< the option that it cannot do without, for the usage
    const char* summary;        ///< for the overview
    const char* help;           ///< one paragraph for --help
    const char* operand = "";   ///< the option whose values are words without dashes; "": none
    boost::program_options::options_description (*options)();
    /// Returns the exit status, or throws a Failure.
    int (*run)(const boost::program_options::variables_map& map);
};

/// All subcommands, in the order of the overview.
std::span<const Command* const> commands();

/// Runs a subcommand on the words after its name, or prints its help; returns the exit status, or
/// throws a Failure.
int execute(const Command& command, const std::vector<std::string>& args);

extern const Command list_command, run_command, attach_command, image_command, host_command,
    report_command, compare_command, reproduce_command, export_command, quiz_command, peers_command,
    profile_command, predict_command, doctor_command;

}  // namespace doorbell::harness
