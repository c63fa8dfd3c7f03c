#include "firmware/measure/series.h"

namespace doorbell::measure {

void Series::record(uint64_t value) {
    uint64_t net = value - parts_.overhead_removed;
    net = value < parts_.overhead_removed ? 0 : net;
    *raw_next_ = net;
    raw_next_ += raw_step_;
    target_->record(net);
}

void Series::record_path(const uint64_t* marks) {
    uint64_t sum = 0, backwards = 0;
    for (unsigned i = 0; i < parts_.stages.size(); ++i) {
        uint64_t stage = marks[i + 1] - marks[i];
        backwards |= stage >> 63;
        sum += stage;
        path_next_[i] = marks[i];
        stage_target_[i]->record(stage);
    }
    path_next_[parts_.stages.size()] = marks[parts_.stages.size()];
    path_next_ += path_step_;
    uint64_t whole = marks[parts_.stages.size()] - marks[0];
    broken_paths_ += backwards | (sum != whole);
    record(whole);
}

}  // namespace doorbell::measure
