// Which labs, which of their cases, and which settings: from the user's words to the image's
// command line.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "labs/kit/lab.h"

namespace doorbell::harness {

/// One lab word: the lab, and the values that its cases must have (none: all of its cases).
struct LabChoice {
    const labs::Lab* lab;
    std::vector<std::pair<std::string, std::string>> keys;
};

/// What the image is asked to do.
struct Selection {
    std::vector<LabChoice> labs;  ///< empty: every lab that runs by default
    std::vector<std::pair<std::string, uint64_t>> settings;
    uint64_t samples = 0;  ///< 0: each lab's default
    uint64_t seed = 1;
    bool raw = false;
};

/// Reads lab words (`timer`, `timer:wait=irq,source=lapic`) and `--set` words (KEY=VALUE, a setting
/// or a key of the cases). Every word is checked against the catalogue; throws UsageError with the
/// nearest valid word.
Selection select(const std::vector<std::string>& lab_words,
                 const std::vector<std::string>& set_words);

/// A setting's value as people write it.
std::string setting_text(const labs::Setting& setting, uint64_t value);

/// The image's command line, without `exit=`.
std::string image_words(const Selection& selection);

/// Names of all labs, in the catalogue's order.
std::vector<std::string> lab_names();

/// Whether one of the chosen labs needs a network card.
bool wants_card(const Selection& selection);

}  // namespace doorbell::harness
