#include "labs/results.h"

namespace doorbell::labs {

const Summary* Results::find(std::string_view lab, std::string_view which, std::string_view metric) const {
    for (const Summary& s : all_.first(count_))
        if (s.lab == lab && s.which == which && s.metric == metric) return &s;
    return nullptr;
}

}  // namespace doorbell::labs
