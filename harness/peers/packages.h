// Debian packages, downloaded and unpacked, not installed: what the peers' guests are made of.
#pragma once
#include <filesystem>
#include <functional>
#include <string>

namespace doorbell::harness {

/// Unpacked packages, kept below one folder.
class Packages {
  public:
    using Say = std::function<void(const std::string&)>;
    /// `say` is called with each step that takes time.
    Packages(std::filesystem::path folder, Say say)
        : folder_(std::move(folder)), say_(std::move(say)) {}

    /// The folder that holds the files of `package`, downloaded with apt-get and unpacked with
    /// dpkg-deb the first time. Throws MachineError with what the tool said.
    std::filesystem::path unpacked(const std::string& package);

    /// The package whose name begins with `prefix` and on which `package`, a metapackage, depends.
    std::string depended_on(const std::string& package, const std::string& prefix);

  private:
    void update_lists();

    std::filesystem::path folder_;
    Say say_;
    bool updated_ = false;
};

}  // namespace doorbell::harness
