#include "host/run/words.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <stdexcept>

namespace doorbell::host {
namespace {

uint64_t number(const std::string& option, const std::string& text) {
    uint64_t value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size())
        throw std::invalid_argument(option + ": \"" + text + "\" is not a number");
    return value;
}

/// CPUs that this process may use, at most two: one for the measured task, one for its partner.
std::vector<int> allowed_cpus() {
    cpu_set_t set;
    CPU_ZERO(&set);
    std::vector<int> cpus;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        for (int cpu = 0; cpu < CPU_SETSIZE && cpus.size() < 2; ++cpu)
            if (CPU_ISSET(static_cast<size_t>(cpu), &set)) cpus.push_back(cpu);
    if (cpus.empty()) cpus.push_back(0);
    return cpus;
}

std::vector<int> cpu_list(const std::string& text) {
    std::vector<int> cpus;
    for (size_t at = 0; at <= text.size();) {
        size_t comma = std::min(text.find(',', at), text.size());
        cpus.push_back(static_cast<int>(number("--cpus", text.substr(at, comma - at))));
        at = comma + 1;
    }
    return cpus;
}

Counting counting(const std::string& text) {
    if (text == "off") return Counting::off;
    if (text == "perf") return Counting::perf;
    if (text == "all") return Counting::all;
    throw std::invalid_argument("--counters: \"" + text + "\" is none of off, perf, all");
}

/// Whether `test_case` has each key=value of the comma-separated `keys`.
bool matches(const Case& test_case, std::string_view keys) {
    while (!keys.empty()) {
        size_t comma = keys.find(',');
        std::string_view word = keys.substr(0, comma);
        size_t equals = word.find('=');
        if (equals == word.npos || test_case[word.substr(0, equals)] != word.substr(equals + 1))
            return false;
        keys = comma == keys.npos ? std::string_view{} : keys.substr(comma + 1);
    }
    return true;
}

void choose(Words& words, const std::string& word) {
    size_t colon = word.find(':');
    std::string name = word.substr(0, colon);
    std::string keys = colon == word.npos ? "" : word.substr(colon + 1);
    for (const Lab* lab : catalogue()) {
        if (lab->name != name) continue;
        size_t before = words.cases.size();
        for (const Case& test_case : lab->cases)
            if (matches(test_case, keys)) words.cases.push_back({lab, &test_case});
        if (words.cases.size() == before)
            throw std::invalid_argument("no case of lab " + name + " has " + keys);
        return;
    }
    throw std::invalid_argument("no lab is called \"" + name + "\"");
}

}  // namespace

Words read_words(int argc, char** argv) {
    Words words;
    bool any = false;
    for (int i = 1; i < argc; ++i) {
        std::string word = argv[i];
        auto value = [&] {
            if (++i == argc) throw std::invalid_argument(word + " needs a value");
            return std::string(argv[i]);
        };
        if (word == "--samples")
            words.request.samples = number(word, value());
        else if (word == "--warm-up")
            words.request.warm_up = number(word, value());
        else if (word == "--seed")
            words.request.seed = number(word, value());
        else if (word == "--repetitions")
            words.repetitions = number(word, value());
        else if (word == "--raw")
            words.request.raw = true;
        else if (word == "--cpus")
            words.request.cpus = cpu_list(value());
        else if (word == "--benchmark-out")
            words.benchmark_out = value();
        else if (word == "--counters")
            words.counting = counting(value());
        else if (word == "--root")
            words.root = value();
        else if (word == "--list")
            words.list = true;
        else if (word == "--set") {
            std::string pair = value();
            size_t equals = pair.find('=');
            if (equals == pair.npos)
                throw std::invalid_argument("--set: \"" + pair + "\" is not KEY=VALUE");
            words.request.settings.emplace_back(pair.substr(0, equals),
                                                number("--set", pair.substr(equals + 1)));
        } else if (word.starts_with("-"))
            throw std::invalid_argument("no option is called \"" + word + "\"");
        else {
            choose(words, word);
            any = true;
        }
    }
    if (!any)
        for (const Lab* lab : catalogue())
            if (lab->by_default)
                for (const Case& test_case : lab->cases) words.cases.push_back({lab, &test_case});
    if (words.request.cpus.empty()) words.request.cpus = allowed_cpus();
    if (words.request.samples == 0 || words.repetitions == 0)
        throw std::invalid_argument("at least one sample and one repetition");
    return words;
}

void print_catalogue() {
    std::printf("[");
    const char* comma = "";
    for (const Lab* lab : catalogue()) {
        // The tables' texts hold neither quotes nor backslashes.
        std::printf("%s{\"lab\":\"%s\",\"question\":\"%s\",\"needs\":\"%s\",\"cases\":[", comma,
                    lab->name, lab->question, lab->needs);
        comma = "";
        for (const Case& test_case : lab->cases) {
            std::printf("%s\"%s\"", comma, std::string(test_case.text()).c_str());
            comma = ",";
        }
        std::printf("]}");
        comma = ",";
    }
    std::printf("]\n");
}

}  // namespace doorbell::host
