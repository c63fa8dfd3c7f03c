#include "labs/results.h"

namespace doorbell::labs {

const Summary* Results::find(std::string_view lab, std::string_view which, std::string_view metric) const {
    for (const Summary& s : all_.first(count_))
        if (s.lab == lab && s.which == which && s.metric == metric) return &s;
    return nullptr;
}

void Results::add_figures(std::string_view lab, std::string_view which, std::string_view metric, std::span<const Figure> figures) {
    for (Summary& s : all_.first(count_)) {
        if (s.lab != lab || s.which != which || s.metric != metric) continue;
        std::span<Figure> all = room_for(s.figures.size() + figures.size());
        size_t next = 0;
        for (std::span<const Figure> some : {s.figures, figures})
            for (const Figure& f : some)
                if (next < all.size()) all[next++] = f;
        s.figures = all;
    }
}

}  // namespace doorbell::labs
