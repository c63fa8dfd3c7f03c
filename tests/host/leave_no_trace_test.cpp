// However `doorbell host` ends in the middle of a packet case, its processes and network namespaces
// end with it.
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <functional>
#include <set>
#include <thread>

#include "tests/image/run.h"

namespace doorbell::test {
namespace {

/// Calls `look(target of the link)` for the namespaces of every thread, and for every open file, of
/// every process that `wanted` accepts.
void each_link(const std::function<bool(const fs::path& process)>& wanted,
               const std::function<void(const std::string& target)>& look) {
    std::error_code error;
    auto link = [&](const fs::path& file) {
        std::error_code gone;
        std::string target = fs::read_symlink(file, gone);
        if (!gone) look(target);
    };
    for (const fs::directory_entry& process : fs::directory_iterator("/proc")) {
        if (!isdigit(process.path().filename().string()[0]) || !wanted(process.path())) continue;
        for (fs::directory_iterator task(process.path() / "task", error), end;
             !error && task != end; task.increment(error)) {
            link(task->path() / "ns/net");
            std::error_code closed;
            for (fs::directory_iterator file(task->path() / "fd", closed); !closed && file != end;
                 file.increment(closed))
                link(file->path());
        }
    }
}

/// Whether the run's folder is among the process's arguments.
bool belongs_to(const fs::path& process, const Scratch& scratch) {
    return content(process / "cmdline").find((scratch / "").string()) != std::string::npos;
}

std::set<std::string> namespaces(const std::function<bool(const fs::path& process)>& wanted) {
    std::set<std::string> found;
    each_link(wanted, [&](const std::string& target) {
        if (target.starts_with("net:[")) found.insert(target);
    });
    return found;
}

/// Waits until `true_at_last` holds; false after a minute.
bool wait_until(const std::function<bool()>& true_at_last) {
    for (auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
         std::chrono::steady_clock::now() < end;) {
        if (true_at_last()) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return false;
}

class LeaveNoTrace : public testing::TestWithParam<int> {};

TEST_P(LeaveNoTrace, NoProcessAndNoNamespaceIsLeft) {
    Scratch scratch;
    if (shell(scratch, "unshare --net true").status != 0)
        GTEST_SKIP() << "network namespaces need CAP_SYS_ADMIN (root)";
    std::string run = (scratch / "run").string();
    shell(scratch, std::string(DOORBELL_COMMAND) +
                       " host syscall:gate=call nic:path=veth,wait=block --samples 5000000 --out " +
                       run + " >/dev/null 2>&1 & echo $! >pid");
    pid_t command = std::stoi(content(scratch / "pid"));
    // It is measuring: two threads, each in a namespace other than this test's.
    std::string own = fs::read_symlink("/proc/self/ns/net");
    std::set<std::string> made;
    bool measuring = wait_until([&] {
        made = namespaces([&](const fs::path& process) { return belongs_to(process, scratch); });
        made.erase(own);
        return made.size() == 2;
    });
    ASSERT_EQ(kill(command, GetParam()), 0);
    EXPECT_TRUE(measuring) << "namespaces seen: " << made.size();
    std::set<pid_t> left;
    EXPECT_TRUE(wait_until([&] {
        left.clear();
        for (const fs::directory_entry& process : fs::directory_iterator("/proc"))
            if (belongs_to(process.path(), scratch))
                left.insert(std::stoi(process.path().filename()));
        return left.empty();
    }));
    for (pid_t one : left) kill(one, SIGKILL);
    // No process and no mount holds a namespace any more, and no link has moved into the test's
    // own.
    for (const std::string& one : namespaces([](const fs::path&) { return true; }))
        EXPECT_FALSE(made.contains(one)) << one;
    for (const std::string& one : made)
        EXPECT_EQ(content("/proc/self/mountinfo").find(one), std::string::npos) << one;
    EXPECT_FALSE(fs::exists("/sys/class/net/doorbell0"));
    if (GetParam() == SIGKILL) return;
    Json got = results(scratch);
    ASSERT_FALSE(got.is_discarded());
    EXPECT_FALSE(got.at("complete").get<bool>());
    EXPECT_FALSE(series(got, "syscall", {{"gate", "call"}}, "cost").is_null());
}

INSTANTIATE_TEST_SUITE_P(By, LeaveNoTrace, testing::Values(SIGINT, SIGTERM, SIGKILL),
                         [](const auto& info) {
                             return std::string("SIG") + sigabbrev_np(info.param);
                         });

TEST(LinuxLabs, SigintSavesWhatArrivedAndEndsWith130) {
    Scratch scratch;
    std::string command = DOORBELL_COMMAND;
    Outcome run =
        shell(scratch, command +
                           " host syscall:gate=call switch:by=pipe,who=process,set=16777216 "
                           "--samples 5000000 --out run & pid=$!; "
                           "for i in $(seq 600); do grep -q 'set=16777216' run/console.log "
                           "2>/dev/null && break; sleep 0.1; done; "
                           "kill -INT $pid; wait $pid");
    EXPECT_EQ(run.status, 130) << run.err;
    Json got = results(scratch);
    ASSERT_FALSE(got.is_discarded());
    EXPECT_FALSE(got.at("complete").get<bool>());
    EXPECT_FALSE(series(got, "syscall", {{"gate", "call"}}, "cost").is_null());
}

}  // namespace
}  // namespace doorbell::test
