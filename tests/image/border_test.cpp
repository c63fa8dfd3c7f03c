// The exact lengths of the kernel's paths, and the effects of signals, in the exact clock.
#include <gtest/gtest.h>

#include "tests/image/run.h"

namespace doorbell::test {
namespace {

uint64_t median(const Json& results, const std::string& lab, const Json& test_case,
                const std::string& metric) {
    Json s = series(results, lab, test_case, metric);
    if (!s.is_object()) {
        ADD_FAILURE() << lab << " " << test_case << " " << metric << " is missing";
        return 0;
    }
    EXPECT_EQ(s["min"], s["max"]) << lab << " " << test_case
                                  << ": every sample takes the same path";
    EXPECT_EQ(s["unit"], "insn");
    return s["p50"].get<uint64_t>();
}

const Json& claim(const Json& results, const std::string& id) {
    static const Json none;
    for (const Json& c : results.at("claims"))
        if (c.at("id") == id) return c;
    return none;
}

TEST(Border, SystemCallsTakeFewInstructions) {
    Scratch scratch;
    Json r = results_of(
        scratch,
        doorbell_run(
            scratch,
            "syscall:gate=call syscall:gate=syscall,space=same syscall:gate=syscall,space=other "
            "syscall:gate=int --samples 50"));
    uint64_t call = median(r, "syscall", {{"gate", "call"}, {"space", "same"}}, "cost");
    uint64_t fast = median(r, "syscall", {{"gate", "syscall"}, {"space", "same"}}, "cost");
    uint64_t trap = median(r, "syscall", {{"gate", "int"}, {"space", "same"}}, "cost");
    EXPECT_EQ(call, 3u) << "CALL, a result, RET";
    EXPECT_EQ(fast, 21u);
    EXPECT_EQ(trap, 20u);
    EXPECT_GT(fast, call);
    // Four more instructions in each: they fetch and load two page table addresses.
    EXPECT_EQ(median(r, "syscall", {{"gate", "syscall"}, {"space", "other"}}, "cost"), fast + 4);
    EXPECT_EQ(median(r, "syscall", {{"gate", "int"}, {"space", "other"}}, "cost"), trap + 4);
    Json cheaper = claim(r, "syscall-below-int");
    ASSERT_TRUE(cheaper.is_object());
    EXPECT_TRUE(cheaper["holds"].is_null())
        << "instructions say nothing of the price of a crossing";
}

TEST(Border, SwitchesTakeFewInstructionsAndKeepTheExtendedState) {
    Scratch scratch;
    Json r = results_of(
        scratch, doorbell_run(scratch, "switch:state=registers switch:state=full --samples 50"));
    EXPECT_EQ(median(r, "switch", {{"state", "registers"}, {"space", "same"}}, "cost"), 45u);
    EXPECT_EQ(median(r, "switch", {{"state", "registers"}, {"space", "other"}}, "cost"), 47u);
    // The lab itself fails a case where a task's vector registers have changed.
    EXPECT_EQ(median(r, "switch", {{"state", "full"}, {"space", "same"}}, "cost"), 53u);
    EXPECT_EQ(median(r, "switch", {{"state", "full"}, {"space", "other"}}, "cost"), 55u);
}

TEST(Border, ASignalReachesItsHandlerSoon) {
    Scratch scratch;
    Json r = results_of(
        scratch,
        doorbell_run(
            scratch,
            "signals:target=running signals:target=ready signals:target=blocked --samples 50"));
    uint64_t running =
        median(r, "signals", {{"signal", "SIGTERM"}, {"target", "running"}}, "latency");
    EXPECT_LE(running, 200u);
    EXPECT_GT(median(r, "signals", {{"signal", "SIGTERM"}, {"target", "ready"}}, "latency"),
              running);
    EXPECT_GT(median(r, "signals", {{"signal", "SIGTERM"}, {"target", "blocked"}}, "latency"),
              running);
    EXPECT_GT(median(r, "signals", {{"signal", "SIGKILL"}, {"target", "running"}}, "latency"), 0u);
}

TEST(Border, ASignalAtEveryInstructionOfACommit) {
    Scratch scratch;
    Json r = results_of(scratch, doorbell_run(scratch, "signals --samples 1000"));
    auto get = [&](const char* signal, const char* handler, const char* metric,
                   const char* of) -> double {
        Json s = series(r, "signals", {{"signal", signal}, {"handler", handler}}, metric);
        EXPECT_TRUE(s.is_object()) << signal << " " << handler << " " << metric;
        return s.is_object() ? s[of].get<double>() : -1;
    };
    for (auto [signal, handler] : {std::pair{"SIGTERM", "stop"},
                                   {"SIGTERM", "nested"},
                                   {"SIGINT", "stop"},
                                   {"SIGPIPE", "stop"}}) {
        EXPECT_GT(get(signal, handler, "torn", "count"), 200) << "the path is longer than that";
        EXPECT_EQ(get(signal, handler, "torn", "max"), 0) << signal << " " << handler;
        EXPECT_EQ(get(signal, handler, "lost", "max"), 0) << signal << " " << handler;
        EXPECT_EQ(get(signal, handler, "held", "max"), 0) << signal << " " << handler;
    }
    // An uncaught signal does tear batches and lose records at some points; otherwise the sweep
    // above would prove nothing.
    for (auto [signal, handler] : {std::pair{"SIGTERM", "none"}, {"SIGKILL", "refused"}}) {
        EXPECT_EQ(get(signal, handler, "torn", "max"), 1) << signal;
        EXPECT_EQ(get(signal, handler, "lost", "max"), 1) << signal;
        EXPECT_EQ(get(signal, handler, "held", "max"), 1) << signal;
        EXPECT_EQ(get(signal, handler, "committed", "min"), 0) << signal;
    }
    EXPECT_EQ(get("SIGKILL", "refused", "recovered", "min"), 1)
        << "whoever comes after a killed task gets the log";
    for (const char* id :
         {"handler-saves-all", "kill-tears", "wild-pointer-ends-task", "log-taken-over"}) {
        Json c = claim(r, id);
        ASSERT_TRUE(c.is_object()) << id;
        EXPECT_EQ(c["holds"], true) << c["because"];
    }
}

TEST(Border, TooFewSamplesProveNothingForEveryPoint) {
    Scratch scratch;
    Outcome run = doorbell_run(scratch, "signals:signal=SIGTERM,handler=stop --samples 20");
    ASSERT_EQ(run.status, 0) << run.err;
    Json c = claim(results(scratch), "handler-saves-all");
    ASSERT_TRUE(c.is_object());
    EXPECT_TRUE(c["holds"].is_null()) << c["because"];
}

}  // namespace
}  // namespace doorbell::test
