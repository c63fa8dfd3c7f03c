// The subcommands. A new one is one file NAME.cpp, its declaration here, and its line in
// commands.cpp.
#pragma once
#include <span>
#include <string>
#include <vector>

namespace doorbell::harness {

/// Runs a subcommand on the words after its name; returns the exit status, or throws a Failure.
using CommandFunction = int (*)(const std::vector<std::string>& args);

struct Command {
    const char* name;
    const char* words;  ///< what may follow, for the overview
    const char* summary;
    CommandFunction function;
};

/// All subcommands, in the order of the overview.
std::span<const Command> commands();

int command_list(const std::vector<std::string>& args);
int command_run(const std::vector<std::string>& args);
int command_attach(const std::vector<std::string>& args);
int command_host(const std::vector<std::string>& args);
int command_peers(const std::vector<std::string>& args);
int command_image(const std::vector<std::string>& args);
int command_report(const std::vector<std::string>& args);
int command_compare(const std::vector<std::string>& args);
int command_reproduce(const std::vector<std::string>& args);
int command_export(const std::vector<std::string>& args);
int command_quiz(const std::vector<std::string>& args);
int command_profile(const std::vector<std::string>& args);
int command_predict(const std::vector<std::string>& args);
int command_doctor(const std::vector<std::string>& args);

}  // namespace doorbell::harness
