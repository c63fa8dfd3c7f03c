// doorbell quiz: ten questions, each answered with a figure from your last run.
#include "harness/results/report/quiz.h"

#include <fmt/format.h>

#include <cctype>
#include <filesystem>
#include <iostream>

#include "harness/commands/commands.h"
#include "harness/results/stored_run.h"
#include "harness/results/table/table.h"
#include "harness/run/options.h"
#include "harness/system/output.h"
#include "labs/catalogue.h"

namespace doorbell::harness {

namespace po = boost::program_options;

namespace {

/// One letter from the terminal; 0 at the end of the input.
char ask() {
    for (std::string line; say("> "), flush_output(), std::getline(std::cin, line);) {
        std::string bare;
        for (char c : line)
            if (!isspace(static_cast<unsigned char>(c)))
                bare += static_cast<char>(tolower(static_cast<unsigned char>(c)));
        if (bare.size() == 1 && bare[0] >= 'a' && bare[0] <= 'd') return bare[0];
        say("a, b, c or d, please\n");
    }
    say("\n");
    return 0;
}

std::string proof_of(const Question& question, const std::optional<StoredRun>& stored) {
    if (stored)
        if (std::string proof = question.proof(stored->run); !proof.empty()) return proof;
    std::string command = std::string("doorbell run ") + question.lab;
    return labs::find(question.lab) == nullptr ? std::string("this version does not have that lab")
           : stored ? fmt::format("your last run does not have it; to see it: {}", command)
                    : fmt::format("there is no run yet; to see it: {}", command);
}

void print_question(size_t number, const Question& question) {
    say("\n{}", wrapped(fmt::format("{}. ", number), question.text));
    for (size_t i = 0; i < question.choices.size(); ++i)
        say("{}", wrapped(fmt::format("   {}) ", static_cast<char>('a' + i)), question.choices[i]));
}

void print_answer(const Question& question, bool good, const std::string& proof) {
    say("{}", wrapped("   ",
                      fmt::format("{} {}", good ? "Right." : fmt::format("No: {}.", question.right),
                                  question.because)));
    say("{}", wrapped("   ", fmt::format("lab {}: {}", question.lab, proof)));
}

/// The letters of the file that --answers names, or nothing without it.
std::optional<std::string> letters_of(const po::variables_map& map) {
    auto file = said(map, "answers");
    if (!file) return {};
    try {
        return read_answers(read_file(*file), questions().size());
    } catch (const UsageError&) {
        throw;
    } catch (const std::exception& error) {
        throw UsageError(fmt::format("--answers: {}", error.what()));
    }
}

po::options_description quiz_options() {
    po::options_description options("Options", 100);
    options.add_options()  //
        ("answers", po::value<std::string>(),
         "FILE: read the answers, a letter a line, instead of asking")  //
        ("run", po::value<std::string>(),
         "the run whose figures are shown (default: results/latest)")  //
        ("json", po::bool_switch(), "as JSON; needs --answers");
    return options;
}

int run_quiz(const po::variables_map& map) {
    bool json = map["json"].as<bool>();
    std::optional<std::string> letters = letters_of(map);
    if (json && !letters) throw UsageError("--json cannot ask; name a file with --answers");
    std::optional<StoredRun> stored;
    std::error_code error;
    if (auto run = said(map, "run"))
        stored = load_run(*run);
    else if (std::filesystem::exists("results/latest", error))
        stored = load_run("results/latest");

    size_t right = 0, asked = 0;
    Json all = Json::array();
    for (const Question& question : questions()) {
        if (!json) print_question(asked + 1, question);
        char answer = letters ? (*letters)[asked] : ask();
        if (answer == 0) break;
        ++asked;
        bool good = answer == question.right;
        right += good;
        std::string proof = proof_of(question, stored);
        if (json) {
            all.push_back({{"question", question.text},
                           {"answer", std::string(1, answer)},
                           {"right", std::string(1, question.right)},
                           {"because", question.because},
                           {"lab", question.lab},
                           {"proof", proof}});
            continue;
        }
        if (letters) say("> {}\n", answer);
        print_answer(question, good, proof);
    }
    if (json)
        write_out(json_document(Json({{"right", right}, {"asked", asked}, {"questions", all}})));
    else
        say("\n{} of {} right\n", right, asked);
    return 0;
}

}  // namespace

const Command quiz_command = {.name = "quiz",
                              .words = "",
                              .summary = "ask ten questions that your last run answers",
                              .help =
                                  "Asks ten questions about what the labs show. After each answer "
                                  "it shows the figure of your own last run.",
                              .options = quiz_options,
                              .run = run_quiz};

}  // namespace doorbell::harness
