#include "labs/kit/bodies.h"

namespace doorbell::labs {
namespace bodies {
#define BODY(function, name, bytes, input, sentence)      \
    void prepare_##function(void* memory, uint64_t seed); \
    uint64_t run_##function(void* memory);
#include "labs/kit/bodies.list"
#undef BODY
}  // namespace bodies

std::span<const Body> all_bodies() {
    using namespace bodies;
    static constexpr Body all[] = {
#define BODY(function, name, bytes, input, sentence) \
    {name, bytes, BodyInput::input, prepare_##function, run_##function},
#include "labs/kit/bodies.list"
#undef BODY
    };
    return all;
}

const Body* find_body(std::string_view name) {
    for (const Body& body : all_bodies())
        if (body.name == name) return &body;
    return nullptr;
}

}  // namespace doorbell::labs
