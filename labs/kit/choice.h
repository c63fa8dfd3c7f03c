// What the words of a case stand for, in a table: a word without a row does not compile, instead of
// running as something else.
#pragma once
#include <span>
#include <string_view>

#include "labs/kit/lab.h"

namespace doorbell::labs {

/// A value of a case's key, and what it stands for.
template <class T>
struct Choice {
    std::string_view word;
    T value;
};

/// What `word` stands for; null where no row has it.
template <class T, size_t rows>
constexpr const T* chosen(const Choice<T> (&choices)[rows], std::string_view word) {
    for (const Choice<T>& choice : choices)
        if (choice.word == word) return &choice.value;
    return nullptr;
}

/// Whether every case's value of `key` has a row: for a static_assert beside the table. A case that
/// does not have the key has the value "".
template <class T, size_t rows>
consteval bool all_chosen(std::span<const Case> cases, std::string_view key,
                          const Choice<T> (&choices)[rows]) {
    for (const Case& c : cases)
        if (chosen(choices, c[key]) == nullptr) return false;
    return true;
}

/// For a case that no table of the lab knows; the static_assert keeps it from happening.
inline constexpr Error no_such_choice{"the case has a value that the lab does not know"};

}  // namespace doorbell::labs
