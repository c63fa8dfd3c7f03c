// Counters of a vCPU's thread. There is no KVM here: a thread of this process has the name that
// QEMU would give it.
#include "harness/run/vcpu.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "harness/machine/machine.h"
#include "tests/harness/wire_lines.h"

namespace doorbell::harness {
namespace {

/// A vCPU that yields its processor as often as it is told to.
class Vcpu {
  public:
    explicit Vcpu(const char* name)
        : thread_([this, name] {
              pthread_setname_np(pthread_self(), name);
              id_ = gettid();
              while (!stop_)
                  if (wanted_ > done_) {
                      usleep(100);
                      ++done_;
                  }
          }) {
        while (id_ == 0) std::this_thread::yield();
    }
    ~Vcpu() {
        stop_ = true;
        thread_.join();
    }
    pid_t id() const { return id_; }
    void sleep(unsigned times) {
        wanted_ += times;
        while (done_ < wanted_) std::this_thread::yield();
    }

  private:
    std::atomic<bool> stop_{false};
    std::atomic<pid_t> id_{0};
    std::atomic<unsigned> wanted_{0}, done_{0};
    std::thread thread_;
};

TEST(Vcpu, ItsThreadIsFoundByItsName) {
    EXPECT_EQ(vcpu_thread(getpid()), std::nullopt);
    {
        Vcpu other("CPU 1/KVM");
        EXPECT_EQ(vcpu_thread(getpid()), std::nullopt);
        Vcpu vcpu("CPU 0/KVM");
        EXPECT_EQ(vcpu_thread(getpid()), vcpu.id());
    }
    EXPECT_EQ(vcpu_thread(getpid()), std::nullopt);
    MachineOptions options;
    options.clock = "live";
    options.accel = "kvm";
    auto words = qemu_arguments(options);
    EXPECT_NE(std::find(words.begin(), words.end(), "doorbell,debug-threads=on"), words.end());
}

harness::Run two_cases() {
    return collect(Lines()
                       .series(0, "source=lapic wait=poll")
                       .series(1, "source=lapic wait=irq")
                       .end()
                       .text());
}

TEST(Vcpu, EachCaseGetsWhatItsThreadDidMeanwhile) {
    Vcpu vcpu("CPU 0/KVM");
    VcpuCounters counters;
    counters.started(getpid());
    vcpu.sleep(100);  // before the first case: counts for none
    counters.record("begin", {{"lab", "timer"}, {"case", "source=lapic wait=poll"}});
    vcpu.sleep(30);
    counters.record("begin", {{"lab", "timer"}, {"case", "source=lapic wait=irq"}});
    vcpu.sleep(300);
    counters.record("claim", {{"lab", "timer"}, {"text", "..."}});
    vcpu.sleep(100);  // after the last one
    harness::Run run = two_cases();
    counters.add_to(run);
    auto switches = [&](size_t i) {
        for (const Counter& c : run.series[i].counters)
            if (c.name == "vcpu_context_switches") return c.value.get<uint64_t>();
        return uint64_t{0};
    };
    host::PerfGroup here;
    here.start();
    for (const host::PerfCount& c : here.stop())
        if (c.name == "context_switches" && !c.value) GTEST_SKIP() << c.absent;
    EXPECT_GE(switches(0), 30u);
    EXPECT_GE(switches(1), 300u);
    EXPECT_LT(switches(0), switches(1));
    // Read back, it is the same.
    harness::Run again = harness::Run::from(run.json());
    EXPECT_EQ(again.series[1].counters.size(), run.series[1].counters.size());
    EXPECT_EQ(again.series[1].counters.back().evidence, "measured");
}

TEST(Vcpu, WithoutAThreadTheRunIsFlagged) {
    VcpuCounters counters;
    counters.started(getpid());
    counters.record("begin", {{"lab", "timer"}, {"case", "source=lapic wait=poll"}});
    harness::Run run = two_cases();
    counters.add_to(run);
    ASSERT_EQ(run.flags.size(), 1u);
    EXPECT_NE(run.flags[0].find("no thread of the name"), std::string::npos);
    EXPECT_TRUE(run.series[0].counters.empty());
}

}  // namespace
}  // namespace doorbell::harness
