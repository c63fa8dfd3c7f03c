// Predictions as a user meets them: the words predict, report, compare and export.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/results/predict_fixture.h"

namespace doorbell::test {
namespace {

bool holds(const std::string& text, const std::string& words) {
    return text.find(words) != std::string::npos;
}

/// Poll and interrupt of a timer, one of them with `writes` writes to CR3.
StoredRun timer_run(double writes = 1) {
    StoredRun stored =
        run_of({counted_series("timer", "source=lapic wait=poll-tsc", "latency", 5,
                               {{"instructions", 4}, {"path_steps", 4}, {"rdtsc", 1}}),
                counted_series("timer", "source=lapic wait=irq", "latency", 5,
                               {{"instructions", 4}, {"path_steps", 4}, {"interrupts", 1}}),
                counted_series("timer", "source=lapic wait=irq", "round-trip", 20,
                               {{"instructions", 16}, {"path_steps", 4}, {"cr3_writes", writes}})});
    stored.run.claims = {{"timer", "spinning on the TSC knows sooner than a busy interrupt",
                          std::nullopt, "this clock counts an interrupt as one instruction",
                          "poll-sooner-than-irq"}};
    return stored;
}

/// Writes profile.json. An interrupt costs `entry` cycles of half a nanosecond.
void write_profile(const Scratch& scratch, double entry = 800) {
    Profile p =
        profile_of_prices({price_in_cycles("interrupt-entry", entry, entry * 0.9, entry * 1.1),
                           price_in_cycles("rdtsc", 24.5), price_in_cycles("cr3-write", 200.5)});
    scratch.write("profile.json", p.json().dump(2));
}

TEST(PredictCommand, WritesPredictionsBesideTheRunAndLeavesTheRunAsItIs) {
    Scratch scratch;
    save(scratch, "run", timer_run());
    write_profile(scratch);
    std::string before = content(scratch / "run/results.json");
    Outcome outcome = doorbell(scratch, "predict run --profile profile.json");
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_TRUE(holds(outcome.out, "402 (361 to 443)")) << outcome.out;
    EXPECT_TRUE(holds(outcome.out, "holds: spinning on the TSC")) << outcome.out;
    EXPECT_EQ(content(scratch / "run/results.json"), before);
    Json saved = Json::parse(content(scratch / "run/predictions.json"));
    EXPECT_EQ(saved.at("schema"), "doorbell-predictions/1");
    EXPECT_EQ(saved.at("claims")[0].at("predicted").at("holds"), true);
    EXPECT_EQ(saved.at("claims")[0].at("predicted").at("profile"), "fixture");
}

TEST(PredictCommand, PrintsJsonAloneAndPartsInFull) {
    Scratch scratch;
    save(scratch, "run", timer_run());
    write_profile(scratch);
    Outcome json = doorbell(scratch, "predict run --profile profile.json --json");
    EXPECT_EQ(Json::parse(json.out).at("series").size(), 3u);
    EXPECT_EQ(json.err, "");
    Outcome full = doorbell(scratch, "predict run --profile profile.json --full timer");
    EXPECT_TRUE(holds(full.out, "1.00 interrupt-entry: 400 ns")) << full.out;
    Outcome brief = doorbell(scratch, "predict run --profile profile.json timer");
    EXPECT_FALSE(holds(brief.out, "interrupt-entry")) << brief.out;
}

TEST(PredictCommand, SaysWhatIsWrongInOneLine) {
    Scratch scratch;
    save(scratch, "run", timer_run());
    write_profile(scratch);
    save(scratch, "bare", run_of({series_of("timer", "source=lapic wait=irq", "latency", {5, 5})}));
    scratch.write("broken.json", "{");
    scratch.write("other.json", R"({"schema":"doorbell/1"})");
    const std::pair<const char*, const char*> wrong[] = {
        {"predict run", "--profile is missing"},
        {"predict run --profile gone.json", "profile gone.json: no such file"},
        {"predict run --profile intel-skylak-server", "did you mean \"intel-skylake-server\"?"},
        {"predict run --profile broken.json", "broken.json is damaged: it ends in the middle"},
        {"predict run --profile other.json", "other.json is not a profile"},
        {"predict run --profile profile.json timr", "did you mean \"timer\"?"},
        {"predict nowhere --profile profile.json", "there is no run at nowhere"},
        {"predict bare --profile profile.json", "bare has no counts to price"},
        {"predict run --profile profile.json --gate 5", "--gate is about --against"},
        {"predict run --profile profile.json --against run --gate much",
         "not a number of per cent"},
        {"compare run run --predicted", "A has no predictions"},
    };
    for (const auto& [words, said] : wrong) {
        Outcome outcome = doorbell(scratch, words);
        EXPECT_EQ(outcome.status, 2) << words;
        EXPECT_TRUE(holds(outcome.err, said)) << words << ": " << outcome.err;
        EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
        fs::remove(scratch / "run/predictions.json");
    }
}

TEST(PredictCommand, AProfileThatIsWrongIsRefusedWithThePlace) {
    Scratch scratch;
    save(scratch, "run", timer_run());
    const Json good = profile_of_prices({price_in_cycles("interrupt-entry", 800)}).json();
    auto with = [&](const char* patch) { return good.patch(Json::parse(patch)); };
    const std::pair<Json, const char*> wrong[] = {
        {with(R"([{"op":"remove","path":"/prices"}])"), "it has no list \"prices\""},
        {with(R"([{"op":"copy","from":"/prices/0","path":"/prices/-"}])"),
         "price \"instruction\" is there twice"},
        {with(R"([{"op":"replace","path":"/prices/0/cycles/low","value":-1}])"),
         "price \"instruction\": cycles is not in the order 0 <= low <= value <= high"},
        {with(R"([{"op":"remove","path":"/prices/0/cycles"}])"),
         "price \"instruction\" has a value in none of insn, ticks, cycles and ns"},
        {with(R"([{"op":"replace","path":"/prices/0/cycles/value","value":"1"}])"),
         "price \"instruction\": cycles has no number \"value\""},
        {with(R"([{"op":"replace","path":"/machine/core_hz","value":"fast"}])"), "\"core_hz\""},
        {with(R"([{"op":"replace","path":"/machine/core_hz","value":-2e9}])"), "\"core_hz\""},
        {with(R"([{"op":"replace","path":"/tsc_hz","value":-1}])"), "\"tsc_hz\""},
    };
    for (const auto& [profile, said] : wrong) {
        scratch.write("profile.json", profile.dump());
        Outcome outcome = doorbell(scratch, "predict run --profile profile.json");
        EXPECT_EQ(outcome.status, 2) << said;
        EXPECT_TRUE(holds(outcome.err, said)) << said << ": " << outcome.err;
        EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    }
    scratch.write("profile.json", good.dump());
    EXPECT_EQ(doorbell(scratch, "predict run --profile profile.json").status, 0);
    scratch.write("profile.json", "{\"schema\": }");
    Outcome outcome = doorbell(scratch, "predict run --profile profile.json");
    EXPECT_TRUE(holds(outcome.err, "profile.json is damaged: it is not JSON from byte 12 on"))
        << outcome.err;
}

TEST(PredictCommand, SaysWhereTheProfileIsOfAnotherProcessor) {
    Scratch scratch;
    save(scratch, "run", timer_run());
    Profile p = profile_of_prices({price_in_cycles("interrupt-entry", 800)});
    p.machine["cpu"] = "Processor A";
    scratch.write("profile.json", p.json().dump());
    StoredRun measured = run_of({series_of("timer", "source=lapic wait=irq", "latency",
                                           std::vector<uint64_t>(9, 350), "tick", "measured")});
    for (const char* cpu : {"Processor A", "Processor B"}) {
        measured.run.machine["cpu"] = cpu;
        save(scratch, "hardware", measured);
        Outcome outcome =
            doorbell(scratch, "predict run --profile profile.json --against hardware --json");
        EXPECT_EQ(outcome.status, 0) << outcome.err;
        bool other = cpu == std::string("Processor B");
        EXPECT_EQ(Json::parse(outcome.out).contains("note"), other) << outcome.out;
        EXPECT_EQ(holds(outcome.err, "another processor (Processor A)"), other) << outcome.err;
    }
}

TEST(PredictCommand, ComparesWithAMeasuredRunAndGatesTheError) {
    Scratch scratch;
    save(scratch, "run", timer_run());
    write_profile(scratch);
    // Predicted 402 ns; the TSC has 1 GHz.
    save(scratch, "hardware",
         run_of({series_of("timer", "source=lapic wait=irq", "latency",
                           std::vector<uint64_t>(9, 350), "tick", "measured")},
                "live"));
    std::string words = "predict run --profile profile.json --against hardware";
    Outcome json = doorbell(scratch, words + " --json");
    EXPECT_EQ(json.status, 0) << json.err;
    Json against = Json::parse(json.out);
    EXPECT_EQ(against.at("bodies"), 1);
    EXPECT_NEAR(against.at("geomean_error").get<double>(), 402.0 / 350 - 1, 1e-3);
    EXPECT_EQ(against.at("inside_interval"), 0);
    EXPECT_EQ(doorbell(scratch, words + " --gate 20").status, 0);
    Outcome gate = doorbell(scratch, words + " --gate 10");
    EXPECT_EQ(gate.status, 1);
    EXPECT_TRUE(holds(gate.err, "beyond the gate of 10 %")) << gate.err;
    Outcome report = doorbell(scratch, "report run --out -");
    EXPECT_TRUE(holds(report.out, "Predicted on fixture beside measured in hardware"));
}

TEST(PredictCommand, ReportBeginsWithWhatIsPredicted) {
    Scratch scratch;
    save(scratch, "run", timer_run());
    write_profile(scratch);
    std::string bare = doorbell(scratch, "report run --out -").out;
    EXPECT_FALSE(holds(bare, "predicted on fixture"));
    ASSERT_EQ(doorbell(scratch, "predict run --profile profile.json --quiet").status, 0);
    std::string page = doorbell(scratch, "report run --out -").out;
    EXPECT_TRUE(holds(
        page,
        "On profile fixture, polling (poll-tsc) is predicted to notice a timer's "
        "deadline after 14.0 ns (13.3 to 15.0), the interrupt handler after 402 ns (361 to 443): "
        "polling is 388 ns sooner"))
        << page.substr(0, 3000);
    EXPECT_LT(page.find("On profile fixture, polling"), page.find("Asking (poll-tsc)"));
    EXPECT_TRUE(holds(page, "interrupt: delivery and entry"));
    size_t predicted = page.find("predicted ns on fixture, by polling or by interrupt"),
           exact = page.find(", asked or told");
    ASSERT_NE(predicted, page.npos);
    ASSERT_NE(exact, page.npos);
    EXPECT_LT(predicted, exact);
    EXPECT_TRUE(holds(page, "predicted on fixture: holds"));
    EXPECT_TRUE(holds(page, "402 ns (361 to 443)"));
}

TEST(PredictCommand, OverlappingIntervalsAreOpen) {
    Scratch scratch;
    save(scratch, "run", timer_run());
    write_profile(scratch, 25);
    Outcome outcome = doorbell(scratch, "predict run --profile profile.json");
    EXPECT_TRUE(holds(outcome.out, "open: spinning on the TSC")) << outcome.out;
    EXPECT_TRUE(holds(doorbell(scratch, "report run --out -").out, "open, the intervals overlap"));
}

TEST(PredictCommand, JunitCarriesTheSecondVerdict) {
    Scratch scratch;
    save(scratch, "run", timer_run());
    write_profile(scratch);
    ASSERT_EQ(doorbell(scratch, "predict run --profile profile.json --quiet").status, 0);
    std::string junit = doorbell(scratch, "export run --format junit").out;
    EXPECT_TRUE(holds(junit, "predicted on fixture: holds")) << junit;
}

TEST(PredictCommand, ComparesThePredictionsOfTwoRuns) {
    Scratch scratch;
    save(scratch, "a", timer_run(1));
    save(scratch, "b", timer_run(2));
    write_profile(scratch);
    for (const char* run : {"a", "b"})
        ASSERT_EQ(
            doorbell(scratch, std::string("predict ") + run + " --profile profile.json --quiet")
                .status,
            0);
    Outcome same = doorbell(scratch, "compare a a --predicted --gate 0");
    EXPECT_EQ(same.status, 0) << same.err;
    EXPECT_TRUE(holds(same.out, "3 equal, 0 changed")) << same.out;
    // One more write to CR3: 208 instead of 108 cycles.
    Outcome more = doorbell(scratch, "compare a b --predicted --gate 5");
    EXPECT_EQ(more.status, 1);
    EXPECT_TRUE(holds(more.out, "104 ns")) << more.out;
    EXPECT_TRUE(holds(more.err, "beyond the gate of 5 %: timer source=lapic wait=irq round-trip"))
        << more.err;
    EXPECT_EQ(doorbell(scratch, "compare a b --predicted --gate 200").status, 0);
    EXPECT_EQ(doorbell(scratch, "compare b a --predicted --gate 5").status, 0);
    // Exact counts are as they were: without --predicted nothing is judged by prices.
    write_profile(scratch, 900);
    Profile other = profile_of_prices({});
    other.name = "other";
    scratch.write("other.json", other.json().dump());
    doorbell(scratch, "predict b --profile other.json --quiet");
    EXPECT_EQ(doorbell(scratch, "compare a b --predicted").status, 2);
}

TEST(PredictCommand, DamagedPredictionsAreNamed) {
    Scratch scratch;
    save(scratch, "run", timer_run());
    scratch.write("run/predictions.json", "{");
    Outcome outcome = doorbell(scratch, "report run --out -");
    EXPECT_EQ(outcome.status, 2);
    EXPECT_TRUE(holds(outcome.err, "predictions.json is damaged")) << outcome.err;
    // Another run's are not this one's.
    save(scratch, "other", timer_run(2));
    write_profile(scratch);
    ASSERT_EQ(doorbell(scratch, "predict other --profile profile.json --quiet").status, 0);
    fs::copy_file(scratch / "other/predictions.json", scratch / "run/predictions.json",
                  fs::copy_options::overwrite_existing);
    outcome = doorbell(scratch, "report run --out -");
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_FALSE(holds(outcome.out, "predicted on fixture"));
}

/// The two cases of the claim that SYSCALL is cheaper than INT, in QEMU with the cache model.
const char* const two_gates =
    "run syscall:gate=syscall,space=same syscall:gate=int,space=same --samples 20 --model on "
    "--out run ";

TEST(PredictCommand, ARunIsPredictedOnTheProfileThatItNames) {
    Scratch scratch;
    Profile p = profile_of_prices(
        {price_in_cycles("syscall-sysret", 90), price_in_cycles("int-iretq-ring3", 600),
         price_in_cycles("iretq", 200), price_in_cycles("mispredict", 15),
         price_in_cycles("dtlb-miss-4k", 7), price_in_cycles("load-chained-l2", 14),
         price_in_cycles("load-chained-llc", 50), price_in_cycles("load-chained-memory", 200)});
    scratch.write("profile.json", p.json().dump());
    Outcome outcome = doorbell(scratch, std::string(two_gates) + "--profile profile.json");
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_TRUE(holds(outcome.out, "cannot say: SYSCALL is cheaper than INT")) << outcome.out;
    EXPECT_TRUE(holds(outcome.out, "predicted on fixture: holds (gate=syscall space=same cost "))
        << outcome.out;
    EXPECT_TRUE(fs::exists(scratch / "run/predictions.json"));
    EXPECT_TRUE(holds(content(scratch / "run/report.html"), "predicted on fixture: holds"));
    // The folder's next run is not predicted, and has not the last one's predictions.
    outcome = doorbell(scratch, std::string(two_gates) + "--profile none");
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_FALSE(holds(outcome.out, "predicted")) << outcome.out;
    EXPECT_FALSE(fs::exists(scratch / "run/predictions.json"));
}

TEST(PredictCommand, AWrongProfileIsToldBeforeTheRunStarts) {
    Scratch scratch;
    Outcome outcome = doorbell(scratch, std::string(two_gates) + "--profile amd-zen33");
    EXPECT_EQ(outcome.status, 2);
    EXPECT_TRUE(holds(outcome.err, "did you mean \"amd-zen3\"?")) << outcome.err;
    EXPECT_FALSE(fs::exists(scratch / "run"));
}

}  // namespace
}  // namespace doorbell::test
