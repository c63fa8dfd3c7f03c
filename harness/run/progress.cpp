#include "harness/run/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include "firmware/wire/words.h"
#include "harness/system/escape.h"
#include "harness/system/output.h"
#include "harness/system/terminal.h"
#include "harness/text/number.h"

namespace doorbell::harness {
namespace {

uint64_t number_or_0(const Json& record, const char* name) {
    auto found = record.find(name);
    return found != record.end() && found->is_number_unsigned() ? found->get<uint64_t>() : 0;
}

std::string text_or_empty(const Json& record, const char* name) {
    auto found = record.find(name);
    return found != record.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

std::string progress_line(uint64_t number, uint64_t cases, const std::string& what,
                          uint64_t samples, double seconds_so_far) {
    std::string line = cases != 0 ? fmt::format("[{}/{}] {}", number, cases, what)
                                  : fmt::format("[{}] {}", number, what);
    if (samples != 0) line += fmt::format(", {} samples", grouped(samples));
    if (number > 1 && cases >= number) {
        double left = seconds_so_far / static_cast<double>(number - 1) *
                      static_cast<double>(cases - number + 1);
        line += left < 90 ? fmt::format(", about {:.0f} s left", left)
                          : fmt::format(", about {:.0f} min left", left / 60);
    }
    return line;
}

Progress::Progress(bool wanted) : enabled_(wanted && isatty(STDERR_FILENO)) {}

void Progress::say(const std::string& text) {
    if (!enabled_) return;
    write_status_line(one_line(text).substr(0, error_terminal_width() - 1));
    shown_ = true;
}

void Progress::clear() {
    if (!shown_) return;
    write_status_line("");
    shown_ = false;
}

void Progress::record(const std::string& kind, const Json& record) {
    if (!enabled_) return;
    if (kind == wire::kind::hello) {
        begun_ = cases_ = samples_ = 0;
    } else if (kind == wire::kind::plan) {
        cases_ = number_or_0(record, "cases");
        samples_ = number_or_0(record, "samples");
    } else if (kind == wire::kind::begin) {
        auto now = std::chrono::steady_clock::now();
        if (begun_++ == 0) first_case_ = now;
        auto test_case = record.find("case");
        std::string what = text_or_empty(record, "lab");
        if (test_case != record.end()) what += " " + CaseKeys::from(*test_case).text();
        line_ = progress_line(begun_, cases_, what, samples_,
                              std::chrono::duration<double>(now - first_case_).count());
        say(line_);
    } else if (kind == wire::kind::alive) {
        say(fmt::format("{}, {} frames from outside", line_,
                        grouped(number_or_0(record, "frames"))));
    }
}

}  // namespace doorbell::harness
