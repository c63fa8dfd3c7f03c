// Finding the input of an INTx wire, on a machine of two I/O APICs where other devices drive wires
// as well.
#include "firmware/platform/intx.h"

#include "tests/unit/fake_apic.h"
#include "tests/unit/fake_ioapic.h"

namespace doorbell::test {
namespace {

using platform::Acpi;
using platform::Bounded;
using platform::IntxInput;
using platform::IoApic;
using platform::Polarity;

constexpr uint8_t vector = 0x61;

/// A wire into an input of a chip.
struct Line {
    FakeIoApic* chip;
    unsigned input;
    Polarity active = Polarity::active_low;
    bool pulled = false;
    /// Whether the input, as programmed, sees its wire asserted and interrupts.
    bool reports() const {
        uint32_t low = chip->low[input];
        bool low_is_active = (low & 1 << 13) != 0, level = (low & 1 << 15) != 0,
             masked = (low & 1 << 16) != 0;
        return !masked && level && pulled == (low_is_active == (active == Polarity::active_low));
    }
};

struct IntxTest : testing::Test, platform::IntxWire {
    FakeApic apic;
    FakeIoApic first, second;
    Bounded<IoApic, 8> io_apics;
    Acpi acpi;
    std::vector<Line> lines;
    Line* ours = nullptr;
    unsigned pulls = 0, taken = 0;
    Error refuses{nullptr};
    cpu::LocalApic local = *apic.bring_up(cpu::ApicMode::xapic);

    void machine(bool two = true) {
        apic.world.tsc_cost = 1000;
        io_apics.add(*IoApic::bring_up(cpu::Mmio(first, FakeIoApic::base), 0));
        if (two) io_apics.add(*IoApic::bring_up(cpu::Mmio(second, FakeIoApic::base), 24));
        lines.reserve(8);
    }
    Line& line(FakeIoApic& chip, unsigned input, Polarity active = Polarity::active_low) {
        return lines.emplace_back(Line{&chip, input, active});
    }
    /// The machine's clock propagates the wires' state to the local APIC.
    cpu::Tsc tsc() {
        return {[](void* self) {
                    auto* t = static_cast<IntxTest*>(self);
                    for (const Line& l : t->lines)
                        if (l.reports()) t->apic.requested.insert(l.chip->low[l.input] & 0xFF);
                    return t->apic.world.tsc()();
                },
                this};
    }
    Result<IntxInput> find(uint8_t interrupt_line = 0) {
        return platform::find_intx(
            {io_apics, acpi, local, tsc(), apic.world.tsc_hz, vector, interrupt_line}, *this);
    }
    Result<void> pull() override {
        ++pulls;
        if (refuses.what != nullptr) return refuses;
        if (ours != nullptr) ours->pulled = true;
        return {};
    }
    void let_go() override {
        if (ours != nullptr) ours->pulled = false;
    }
    void take() override {
        EXPECT_TRUE(apic.requested.count(vector)) << "there was nothing to take";
        apic.requested.erase(vector);
        ++taken;
        if (ours != nullptr)
            EXPECT_FALSE(ours->pulled) << "the cause goes before the interrupt is ended";
        for (const Line& l : lines)
            EXPECT_FALSE(l.reports()) << "the level still stands at its EOI: it would come again";
    }
    void everything_is_masked() {
        for (FakeIoApic* chip : {&first, &second})
            for (unsigned i = 0; i < 24 && !(chip == &second && io_apics.size() < 2); ++i)
                EXPECT_TRUE(chip->low[i] & 1 << 16) << i;
        EXPECT_TRUE(apic.requested.empty());
    }
};

TEST_F(IntxTest, ThePciInputThatReportsIsTheOne) {
    machine();
    ours = &line(first, 22);
    line(first, 16), line(second, 5);
    auto found = find(11);
    ASSERT_TRUE(found) << found.error().what;
    EXPECT_EQ(found->io_apic, &io_apics[0]);
    EXPECT_EQ(found->input, 22u);
    EXPECT_EQ(first.low[22] & 0x1FFFF, 0x1A000u | vector)
        << "level, active low, masked until it is wanted";
    EXPECT_EQ(first.high[22] >> 24, apic.id);
    EXPECT_EQ(taken, 1u);
    EXPECT_FALSE(ours->pulled);
    everything_is_masked();
}

TEST_F(IntxTest, AnInputOfTheSecondChip) {
    machine();
    ours = &line(second, 23);
    auto found = find();
    ASSERT_TRUE(found);
    EXPECT_EQ(found->io_apic, &io_apics[1]);
    EXPECT_EQ(found->input, 23u);
    everything_is_masked();
}

TEST_F(IntxTest, InputsThatAnotherDeviceAssertsAreSkipped) {
    machine();
    line(first, 17).pulled = true;
    line(first, 18).pulled = true;
    ours = &line(first, 19);
    auto found = find();
    ASSERT_TRUE(found);
    EXPECT_EQ(found->input, 19u);
    EXPECT_EQ(taken, 3u);
    // On a wire that another device holds asserted, asserting it changes nothing.
    ours->pulled = false;
    ours = &lines[0];
    let_go();
    ours = nullptr;
    lines[0].pulled = true;
    EXPECT_FALSE(find());
    everything_is_masked();
}

TEST_F(IntxTest, AnIsaInputByTheInterruptLineWithTheMadtsPolarity) {
    machine(false);
    acpi.overrides.add({11, 9, Polarity::active_high, platform::Trigger::level});
    ours = &line(first, 9, Polarity::active_high);
    auto found = find(11);
    ASSERT_TRUE(found) << found.error().what;
    EXPECT_EQ(found->input, 9u);
    EXPECT_EQ(first.low[9] & 0xA000, 0x8000u) << "level, active high";
    everything_is_masked();
    // No override: PCI's default.
    ours = &line(first, 10);
    found = find(10);
    ASSERT_TRUE(found);
    EXPECT_EQ(first.low[10] & 0xA000, 0xA000u);
}

TEST_F(IntxTest, NoInputReports) {
    machine();
    auto found = find(0xFF);
    ASSERT_FALSE(found);
    EXPECT_STREQ(found.error().what,
                 "no I/O APIC input reports the card's INTx (as many were tried)");
    EXPECT_EQ(found.error().value, 8u + 24u);
    EXPECT_TRUE(found.error().lacking()) << "firmware routed the pin nowhere";
    EXPECT_FALSE(find(20).error().lacking()) << "firmware says that it did";
    EXPECT_EQ(taken, 0u);
    everything_is_masked();
}

TEST_F(IntxTest, AWireThatIsNotAssertedEndsTheSearch) {
    machine();
    refuses = {"a packet that was sent did not arrive within 100 ms"};
    auto found = find();
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().what, refuses.what);
    EXPECT_EQ(pulls, 1u);
    everything_is_masked();
}

TEST_F(IntxTest, WithoutAnIoApicNoInputIsFound) {
    auto found = find(11);
    ASSERT_FALSE(found);
    EXPECT_STREQ(found.error().what, "INTx needs an I/O APIC, and the machine names none");
    EXPECT_TRUE(found.error().lacking());
}

}  // namespace
}  // namespace doorbell::test
