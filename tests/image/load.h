// Load on every core, for tests that must not be disturbed by it.
#pragma once
#include <atomic>
#include <thread>
#include <vector>

namespace doorbell::test {

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

}  // namespace doorbell::test
