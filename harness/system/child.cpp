#include "harness/system/child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <system_error>
#include <utility>

#include "harness/system/ending.h"
#include "harness/system/failure.h"

namespace doorbell::harness {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

/// A pipe this large buffers QEMU's serial output while this process does not run, so that the
/// guest never waits for the host.
constexpr int pipe_size = 1 << 20;
constexpr auto grace = std::chrono::seconds(2);

struct Pipe {
    int read = -1, write = -1;
    Pipe() {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0)
            throw std::system_error(errno, std::generic_category(), "pipe");
        read = ends[0];
        write = ends[1];
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
    ~Pipe() {
        close_read();
        close_write();
    }
    void close_read() {
        if (read >= 0) close(read);
        read = -1;
    }
    void close_write() {
        if (write >= 0) close(write);
        write = -1;
    }
    int take_read() { return std::exchange(read, -1); }
};

struct File {
    const int number;
    explicit File(int n) : number(n) {}
    ~File() { close(number); }
    File(const File&) = delete;
};

/// A file that holds `text` and nobody else sees, read from its beginning.
int input_of(std::string_view text) {
    int file = memfd_create("input", MFD_CLOEXEC);
    if (file < 0 || write(file, text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
        lseek(file, 0, SEEK_SET) != 0) {
        int why = errno;
        if (file >= 0) close(file);
        throw std::system_error(why, std::generic_category(), "cannot write an input");
    }
    return file;
}

/// Runs between fork and exec: only calls that are safe there.
[[noreturn]] void become(char* const* argv, int in, int out, int err, int trouble, pid_t parent) {
    setpgid(0, 0);
    // Without this process, nobody would end it.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    for (int number : {SIGINT, SIGTERM, SIGPIPE, SIGQUIT, SIGXFSZ}) signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    dup2(in, 0);
    dup2(out, 1);
    dup2(err, 2);
    execvp(argv[0], argv);
    int why = errno;
    (void)!write(trouble, &why, sizeof why);
    _exit(127);
}

}  // namespace

struct Child::State : std::enable_shared_from_this<Child::State> {
    explicit State(asio::io_context& io)
        : out(io), err(io), child_signal(io, SIGCHLD), kill_timer(io), drain_timer(io) {}

    void listen(asio::posix::stream_descriptor& stream, std::array<char, 65536>& buffer,
                bool is_out) {
        stream.async_read_some(
            asio::buffer(buffer), [self = shared_from_this(), &stream, &buffer, is_out](
                                      const error_code& error, size_t length) {
                const auto& handler = is_out ? self->handlers.out : self->handlers.err;
                if (length != 0 && handler) handler({buffer.data(), length});
                if (!error) return self->listen(stream, buffer, is_out);
                (is_out ? self->out_open : self->err_open) = false;
                self->perhaps_ended();
            });
    }

    void await_death() {
        child_signal.async_wait([self = shared_from_this()](const error_code& error, int) {
            if (error || self->reaped) return;
            if (!self->reap(false)) self->await_death();
        });
        // It may have died before the handler was there.
        reap(false);
    }

    /// Whether it is dead; then the rest of its group is killed before its number can be used
    /// again.
    bool reap(bool wait) {
        if (reaped) return true;
        siginfo_t info{};
        int result;
        do
            result = waitid(P_PID, static_cast<id_t>(pid), &info,
                            WEXITED | WNOWAIT | (wait ? 0 : WNOHANG));
        while (result != 0 && errno == EINTR);
        if (result != 0 || info.si_pid != pid) return false;
        kill(-pid, SIGKILL);
        while (waitpid(pid, &wait_status, 0) < 0 && errno == EINTR) {
        }
        reaped = true;
        kill_timer.cancel();
        // A process that left the group may still hold the pipes open; read only what is in them
        // now.
        drain_timer.expires_after(grace);
        drain_timer.async_wait([self = shared_from_this()](const error_code& error) {
            if (error) return;
            self->close_streams();
        });
        perhaps_ended();
        return true;
    }

    void close_streams() {
        error_code ignored;
        out.close(ignored);
        err.close(ignored);
    }

    void perhaps_ended() {
        if (!reaped || out_open || err_open || told) return;
        told = true;
        drain_timer.cancel();
        error_code ignored;
        child_signal.cancel(ignored);
        if (handlers.ended) handlers.ended(wait_status);
    }

    pid_t pid = -1;
    int wait_status = 0;
    bool reaped = false, out_open = true, err_open = true, told = false;
    Handlers handlers;
    asio::posix::stream_descriptor out, err;
    asio::signal_set child_signal;
    asio::steady_timer kill_timer, drain_timer;
    std::array<char, 65536> out_buffer, err_buffer;
};

Child::Child(asio::io_context& io, const std::vector<std::string>& argv, Handlers handlers,
             std::string_view input)
    : state_(std::make_shared<State>(io)) {
    Pipe out, err, trouble;
    fcntl(out.write, F_SETPIPE_SZ, pipe_size);  // where it is not allowed, the usual size will do
    std::vector<char*> words;
    for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);

    File in(input_of(input));
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (pid == 0) become(words.data(), in.number, out.write, err.write, trouble.write, parent);
    setpgid(pid, pid);  // in both processes: either may come first
    out.close_write();
    err.close_write();
    trouble.close_write();

    int why = 0;
    ssize_t got;
    do got = read(trouble.read, &why, sizeof why);
    while (got < 0 && errno == EINTR);
    if (got == sizeof why) {
        while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
        }
        throw std::system_error(why, std::generic_category(), "cannot start " + argv[0]);
    }

    state_->pid = pid;
    state_->handlers = std::move(handlers);
    state_->out.assign(out.take_read());
    state_->err.assign(err.take_read());
    state_->listen(state_->out, state_->out_buffer, true);
    state_->listen(state_->err, state_->err_buffer, false);
    state_->await_death();
}

Child::~Child() {
    state_->handlers = {};
    state_->told = true;
    if (!state_->reaped) {
        kill(-state_->pid, SIGKILL);
        state_->reap(true);
    }
    state_->close_streams();
    state_->drain_timer.cancel();
    state_->kill_timer.cancel();
    error_code ignored;
    state_->child_signal.cancel(ignored);
}

pid_t Child::pid() const { return state_->pid; }

void Child::end() {
    if (state_->reaped) return;
    kill(-state_->pid, SIGTERM);
    state_->kill_timer.expires_after(grace);
    state_->kill_timer.async_wait([state = state_](const error_code& error) {
        if (!error && !state->reaped) kill(-state->pid, SIGKILL);
    });
}

void check_open_files() {
    // A child's three pipes, the event queue, its timer and wake-up, signals, standard streams, a
    // run's files, and what QEMU opens itself.
    constexpr rlim_t enough = 64;
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= enough) return;
    rlim_t had = limit.rlim_cur;
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, enough);
    if (limit.rlim_cur >= enough && setrlimit(RLIMIT_NOFILE, &limit) == 0) return;
    throw MachineError(fmt::format(
        "this process may open only {} files, and {} are needed; raise the limit: ulimit -n {}",
        had, enough, enough));
}

ToolResult run_tool_or_end(const std::vector<std::string>& argv, unsigned seconds,
                           std::string_view input) {
    ToolResult result = run_tool(argv, seconds, input);
    if (result.signal != 0) throw Interrupted(result.signal);
    return result;
}

ToolResult run_tool(const std::vector<std::string>& argv, unsigned seconds,
                    std::string_view input) {
    check_open_files();
    ToolResult result;
    asio::io_context io;
    asio::steady_timer limit(io, std::chrono::seconds(seconds));
    EndingSignals signals(io);
    Child::Handlers handlers;
    handlers.out = [&](std::string_view bytes) { result.out += bytes; };
    handlers.err = [&](std::string_view bytes) { result.err += bytes; };
    handlers.ended = [&](int status) {
        if (WIFEXITED(status)) result.exit_status = WEXITSTATUS(status);
        limit.cancel();
        signals.cancel();
    };
    try {
        Child child(io, argv, std::move(handlers), input);
        limit.async_wait([&](const error_code& error) {
            if (error) return;
            result.timed_out = true;
            child.end();
        });
        signals.wait([&](int number) {
            result.signal = number;
            child.end();
        });
        result.started = true;
        io.run();
    } catch (const std::system_error& error) {
        result.err = error.what();
        result.error = error.code().value();
    }
    return result;
}

std::string how_it_ended(int wait_status) {
    if (WIFSIGNALED(wait_status))
        return fmt::format("was killed by signal {} ({})", WTERMSIG(wait_status),
                           strsignal(WTERMSIG(wait_status)));
    return fmt::format("ended with status {}", WEXITSTATUS(wait_status));
}

}  // namespace doorbell::harness
