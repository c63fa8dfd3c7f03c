// How a series is read. The lab that makes it says so, and it is sent with the series, so that no
// reader has to know metrics by their names.
#pragma once
#include <initializer_list>
#include <string_view>

namespace doorbell::wire {

/// Which of two values is the better one. `neither`: they are codes, vectors or other identities,
/// which are equal or different.
enum class Better : unsigned char { less, more, neither };

/// What says most about a series: how its values are distributed, or, where each sample counts
/// things ("torn batches"), their sum.
enum class Shape : unsigned char { distribution, total };

constexpr const char* name_of(Better better) {
    return better == Better::less ? "less" : better == Better::more ? "more" : "neither";
}
constexpr const char* name_of(Shape shape) {
    return shape == Shape::distribution ? "distribution" : "total";
}

/// The value that `name` names; `otherwise` where it names none.
constexpr Better better_named(std::string_view name, Better otherwise) {
    for (Better one : {Better::less, Better::more, Better::neither})
        if (name == name_of(one)) return one;
    return otherwise;
}
constexpr Shape shape_named(std::string_view name, Shape otherwise) {
    for (Shape one : {Shape::distribution, Shape::total})
        if (name == name_of(one)) return one;
    return otherwise;
}

}  // namespace doorbell::wire
