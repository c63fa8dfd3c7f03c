#include "harness/data/case_list.h"

#include <algorithm>

namespace doorbell::harness {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

/// Whether two sets of cases have the same keys and differ at most in the values of the one at
/// `position`.
bool alike_but_for(const Pairs& a, const Pairs& b, size_t position) {
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i)
        if (a[i].first != b[i].first || (i != position && a[i].second != b[i].second)) return false;
    return true;
}

}  // namespace

std::vector<std::string> folded(const std::vector<CaseKeys>& cases) {
    std::vector<Pairs> sets;
    size_t most_keys = 0;
    for (const CaseKeys& one : cases) {
        if (std::find(sets.begin(), sets.end(), one.pairs()) != sets.end()) continue;
        sets.push_back(one.pairs());
        most_keys = std::max(most_keys, sets.back().size());
    }
    // The last key varies fastest in most tables; each fold makes the next one possible.
    for (size_t position = most_keys; position-- > 0;) {
        std::vector<Pairs> fewer;
        for (const Pairs& set : sets) {
            auto at = std::find_if(fewer.begin(), fewer.end(), [&](const Pairs& other) {
                return position < set.size() && alike_but_for(other, set, position);
            });
            if (at == fewer.end())
                fewer.push_back(set);
            else
                (*at)[position].second += "|" + set[position].second;
        }
        sets = std::move(fewer);
    }
    std::vector<std::string> lines;
    for (const Pairs& set : sets) {
        std::string line;
        for (const auto& [key, value] : set)
            line += (line.empty() ? "" : " ") + (value.empty() ? key : key + "=" + value);
        lines.push_back(line);
    }
    return lines;
}

std::string folded_text(const std::vector<CaseKeys>& cases, const char* between) {
    std::string text;
    for (const std::string& line : folded(cases)) text += (text.empty() ? "" : between) + line;
    return text;
}

}  // namespace doorbell::harness
