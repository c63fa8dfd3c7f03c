#include "host/model/loop.h"

#include "host/model/plugin_state.h"

namespace doorbell::model {

void Loop::passed(const Step& step, const Dataflow& flow, uint64_t changes, uint64_t instructions) {
    if (length_ != 0 && steps_[at_].block == step.block) {
        bool same = steps_[at_].branched == step.branched && steps_[at_].taken == step.taken;
        steps_[at_] = step;
        if (!same) outcomes_ = alike_ = 0;
        if (++at_ == length_) {
            at_ = 0;
            turned(flow, changes, instructions);
        }
    } else {
        length_ = 0;
        // What leads back to a block that was seen just now may be a loop.
        const Step& before = recent_[newest_ % most];
        if (before.block != nullptr && step.block->address <= before.block->address)
            begin(step.block);
        if (length_ != 0) steps_[0] = step;
    }
    recent_[++newest_ % most] = step;
}

void Loop::begin(const Block* head) {
    for (unsigned length = 1; length <= most; ++length) {
        if (recent_[(newest_ + 1 - length) % most].block != head) continue;
        length_ = length;
        for (unsigned i = 0; i < length; ++i)
            steps_[i] = recent_[(newest_ + 1 - length + i) % most];
        at_ = length == 1 ? 0 : 1;
        outcomes_ = alike_ = time_ = instructions_ = 0;
        written_ = 0;
        stores_ = false;
        for (unsigned i = 0; i < length; ++i)
            if (const BlockFlow* flow = steps_[i].block->flow; flow != nullptr) {
                instructions_ += flow->instructions();
                written_ |= flow->written();
                stores_ |= flow->stores();
            }
        return;
    }
}

void Loop::turned(const Dataflow& flow, uint64_t changes, uint64_t instructions) {
    for (unsigned i = 0; i < length_; ++i) outcomes_ += steps_[i].branched;
    Dataflow::Stand stand = flow.stand();
    uint64_t time = stand.further_than(stand_, written_);
    alike_ = time != 0 && time == time_ ? alike_ + instructions_ : 0;
    bool unchanged = changes == changes_;
    stand_ = stand;
    time_ = time;
    changes_ = changes;
    bool branches = outcomes_ != 0;
    steady_ = unchanged && !stores_ && (!branches || outcomes_ > enough_outcomes) &&
              alike_ > flow.core().window + instructions_ && flow.calm(instructions);
    turns_ = 0;
}

Loop::Rest Loop::leave(Dataflow& flow) {
    if (turns_ != 0) flow.repeat(turns_, time_, instructions_, written_);
    Rest rest{{steps_.data(), at_}, steps_[length_ - 1].block};
    steady_ = false;
    length_ = 0;
    turns_ = 0;
    return rest;
}

}  // namespace doorbell::model
