// Profiles by name: published ones, which the command holds, and files.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/results/profile/profile.h"

namespace doorbell::harness {

/// The names of the published profiles: host/profiles/NAME.json when this command was built.
std::vector<std::string> published_profiles();

/// The text of a published profile; nothing where there is none of that name.
std::optional<std::string_view> published_profile(std::string_view name);

/// The profile that `word` says: a file, a folder that holds profile.json, or a published one's
/// name. Throws UsageError with the nearest name.
Profile load_profile(const std::string& word);

}  // namespace doorbell::harness
