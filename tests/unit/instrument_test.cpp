// What the instrument says of machines whose clock, interrupts and MSRs are known.
#include "firmware/measure/instrument.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>

#include "firmware/cpu/descriptors.h"
#include "tests/unit/stepped_processor.h"

namespace doorbell {
namespace {

test::SteppedProcessor* processor;
bool msrs_fault, gate_is_set;

}  // namespace

// Gates and faults of the processor that runs.
namespace cpu {
void set_gate(uint8_t vector, void (*entry)(), unsigned, Ist) {
    EXPECT_EQ(vector, vector::first_free);
    processor->gate = entry;
    gate_is_set = true;
}
void reset_gate(uint8_t, unsigned) { gate_is_set = false; }
FaultGuard::FaultGuard() : protection_(nullptr), opcode_(nullptr) {}
FaultGuard::~FaultGuard() = default;
bool FaultGuard::faulted() const { return msrs_fault; }
}  // namespace cpu

namespace test {
namespace {

using measure::Instrument;
using measure::Verdict;

/// MSR_SMI_COUNT: 7 before the run, and what has come since.
struct SmiCounter : cpu::FakeSpace {
    unsigned reads = 0;
    uint64_t read(uint64_t address, unsigned) override {
        ++reads;
        other_msr |= address != 0x34;
        return 0xABCD'0000'0000 + 7 + processor->happened;  // reserved bits may be anything
    }
    void write(uint64_t, unsigned, uint64_t) override { other_msr = true; }
    bool other_msr = false;
};

/// A quiet server by Intel, on bare metal.
struct Machine {
    SteppedProcessor hardware;
    cpu::Features features;
    cpu::TscClock tsc;
    SmiCounter msrs;

    Machine() {
        hardware.read_ticks = 20;
        hardware.interrupt_ticks = 600;
        hardware.imul_ticks = 3;
        hardware.nops_a_tick = 4;
        std::copy_n("GenuineIntel", 13, features.vendor);
        features.family = 6;
        features.model = 0x55;
        features.invariant_tsc = true;
        tsc.hz = 5'000'000;
        tsc.source_count = tsc.agree = 2;
    }
    Instrument observe() {
        processor = &hardware;
        auto scratch = std::make_unique<std::array<measure::Histogram, 3>>();
        Instrument in;
        hardware.run(
            [&] { in = measure::observe(features, tsc, scratch->data(), cpu::Msrs(msrs)); });
        EXPECT_FALSE(gate_is_set) << "the gate stays with the instrument";
        EXPECT_FALSE(msrs.other_msr);
        return in;
    }
    /// Every instruction takes one tick, an interrupt too.
    void count_instructions() {
        hardware.read_ticks = hardware.interrupt_ticks = hardware.imul_ticks = 1;
        hardware.nops_a_tick = 1;
    }
    /// The clock jumps after the instrument's bodies, while it is only watched.
    void jump_while_watched(int64_t ticks) {
        hardware.event_at = 33'000;
        hardware.event_ticks = ticks;
    }
};

TEST(Instrument, AClockThatCountsInstructionsIsExact) {
    Machine m;
    m.count_instructions();
    m.features.hypervisor_present = true;
    Instrument in = m.observe();
    EXPECT_STREQ(in.clock, "exact");
    EXPECT_STREQ(in.unit, "insn");
    EXPECT_STREQ(in.evidence, "exact");
    EXPECT_EQ(in.verdict, Verdict::exact);
    EXPECT_EQ(in.resolution, 1u);
    EXPECT_EQ(in.thousand_nops, 1000u);
    EXPECT_EQ(in.call_cost, 2u);
    EXPECT_EQ(in.interrupt_cost, 2u);
    EXPECT_EQ(in.overhead_min, in.overhead_p99);
    EXPECT_EQ(in.noise_p99, 0u);
    EXPECT_GT(in.record_cost, 5u);
    EXPECT_GE(in.gap_scan, m.tsc.hz / 1000) << "a thousandth of a second is watched";
    EXPECT_LT(in.gap_scan, m.tsc.hz / 500);
    EXPECT_EQ(m.msrs.reads, 0u) << "what a hypervisor says of SMIs means nothing";
    EXPECT_FALSE(in.smi_known);
}

TEST(Instrument, AQuietServerIsMeasuredAndGoodForTails) {
    Machine m;
    Instrument in = m.observe();
    EXPECT_STREQ(in.clock, "live");
    EXPECT_STREQ(in.unit, "tick");
    EXPECT_STREQ(in.evidence, "measured") << in.because;
    EXPECT_EQ(in.verdict, Verdict::tails) << in.because;
    EXPECT_EQ(in.thousand_nops, 250u);
    EXPECT_EQ(in.interrupt_cost, 601u) << "INT and IRETQ, without the timestamps";
    EXPECT_EQ(in.call_cost, 2u);
    EXPECT_EQ(in.gap_lost, 0u);
    EXPECT_GE(in.gap_scan, m.tsc.hz / 50) << "20 ms are watched";
    EXPECT_TRUE(in.smi_known);
    EXPECT_EQ(in.smi_before, 7u);
    EXPECT_EQ(in.smi_during, 0u);
}

TEST(Instrument, ASystemManagementInterruptIsCountedAndItsTimeFound) {
    Machine m;
    m.jump_while_watched(30'000);
    Instrument in = m.observe();
    EXPECT_EQ(in.smi_during, 1u);
    EXPECT_EQ(in.gaps, 1u);
    EXPECT_NEAR(static_cast<double>(in.gap_lost), 30'000, 20) << "less a usual step";
    EXPECT_GE(in.gap_longest, 30'000u);
    EXPECT_EQ(in.gap_share_ppm, in.gap_lost * 1'000'000 / in.gap_scan);
    EXPECT_EQ(in.verdict, Verdict::medians);
    EXPECT_STREQ(in.evidence, "measured");
}

TEST(Instrument, ARegisterThatFaultsIsNotReadAgain) {
    Machine m;
    msrs_fault = true;
    Instrument in = m.observe();
    msrs_fault = false;
    EXPECT_FALSE(in.smi_known);
    EXPECT_EQ(m.msrs.reads, 1u);
    EXPECT_EQ(in.verdict, Verdict::tails);
}

TEST(Instrument, OnlyIntelFromNehalemOnCountsSmis) {
    for (auto change : {+[](cpu::Features& f) { std::copy_n("AuthenticAMD", 13, f.vendor); },
                        +[](cpu::Features& f) { f.model = 0x17; }}) {
        Machine m;
        change(m.features);
        EXPECT_FALSE(m.observe().smi_known);
        EXPECT_EQ(m.msrs.reads, 0u);
    }
}

TEST(Instrument, TheStepOfACoarseClockIsFoundAndTheMeanOfAPairWithIt) {
    Machine fine, coarse;
    coarse.hardware.step = 26;
    uint64_t pair = fine.observe().overhead;
    Instrument in = coarse.observe();
    EXPECT_EQ(in.resolution, 26u);
    EXPECT_EQ(in.overhead_min % 26, 0u);
    EXPECT_NEAR(static_cast<double>(in.overhead), static_cast<double>(pair), 1)
        << "the steps of many samples average out";
    EXPECT_NEAR(static_cast<double>(in.call_cost), 2, 1);
    EXPECT_STREQ(in.evidence, "measured") << in.because;
}

TEST(Instrument, AClockThatGoesBackIsRefused) {
    Machine m;
    m.jump_while_watched(-5'000);
    Instrument in = m.observe();
    EXPECT_EQ(in.backward, 1u);
    EXPECT_EQ(in.verdict, Verdict::refused);
    EXPECT_NE(std::string(in.because).find("jumps"), std::string::npos) << in.because;
}

TEST(Instrument, WhatItIsToldOfTheProcessorLowersTheVerdict) {
    struct {
        void (*change)(Machine& m);
        const char* evidence;
        Verdict verdict;
    } rows[] = {
        {[](Machine& m) { std::copy_n("TCGTCGTCGTCG", 13, m.features.hypervisor); }, "rough",
         Verdict::medians},
        {[](Machine& m) { m.features.invariant_tsc = false; }, "measured", Verdict::medians},
        {[](Machine& m) { m.tsc.source_count = 1; }, "rough", Verdict::medians},
        {[](Machine& m) { m.tsc.agree = 1; }, "rough", Verdict::medians},
    };
    for (const auto& row : rows) {
        Machine m;
        row.change(m);
        Instrument in = m.observe();
        EXPECT_STREQ(in.evidence, row.evidence) << in.because;
        EXPECT_EQ(in.verdict, row.verdict) << in.because;
    }
}

}  // namespace
}  // namespace test
}  // namespace doorbell
