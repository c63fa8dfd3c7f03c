#include "harness/text/nearest.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace doorbell::harness {

size_t edit_distance(std::string_view a, std::string_view b) {
    // Optimal string alignment: three rows are enough to see a swap of neighbours.
    std::vector<size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
    for (size_t j = 0; j <= b.size(); ++j) above[j] = j;
    for (size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (size_t j = 1; j <= b.size(); ++j) {
            size_t replace = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = std::min({above[j] + 1, row[j - 1] + 1, replace});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = std::min(row[j], before[j - 2] + 1);
        }
        std::swap(before, above);
        std::swap(above, row);
    }
    return above[b.size()];
}

std::string nearest(std::string_view word, const std::vector<std::string>& words) {
    auto best = std::min_element(words.begin(), words.end(), [&](const auto& x, const auto& y) {
        return edit_distance(word, x) < edit_distance(word, y);
    });
    return best == words.end() ? std::string() : *best;
}

std::string unknown_word(std::string_view what, std::string_view word,
                         const std::vector<std::string>& words) {
    if (words.empty()) return fmt::format("no {} is called \"{}\"; there are none", what, word);
    return fmt::format("no {} is called \"{}\"; did you mean \"{}\"? (there are: {})", what, word,
                       nearest(word, words), fmt::join(words, ", "));
}

}  // namespace doorbell::harness
