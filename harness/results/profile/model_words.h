// The cache model that a profile's prices belong to.
#pragma once
#include <string>

#include "harness/results/profile/profile.h"

namespace doorbell::harness {

/// Words of --model for the machine of `profile`: its member `model`, or its measured capacities;
/// "on" where it has neither.
std::string model_words_of(const Profile& profile);

}  // namespace doorbell::harness
