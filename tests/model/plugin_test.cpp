// The real doorbell-model.so in a fake QEMU, with the plugin interface of 7.2, of 9.0 and of 10:
// the same bytes give the same counts. Debian 12 has no QEMU 10, so this is the only test here for
// those generations.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/model/fake_qemu.h"

namespace doorbell::test {
namespace {

using wire::Mailbox;
using wire::MailboxCommand;
using wire::MailboxRow;
using wire::ModelCount;

constexpr uint64_t code = 0x200000, box_at = 0x300000, rows_at = 0x301000, value_at = 0x302000,
                   data_at = 0x400000;

/// The plugin, loaded anew for each test.
class Plugin : public testing::Test {
  protected:
    void SetUp() override {
        library_ = dlopen(DOORBELL_MODEL, RTLD_NOW | RTLD_LOCAL);
        ASSERT_NE(library_, nullptr) << dlerror();
    }
    void TearDown() override {
        if (library_ != nullptr) dlclose(library_);
    }
    int version() { return *static_cast<int*>(dlsym(library_, "qemu_plugin_version")); }
    /// The result of install; its messages go to `said`.
    int install(const char* target, int min, int cur, std::vector<std::string> words,
                int cpus = 1) {
        auto function =
            reinterpret_cast<int (*)(qemu_plugin_id_t, const qemu_info_t*, int, char**)>(
                dlsym(library_, "qemu_plugin_install"));
        std::vector<char*> arguments;
        for (std::string& word : words) arguments.push_back(word.data());
        qemu_info_t info{target, {min, cur}, true, cpus, cpus};
        testing::internal::CaptureStderr();
        int status = function(1, &info, static_cast<int>(words.size()), arguments.data());
        said = testing::internal::GetCapturedStderr();
        return status;
    }
    int install() {
        return install("x86_64", PLUGIN_API == 1 ? 0 : 2, PLUGIN_API, {"skylake=on", "l2=off"});
    }

    Instruction marker(MailboxCommand command) {
        auto d = static_cast<uint32_t>(box_at) + static_cast<uint32_t>(command);
        return {
            {0x0F, 0x1F, 0x80, uint8_t(d), uint8_t(d >> 8), uint8_t(d >> 16), uint8_t(d >> 24)}};
    }

    FakeQemu qemu;
    std::string said;

  private:
    void* library_ = nullptr;
};

TEST_F(Plugin, AsksForTheInterfaceThatItFinds) {
    EXPECT_EQ(version(), PLUGIN_API == 4 ? 3 : PLUGIN_API);
}

const Instruction fence{{0x0F, 0xAE, 0xE8}}, stamp{{0x0F, 0x31}};

/// `between`, with the timestamps of begin() and end() around it, and the store of what lies
/// between them.
std::vector<Instruction> timed(const std::vector<Instruction>& between) {
    std::vector<Instruction> all{
        fence, stamp, {{0x48, 0xC1, 0xE2, 0x20}}, {{0x48, 0x09, 0xD0}}, {{0x48, 0x89, 0xC3}},
        fence};
    all.insert(all.end(), between.begin(), between.end());
    all.insert(all.end(), {fence, stamp, {{0x48, 0x89, 0x07}, {{true, value_at, 3}}}});
    return all;
}

/// The parts, one after the other.
std::vector<Instruction> joined(std::initializer_list<std::vector<Instruction>> parts) {
    std::vector<Instruction> all;
    for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
    return all;
}

/// A sample between begin() and end(): three loads of two lines, a store, a device's register read
/// and written, a port, INT n, IRETQ, SYSCALL, SYSRETQ, a CR3 write, CPUID and a locked ADD.
std::vector<Instruction> sample_of_each_kind(const Instruction& begin, const Instruction& end) {
    return joined(
        {{begin},
         timed({{{0x48, 0x8B, 0x07}, {{false, data_at, 3}}},
                {{0x48, 0x8B, 0x07}, {{false, data_at + 8, 3}}},
                {{0x48, 0x8B, 0x07}, {{false, data_at + 64, 3}}},
                {{0x48, 0x89, 0x07}, {{true, data_at + 72, 3}}},
                {{0x8B, 0x06}, {{false, 0xFEE00020, 2, true}}},
                {{0x89, 0x06}, {{true, 0xFEE000B0, 2, true}}},
                {{0xEC}},
                {{0xEE}},
                {{0xCD, 0x80}},
                {{0x48, 0xCF}},
                {{0x0F, 0x05}},
                {{0x48, 0x0F, 0x07}},
                {{0x0F, 0x22, 0xD8}},
                {{0x0F, 0xA2}},
                {{0xF0, 0x48, 0x83, 0x07, 0x01}, {{false, data_at, 3}, {true, data_at, 3}}}}),
         {end}});
}

TEST_F(Plugin, CountsASampleBetweenItsTimestamps) {
    ASSERT_EQ(install(), 0) << said;
    qemu.start_vcpu();
    auto& box = *new (&qemu.at<Mailbox>(box_at)) Mailbox;
    box.ram_end = 8 << 20;
    box.series[0] = {value_at, 8, 8, 0, 0, 0, 1, rows_at};
    box.series_count = 1;
    std::vector<Instruction> program =
        sample_of_each_kind(marker(MailboxCommand::begin), marker(MailboxCommand::end));
    program.insert(program.begin(), marker(MailboxCommand::hello));
    qemu_plugin_tb& tb = qemu.block(code, program);
    uint64_t stamps[2] = {};
    unsigned passed = 0;
    qemu.run(tb, [&](size_t n) {
        if (program[n].bytes == stamp.bytes) stamps[passed++] = qemu.ticks;
        if (!program[n].uses.empty() && program[n].uses[0].address == value_at)
            qemu.at<uint64_t>(value_at) = stamps[1] - stamps[0];
    });
    ASSERT_EQ(passed, 2u);
    EXPECT_EQ(box.model, 1u);
    EXPECT_NE(std::string(box.geometry).find("l1d=32K:8:64,l2=off"), std::string::npos)
        << box.geometry;
    const auto& row = qemu.at<MailboxRow>(rows_at);
    ASSERT_EQ(row.samples, 1u);
    std::vector<std::pair<ModelCount, uint64_t>> want{
        {ModelCount::instructions, 15}, {ModelCount::loads, 4},
        {ModelCount::stores, 2},        {ModelCount::l1d_misses, 2},
        {ModelCount::l2_misses, 0},     {ModelCount::mmio_reads, 1},
        {ModelCount::mmio_writes, 1},   {ModelCount::port_reads, 1},
        {ModelCount::port_writes, 1},   {ModelCount::software_interrupts, 1},
        {ModelCount::interrupts, 0},    {ModelCount::iretq, 1},
        {ModelCount::syscall, 1},       {ModelCount::sysret, 1},
        {ModelCount::cr3_writes, 1},    {ModelCount::serializing, 3},
        {ModelCount::dtlb_misses, 2}};
    for (auto [what, count] : want)
        EXPECT_EQ(row.counts[static_cast<unsigned>(what)], count)
            << wire::model_count_names[static_cast<unsigned>(what)];
}

TEST_F(Plugin, WhatADeviceWroteIsNotThere) {
    for (bool to_llc : {false, true}) {
        ASSERT_EQ(install("x86_64", 0, PLUGIN_API, {to_llc ? "device=llc" : "device=invalidate"}),
                  0)
            << said;
        qemu.start_vcpu();
        auto& box = *new (&qemu.at<Mailbox>(box_at)) Mailbox;
        box.ram_end = 8 << 20;
        box.series[0] = {value_at, 8, 8, 0, 0, 0, 0, rows_at};
        box.series_count = 1;
        box.device_start = data_at + 60;
        box.device_bytes = 8;  // two lines
        auto load = [](uint64_t at) { return Instruction{{0x48, 0x8B, 0x07}, {{false, at, 3}}}; };
        qemu.run(qemu.block(
            code, joined({{marker(MailboxCommand::hello), load(data_at), load(data_at + 64),
                           load(data_at + 128), marker(MailboxCommand::begin),
                           marker(MailboxCommand::device)},
                          timed({load(data_at), load(data_at + 64), load(data_at + 128)}),
                          {marker(MailboxCommand::end)}})));
        const auto& row = qemu.at<MailboxRow>(rows_at);
        ASSERT_EQ(row.samples, 1u);
        EXPECT_EQ(row.counts[static_cast<unsigned>(ModelCount::l1d_misses)], 2u);
        EXPECT_EQ(row.counts[static_cast<unsigned>(ModelCount::llc_misses)], to_llc ? 0u : 2u);
    }
}

/// QEMU 7.2 reports the processor's own accesses on entry to a handler as if the interrupted
/// instruction made them; 10 does not report them. They are never counted.
TEST_F(Plugin, AProcessorsOwnAccessesOnEntryToAHandlerAreNotCounted) {
    constexpr uint64_t idt_at = 0x310000, gdt_at = 0x312000, stack_at = 0x320000;
    const std::vector<Use> delivery{{false, idt_at + 16 * 0x41, 2},
                                    {false, idt_at + 16 * 0x41 + 4, 2},
                                    {false, idt_at + 16 * 0x41 + 8, 2},
                                    {false, gdt_at + 8, 2},
                                    {false, gdt_at + 12, 2},
                                    {true, stack_at, 3},
                                    {true, stack_at - 8, 3},
                                    {true, stack_at - 16, 3}};
    for (bool reported : {false, true}) {
        ASSERT_EQ(install(), 0) << said;
        qemu.start_vcpu();
        auto& box = *new (&qemu.at<Mailbox>(box_at)) Mailbox;
        box.ram_end = 8 << 20;
        box.idt = idt_at;
        box.series[0] = {value_at, 8, 8, 0, 0, 0, 0, rows_at};
        box.series_count = 1;
        Instruction interrupted{{0x48, 0x8B, 0x07}, {{false, data_at, 3}}};
        if (reported)
            interrupted.uses.insert(interrupted.uses.end(), delivery.begin(), delivery.end());
        qemu.run(qemu.block(
            code, joined({{marker(MailboxCommand::hello), marker(MailboxCommand::begin)},
                          timed({interrupted,
                                 // The handler saves a register below, and reads the stack.
                                 {{0x50}, {{true, stack_at - 64, 3}}},
                                 {{0x48, 0x8B, 0x07}, {{false, stack_at - 128, 3}}}}),
                          {marker(MailboxCommand::end)}})));
        const auto& row = qemu.at<MailboxRow>(rows_at);
        ASSERT_EQ(row.samples, 1u);
        EXPECT_EQ(row.counts[static_cast<unsigned>(ModelCount::loads)], 2u) << reported;
        EXPECT_EQ(row.counts[static_cast<unsigned>(ModelCount::stores)], 1u) << reported;
        EXPECT_EQ(row.counts[static_cast<unsigned>(ModelCount::l1d_misses)], 3u) << reported;
    }
}

TEST_F(Plugin, SaysWhatItNeeds) {
    EXPECT_NE(install("x86_64", 5, 6, {}), 0);
    EXPECT_NE(said.find("7.2 to 10"), std::string::npos) << said;
    EXPECT_NE(said.find("5 to 6"), std::string::npos) << said;
    EXPECT_NE(install("aarch64", 0, PLUGIN_API, {}), 0);
    EXPECT_NE(said.find("x86_64"), std::string::npos) << said;
    EXPECT_NE(install("x86_64", 0, PLUGIN_API, {}, 2), 0);
    EXPECT_NE(said.find("-smp 1"), std::string::npos) << said;
    EXPECT_NE(install("x86_64", 0, PLUGIN_API, {"zen9"}), 0);
    EXPECT_NE(said.find("zen2"), std::string::npos) << said;
    EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
}

}  // namespace
}  // namespace doorbell::test
