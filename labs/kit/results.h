// What is remembered of each series after its samples have left: enough to judge claims.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>

namespace doorbell::labs {

/// What was counted in one series: `value` over `samples` samples.
struct Figure {
    const char* name = "";
    const char* stage = "";  ///< "": the whole
    const char* evidence = "";
    uint64_t value = 0, samples = 0;
};

/// One finished series. Values in `unit`.
struct Summary {
    const char* lab = "";
    std::string_view test_case;  ///< the case's text
    const char* metric = "";
    const char* unit = "";
    const char* evidence = "";
    bool unstable = false;
    bool partial = false;  ///< samples of some points only, where the claim speaks of all
    /// The step of the clock, where the values are times that it measured; 0 for counts and for a
    /// clock that counts instructions, whose every digit is true.
    uint64_t resolution = 0;
    uint64_t count = 0, min = 0, p50 = 0, p99 = 0, max = 0, sum = 0;
    std::span<const Figure> figures = {};
    /// The counter of that name, of the whole or of a stage; null where this machine has none.
    const Figure* counter(std::string_view name, std::string_view stage = "") const {
        for (const Figure& f : figures)
            if (f.name == name && f.stage == stage) return &f;
        return nullptr;
    }
};

/// The series of this boot so far.
class Results {
  public:
    Results() = default;
    /// `memory` is where they are kept; what no longer fits is not remembered.
    Results(std::span<Summary> memory, std::span<Figure> figures)
        : all_(memory), figures_(figures) {}
    /// The series of that lab, case and metric, or null (skipped, not selected, or not run yet).
    /// The case's text must be complete, as in the lab's table.
    const Summary* find(std::string_view lab, std::string_view test_case,
                        std::string_view metric) const;
    void add(const Summary& s) {
        if (count_ < all_.size()) all_[count_++] = s;
    }
    /// Notes that the machine lacks what this case needs.
    void add_skip(const char* lab, std::string_view test_case) {
        Summary s;
        s.lab = lab;
        s.test_case = test_case;
        s.metric = skip_metric;
        add(s);
    }
    /// Whether the case was tried and the machine lacks what it needs; false where it was not
    /// selected or has not run yet.
    bool skipped(std::string_view lab, std::string_view test_case) const {
        return find(lab, test_case, skip_metric) != nullptr;
    }
    /// Gives a series that was added before more counters, of another pass.
    void add_figures(std::string_view lab, std::string_view test_case, std::string_view metric,
                     std::span<const Figure> figures);
    /// Room for `count` counters of the summary that is added next; fewer, or none, where it is
    /// used up.
    std::span<Figure> room_for(size_t count) {
        std::span<Figure> room = figures_.first(count < figures_.size() ? count : figures_.size());
        figures_ = figures_.subspan(room.size());
        return room;
    }

    /// The emulator that this boot runs in, for people; "" where there is none, or none that says
    /// so.
    std::string_view emulator() const { return emulator_; }
    void set_emulator(std::string_view name) { emulator_ = name; }

#if __STDC_HOSTED__
    /// Called with what each find() looks for, and what it found: who predicts asks a judge what it
    /// looks at. Not in the image.
    using Observer = void (*)(void* context, std::string_view lab, std::string_view test_case,
                              std::string_view metric, const Summary* found);
    void observe(Observer observer, void* context) {
        observer_ = observer;
        context_ = context;
    }
#endif

  private:
#if __STDC_HOSTED__
    Observer observer_ = nullptr;
    void* context_ = nullptr;
#endif
    static constexpr const char* skip_metric = "(skipped)";
    std::span<Summary> all_;
    std::span<Figure> figures_;
    std::string_view emulator_;
    unsigned count_ = 0;
};

}  // namespace doorbell::labs
