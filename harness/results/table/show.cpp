#include "harness/results/table/show.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "harness/results/table/table.h"

namespace doorbell::harness {

int show(const Finished& finished, const Showing& showing) {
    const Run& run = finished.run;
    if (showing.json)
        fmt::print("{}\n", run.json().dump(2, ' ', false, Json::error_handler_t::replace));
    else if (!showing.quiet)
        fmt::print("{}", table(run));
    if (!finished.folder.empty() && !showing.json && !showing.quiet)
        fmt::print("run: {}\n", finished.folder.string());
    if (std::fflush(stdout) != 0 || std::ferror(stdout))
        fmt::print(stderr, "doorbell: cannot write to standard output\n");

    // On a terminal the table has just said the rest.
    bool table_seen = !showing.json && !showing.quiet && isatty(STDOUT_FILENO);
    for (const std::string& line : finished.panic) fmt::print(stderr, "{}\n", line);
    for (const std::string& error : run.errors)
        fmt::print(stderr, "doorbell: the image says: {}\n", error);
    for (const std::string& trouble : finished.troubles)
        fmt::print(stderr, "doorbell: {}\n", trouble);
    if (!table_seen) {
        if (!run.failure.empty()) fmt::print(stderr, "doorbell: {}\n", run.failure);
        if (run.wire.any_missing())
            fmt::print(stderr, "doorbell: the run is incomplete: records lost: {}, damaged: {}\n",
                       run.wire.lost, run.wire.damaged);
        if (finished.strict)
            for (const Claim& claim : run.claims)
                if (claim.holds == false)
                    fmt::print(stderr, "doorbell: refuted: {}: {}\n", claim.lab, claim.text);
        if (!finished.folder.empty() && finished.exit_status() != 0)
            fmt::print(stderr, "doorbell: what arrived is in {}\n", finished.folder.string());
        else if (!finished.folder.empty() && showing.json)
            fmt::print(stderr, "doorbell: run: {}\n", finished.folder.string());
    }
    return finished.exit_status();
}

}  // namespace doorbell::harness
