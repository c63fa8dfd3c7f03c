// The short form of the peers: Debian's kernel boots in the exact clock, getppid is measured, the
// power goes off.
#include <gtest/gtest.h>

#include <algorithm>

#include "harness/peers/table.h"
#include "tests/image/run.h"

namespace doorbell::test {
namespace {

TEST(Peers, LinuxBootsAndCountsTheSameThreeTimes) {
    Scratch scratch;
    std::string console;
    for (const char* name : {"a", "b", "c"}) {
        Outcome run = shell(
            scratch, std::string(DOORBELL_COMMAND " peers --short --timeout 600 --out ") + name);
        ASSERT_EQ(run.status, 0) << run.err;
        fs::path folder = scratch / name / "linux";
        Json got = Json::parse(content(folder / "results.json"));
        EXPECT_TRUE(got.at("complete").get<bool>());
        for (const char* gate : {"syscall", "int"}) {
            Json getppid = series(got, "syscall", {{"gate", gate}, {"call", "getppid"}}, "cost");
            ASSERT_FALSE(getppid.is_null()) << gate;
            EXPECT_EQ(getppid.at("evidence"), "exact");
            EXPECT_EQ(getppid.at("unit"), "insn");
            EXPECT_EQ(getppid.at("count"), 20);
        }
        std::string said = content(folder / "console.log");
        EXPECT_NE(said, "");
        if (console.empty()) console = said;
        EXPECT_TRUE(said == console) << "run " << name << " differs";
    }
    // Every command that reads runs can read them.
    Outcome compared = shell(scratch, DOORBELL_COMMAND " compare a/linux b/linux");
    EXPECT_EQ(compared.status, 0) << compared.err;
    EXPECT_NE(compared.out.find("2 equal"), std::string::npos) << compared.out;
    Outcome again = shell(scratch, DOORBELL_COMMAND " reproduce a/linux --with c/linux");
    EXPECT_EQ(again.status, 0) << again.out << again.err;
    Outcome page = shell(scratch, DOORBELL_COMMAND " report a/linux b/linux --out page.html");
    EXPECT_EQ(page.status, 0) << page.err;
    EXPECT_NE(content(scratch / "page.html").find("getppid"), std::string::npos);
    // The image did not make this run.
    Outcome image = shell(scratch, DOORBELL_COMMAND " reproduce a/linux");
    EXPECT_EQ(image.status, 2);
    EXPECT_NE(image.err.find("doorbell peers"), std::string::npos) << image.err;
}

harness::Series exact(const char* lab, const char* test_case, const char* metric, uint64_t value) {
    harness::Series s;
    s.lab = lab;
    s.test_case = harness::CaseKeys::from_text(test_case);
    s.metric = metric;
    s.unit = "insn";
    s.evidence = "exact";
    s.count = 1;
    s.min = s.max = s.sum = value;
    s.bins.add(value, 1);
    return s;
}

TEST(Peers, TheTablePicksTheCaseAndLeavesMissingFiguresEmpty) {
    harness::Run doorbell, guest;
    // The case with fewer other keys is the plain one.
    doorbell.series = {exact("nic", "model=e1000e wait=irq kind=msi", "payload", 99),
                       exact("nic", "model=e1000e wait=irq", "payload", 12)};
    guest.series = {exact("nic", "model=e1000e wait=block", "payload-after-send", 120)};
    doorbell.complete = guest.complete = true;
    std::vector<std::string> missing;
    std::vector<harness::PeerRow> rows = harness::peer_rows({&doorbell, &guest, nullptr}, &missing);
    auto lacks = [&](const char* figure) {
        return std::find(missing.begin(), missing.end(), figure) != missing.end();
    };
    EXPECT_TRUE(lacks("Linux: nic model=e1000e wait=busy-poll payload-after-send"));
    EXPECT_FALSE(lacks("Linux: nic model=e1000e wait=block payload-after-send"));
    for (const std::string& figure : missing)
        EXPECT_FALSE(figure.starts_with("DPDK")) << "there is no such run: " << figure;
    const harness::PeerRow* row = nullptr;
    for (const harness::PeerRow& one : rows)
        if (one.name == "packet, arrived to read") row = &one;
    ASSERT_NE(row, nullptr);
    EXPECT_EQ(row->interrupt, 12u);
    EXPECT_EQ(row->blocking, 120u);
    EXPECT_FALSE(row->polled.has_value());
    EXPECT_FALSE(row->dpdk.has_value());
    std::string table = harness::peer_table({*row});
    size_t at = table.find("\npacket, arrived to read");
    ASSERT_NE(at, table.npos);
    std::string line = table.substr(at + 1, table.find('\n', at + 1) - at - 1);
    EXPECT_NE(line.find("10"), line.npos) << line;  // 120 to 12
    // Polled, busy poll and DPDK have no figure, so their two ratios are missing too.
    EXPECT_EQ(std::count(line.begin(), line.end(), '-'), 5) << line;
}

}  // namespace
}  // namespace doorbell::test
