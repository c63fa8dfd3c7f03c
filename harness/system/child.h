// Other programs: started, read, and certain to be gone afterwards.
#pragma once
#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace doorbell::harness {

/// A program in its own process group, with its output on pipes and `input` to read. It ends
/// with this object, and also when this process is killed.
class Child {
  public:
    struct Handlers {
        std::function<void(std::string_view)> out;  ///< bytes of its standard output
        std::function<void(std::string_view)> err;  ///< bytes of its standard error
        /// Called once when the program has ended and both outputs are read, with the status of
        /// waitpid(2).
        std::function<void(int wait_status)> ended;
    };

    /// Starts argv[0] (looked up in PATH). Throws std::system_error where it cannot be started.
    Child(boost::asio::io_context& io, const std::vector<std::string>& argv, Handlers handlers,
          std::string_view input = {});
    ~Child();
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    /// Asks it to end (SIGTERM to its group) and kills it two seconds later (SIGKILL). `ended`
    /// follows.
    void end();
    pid_t pid() const;

    struct State;

  private:
    std::shared_ptr<State> state_;
};

/// The output of a tool that ran to its end.
struct ToolResult {
    bool started = false;  ///< false: `err` says why not
    bool timed_out = false;
    int exit_status = -1;  ///< -1 where a signal ended it
    std::string out, err;
    int error = 0;   ///< errno where it was not started
    int signal = 0;  ///< a signal to this process that ended the tool, or 0
};

/// Runs a program to its end, at most `seconds`, with `input` to read. A signal that ends a
/// collection (ending.h) ends the program and is in the result.
ToolResult run_tool(const std::vector<std::string>& argv, unsigned seconds,
                    std::string_view input = {});

/// run_tool(), but such a signal is thrown as Interrupted: for work that leaves nothing to save.
ToolResult run_tool_or_end(const std::vector<std::string>& argv, unsigned seconds,
                           std::string_view input = {});

/// Throws MachineError where this process may open too few files to run a program and listen to it.
void check_open_files();

/// "exit status 1", or "killed by signal 9 (Killed)", from the status of waitpid(2).
std::string how_it_ended(int wait_status);

}  // namespace doorbell::harness
