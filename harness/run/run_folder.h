// The folder of a run: made before the machine starts, so that nobody measures for an hour and
// cannot save.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace doorbell::harness {

class RunFolder {
  public:
    /// Makes `out`, or results/<time>-<clock>-<machine>/ below the current folder, and proves that
    /// it can be written. A folder that holds an earlier run is used again, its files removed; one
    /// that holds anything else is refused. Throws UsageError with the reason.
    static RunFolder create(const std::optional<std::filesystem::path>& out,
                            const std::string& clock, const std::string& machine);

    const std::filesystem::path& path() const { return path_; }

    /// Appends to console.log. The first error is kept (console_trouble()) and ends the writing.
    void console(std::string_view bytes);
    const std::string& console_trouble() const { return trouble_; }

    /// Writes a whole file or none of it: beside it first, then renamed over it. Returns "" or what
    /// went wrong.
    std::string write(const std::string& name, std::string_view content) const;

    /// Points results/latest at this folder where it lies in results/. Returns "" or what went
    /// wrong.
    std::string point_latest() const;

  private:
    std::filesystem::path path_;
    bool named_by_user_ = false;
    int console_ = -1;
    std::string trouble_;

    RunFolder() = default;

  public:
    RunFolder(RunFolder&& other) noexcept;
    RunFolder& operator=(RunFolder&&) = delete;
    ~RunFolder();
};

}  // namespace doorbell::harness
