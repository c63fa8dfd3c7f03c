// The promise of the exact clock: the same digits every time, whatever else the machine is doing.
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "tests/image/run.h"

namespace doorbell::test {
namespace {

/// Keeps every core busy for as long as it lives.
class Load {
  public:
    explicit Load(bool on) {
        for (unsigned i = 0; on && i < std::thread::hardware_concurrency(); ++i)
            threads_.emplace_back([this] {
                while (!stop_.load(std::memory_order_relaxed)) {
                }
            });
    }
    ~Load() {
        stop_ = true;
        for (std::thread& t : threads_) t.join();
    }

  private:
    std::atomic<bool> stop_{false};
    std::vector<std::thread> threads_;
};

TEST(Repeat, TwentyRunsTenUnderLoadGiveOneDigest) {
    std::set<std::string> digests;
    for (int i = 0; i < 20; ++i) {
        Load load(i >= 10);
        Scratch scratch;
        Outcome run = doorbell_run(scratch, "timer clock --samples 50 --machine pc");
        ASSERT_EQ(run.status, 0) << run.err;
        digests.insert(results(scratch)["digest"].get<std::string>());
    }
    EXPECT_EQ(digests.size(), 1u);
    EXPECT_NE(*digests.begin(), "");
}

}  // namespace
}  // namespace doorbell::test
