#include "harness/commands/commands.h"

#include "harness/run/options.h"

namespace doorbell::harness {
namespace {

constexpr const Command* all[] = {
    &list_command,   &run_command,     &attach_command,    &image_command,  &host_command,
    &report_command, &compare_command, &reproduce_command, &export_command, &quiz_command,
    &peers_command,  &profile_command, &predict_command,   &doctor_command,
};

}  // namespace

std::span<const Command* const> commands() { return all; }

int execute(const Command& command, const std::vector<std::string>& args) {
    std::string usage = std::string("doorbell ") + command.name;
    for (const char* words : {command.words, command.required})
        if (*words != 0) usage += std::string(" ") + words;
    auto map =
        parse(args, usage + "\n\n" + command.help + "\n", command.options(), command.operand);
    return map ? command.run(*map) : 0;
}

}  // namespace doorbell::harness
