#include "harness/run/options.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <sstream>
#include <stdexcept>

#include "harness/system/output.h"
#include "harness/system/terminal.h"
#include "harness/text/nearest.h"
#include "harness/text/number.h"
#include "host/model/geometry.h"

namespace doorbell::harness {

namespace po = boost::program_options;
namespace fs = std::filesystem;

namespace {

constexpr uint64_t most_samples = 100'000'000;

std::vector<std::string> option_words(const po::options_description& options,
                                      const std::string& words) {
    std::vector<std::string> known{"--help"};
    for (const auto& option : options.options())
        if (option->long_name() != words) known.push_back("--" + option->long_name());
    return known;
}

std::vector<std::string> list_of(const po::variables_map& map, const std::string& option) {
    return map.count(option) != 0 ? map[option].as<std::vector<std::string>>()
                                  : std::vector<std::string>{};
}

po::typed_value<std::string>* text_option(const char* normal) {
    return po::value<std::string>()->default_value(normal);
}

/// The usage in lines that fit: an empty line separates paragraphs, any other line end is a blank.
std::string usage_text(const std::string& usage) {
    std::string text, paragraph;
    std::istringstream lines(usage);
    auto close = [&] {
        if (!paragraph.empty()) text += (text.empty() ? "" : "\n") + wrapped("", paragraph);
        paragraph.clear();
    };
    for (std::string line; std::getline(lines, line);) {
        if (line.empty())
            close();
        else
            paragraph += (paragraph.empty() ? "" : " ") + line;
    }
    close();
    return text;
}

std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : "|") + word;
    return text;
}

}  // namespace

std::optional<po::variables_map> parse(const std::vector<std::string>& args,
                                       const std::string& usage,
                                       const po::options_description& options,
                                       const std::string& words) {
    po::options_description all;
    all.add_options()("help,h", "this text");
    all.add(options);
    if (!words.empty()) all.add_options()(words.c_str(), po::value<std::vector<std::string>>());
    po::positional_options_description places;
    if (!words.empty()) places.add(words.c_str(), -1);
    po::variables_map map;
    try {
        namespace style = po::command_line_style;
        po::command_line_parser parser(args);
        parser.options(all).positional(places).style(style::default_style & ~style::allow_guessing);
        po::store(parser.run(), map);
        po::notify(map);
    } catch (const po::unknown_option& error) {
        throw UsageError(
            unknown_word("option", error.get_option_name(), option_words(options, words)));
    } catch (const po::too_many_positional_options_error&) {
        throw UsageError("it takes no words, only options; see --help");
    } catch (const po::multiple_occurrences& error) {
        throw UsageError(fmt::format("{} is there more than once", error.get_option_name()));
    } catch (const po::error& error) {
        throw UsageError(fmt::format("{}; see --help", error.what()));
    }
    if (map.count("help") == 0) return map;
    po::options_description shown(options.options().empty() ? "" : "Options",
                                  static_cast<unsigned>(text_width()));
    for (const auto& option : options.options()) shown.add(option);
    std::ostringstream text;
    text << shown;
    say("{}\n{}", usage_text(usage), text.str());
    return std::nullopt;
}

std::optional<std::string> said(const po::variables_map& map, const std::string& option) {
    if (map.count(option) == 0) return std::nullopt;
    return map[option].as<std::string>();
}

double parse_percent(const std::string& text, const std::string& option) {
    double value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || !(value >= 0 && value <= 1000))
        throw UsageError(
            fmt::format("{}: \"{}\" is not a number of per cent from 0 to 1000", option, text));
    return value / 100;
}

void check_choice(const std::string& option, const std::string& word,
                  const std::vector<std::string>& choices) {
    for (const std::string& choice : choices)
        if (choice == word) return;
    throw UsageError(unknown_word(option.substr(option.find_first_not_of('-')), word, choices));
}

void add_selection_options(po::options_description& options) {
    options.add_options()  //
        ("samples", po::value<std::string>(),
         "samples of each case (default: 1000; some labs take fewer)")  //
        ("seed", text_option("1"), "seed of random numbers")            //
        ("set", po::value<std::vector<std::string>>()->composing(),
         "KEY=VALUE: a lab's setting, or cases by one of their keys; repeatable")  //
        ("raw", po::bool_switch(), "also keep each sample");
}

Selection selection_from(const po::variables_map& map, const std::vector<std::string>& lab_words) {
    Selection selection = select(lab_words, list_of(map, "set"));
    if (auto samples = said(map, "samples"))
        selection.samples = parse_number(*samples, "--samples", 1, most_samples);
    selection.seed = parse_number(map["seed"].as<std::string>(), "--seed", 0, ~0ull);
    selection.raw = map["raw"].as<bool>();
    return selection;
}

namespace {

std::string model_help() {
    return "cache model: off, on (" + model::preset_names().front() +
           "), host (this host's caches), " + joined(model::preset_names()) +
           ", or with parts of one's own: zen2,l1d=48K:12:64,l2=off,dtlb=64:4,device=llc (default: "
           "that of the profile in the exact clock, off in the live clock)";
}

}  // namespace

void add_machine_options(po::options_description& options) {
    options.add_options()  //
        ("clock", text_option("exact"),
         (joined(clock_choices()) +
          ": count instructions, or use the host's time (with --net udp or tap: always live)")
             .c_str())                                                      //
        ("machine", text_option("q35"), joined(machine_choices()).c_str())  //
        ("accel", text_option("tcg"), joined(accel_choices()).c_str())      //
        ("nic", text_option("auto"),
         ("network cards: " + joined(nic_choices()) + " (auto: all where a lab wants one)")
             .c_str())  //
        ("net", text_option("wire"),
         ("what the card's cable leads to: " + joined(net_choices()) +
          "; udp: frames in datagrams, the card hears on 127.0.0.1:PORT and sends to PORT + 1")
             .c_str())                                                  //
        ("model", po::value<std::string>(), model_help().c_str())       //
        ("qemu", text_option("qemu-system-x86_64"), "the QEMU to run")  //
        ("image", po::value<std::string>(),
         "the image (default: doorbell.elf beside this command)");
}

namespace {

/// The whole geometry in words, so that a manifest repeats it anywhere: presets may change, and
/// hosts differ.
std::string model_from(const std::string& words) {
    if (words == "off") return words;
    std::vector<std::string> names = model::preset_names();
    names.insert(names.begin(), {"on", "off", "host"});
    if (words.find('=') == words.npos)
        check_choice("--model", words.substr(0, words.find(',')), names);
    try {
        return model::parse(words).text();
    } catch (const std::invalid_argument& error) {
        throw UsageError(fmt::format("--model: {}", error.what()));
    }
}

}  // namespace

MachineOptions machine_from(const po::variables_map& map, const std::string& model) {
    MachineOptions machine;
    auto chosen = [&](const char* option, const std::vector<std::string>& choices) {
        std::string word = map[option].as<std::string>();
        check_choice(std::string("--") + option, word, choices);
        return word;
    };
    machine.net = map["net"].as<std::string>();
    machine.clock = chosen("clock", clock_choices());
    if (map["clock"].defaulted() && parse_net(machine.net).outside()) machine.clock = "live";
    machine.machine = chosen("machine", machine_choices());
    machine.accel = chosen("accel", accel_choices());
    machine.nic = chosen("nic", nic_choices());
    auto words = said(map, "model");
    machine.model_by_default = !words;
    // It makes the live clock's times longer, so that somebody has to want it there.
    machine.model = words || machine.clock == "exact" ? model_from(words.value_or(model)) : "off";
    machine.model_plugin = beside_command("doorbell-model.so");
    machine.qemu = map["qemu"].as<std::string>();
    machine.image = image_path(said(map, "image").value_or(""));
    check(machine);
    return machine;
}

fs::path beside_command(const std::string& name) {
    std::error_code error;
    fs::path self = fs::read_symlink("/proc/self/exe", error);
    return error ? fs::path(name) : self.parent_path() / name;
}

fs::path image_path(const std::string& said) {
    if (!said.empty()) return said;
    const char* environment = std::getenv("DOORBELL_IMAGE");
    return environment != nullptr && *environment != 0 ? fs::path(environment)
                                                       : beside_command("doorbell.elf");
}

std::vector<std::string> words_of(const po::variables_map& map, const std::string& option) {
    if (map.count(option) == 0) return {};
    return map[option].as<std::vector<std::string>>();
}

std::vector<std::string> run_names(const po::variables_map& map) {
    std::vector<std::string> names = words_of(map, "run");
    return names.empty() ? std::vector<std::string>{"results/latest"} : names;
}

std::string run_name(const po::variables_map& map) {
    std::vector<std::string> names = run_names(map);
    if (names.size() != 1) throw UsageError(fmt::format("it takes one run, not {}", names.size()));
    return names.front();
}

}  // namespace doorbell::harness
