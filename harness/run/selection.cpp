#include "harness/run/selection.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>

#include "harness/data/run_data.h"
#include "harness/system/failure.h"
#include "harness/text/nearest.h"
#include "harness/text/number.h"
#include "labs/catalogue.h"

namespace doorbell::harness {
namespace {

void add_once(std::vector<std::string>& words, std::string_view word) {
    if (std::find(words.begin(), words.end(), word) == words.end()) words.emplace_back(word);
}

std::vector<std::string> keys_of(const labs::Lab& lab) {
    std::vector<std::string> keys;
    for (const labs::Case& one : lab.cases)
        for (const auto& [key, value] : CaseKeys::from_text(one.text()).pairs())
            add_once(keys, key);
    return keys;
}

std::vector<std::string> values_of(const labs::Lab& lab, std::string_view key) {
    std::vector<std::string> values;
    for (const labs::Case& one : lab.cases)
        if (std::string_view value = one[key]; !value.empty()) add_once(values, value);
    return values;
}

bool matches(const labs::Case& one, const LabChoice& choice) {
    return std::all_of(choice.keys.begin(), choice.keys.end(),
                       [&](const auto& pair) { return one[pair.first] == pair.second; });
}

bool has(const std::vector<std::string>& words, std::string_view word) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

std::pair<std::string, std::string> split(std::string_view word, std::string_view where) {
    size_t equals = word.find('=');
    if (equals == word.npos || equals == 0 || equals + 1 == word.size())
        throw UsageError(fmt::format("{}: \"{}\" is not of the form KEY=VALUE", where, word));
    return {std::string(word.substr(0, equals)), std::string(word.substr(equals + 1))};
}

void check_value(const labs::Lab& lab, const std::string& key, const std::string& value) {
    std::vector<std::string> values = values_of(lab, key);
    if (!has(values, value))
        throw UsageError(unknown_word(fmt::format("{} of lab {}", key, lab.name), value, values));
}

void check_some_case(const LabChoice& choice) {
    if (std::any_of(choice.lab->cases.begin(), choice.lab->cases.end(),
                    [&](const labs::Case& one) { return matches(one, choice); }))
        return;
    std::string keys;
    for (const auto& [key, value] : choice.keys)
        keys += fmt::format("{}{}={}", keys.empty() ? "" : ",", key, value);
    throw UsageError(fmt::format("lab {} has no case with {} together; see: doorbell list {}",
                                 choice.lab->name, keys, choice.lab->name));
}

LabChoice parse_lab(std::string_view word) {
    size_t colon = word.find(':');
    std::string name(word.substr(0, colon));
    LabChoice choice{labs::find(name), {}};
    if (choice.lab == nullptr) throw UsageError(unknown_word("lab", name, lab_names()));
    std::string_view rest = colon == word.npos ? std::string_view{} : word.substr(colon + 1);
    if (colon != word.npos && rest.empty())
        throw UsageError(fmt::format("\"{}\": there is no KEY=VALUE after the colon", word));
    while (!rest.empty()) {
        size_t comma = rest.find(',');
        auto [key, value] = split(rest.substr(0, comma), fmt::format("lab {}", name));
        rest = comma == rest.npos ? std::string_view{} : rest.substr(comma + 1);
        std::vector<std::string> keys = keys_of(*choice.lab);
        if (!has(keys, key)) throw UsageError(unknown_word("key of lab " + name, key, keys));
        check_value(*choice.lab, key, value);
        choice.keys.emplace_back(key, value);
    }
    check_some_case(choice);
    return choice;
}

bool is_address(const labs::Setting& setting) {
    return setting.unit.text() == std::string_view("IPv4");
}

uint64_t parse_setting(const labs::Setting& setting, const std::string& value) {
    std::string what = std::string("--set ") + setting.name;
    if (!is_address(setting) || value.find('.') == value.npos)
        return parse_number(value, what, setting.least, setting.most);
    in_addr address{};
    if (inet_pton(AF_INET, value.c_str(), &address) != 1)
        throw UsageError(fmt::format("{}: \"{}\" is not an address like {}", what, value,
                                     setting_text(setting, setting.normal)));
    return parse_number(std::to_string(ntohl(address.s_addr)), what, setting.least, setting.most);
}

/// `--set` of a key of the cases: narrows every chosen lab that has the key. Without a lab's name,
/// it chooses the labs that have the key.
void narrow(Selection& selection, const std::string& key, const std::string& value) {
    if (selection.labs.empty())
        for (const labs::Lab* lab : labs::catalogue())
            if (lab->by_default && has(keys_of(*lab), key)) selection.labs.push_back({lab, {}});
    std::vector<std::string> values;
    for (const LabChoice& choice : selection.labs)
        for (const std::string& v : values_of(*choice.lab, key)) add_once(values, v);
    if (!has(values, value))
        throw UsageError("--set: " + unknown_word("value of " + key, value, values));
    for (LabChoice& choice : selection.labs)
        if (has(keys_of(*choice.lab), key)) choice.keys.emplace_back(key, value);
    std::erase_if(selection.labs, [&](const LabChoice& choice) {
        return has(keys_of(*choice.lab), key) && !has(values_of(*choice.lab, key), value);
    });
    for (const LabChoice& choice : selection.labs) check_some_case(choice);
}

}  // namespace

std::vector<std::string> lab_names() {
    std::vector<std::string> names;
    for (const labs::Lab* lab : labs::catalogue()) names.emplace_back(lab->name);
    return names;
}

Selection select(const std::vector<std::string>& lab_words,
                 const std::vector<std::string>& set_words) {
    Selection selection;
    for (const std::string& word : lab_words) selection.labs.push_back(parse_lab(word));

    // The labs that --set may mean, before any of them is narrowed.
    std::vector<const labs::Lab*> meant;
    for (const LabChoice& choice : selection.labs) meant.push_back(choice.lab);
    if (meant.empty())
        for (const labs::Lab* lab : labs::catalogue())
            if (lab->by_default) meant.push_back(lab);
    for (const std::string& word : set_words) {
        auto [key, value] = split(word, "--set");
        std::vector<std::string> known;
        bool of_cases = false;
        const labs::Setting* setting = nullptr;
        for (const labs::Lab* lab : meant) {
            for (const labs::Setting& one : lab->settings) {
                if (one.name == key && setting == nullptr) setting = &one;
                add_once(known, one.name);
            }
            for (const std::string& k : keys_of(*lab)) {
                of_cases |= k == key;
                add_once(known, k);
            }
        }
        if (setting != nullptr)
            selection.settings.emplace_back(key, parse_setting(*setting, value));
        else if (of_cases)
            narrow(selection, key, value);
        else
            throw UsageError("--set: " +
                             unknown_word("setting or key of the chosen labs", key, known));
    }
    return selection;
}

std::string setting_text(const labs::Setting& setting, uint64_t value) {
    if (!is_address(setting)) return std::to_string(value);
    return fmt::format("{}.{}.{}.{}", value >> 24, value >> 16 & 255, value >> 8 & 255,
                       value & 255);
}

std::string image_words(const Selection& selection) {
    std::string words;
    auto add = [&](const std::string& word) { words += (words.empty() ? "" : " ") + word; };
    for (const LabChoice& choice : selection.labs) {
        std::string word = std::string("lab=") + choice.lab->name;
        char before = ':';
        for (const auto& [key, value] : choice.keys) {
            word += before + key + "=" + value;
            before = ',';
        }
        add(word);
    }
    if (selection.samples != 0) add(fmt::format("samples={}", selection.samples));
    add(fmt::format("seed={}", selection.seed));
    if (selection.raw) add("raw=1");
    for (const auto& [key, value] : selection.settings) add(fmt::format("set.{}={}", key, value));
    return words;
}

bool wants_card(const Selection& selection) {
    auto all = labs::catalogue();
    if (selection.labs.empty())
        return std::any_of(all.begin(), all.end(),
                           [](const labs::Lab* lab) { return lab->by_default && lab->wants_card; });
    return std::any_of(selection.labs.begin(), selection.labs.end(),
                       [](const LabChoice& choice) { return choice.lab->wants_card; });
}

}  // namespace doorbell::harness
