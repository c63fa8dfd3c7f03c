// Loops that a program waits in. Once nothing in one changes any more from turn to turn, neither
// the predictor nor how the dataflow stands, its turns are only counted. What they lead to is the
// same, to the last count.
#pragma once
#include <array>
#include <cstdint>
#include <span>

#include "host/model/dataflow.h"
#include "host/model/predictor.h"

namespace doorbell::model {

struct Block;

class Loop {
  public:
    struct Step {
        const Block* block = nullptr;
        bool branched = false, taken = false;  ///< the conditional branch before it
        uint64_t path = 0;                     ///< what it adds to path_steps
    };

    /// Whether only turns are counted, and `block` comes next.
    bool goes_on(const Block* block) const { return steady_ && steps_[at_].block == block; }
    bool steady() const { return steady_; }
    /// Of a loop that goes on: the step that is made.
    const Step& step() {
        const Step& s = steps_[at_];
        if (++at_ == length_) [[unlikely]] {
            at_ = 0;
            ++turns_;
        }
        return s;
    }
    /// Outside of a steady loop: a block has been executed. `changes`: of the predictor so far;
    /// `instructions`: so far.
    void passed(const Step& step, const Dataflow& flow, uint64_t changes, uint64_t instructions);
    /// What is left of a steady loop when `flow` is as if all whole turns had been executed: the
    /// steps of the last one, and the block before them. From here on the loop has to be found
    /// again.
    struct Rest {
        std::span<const Step> steps;
        const Block* last;
    };
    Rest leave(Dataflow& flow);
    /// Turns from here on have nothing to do with those before. Not of a steady loop.
    void interrupt() { length_ = 0; }

  private:
    /// Outcomes: more than any predictor here looks back at.
    static constexpr uint64_t enough_outcomes = 600;
    static_assert(enough_outcomes > Tage::longest_history);
    static constexpr unsigned most = 8;

    void begin(const Block* head);
    void turned(const Dataflow& flow, uint64_t changes, uint64_t instructions);

    std::array<Step, most> steps_{};
    unsigned length_ = 0, at_ = 0;
    bool steady_ = false;
    uint64_t turns_ = 0;
    // Of the turns before it was steady.
    Dataflow::Stand stand_;
    uint64_t time_ = 0, changes_ = 0, outcomes_ = 0, alike_ = 0;
    uint64_t instructions_ = 0;  ///< of a turn
    uint32_t written_ = 0;
    bool stores_ = false;  ///< what is loaded again: where to is not known beforehand
    // The last steps, newest first at recent_[newest_].
    std::array<Step, most> recent_{};
    unsigned newest_ = 0;
};

}  // namespace doorbell::model
