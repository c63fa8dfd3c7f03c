// Machines that people have and that differ from the plain one: more processors, more buses, cards
// with other options, serial ports elsewhere.
#include <gtest/gtest.h>

#include "tests/image/run.h"

namespace doorbell::test {
namespace {

/// A QEMU with more on its command line than `doorbell run` puts there; the last word counts.
std::string qemu_with(const Scratch& scratch, const std::string& more) {
    fs::path script = scratch / "qemu";
    std::ofstream(script) << "#!/bin/sh\nexec qemu-system-x86_64 \"$@\" " << more << "\n";
    fs::permissions(script, fs::perms::owner_all);
    return " --qemu " + script.string();
}

TEST(Processors, MwaitWakesUpBesideASecondOne) {
    for (const char* clock : {"exact", "live"}) {
        Scratch scratch;
        Outcome run = doorbell_run(
            scratch, std::string("timer:wait=mwait --samples 50 --timeout 60 --clock ") + clock +
                         qemu_with(scratch, "-smp 2"));
        ASSERT_EQ(run.status, 0) << clock << run.err;
        Json r = results(scratch);
        for (const char* source : {"lapic", "hpet", "pit"}) {
            Json s = series(r, "timer", {{"source", source}, {"wait", "mwait"}}, "latency");
            ASSERT_TRUE(s.is_object()) << clock << source << r["skipped"].dump();
            EXPECT_EQ(s["count"], 50);
        }
    }
}

}  // namespace
}  // namespace doorbell::test
