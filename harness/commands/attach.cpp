// doorbell attach: collects from a machine on a serial line, a pty, a pipe or a file.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "firmware/wire/words.h"
#include "harness/commands/commands.h"
#include "harness/commands/documents.h"
#include "harness/results/report/report.h"
#include "harness/run/options.h"
#include "harness/run/session.h"
#include "harness/system/ending.h"
#include "harness/system/escape.h"
#include "harness/system/file.h"
#include "harness/system/gunzip.h"
#include "harness/system/output.h"
#include "harness/system/version.h"
#include "harness/text/number.h"

namespace doorbell::harness {

namespace asio = boost::asio;
namespace po = boost::program_options;
using boost::system::error_code;

namespace {

struct Speed {
    unsigned baud;
    speed_t code;
};
constexpr Speed speeds[] = {{9600, B9600},     {19200, B19200},   {38400, B38400},
                            {57600, B57600},   {115200, B115200}, {230400, B230400},
                            {460800, B460800}, {921600, B921600}};

speed_t speed_code(const std::string& word) {
    std::vector<std::string> words;
    for (const Speed& speed : speeds) {
        words.push_back(std::to_string(speed.baud));
        if (words.back() == word) return speed.code;
    }
    check_choice("--baud", word, words);
    return B115200;
}

/// Opens the line for reading; a terminal is made raw: 8 bits, no parity, one stop bit, no echo.
int open_line(const std::string& device, speed_t speed) {
    auto failed = [&](const char* what) {
        throw MachineError(fmt::format("cannot {} {}: {}", what, device, strerror(errno)));
    };
    int line;
    if (device == "-") {
        // Open it again: a non-blocking read would otherwise change the shell's own input.
        line = open("/proc/self/fd/0", O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
        if (line < 0) line = dup(0);
    } else {
        struct stat status{};
        if (stat(device.c_str(), &status) != 0) failed("open");
        // Opening a serial line must not wait for its carrier; opening a pipe must wait for its
        // writer.
        line = open(device.c_str(),
                    O_RDONLY | O_NOCTTY | O_CLOEXEC | (S_ISCHR(status.st_mode) ? O_NONBLOCK : 0));
    }
    if (line < 0) failed("open");
    if (device == "-" || !isatty(line)) return line;
    termios settings{};
    if (tcgetattr(line, &settings) != 0) failed("read the settings of");
    cfmakeraw(&settings);
    settings.c_cflag |= CLOCAL | CREAD;
    settings.c_cflag &= ~static_cast<tcflag_t>(CSTOPB | PARENB);
    cfsetispeed(&settings, speed);
    cfsetospeed(&settings, speed);
    if (tcsetattr(line, TCSANOW, &settings) != 0) failed("set the speed of");
    return line;
}

/// How long to wait for another run after one that ended, on a line that stays open. A recording
/// has an end of its own.
constexpr auto pause_of_pipe = std::chrono::seconds(5), pause_of_line = std::chrono::seconds(2);

class Listener {
  public:
    Listener(Session& session, int line, unsigned timeout_s)
        : session_(session),
          timeout_(timeout_s),
          line_(io_, line),
          watchdog_(io_),
          pause_(io_),
          signals_(io_),
          unpack_([this](std::string_view bytes) { session_.wire(bytes); }) {
        struct stat status{};
        recording_ = fstat(line, &status) == 0 && S_ISREG(status.st_mode);
        terminal_ = isatty(line) != 0;
    }

    void run() {
        session_.on_record = [this] { feed_watchdog(); };
        session_.listeners.emplace_back([this](const std::string& kind, const Json& record) {
            if (kind != wire::kind::hello) return;
            auto words = record.find("command_line");
            resets_ = words != record.end() && words->is_string() &&
                      words->get<std::string>().find("exit=reset") != std::string::npos;
        });
        signals_.wait([this](int number) {
            // Once a whole run has arrived, the signal only ends the wait for more.
            if (!pausing_) {
                signal_ = number;
                failure_ =
                    fmt::format("interrupted by {} {}", signal_name(number), session_.where());
            }
            stop();
        });
        read();
        io_.run();
        session_.on_record = {};
    }

    const std::string& failure() const { return failure_; }
    int signal() const { return signal_; }

  private:
    void read() {
        line_.async_read_some(asio::buffer(buffer_),
                              [this](const error_code& error, size_t length) {
                                  if (stopped_) return;
                                  std::string_view bytes(buffer_.data(), length);
                                  if (first_.size() < 8)
                                      first_ += bytes.substr(0, 8 - first_.size());
                                  // A serial line is not compressed; do not wait for a gzip header.
                                  terminal_ ? session_.wire(bytes) : unpack_.feed(bytes);
                                  if (error) return ended(error);
                                  perhaps_pause();
                                  if (!stopped_) read();
                              });
    }

    /// The line has ended.
    void ended(const error_code& error) {
        std::string trouble = terminal_ ? std::string() : unpack_.end();
        session_.collector().end_of_input();
        if (session_.collector().over()) return stop();
        // A pty reports EIO when its other side is gone.
        failure_ = error == asio::error::eof || error.value() == EIO
                       ? fmt::format("the line ended {}, without the end record", session_.where())
                       : fmt::format("the line failed {}: {}", session_.where(), error.message());
        if (trouble.empty() && session_.collector().records() == 0) trouble = known_packing(first_);
        if (!trouble.empty()) failure_ += "; " + trouble;
        stop();
    }

    /// A run is over: read a recording to its end, any other line only for a while. A machine that
    /// restarts after each run would never fall silent.
    void perhaps_pause() {
        bool over = session_.collector().over();
        if (recording_ || over == pausing_) return;
        pausing_ = over;
        if (!over) {
            pause_.cancel();
            return;
        }
        if (resets_) return stop();
        watchdog_.cancel();
        pause_.expires_after(terminal_ ? pause_of_line : pause_of_pipe);
        pause_.async_wait([this](const error_code& error) {
            if (!error && pausing_) stop();
        });
        session_.progress().say("the run is over; another may follow ...");
    }

    /// Starts with the first record: before it, somebody may still have to switch the machine on.
    void feed_watchdog() {
        watchdog_.expires_after(std::chrono::seconds(timeout_));
        watchdog_.async_wait([this](const error_code& error) {
            if (error || stopped_ || session_.collector().over()) return;
            failure_ = fmt::format(
                "no record for {} s, {}: the machine hangs (or needs a longer --timeout)", timeout_,
                session_.where());
            stop();
        });
    }

    void stop() {
        stopped_ = true;
        error_code ignored;
        watchdog_.cancel();
        pause_.cancel();
        signals_.cancel();
        line_.close(ignored);
    }

    Session& session_;
    unsigned timeout_;
    asio::io_context io_;
    asio::posix::stream_descriptor line_;
    asio::steady_timer watchdog_, pause_;
    EndingSignals signals_;
    Gunzip unpack_;
    std::array<char, 65536> buffer_;
    std::string first_, failure_;
    int signal_ = 0;
    bool stopped_ = false, pausing_ = false, resets_ = false, recording_ = false, terminal_ = false;
};

/// What a line with several runs held, and which of them is shown: for people, on stderr.
void tell_captured(const Finished& finished) {
    if (finished.captured.size() < 2) return;
    std::string runs;
    size_t number = 0, complete = 0;
    for (const CapturedRun& run : finished.captured) {
        complete += run.complete;
        runs +=
            fmt::format("{}{}: {} records, {}", number == 0 ? "" : "; ", number + 1, run.records,
                        run.complete          ? "complete"
                        : run.failure.empty() ? "records lost"
                                              : run.failure);
        ++number;
    }
    complain(
        "doorbell attach: the line held {} runs, {} complete ({}); this is number {}, --which "
        "chooses another",
        finished.captured.size(), complete, runs, finished.chosen);
}

po::options_description attach_options() {
    po::options_description options("Options", 100);
    options.add_options()  //
        ("baud", po::value<std::string>()->default_value("115200"),
         "speed of a serial device; 8 bits, no parity")  //
        ("out", po::value<std::string>(),
         "the run's folder (default: results/<time>-live-serial)")  //
        ("timeout", po::value<std::string>()->default_value("600"),
         "seconds without a record that mean a hang, from the first record on")  //
        ("which", po::value<std::string>(),
         "N: of several runs on the line, the N-th (default: the last complete one)")  //
        ("image", po::value<std::string>(),
         "the image that runs there, for the names in a panic")  //
        ("strict", po::bool_switch(),
         "exit status 1 where a claim is refuted, or none could be judged")         //
        ("json", po::bool_switch(), "results.json on stdout instead of the table")  //
        ("quiet", po::bool_switch(), "no table, no progress");
    return options;
}

int run_attach(const po::variables_map& map) {
    std::vector<std::string> devices = words_of(map, "device");
    if (devices.size() != 1) throw UsageError("it takes one device, or - for the standard input");
    speed_t speed = speed_code(map["baud"].as<std::string>());
    auto timeout = static_cast<unsigned>(
        parse_number(map["timeout"].as<std::string>(), "--timeout", 1, 1'000'000));
    Showing showing = showing_from(map);
    size_t run_number = 0;
    if (auto number = said(map, "which"))
        run_number = parse_number(*number, "--which", 1, 1'000'000);
    int line = open_line(devices[0], speed);

    Json manifest = {{"schema", "doorbell-manifest/1"},
                     {"doorbell", version},
                     {"time", time_stamp()},
                     {"status", "running"},
                     {"machine", "serial"},
                     {"device", text_of_path(devices[0])},
                     {"baud", map["baud"].as<std::string>()},
                     {"host", describe_host()}};
    std::optional<std::filesystem::path> out;
    if (auto folder = said(map, "out")) out = *folder;
    Session session(RunFolder::create(out, "live", "serial"), manifest, !showing.quiet);
    session.machine_is({{"type", "serial"}});
    session.collector().expect_several(run_number);
    session.progress().say("waiting for the first record ...");
    Listener listener(session, line, timeout);
    listener.run();
    Finished finished = session.finish(listener.failure(), listener.signal(),
                                       image_path(said(map, "image").value_or("")));
    finished.strict = map["strict"].as<bool>();
    if (!showing.quiet) tell_captured(finished);
    int status = show_with_report(finished, showing);
    if (run_number <= finished.captured.size()) return status;
    complain("doorbell attach: --which {}: the line held {} run{}; what was saved is number {}",
             run_number, finished.captured.size(), finished.captured.size() == 1 ? "" : "s",
             finished.chosen);
    return static_cast<int>(Status::usage);
}

}  // namespace

const Command attach_command = {
    .name = "attach",
    .words = "DEVICE|-",
    .summary = "collect a run from a machine on a serial line",
    .help =
        "Collects from a machine that runs the image: DEVICE is a serial line (/dev/ttyUSB0), a "
        "pty, a pipe or a recorded console.log, as it is or packed by gzip; - is the standard "
        "input. A recording is read to its end; another line ends with the end record, unless "
        "another run follows at once.",
    .operand = "device",
    .options = attach_options,
    .run = run_attach};

}  // namespace doorbell::harness
