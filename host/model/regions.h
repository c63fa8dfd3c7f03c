// What is executed in regions of code (wire/mailbox.h): a region has what is executed from where it
// begins to where it ends, less what lies in regions inside of it and in the handlers of interrupts
// meanwhile. Knows nothing of QEMU.
#pragma once
#include <cstdint>
#include <vector>

#include "firmware/wire/mailbox.h"
#include "host/model/model.h"

namespace doorbell::model {

class Regions {
  public:
    /// Regions 0 .. count - 1 are counted from here on; region 0 is the handler of `vector`.
    void begin(uint64_t count, uint64_t vector);
    /// No more. The rows, in steps and not in the model's twelfths.
    std::vector<wire::MailboxRow> end();
    bool on() const { return !rows_.empty(); }

    /// One of a table's places is passed: ModelPoint::what.
    void pass(uint64_t what, const ModelCounts& now);
    /// A block is entered. `vector`: of the gate that it begins with, below 0: none.
    void block(int vector, const ModelCounts& now) {
        if (returns_) returned(now);
        if (vector >= 0) handler(static_cast<uint64_t>(vector), now);
    }
    /// An IRETQ is executed: what comes behind it is the interrupted code's.
    void iretq() { returns_ = on(); }

  private:
    static constexpr uint64_t nameless = ~uint64_t{0};
    struct Open {
        uint64_t region;
        bool handler;
        ModelCounts own;
    };
    void charge(const ModelCounts& now);
    void close();
    void forget();
    void open(uint64_t region, bool handler);
    void returned(const ModelCounts& now);
    void handler(uint64_t vector, const ModelCounts& now);

    std::vector<wire::MailboxRow> rows_;
    std::vector<Open> open_;
    ModelCounts last_;
    uint64_t vector_ = 0;
    bool returns_ = false;
};

}  // namespace doorbell::model
