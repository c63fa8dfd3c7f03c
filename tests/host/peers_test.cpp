// The short form of the peers: Debian's kernel boots in the exact clock, getppid is measured, the power goes off.
#include <gtest/gtest.h>

#include "harness/peers/table.h"
#include "tests/image/run.h"

namespace doorbell::test {
namespace {

TEST(Peers, LinuxBootsAndCountsTheSameTwice) {
    Scratch scratch;
    std::string consoles[2];
    for (std::string& console : consoles) {
        fs::remove_all(scratch / "run");
        Outcome run = shell(scratch, DOORBELL_COMMAND " peers --short --out run --timeout 600");
        ASSERT_EQ(run.status, 0) << run.err;
        Json got = Json::parse(content(scratch / "run/linux/results.json"));
        EXPECT_TRUE(got.at("complete").get<bool>());
        Json getppid = series(got, "syscall", {{"gate", "syscall"}, {"call", "getppid"}}, "cost");
        ASSERT_FALSE(getppid.is_null());
        EXPECT_EQ(getppid.at("evidence"), "exact");
        EXPECT_EQ(getppid.at("unit"), "insn");
        EXPECT_EQ(getppid.at("count"), 20);
        console = content(scratch / "run/linux/console.log");
    }
    EXPECT_NE(consoles[0], "");
    EXPECT_TRUE(consoles[0] == consoles[1]) << "two runs differ";
}

harness::Series exact(const char* lab, const char* which, const char* metric, uint64_t value) {
    harness::Series s;
    s.lab = lab;
    s.which = harness::CaseKeys::from_text(which);
    s.metric = metric;
    s.unit = "insn";
    s.evidence = "exact";
    s.count = 1;
    s.min = s.max = s.sum = value;
    s.bins.add(value, 1);
    return s;
}

TEST(Peers, TheTablePicksTheCaseAndSaysNothingWhereThereIsNoFigure) {
    harness::Run doorbell, guest;
    // The case with fewer other keys is the plain one.
    doorbell.series = {exact("nic", "model=e1000e wait=irq kind=msi", "latency", 99), exact("nic", "model=e1000e wait=irq", "latency", 12)};
    guest.series = {exact("nic", "model=e1000e wait=block", "latency-after-send", 120)};
    std::vector<harness::PeerRow> rows = harness::peer_rows({&doorbell, &guest, nullptr});
    const harness::PeerRow* row = nullptr;
    for (const harness::PeerRow& one : rows)
        if (one.name == "packet, arrived to known") row = &one;
    ASSERT_NE(row, nullptr);
    EXPECT_EQ(row->interrupt, 12u);
    EXPECT_EQ(row->blocking, 120u);
    EXPECT_FALSE(row->polled.has_value());
    EXPECT_FALSE(row->dpdk.has_value());
    std::string table = harness::peer_table({*row});
    size_t at = table.find("\npacket, arrived to known");
    ASSERT_NE(at, table.npos);
    std::string line = table.substr(at + 1, table.find('\n', at + 1) - at - 1);
    EXPECT_NE(line.find("10"), line.npos) << line;  // 120 to 12
    // Polled, busy poll and DPDK have no figure, and so neither have their two ratios.
    EXPECT_EQ(std::count(line.begin(), line.end(), '-'), 5) << line;
}

}  // namespace
}  // namespace doorbell::test
