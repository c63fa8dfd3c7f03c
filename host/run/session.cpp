#include "host/run/session.h"

#include <sched.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "firmware/wire/words.h"
#include "host/run/records.h"

namespace doorbell::host {
namespace {

void write_line(void*, std::string_view line) {
    std::string text(line);
    text += '\n';
    for (size_t at = 0; at < text.size();) {
        ssize_t n = write(STDOUT_FILENO, text.data() + at, text.size() - at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) _exit(1);  // nobody listens any more
        at += static_cast<size_t>(n);
    }
}

/// On a serial line, its interrupts must have ended before the next case is measured.
void drain() {
    if (isatty(STDOUT_FILENO)) tcdrain(STDOUT_FILENO);
}

/// A lab's changes to this thread must not affect the next lab.
void forget_scheduling(int cpu) {
    sched_param param{};
    sched_setscheduler(0, SCHED_OTHER, &param);
    pin(cpu);
}

}  // namespace

LinuxRun::LinuxRun(const Words& words, const char* program)
    : words_(words), sender_(write_line, nullptr) {
    // Page faults belong to the warm-up; without the right to lock memory they may come later too.
    (void)mlockall(MCL_CURRENT);
    pin(words.request.cpus[0]);
    instrument_ = observe(words.request.cpus[0]);
    counters_ = look_for_counters(words.counting, words.root);
    sender_.begin(wire::kind::hello)
        .member("wire", wire::wire_name)
        .member("image", program)
        .member("command_line", "");
    sender_.send();
    emit_machine(sender_, instrument_);
    emit_instrument(sender_, instrument_, counters_.name(), counters_.because);
    wire::Json& plan = sender_.begin(wire::kind::plan);
    plan.member("cases", words.cases.size())
        .member("samples", words.request.samples)
        .member("seed", words.request.seed);
    sender_.send();
}

uint64_t LinuxRun::samples_of(const Chosen& chosen) const {
    uint64_t fewer = chosen.lab->fewer != nullptr ? chosen.lab->fewer(*chosen.test_case) : 1;
    return std::max<uint64_t>(words_.request.samples / fewer, 1);
}

std::string LinuxRun::run(const Chosen& chosen, Loop& loop) {
    if (bench_ == nullptr) {
        outcome_ = Outcome::done;
        why_.clear();
        sender_.begin(wire::kind::begin)
            .member("lab", chosen.lab->name)
            .member("case", chosen.test_case->text());
        sender_.send();
        drain();
        bench_ =
            std::make_unique<LinuxBench>(instrument_, words_.request, samples_of(chosen), &loop);
    } else {
        bench_->next(loop);
    }
    try {
        forget_scheduling(words_.request.cpus[0]);
        chosen.lab->body(*bench_, *chosen.test_case);
        bench_->close_repetition();
    } catch (const Skip& skip) {
        ended(Outcome::skipped, skip.what());
    } catch (const std::exception& error) {
        ended(Outcome::failed, error.what());
    }
    return why_;
}

void LinuxRun::ended(Outcome outcome, const std::string& why) {
    if (outcome <= outcome_) return;
    outcome_ = outcome;
    why_ = why;
}

void LinuxRun::close(const Chosen& chosen) {
    if (bench_ == nullptr) return;
    uint64_t first = next_id_;
    if (outcome_ == Outcome::done)
        emit_case(sender_, next_id_, *chosen.lab, *chosen.test_case, *bench_);
    else
        emit_end(sender_, outcome_ == Outcome::failed ? wire::kind::fail : wire::kind::skip,
                 *chosen.lab, *chosen.test_case, why_);
    bench_.reset();
    drain();
    if (next_id_ != first) count(chosen, first);
}

/// The counts belong to the case; they are sent with its first series.
void LinuxRun::count(const Chosen& chosen, uint64_t id) {
    Pass pass = [&](uint64_t samples, Loop& loop, Window& window) {
        LinuxRequest request = words_.request;
        request.raw = false;
        LinuxBench bench(instrument_, request, samples, &loop, &window);
        forget_scheduling(request.cpus[0]);
        chosen.lab->body(bench, *chosen.test_case);
    };
    auto say = [&](const char* what, const std::string& why) {
        std::string flag = what + std::string(chosen.lab->name) + " " +
                           std::string(chosen.test_case->text()) + ": " + why;
        sender_.begin(wire::kind::flag).member("text", std::string_view(flag));
        sender_.send();
    };
    auto attempt = [&](auto&& take_counts) {
        try {
            CaseCounts counted = take_counts();
            emit_counts(sender_, id, counted);
            if (!counted.trouble.empty()) say("some counters are missing from ", counted.trouble);
            return true;
        } catch (const Wrong& wrong) {
            emit_end(sender_, wire::kind::fail, *chosen.lab, *chosen.test_case, wrong.what());
            return true;
        } catch (const std::exception& error) {
            say("no counters of ", error.what());
            return false;
        }
    };
    constexpr uint64_t most_samples = 256;
    if (counters_.perf)
        attempt([&] {
            return count_by_perf(pass, std::min(samples_of(chosen), most_samples),
                                 chosen.lab->count_threads);
        });
    // What PCM refuses once, it refuses for every case.
    if (counters_.pcm && !attempt([&] {
            return count_by_pcm(pass, *counters_.pcm, words_.request.cpus[0], instrument_.tsc_hz);
        }))
        counters_.pcm.reset();
    drain();
}

void LinuxRun::end() {
    uint64_t records = sender_.sent() + 1;
    sender_.begin(wire::kind::end).member("status", "done").member("records", records);
    sender_.send();
    drain();
}

}  // namespace doorbell::host
