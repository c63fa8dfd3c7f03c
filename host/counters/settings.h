// Host settings that are changed for a measurement (the NMI watchdog, a governor) and put back: at
// the end, on SIGINT, SIGTERM and SIGHUP, and after a kill at the next start, from a journal that
// is written before a change.
#pragma once
#include <filesystem>
#include <string>

namespace doorbell::host {

class Settings {
  public:
    static constexpr unsigned most = 64;

    /// First restores what the journal of an ended process still holds. A process may have one at a
    /// time.
    explicit Settings(std::filesystem::path journal);
    /// Restores everything.
    ~Settings();
    Settings(const Settings&) = delete;
    Settings& operator=(const Settings&) = delete;

    /// Writes `value` to a one-line file of /proc or /sys, after saving its content. Does nothing
    /// where it already has that value. Returns "" or why it could not be done.
    std::string set(const std::filesystem::path& file, const std::string& value);
    /// Restores everything, the last change first. Returns "" or what could not be restored.
    std::string put_back();
    /// How many leftover settings the constructor restored.
    unsigned leftovers() const { return leftovers_; }

  private:
    bool write_journal() const;
    std::filesystem::path journal_;
    unsigned leftovers_ = 0;
};

/// Where the journal is kept: /run/doorbell-settings for root (below `root`, which is "/" except in
/// tests), the user's runtime folder or /tmp otherwise.
std::filesystem::path settings_journal(const std::filesystem::path& root = "/");

}  // namespace doorbell::host
