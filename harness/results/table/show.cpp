#include "harness/results/table/show.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "harness/results/table/table.h"
#include "harness/system/output.h"

namespace doorbell::harness {

int show(const Finished& finished, const Showing& showing) {
    const Run& run = finished.run;
    if (showing.json)
        write_out(json_document(run.json()));
    else if (!showing.quiet)
        print_text(table(run, showing.predictions));
    if (!finished.folder.empty() && !showing.json && !showing.quiet)
        say("run: {}\n", finished.folder.string());

    // On a terminal the table has just shown the rest.
    bool table_seen = !showing.json && !showing.quiet && isatty(STDOUT_FILENO);
    for (const std::string& line : finished.panic) complain("{}", line);
    for (const std::string& error : run.errors) complain("doorbell: the image says: {}", error);
    for (const std::string& trouble : finished.troubles) complain("doorbell: {}", trouble);
    if (finished.strict && finished.nothing_judged())
        complain("doorbell: --strict: no claim could be judged in this run");
    if (!table_seen) {
        if (!run.failure.empty()) complain("doorbell: {}", run.failure);
        if (run.wire.any_missing())
            complain("doorbell: the run is incomplete: records lost: {}, damaged: {}",
                     run.wire.lost, run.wire.damaged);
        for (const CaseEnd& fail : run.failed)
            complain("doorbell: failed: {}: {}", fail.name(), fail.reason);
        if (finished.strict)
            for (const Claim& claim : run.claims)
                if (claim.holds == false)
                    complain("doorbell: refuted: {}: {}", claim.lab, claim.text);
        if (!finished.folder.empty() && finished.exit_status() != 0)
            complain("doorbell: what arrived is in {}", finished.folder.string());
        else if (!finished.folder.empty() && showing.json)
            complain("doorbell: run: {}", finished.folder.string());
    }
    return finished.exit_status();
}

}  // namespace doorbell::harness
