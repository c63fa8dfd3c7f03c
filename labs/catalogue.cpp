#include "labs/catalogue.h"

namespace doorbell::labs {

#define LAB(name) extern const Lab name##_lab;
#include "labs/catalogue.list"
#undef LAB

namespace {
constexpr const Lab* all[] = {
#define LAB(name) &name##_lab,
#include "labs/catalogue.list"
#undef LAB
};
}  // namespace

std::span<const Lab* const> catalogue() { return all; }

const Lab* find(std::string_view name) {
    for (const Lab* lab : all)
        if (lab->name == name) return lab;
    return nullptr;
}

}  // namespace doorbell::labs
