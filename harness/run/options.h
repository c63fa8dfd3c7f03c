// What the subcommands' command lines share.
#pragma once
#include <boost/program_options.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "harness/machine/machine.h"
#include "harness/run/selection.h"
#include "harness/system/failure.h"

namespace doorbell::harness {

/// Parses `args` by `options`. Words without dashes go to the option `words` where it is not empty,
/// and are wrong usage otherwise. `--help` prints `usage` and the options and returns nothing.
/// Throws UsageError with the nearest valid option.
std::optional<boost::program_options::variables_map> parse(
    const std::vector<std::string>& args, const std::string& usage,
    const boost::program_options::options_description& options, const std::string& words = {});

/// Adds --samples --seed --set --raw: what the image is asked for.
void add_selection_options(boost::program_options::options_description& options);
Selection selection_from(const boost::program_options::variables_map& map,
                         const std::vector<std::string>& lab_words);

/// Adds --clock --machine --accel --nic --net --model --qemu --image: what the machine is.
void add_machine_options(boost::program_options::options_description& options);
/// `model`: words of --model where the command line has none and the clock is exact.
MachineOptions machine_from(const boost::program_options::variables_map& map,
                            const std::string& model);

/// The image: `said` with --image, else the environment's DOORBELL_IMAGE, else doorbell.elf beside
/// this command.
std::filesystem::path image_path(const std::string& said);

/// A file that lies beside this command.
std::filesystem::path beside_command(const std::string& name);

/// Throws UsageError unless `word` is one of `choices`; `option` is named in it.
void check_choice(const std::string& option, const std::string& word,
                  const std::vector<std::string>& choices);

/// "7.5" per cent, from 0 to 1000, as a share. Throws UsageError that names `option`.
double parse_percent(const std::string& text, const std::string& option);

/// The value of a text option, or nothing.
std::optional<std::string> said(const boost::program_options::variables_map& map,
                                const std::string& option);

/// The words of an option that takes several; empty where the command line has none.
std::vector<std::string> words_of(const boost::program_options::variables_map& map,
                                  const std::string& option);

/// The runs that the command line names, by the option "run"; results/latest where it names none.
std::vector<std::string> run_names(const boost::program_options::variables_map& map);
/// The same for a command that takes one. Throws UsageError where there are more.
std::string run_name(const boost::program_options::variables_map& map);

}  // namespace doorbell::harness
