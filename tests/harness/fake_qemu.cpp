// A program that the tests use in QEMU's place. The environment controls it:
//   FAKE          the behaviour, see `behaviours` below (default: good)
//   FAKE_VERSION  what --version says (default: 7.2.22)
//   FAKE_PLUGIN   why no plugin can be loaded (default: it can)
//   FAKE_EVENTS   a FIFO or file that gets one line for each event ("running PID", "term")
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "firmware/wire/record.h"
#include "firmware/wire/words.h"

namespace {

using doorbell::wire::Json;
using doorbell::wire::Sender;

constexpr int status_done = 33, status_failed = 37;

void event(const std::string& text) {
    const char* path = getenv("FAKE_EVENTS");
    if (path == nullptr) return;
    int file = open(path, O_WRONLY | O_APPEND);
    if (file < 0) return;
    std::string line = text + "\n";
    (void)!write(file, line.data(), line.size());
    close(file);
}

void print(std::string_view text) {
    while (!text.empty()) {
        ssize_t done = write(1, text.data(), text.size());
        if (done <= 0) _exit(1);
        text.remove_prefix(static_cast<size_t>(done));
    }
}

enum class Holds { yes, no, cannot_say };

void send_opening(Sender& wire) {
    wire.begin("hello")
        .member("wire", doorbell::wire::wire_name)
        .member("image", "fake")
        .member("command_line", "");
    wire.send();
    wire.begin("machine").member("cpu", "Fake CPU").member("tsc_hz", 1000000000u);
    wire.send();
    wire.begin("instrument")
        .member("clock", "exact")
        .member("unit", "insn")
        .member("verdict", "exact")
        .member("because", "a call and an interrupt cost the same");
    wire.send();
    wire.begin("plan").member("cases", 2u).member("samples", 10u).member("seed", 1u);
    wire.send();
}

void send_case(Sender& wire, unsigned id, const char* test_case) {
    wire.begin("begin").member("lab", "timer").member("case", test_case);
    wire.send();
    Json& series = wire.begin("series");
    series.member("id", id)
        .member("lab", "timer")
        .member("case", test_case)
        .member("metric", "latency")
        .member("unit", "insn")
        .member("evidence", "exact");
    series.member("count", 10u)
        .member("min", 5 + id)
        .member("max", 3000u)
        .member("sum", 9 * (5 + id) + 3000);
    series.member("overhead_removed", 2u).key("stages").array().end().key("flags").array().end();
    wire.send();
    Json& histogram = wire.begin("histogram");
    histogram.member("of", id).member("part", "all").key("bins").array();
    histogram.array().value(5 + id).value(9u).end().array().value(3000u).value(1u).end().end();
    wire.send();
}

/// A skip or a fail.
void send_end_of_case(Sender& wire, const char* kind, const char* test_case, const char* reason) {
    wire.begin(kind).member("lab", "timer").member("case", test_case).member("reason", reason);
    wire.send();
}

/// The lines of a whole run, as an image would send them. `failed`: a case that fails, or null.
std::vector<std::string> whole_run(Holds holds = Holds::yes, const char* failed = nullptr) {
    std::vector<std::string> lines;
    Sender wire(
        [](void* to, std::string_view line) {
            static_cast<std::vector<std::string>*>(to)->emplace_back(line);
        },
        &lines);
    send_opening(wire);
    send_case(wire, 0, "source=lapic wait=poll");
    send_case(wire, 1, "source=lapic wait=irq");
    send_end_of_case(wire, "skip", "source=hpet wait=irq", "there is no HPET");
    if (failed != nullptr) send_end_of_case(wire, "fail", failed, "it hangs");
    Json& claim = wire.begin("claim");
    claim.member("lab", "timer").member("text", "polling is sooner than an interrupt").key("holds");
    if (holds == Holds::cannot_say)
        claim.null();
    else
        claim.value(holds == Holds::yes);
    claim.member("because", "5 insn against 6 insn");
    wire.send();
    wire.begin("end").member("status", "done").member("records", 12u);
    wire.send();
    return lines;
}

/// Prints lines[0 .. end) without those that `change` drops or alters.
void print_lines(const std::vector<std::string>& lines, size_t end) {
    std::string all;
    for (size_t i = 0; i < end && i < lines.size(); ++i) all += lines[i] + "\r\n";
    print(all);
}

/// A run of one series with a thousand bins: the console and the results are larger than 8,000
/// bytes, the table is not.
int large() {
    Sender wire([](void*, std::string_view line) { print(std::string(line) + "\r\n"); }, nullptr);
    wire.begin("hello").member("wire", doorbell::wire::wire_name);
    wire.send();
    wire.begin("series")
        .member("id", 0u)
        .member("lab", "timer")
        .member("case", "source=lapic wait=irq")
        .member("metric", "latency")
        .member("unit", "insn")
        .member("evidence", "exact")
        .member("count", 1000u)
        .member("min", 1000u)
        .member("max", 1999u)
        .member("sum", 1499500u);
    wire.send();
    for (unsigned first = 1000; first < 2000; first += 100) {
        Json& bins =
            wire.begin("histogram").member("of", 0u).member("part", "all").key("bins").array();
        for (unsigned value = first; value < first + 100; ++value)
            bins.array().value(value).value(1u).end();
        bins.end();
        wire.send();
    }
    wire.begin("end").member("status", "done");
    wire.send();
    return status_done;
}

constexpr size_t some = 7;  // through the first case's series and histogram

void on_term(int) { event("term"); }

[[noreturn]] void stay() {
    event("running " + std::to_string(getpid()));
    for (;;) pause();
}

int lost() {
    auto lines = whole_run();
    lines.erase(lines.begin() + 5);
    print_lines(lines, lines.size());
    return status_done;
}

int cut() {
    auto lines = whole_run();
    lines[6] = lines[6].substr(0, lines[6].size() / 2);
    print_lines(lines, lines.size());
    return status_done;
}

int repeated() {
    auto lines = whole_run();
    lines.insert(lines.begin() + 5, lines[5]);
    print_lines(lines, lines.size());
    return status_done;
}

int wrong_crc() {
    auto lines = whole_run();
    lines[5][lines[5].find("3000")] = '4';
    print_lines(lines, lines.size());
    return status_done;
}

int no_end() {
    auto lines = whole_run();
    print_lines(lines, lines.size() - 1);
    return status_done;
}

int panic() {
    auto lines = whole_run();
    print_lines(lines, some);
    // The next number of the sequence, from a sender that has sent that many.
    Sender wire(
        [](void* skip, std::string_view line) {
            auto& left = *static_cast<size_t*>(skip);
            if (left == 0)
                print(std::string(line) + "\r\n");
            else
                --left;
        },
        new size_t(some));
    for (size_t i = 0; i < some; ++i) {
        wire.begin("flag");
        wire.send();
    }
    const char* rip = getenv("FAKE_RIP");
    wire.begin("panic")
        .member("vector", 14u)
        .member("name", "#PF page fault")
        .member("error_code", 2u)
        .member("rip", rip ? rip : "0xdeadbeef")
        .member("phase", "lab")
        .member("lab", "timer")
        .member("case", "source=lapic wait=poll")
        .key("backtrace")
        .array()
        .value(rip ? rip : "0xdeadbeef")
        .end();
    wire.send();
    return status_failed;
}

const std::map<std::string, std::function<int()>> behaviours = {
    {"good",
     [] {
         auto lines = whole_run();
         print("firmware says hi\r\n\x1b[2J\x1b[01;01H");
         print_lines(lines, lines.size());
         return status_done;
     }},
    {"claim-fails",
     [] {
         auto lines = whole_run(Holds::no);
         print_lines(lines, lines.size());
         return status_done;
     }},
    {"case-fails",
     [] {
         auto lines = whole_run(Holds::yes, getenv("FAKE_FAILED"));
         print_lines(lines, lines.size());
         return status_done;
     }},
    {"claim-open",
     [] {
         auto lines = whole_run(Holds::cannot_say);
         print_lines(lines, lines.size());
         return status_done;
     }},
    {"large", large},
    {"lost", lost},
    {"cut", cut},
    {"repeated", repeated},
    {"wrong-crc", wrong_crc},
    {"no-end", no_end},
    {"panic", panic},
    {"silent-end",
     [] {
         fputs("qemu: could not load the kernel\n", stderr);
         return 1;
     }},
    {"killed",
     [] {
         print_lines(whole_run(), some);
         raise(SIGSEGV);
         return 0;
     }},
    {"linux-panic",
     [] {
         print(
             "[    0.5] Kernel panic - not syncing: No working init found.\r\n[    0.6] ---[ end "
             "Kernel panic ]---\r\n");
         return 0;
     }},
    {"triple",
     [] {
         print_lines(whole_run(), some);
         return 0;
     }},
    {"hang",
     [] {
         print_lines(whole_run(), some);
         stay();
         return 0;
     }},
    {"nothing",
     [] {
         stay();
         return 0;
     }},
    {"deaf",
     [] {
         signal(SIGTERM, on_term);
         print_lines(whole_run(), some);
         stay();
         return 0;
     }},
    {"stays-after-end",
     [] {
         auto lines = whole_run();
         print_lines(lines, lines.size());
         stay();
         return 0;
     }},
    {"flood",
     [] {
         print_lines(whole_run(), some);
         for (;;) print(std::string(4096, 'x') + "\n");
         return 0;
     }},
    {"endless-line",
     [] {
         print_lines(whole_run(), some);
         for (;;) print(std::string(65536, 'x'));
         return 0;
     }},
    {"restart",
     [] {
         print_lines(whole_run(), some);
         auto lines = whole_run();
         print_lines(lines, lines.size());
         return status_done;
     }},
};

}  // namespace

int main(int argc, char** argv) {
    bool plugin = false, monitor = false;
    for (int i = 1; i < argc; ++i) {
        std::string_view word = argv[i];
        if (word == "--version") {
            const char* version = getenv("FAKE_VERSION");
            printf("QEMU emulator version %s (Fake)\n", version ? version : "7.2.22");
            return 0;
        }
        plugin |= word == "-plugin";
        monitor |= word == "stdio" && std::string_view(argv[i - 1]) == "-monitor";
    }
    if (const char* why = getenv("FAKE_PLUGIN"); why != nullptr && plugin) {
        fprintf(stderr, "fake QEMU: %s\n", why);
        return 1;
    }
    if (monitor) {
        char line[16] = {};
        bool quits =
            fgets(line, sizeof line, stdin) != nullptr && std::string_view(line) == "quit\n";
        return quits ? 0 : 1;
    }
    const char* name = getenv("FAKE");
    auto found = behaviours.find(name ? name : "good");
    if (found == behaviours.end()) {
        fprintf(stderr, "fake QEMU: no behaviour %s\n", name);
        return 2;
    }
    return found->second();
}
