// The catalogue of labs. A new lab is one file, labs/NAME.cpp, and one line in catalogue.list.
#pragma once
#include <span>

#include "labs/kit/lab.h"

namespace doorbell::labs {

/// Every lab, in the order in which they run.
std::span<const Lab* const> catalogue();

/// The lab of that name, or null.
const Lab* find(std::string_view name);

}  // namespace doorbell::labs
