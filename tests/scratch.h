// A folder for one test, and shell lines that run in it.
#pragma once
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace doorbell::test {

namespace fs = std::filesystem;

inline std::string content(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

/// A folder for one test, removed afterwards.
class Scratch {
  public:
    Scratch() {
        std::string pattern = (fs::temp_directory_path() / "doorbell-XXXXXX").string();
        folder_ = mkdtemp(pattern.data());
    }
    ~Scratch() {
        std::error_code ignored;
        fs::remove_all(folder_, ignored);
    }
    Scratch(const Scratch&) = delete;
    fs::path operator/(const std::string& name) const { return folder_ / name; }
    /// Writes a file, and the folders above it.
    fs::path write(const std::string& name, const std::string& text) const {
        fs::create_directories((folder_ / name).parent_path());
        std::ofstream(folder_ / name, std::ios::binary) << text;
        return folder_ / name;
    }

  private:
    fs::path folder_;
};

struct Outcome {
    int status = -1;  ///< exit status, or 128 + signal
    std::string out, err;
};

/// Runs a shell line in `scratch`, to its end.
inline Outcome shell(const Scratch& scratch, const std::string& line) {
    std::string all = "cd " + (scratch / "").string() + " && { " + line +
                      "; } >stdout.txt 2>stderr.txt </dev/null";
    int status = std::system(all.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
            content(scratch / "stdout.txt"), content(scratch / "stderr.txt")};
}

}  // namespace doorbell::test
