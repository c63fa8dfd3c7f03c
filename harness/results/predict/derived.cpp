#include "harness/results/predict/derived.h"

#include <charconv>

namespace doorbell::harness {
namespace {

std::string trimmed(std::string_view text) {
    while (text.starts_with(' ')) text.remove_prefix(1);
    while (text.ends_with(' ')) text.remove_suffix(1);
    return std::string(text);
}

std::optional<double> divisor_of(const std::string& word, const CaseKeys& keys) {
    std::string_view key = keys[word];
    std::string text = key.empty() ? word : std::string(key);
    double value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || !(value > 0))
        return std::nullopt;
    return value;
}

}  // namespace

std::optional<Derivation> derivation_of(const std::string& text, const CaseKeys& keys) {
    Derivation d;
    std::string rest = trimmed(text);
    if (rest.starts_with("share of ")) {
        d.first = trimmed(rest.substr(9));
        d.is_share = true;
        return d.first.empty() ? std::nullopt : std::optional(d);
    }
    if (size_t at = rest.rfind(" / "); at != rest.npos) {
        auto divisor = divisor_of(trimmed(rest.substr(at + 3)), keys);
        if (!divisor) return std::nullopt;
        d.divisor = *divisor;
        rest = trimmed(rest.substr(0, at));
    }
    if (rest.starts_with('(') && rest.ends_with(')'))
        rest = trimmed(rest.substr(1, rest.size() - 2));
    // Metrics have dashes in their names: the minus has blanks beside it.
    if (size_t at = rest.find(" - "); at != rest.npos) {
        d.less = trimmed(rest.substr(at + 3));
        rest = trimmed(rest.substr(0, at));
        if (d.less.empty()) return std::nullopt;
    }
    if (size_t at = rest.find(':'); at != rest.npos) {
        d.stage = rest.substr(at + 1);
        rest.resize(at);
    }
    d.first = rest;
    bool names = !d.first.empty() && (d.first + d.less + d.stage).find(' ') == std::string::npos;
    return names ? std::optional(d) : std::nullopt;
}

}  // namespace doorbell::harness
