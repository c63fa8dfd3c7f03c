#include "firmware/cpu/tsc.h"

#include <cmath>

#include "firmware/cpu/mul_div.h"
#include "firmware/platform/hpet.h"
#include "firmware/platform/pit.h"
#include "firmware/platform/pm_timer.h"
#include "tests/unit/fake_apic.h"
#include "tests/unit/fake_timers.h"

namespace doorbell::test {
namespace {

using cpu::Frequency;
using cpu::ReferenceCounter;
using cpu::TscClock;

TEST(MulDiv, IsExactBeyond64Bits) {
    EXPECT_EQ(cpu::mul_div(10000000, 1000000000000000, 10000000), 1000000000000000u);
    EXPECT_EQ(cpu::mul_div(~0ull, ~0ull, ~0ull), ~0ull);
    EXPECT_EQ(cpu::mul_div(7, 3, 2), 10u);
    EXPECT_EQ(cpu::mul_div(1, 1, 0), ~0ull) << "no fault";
    EXPECT_EQ(cpu::mul_div(~0ull, 2, 1), ~0ull) << "does not fit";
}

constexpr uint64_t nominal_hpet = 100000000000, nominal_pm = 3579545000, nominal_pit = 1193181818;

/// A PC with all three references, whose TSC is world.tsc_hz.
struct Machine {
    World world;
    FakeHpet fake_hpet{world};
    FakePmTimer fake_pm{world};
    FakePit fake_pit{world};
    FakeCpuid processor;
    platform::Hpet hpet;
    platform::PmTimer pm;
    platform::Pit pit;
    std::vector<ReferenceCounter> references;

    explicit Machine(uint64_t tsc_hz = 1000000000, uint64_t access_cost = 10) {
        world.tsc_hz = tsc_hz;
        world.device_cost = access_cost;
        platform::AcpiFixed fixed;
        fixed.pm_timer = {platform::AcpiRegister::Space::io, 32, 0x608};
        hpet = *platform::Hpet::bring_up(cpu::Mmio(fake_hpet, FakeHpet::base));
        pm = *platform::PmTimer::bring_up(cpu::Ports(fake_pm), fixed);
        pit = *platform::Pit::bring_up(cpu::Ports(fake_pit));
        references = {hpet.reference(), pm.reference(), pit.reference()};
    }
    Result<TscClock> establish(const cpu::Calibration& how = {2000, 2000, 50, 3}) {
        return cpu::establish(processor.cpuid(), world.tsc(), references, how);
    }
    void intel(uint32_t model, uint32_t max_leaf) {
        processor.leaves[0] = {max_leaf, 0x756E6547, 0x6C65746E, 0x49656E69};
        processor.leaves[1] = {6 << 8 | (model & 0xF) << 4 | (model >> 4) << 16, 0, 0, 0};
    }
    void hypervisor(const char* name, uint32_t max_leaf, uint32_t khz) {
        auto word = [&](int i) {
            uint32_t w = 0;
            for (int k = 3; k >= 0; --k) w = w << 8 | static_cast<uint8_t>(name[4 * i + k]);
            return w;
        };
        processor.leaves[1].ecx |= 1u << 31;
        processor.leaves[0x40000000] = {max_leaf, word(0), word(1), word(2)};
        processor.leaves[0x40000010] = {khz, 0, 0, 0};
    }
};

TEST(TscMeasure, EveryReferenceBoundsTheTruthAndARoundFrequencyIsFound) {
    // 10 ticks an access: an instruction clock. 1500: a machine whose bus is slow.
    for (uint64_t cost : {37, 1500})
        for (uint64_t hz : {1000000000ull, 2100000000ull, 3593250000ull}) {
            Machine m(hz, cost);
            for (const ReferenceCounter& r : m.references) {
                SCOPED_TRACE(testing::Message()
                             << r.name << " at " << hz << " Hz, access " << cost);
                auto f = cpu::measure_tsc(m.world.tsc(), r);
                ASSERT_TRUE(f) << f.error().what;
                EXPECT_LE(f->low, hz);
                EXPECT_GE(f->high, hz);
                EXPECT_LT(f->high - f->low, hz / 1000) << "too wide to see 0.1 %";
                if (cost < 100) EXPECT_LE(f->high - f->low, hz / 20000) << "wider than 50 ppm";
                EXPECT_GE(f->hz, f->low);
                EXPECT_LE(f->hz, f->high);
                if (hz % 100000000 == 0)
                    EXPECT_EQ(f->hz, hz) << "the roundest number between the bounds";
            }
        }
}

TEST(TscMeasure, AnInstructionClockIsMeasuredToAFewPpm) {
    Machine m;
    for (const ReferenceCounter& r : m.references) {
        auto f = cpu::measure_tsc(m.world.tsc(), r);
        ASSERT_TRUE(f);
        EXPECT_EQ(f->hz, 1000000000u) << r.name;
        EXPECT_LT(f->high - f->low, 20000u) << r.name << ": 20 ppm";
    }
}

TEST(TscMeasure, WrapsInTheMiddleDoNotMatter) {
    Machine m(1000000000, 50);
    // The PM timer's 24 bits, the HPET's lower 32 and the PIT's 16 wrap within the first window.
    m.fake_pm.offset = 0xFFFFFF - 1000 - m.world.counter(nominal_pm) % 0x1000000;
    m.fake_hpet.offset = 0xFFFFFFFF - 1000 - m.world.counter(nominal_hpet);
    for (const ReferenceCounter& r : m.references) {
        auto f = cpu::measure_tsc(m.world.tsc(), r, {25000, 25000, 50, 3});
        ASSERT_TRUE(f) << r.name << ": " << f.error().what;
        EXPECT_EQ(f->hz, 1000000000u) << r.name;
    }
}

TEST(TscMeasure, ADisturbedWindowIsNotUsed) {
    // Once, 60 ms pass between two reads of the PIT, more than it can count: that window is wrong,
    // the others agree.
    struct Thief {
        Machine m;
        ReferenceCounter pit;
        unsigned reads = 0;
    } thief;
    thief.pit = thief.m.references[2];
    ReferenceCounter stolen = thief.pit;
    stolen.context = &thief;
    stolen.read = [](void* self) {
        auto* t = static_cast<Thief*>(self);
        if (++t->reads == 200) t->m.world.now += 60000000;
        return t->pit.read(t->pit.context);
    };
    auto f = cpu::measure_tsc(thief.m.world.tsc(), stolen);
    ASSERT_TRUE(f);
    EXPECT_GT(thief.reads, 200u);
    EXPECT_EQ(f->hz, 1000000000u);
}

TEST(TscMeasure, StuckCountersAreErrors) {
    Machine m;
    m.fake_hpet.stuck = true;
    auto f = cpu::measure_tsc(m.world.tsc(), m.references[0]);
    ASSERT_FALSE(f);
    EXPECT_STREQ(f.error().what, "a reference counter stands still");

    cpu::Tsc stuck([](void*) -> uint64_t { return 42; }, nullptr);
    f = cpu::measure_tsc(stuck, m.references[1]);
    ASSERT_FALSE(f);
    EXPECT_STREQ(f.error().what, "the time-stamp counter stands still");
}

TEST(TscMeasure, AReferenceThatStopsHalfwayIsAnError) {
    struct Stopping {
        uint64_t value = 0;
        unsigned left = 100;
    } counter;
    World world;
    ReferenceCounter r{"stopping",
                       [](void* self) {
                           auto* s = static_cast<Stopping*>(self);
                           if (s->left != 0) --s->left, ++s->value;
                           return s->value;
                       },
                       &counter,
                       1000000,
                       1,
                       ~0ull};
    auto f = cpu::measure_tsc(world.tsc(), r, {10000, 10000, 50, 1});
    ASSERT_FALSE(f);
    EXPECT_STREQ(f.error().what, "a reference counter stopped");
}

TEST(TscEstablish, MeasuredAndCheckedByTheNextReference) {
    Machine m;
    auto clock = m.establish({});
    ASSERT_TRUE(clock);
    EXPECT_EQ(clock->hz, 1000000000u);
    EXPECT_STREQ(clock->source, "hpet");
    EXPECT_STREQ(clock->check_source, "pm-timer");
    EXPECT_LE(std::abs(clock->check_ppm), 5);
    EXPECT_FALSE(clock->disagrees);
}

TEST(TscEstablish, ADriftOf500PpmIsReported) {
    for (int64_t ppm : {500, -500}) {
        Machine m;
        // The checking timer runs fast, so the TSC seems slow.
        m.fake_pm.millihertz = nominal_pm + static_cast<int64_t>(nominal_pm) / 1000000 * ppm;
        auto clock = m.establish({});
        ASSERT_TRUE(clock);
        EXPECT_EQ(clock->hz, 1000000000u);
        EXPECT_NEAR(static_cast<double>(clock->check_ppm), static_cast<double>(-ppm), 10) << ppm;
        EXPECT_FALSE(clock->disagrees) << ppm;
        EXPECT_EQ(clock->source_count, 2u) << "two that agree are enough";
        EXPECT_EQ(clock->agree, 2u);
    }
}

constexpr uint64_t off_by(uint64_t nominal, int64_t ppm) {
    return nominal + static_cast<uint64_t>(static_cast<int64_t>(nominal) / 1000000 * ppm);
}

/// Which sources are wrong, by how many ppm, and which one the image uses. A fast reference makes
/// the TSC seem slow.
struct Vote {
    const char* what;
    int64_t cpuid, hpet, pm, pit;  ///< ppm; cpuid none: CPUID does not report a rate
    const char* source;
    const char* check;
    size_t sources, agree;
    bool disagrees;
};
constexpr int64_t none = INT64_MIN;

TEST(TscEstablish, TheMajorityOfSourcesGivesTheRate) {
    const Vote votes[] = {
        {"all agree: the first two are enough", 0, 0, 0, 0, "cpuid-15h", "hpet", 2, 2, false},
        {"CPUID is outvoted", 30000, 0, 0, 0, "hpet", "pm-timer", 4, 3, true},
        {"the HPET is outvoted", 0, 2000, 0, 0, "cpuid-15h", "pm-timer", 4, 3, true},
        {"the HPET is outvoted without CPUID", none, -2000, 0, 0, "pm-timer", "pit", 3, 2, true},
        {"the PM timer is outvoted", none, 0, 2000, 0, "hpet", "pit", 3, 2, true},
        {"two against two: the pair asked first", 0, 0, 9000, 9000, "cpuid-15h", "hpet", 2, 2,
         false},
        {"two against two, crossed", 0, 9000, 9000, 0, "cpuid-15h", "pit", 4, 2, true},
        {"two agree among four", 50000, 20000, 0, 0, "pm-timer", "pit", 4, 2, true},
        {"no two agree", 50000, 20000, 0, -20000, "cpuid-15h", "hpet", 4, 1, true},
        {"no two agree without CPUID", none, 20000, 0, -20000, "hpet", "pm-timer", 3, 1, true},
    };
    for (const Vote& v : votes) {
        SCOPED_TRACE(v.what);
        Machine m(2000000000);
        m.fake_hpet.millihertz = off_by(nominal_hpet, v.hpet);
        m.fake_pm.millihertz = off_by(nominal_pm, v.pm);
        m.fake_pit.millihertz = off_by(nominal_pit, v.pit);
        m.intel(0x8F, 0x16);
        // Leaf 16h agrees with leaf 15h: CPUID still counts as one source.
        if (v.cpuid != none) {
            m.processor.leaves[0x15] = {1, 100, static_cast<uint32_t>(off_by(20000000, v.cpuid)),
                                        0};
            m.processor.leaves[0x16].eax =
                static_cast<uint32_t>(off_by(2000000000, v.cpuid) / 1000000);
        }
        auto clock = m.establish();
        ASSERT_TRUE(clock);
        EXPECT_STREQ(clock->source, v.source);
        EXPECT_STREQ(clock->check_source, v.check);
        EXPECT_EQ(clock->source_count, v.sources);
        EXPECT_EQ(clock->agree, v.agree);
        EXPECT_EQ(clock->disagrees, v.disagrees);
        if (v.agree > 1) {
            EXPECT_NEAR(static_cast<double>(clock->hz), 2e9, 2e9 / 1000);
            EXPECT_LE(std::abs(clock->check_ppm), 1000);
        } else {
            EXPECT_GT(std::abs(clock->check_ppm), 1000);
        }
    }
}

TEST(TscEstablish, TheReferenceThatOutvotesAnotherIsMeasuredAsPreciselyAsAnySource) {
    Machine m(2100000000, 1500);
    m.fake_hpet.millihertz = off_by(nominal_hpet, 30000);
    auto clock = m.establish({10000, 80000, 50, 3});
    ASSERT_TRUE(clock);
    EXPECT_STREQ(clock->source, "pm-timer");
    EXPECT_LE(clock->hz_high - clock->hz_low, clock->hz / 20000);
}

TEST(TscEstablish, ABaseFrequencyConfirmsASingleReference) {
    Machine m(2100000000);
    m.references.erase(m.references.begin(), m.references.begin() + 2);
    m.intel(0x3C, 0x16);
    m.processor.leaves[0x16].eax = 2100;
    auto clock = m.establish();
    ASSERT_TRUE(clock);
    EXPECT_STREQ(clock->source, "pit");
    EXPECT_STREQ(clock->check_source, "cpuid-16h");
    EXPECT_EQ(clock->agree, 2u);
}

TEST(TscEstablish, AStuckReferenceIsPassedOver) {
    Machine m;
    m.fake_hpet.stuck = true;
    auto clock = m.establish();
    ASSERT_TRUE(clock);
    EXPECT_STREQ(clock->source, "pm-timer");
    EXPECT_STREQ(clock->check_source, "pit");
}

TEST(TscEstablish, OneReferenceAloneIsNotChecked) {
    Machine m;
    m.references.erase(m.references.begin(), m.references.begin() + 2);
    auto clock = m.establish();
    ASSERT_TRUE(clock);
    EXPECT_STREQ(clock->source, "pit");
    EXPECT_EQ(clock->check_source, nullptr);
    EXPECT_FALSE(clock->disagrees);
    EXPECT_EQ(clock->source_count, 1u);
    EXPECT_EQ(clock->agree, 1u);
}

TEST(TscEstablish, NothingAtAllIsAnError) {
    Machine m;
    m.references.clear();
    EXPECT_FALSE(m.establish());
    m.intel(0x9E, 0x16);
    m.processor.leaves[0x16].eax = 3600;
    EXPECT_STREQ(m.establish()->source, "cpuid-16h") << "better than nothing";
    EXPECT_EQ(m.establish()->hz, 3600000000u);
}

TEST(TscEstablish, CrystalFromCpuid15) {
    Machine m(2995200000);
    m.intel(0x8F, 0x16);
    m.processor.leaves[0x15] = {2, 156, 38400000, 0};
    m.processor.leaves[0x80000000].eax = 0x80000008;
    auto clock = m.establish();
    ASSERT_TRUE(clock);
    EXPECT_STREQ(clock->source, "cpuid-15h");
    EXPECT_EQ(clock->hz, 2995200000u);
    EXPECT_STREQ(clock->check_source, "hpet");
    EXPECT_FALSE(clock->disagrees);

    m.world.tsc_hz = 2990000000;  // 0.17 % off CPUID's rate
    clock = m.establish();
    EXPECT_STREQ(clock->source, "hpet");
    EXPECT_EQ(clock->hz, 2990000000u) << "three references against CPUID";
    EXPECT_TRUE(clock->disagrees);
}

TEST(TscEstablish, CrystalByModelWhereCpuid15HasNone) {
    struct {
        uint32_t model, denominator, numerator;
        uint64_t hz;
    } const known[] = {{0x4E, 2, 200, 2400000000},
                       {0x5E, 2, 284, 3408000000},
                       {0x9E, 2, 300, 3600000000},
                       {0x5C, 3, 171, 1094400000},
                       {0x55, 2, 168, 2100000000}};
    for (auto k : known) {
        Machine m(k.hz);
        m.intel(k.model, 0x15);
        m.processor.leaves[0x15] = {k.denominator, k.numerator, 0, 0};
        auto clock = m.establish();
        EXPECT_STREQ(clock->source, "cpuid-15h") << std::hex << k.model;
        EXPECT_EQ(clock->hz, k.hz) << std::hex << k.model;
        EXPECT_FALSE(clock->disagrees);
    }
    Machine other(2000000000);  // a model without an entry is measured
    other.intel(0x3C, 0x15);
    other.processor.leaves[0x15] = {2, 200, 0, 0};
    EXPECT_STREQ(other.establish()->source, "hpet");
}

TEST(TscEstablish, ATableThatDoesNotFitTheBaseFrequencyIsNotBelieved) {
    Machine m(3312000000);  // 06_55H with a crystal of 24 MHz, as some were built
    m.intel(0x55, 0x16);
    m.processor.leaves[0x15] = {2, 276, 0, 0};
    m.processor.leaves[0x16].eax = 3300;
    auto clock = m.establish();
    EXPECT_STREQ(clock->source, "hpet");
    EXPECT_EQ(clock->hz, 3312000000u);
}

TEST(TscEstablish, OnlyKvmsAndVmwaresLeafIsATimingLeaf) {
    Machine m(2500000000);
    m.hypervisor("KVMKVMKVM\0\0\0", 0x40000010, 2500000);
    EXPECT_STREQ(m.establish()->source, "hypervisor");
    EXPECT_EQ(m.establish()->hz, 2500000000u);
    m.hypervisor("VMwareVMware", 0x40000010, 2500000);
    EXPECT_STREQ(m.establish()->source, "hypervisor");
    m.hypervisor("KVMKVMKVM\0\0\0", 0x40000001, 2500000);
    EXPECT_STREQ(m.establish()->source, "hpet") << "its highest leaf is below the timing leaf";
    m.hypervisor("TCGTCGTCGTCG", 0x40000010, 1234);
    EXPECT_STREQ(m.establish()->source, "hpet");
}

struct ApicTimer : testing::Test {
    FakeApic fake;
    cpu::LocalApic apic = *fake.bring_up(cpu::ApicMode::xapic);
};

TEST_F(ApicTimer, ATimerThatFollowsTheTscIsExactlyOneToOne) {
    for (uint64_t cost : {1, 10, 13, 500}) {
        fake.world.device_cost = cost;
        auto rate = cpu::measure_apic_timer(apic, fake.world.tsc(), 1000000);
        ASSERT_TRUE(rate) << rate.error().what;
        EXPECT_EQ(rate->tsc_per_count_32_32, 1ull << 32) << cost;
        EXPECT_EQ(rate->hz(1000000000), 1000000000u);
        EXPECT_EQ(rate->ticks(5000), 5000u);
    }
    EXPECT_EQ(fake.registers[0x380], 0u) << "stopped";
    EXPECT_TRUE(fake.registers[0x320] & 1u << 16) << "masked";
}

TEST_F(ApicTimer, ASlowerTimerIsMeasuredWithinItsBounds) {
    fake.ticks_per_count = 84;  // a 25 MHz crystal beside 2.1 GHz
    fake.world.device_cost = 150;
    auto rate = cpu::measure_apic_timer(apic, fake.world.tsc(), 21000000);
    ASSERT_TRUE(rate);
    EXPECT_LE(rate->low_32_32, 84ull << 32);
    EXPECT_GE(rate->high_32_32, 84ull << 32);
    EXPECT_NEAR(static_cast<double>(rate->hz(2100000000)), 25e6, 25e6 / 50000) << "20 ppm";
    EXPECT_EQ(rate->ticks(1000), 84000u);
}

TEST_F(ApicTimer, AStuckTimerIsAnError) {
    fake.timer_stuck = true;
    EXPECT_FALSE(cpu::measure_apic_timer(apic, fake.world.tsc(), 1000000));
}

TEST_F(ApicTimer, AWindowLongerThanTheTimerIsAnError) {
    fake.world.tsc_cost = 100000;
    EXPECT_FALSE(cpu::measure_apic_timer(apic, fake.world.tsc(), 8000000000));
}

/// A clock with readings `step` ticks apart; reading number `odd` is `more` ticks late.
struct UnevenClock {
    uint64_t step, odd, more;
    uint64_t now = 0, readings = 0;
    cpu::Tsc tsc() {
        return {[](void* self) {
                    auto* c = static_cast<UnevenClock*>(self);
                    c->now += c->step + (++c->readings == c->odd ? c->more : 0);
                    return c->now;
                },
                this};
    }
};

TEST(Clock, OnlyOneThatIsEvenEveryTimeCountsInstructions) {
    EXPECT_TRUE(cpu::counts_instructions(UnevenClock{20000, 0, 0}.tsc()));
    for (uint64_t stretch : {1, 2, 16})
        EXPECT_FALSE(cpu::counts_instructions(UnevenClock{20000, 2 * stretch, 1}.tsc()))
            << "one tick in stretch " << stretch;
    EXPECT_FALSE(cpu::counts_instructions(UnevenClock{0, 0, 0}.tsc())) << "it stands still";
}

TEST(TimerRate, TicksRoundToTheNearest) {
    cpu::TimerRate rate{(84ull << 32) + (1ull << 31), 0, 0};  // 84.5
    EXPECT_EQ(rate.ticks(2), 169u);
    EXPECT_EQ(rate.ticks(1), 85u);
    EXPECT_EQ(rate.ticks(0xFFFFFFFF), 362924736428u);  // 84.5 * (2^32 - 1) = 362,924,736,427.5
    EXPECT_EQ(cpu::TimerRate{}.hz(1000), 0u);
}

}  // namespace
}  // namespace doorbell::test
