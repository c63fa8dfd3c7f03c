// What the words of a case stand for, in a table: a word without a row does not compile, instead of
// running as something else.
#pragma once
#include <initializer_list>
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

/// Whether the keys of every case, in their order, are one of `forms` ("state space").
consteval bool keys_are(std::span<const Case> cases,
                        std::initializer_list<std::string_view> forms) {
    for (const Case& c : cases) {
        bool fits = false;
        for (std::string_view form : forms) {
            std::string_view rest = c.text(), keys = form;
            bool same = true;
            while (same && !keys.empty() && !rest.empty()) {
                std::string_view key = keys.substr(0, keys.find(' '));
                same = rest.starts_with(key) && rest.substr(key.size()).starts_with('=');
                keys.remove_prefix(key.size() == keys.size() ? key.size() : key.size() + 1);
                size_t blank = rest.find(' ');
                rest = blank == rest.npos ? std::string_view{} : rest.substr(blank + 1);
            }
            fits = fits || (same && keys.empty() && rest.empty());
        }
        if (!fits) return false;
    }
    return true;
}

/// Whether every case that has `key` has one of `words` there: for values that the body compares.
consteval bool words_are(std::span<const Case> cases, std::string_view key,
                         std::initializer_list<std::string_view> words) {
    for (const Case& c : cases) {
        bool fits = c[key].empty();
        for (std::string_view word : words) fits = fits || c[key] == word;
        if (!fits) return false;
    }
    return true;
}

/// Whether every case that has one of `keys` has a decimal number above 0 there.
consteval bool numbers_are(std::span<const Case> cases,
                           std::initializer_list<std::string_view> keys) {
    for (const Case& c : cases)
        for (std::string_view key : keys)
            if (!c[key].empty() && c.number(key) == 0) return false;
    return true;
}

/// For a case that no table of the lab knows; the static_assert keeps it from happening.
inline constexpr Error no_such_choice{"the case has a value that the lab does not know"};

}  // namespace doorbell::labs
