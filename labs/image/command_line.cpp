#include "labs/image/command_line.h"

#include <optional>

#include "firmware/platform/serial.h"
#include "labs/catalogue.h"

namespace doorbell::labs {
namespace {

std::optional<uint64_t> number(std::string_view text) {
    if (text.empty() || text.size() > 18) return {};
    uint64_t n = 0;
    for (char c : text) {
        if (c < '0' || c > '9') return {};
        n = n * 10 + static_cast<uint64_t>(c - '0');
    }
    return n;
}

/// Takes the part before `separator` off the front of `rest`.
std::string_view next_part(std::string_view& rest, char separator) {
    size_t end = rest.find(separator);
    std::string_view part = rest.substr(0, end);
    rest = end == rest.npos ? std::string_view{} : rest.substr(end + 1);
    return part;
}

struct Name {
    std::string_view text;
    unsigned char value;
};
constexpr Name leaves[] = {{"halt", static_cast<unsigned char>(Leave::halt)},
                           {"debug", static_cast<unsigned char>(Leave::debug_exit)},
                           {"poweroff", static_cast<unsigned char>(Leave::power_off)},
                           {"reset", static_cast<unsigned char>(Leave::reset)}};

template <size_t n>
const Name* named(const Name (&names)[n], std::string_view text) {
    for (const Name& name : names)
        if (name.text == text) return &name;
    return nullptr;
}

}  // namespace

bool Wanted::takes(const Case& test_case) const {
    std::string_view rest = keys;
    while (!rest.empty()) {
        std::string_view pair = next_part(rest, ',');
        size_t equals = pair.find('=');
        if (test_case[pair.substr(0, equals)] != pair.substr(equals + 1)) return false;
    }
    return true;
}

bool CommandLine::runs(unsigned i, const Case& test_case) const {
    for (unsigned earlier = 0; earlier < i; ++earlier)
        if (wanted[earlier].lab == wanted[i].lab && wanted[earlier].takes(test_case)) return false;
    return wanted[i].takes(test_case);
}

bool CommandLine::comes_again(unsigned i) const {
    for (unsigned later = i + 1; later < wanted_count; ++later)
        if (wanted[later].lab == wanted[i].lab) return true;
    return false;
}

void CommandLine::complain(std::string_view word, const char* what) {
    if (problem_count < 8) problems[problem_count++] = {word, what};
}

void CommandLine::take_lab(std::string_view word, std::string_view value) {
    std::string_view keys = value;
    std::string_view name = next_part(keys, ':');
    const Lab* lab = find(name);
    if (lab == nullptr) return complain(word, "no such lab");
    if (wanted_count == most_labs) return complain(word, "too many labs");
    Wanted wanted{lab, keys};
    bool any = false;
    for (const Case& c : lab->cases) any = any || wanted.takes(c);
    if (!any) return complain(word, "no case of this lab has these keys and values");
    this->wanted[wanted_count++] = wanted;
}

void CommandLine::take_setting(std::string_view word, std::string_view name,
                               std::string_view value) {
    auto n = number(value);
    if (!n) return complain(word, "not a decimal number");
    bool known = false, inside = false;
    for (const Lab* lab : catalogue())
        for (const Setting& s : lab->settings)
            if (s.name == name) {
                known = true;
                inside = inside || (*n >= s.least && *n <= s.most);
            }
    if (!known) return complain(word, "no lab has this setting");
    if (!inside) return complain(word, "outside the setting's range");
    if (chosen_count == most_settings) return complain(word, "too many settings");
    chosen[chosen_count++] = {name, *n};
}

void CommandLine::take(std::string_view word) {
    size_t equals = word.find('=');
    if (equals == word.npos) return complain(word, "not key=value");
    std::string_view key = word.substr(0, equals), value = word.substr(equals + 1);
    auto n = number(value);
    if (key == "lab") return take_lab(word, value);
    if (key.starts_with("set.")) return take_setting(word, key.substr(4), value);
    if (key == "samples") {
        if (!n || *n == 0 || *n > 100000000) return complain(word, "samples: 1 to 100000000");
        request.samples = *n;
    } else if (key == "warmup") {
        if (!n || *n == 0 || *n > 1000000) return complain(word, "warmup: 1 to 1000000");
        request.warm_up = *n;
    } else if (key == "seed") {
        if (!n) return complain(word, "not a decimal number");
        request.seed = *n;
    } else if (key == "raw") {
        if (!n || *n > 1) return complain(word, "raw: 0 or 1");
        request.raw = *n == 1;
    } else if (key == "exit") {
        const Name* name = named(leaves, value);
        if (name == nullptr) return complain(word, "exit: halt, debug, poweroff or reset");
        leave = static_cast<Leave>(name->value);
    } else if (key == "serial") {
        // The console has read it already; what it could not read is said by the port it chose.
        auto choice = platform::SerialChoice::read(value);
        if (!choice) return complain(word, choice.error().what);
    } else if (key == "baud") {
        auto baud = platform::SerialChoice::read_baud(value);
        if (!baud) return complain(word, baud.error().what);
    } else if (key == "fault") {
        for (const wire::FaultName& one : wire::fault_names)
            if (one.name == value) fault = one.fault;
        if (fault == Fault::none) complain(word, "no such fault; doorbell run --help lists them");
    } else {
        complain(word, "no such word");
    }
}

void CommandLine::read(std::string_view words) {
    while (!words.empty()) {
        std::string_view word = next_part(words, ' ');
        // GRUB and PVH loaders may put the image's own path first.
        if (!word.empty() && word[0] != '/') take(word);
    }
    request.chosen = {chosen, chosen_count};
    if (wanted_count == 0 && problem_count == 0)
        for (const Lab* lab : catalogue())
            if (lab->by_default) wanted[wanted_count++] = {lab, {}};
}

}  // namespace doorbell::labs
