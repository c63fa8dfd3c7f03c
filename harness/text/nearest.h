// The valid word that is nearest to a mistyped one.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace doorbell::harness {

/// The number of letters to insert, delete, replace, or swap with a neighbour that turns `a` into
/// `b`.
size_t edit_distance(std::string_view a, std::string_view b);

/// The word with the least distance to `word`, the first of several; "" where there are no words.
std::string nearest(std::string_view word, const std::vector<std::string>& words);

/// `no WHAT is called "WORD"; did you mean "NEAREST"? (there are: a, b, c)`
std::string unknown_word(std::string_view what, std::string_view word,
                         const std::vector<std::string>& words);

}  // namespace doorbell::harness
