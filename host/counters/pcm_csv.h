// What Intel PCM's programs write with -csv (pcm, pcm-raw; Debian's 202302 and newer): two header
// rows, then a row a sample. Columns depend on the processor, so a value is looked up by its two
// names, never by its position.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace doorbell::host {

class PcmCsv {
  public:
    /// Reads a file's text. Blank lines do not count; every row ends in a comma or not. A last row
    /// that is shorter than the header was cut while it was written: it is dropped, and cut() says
    /// so. Throws std::runtime_error with a sentence where there are no two header rows, or a row
    /// has more cells than they.
    static PcmCsv parse(std::string_view text);

    size_t rows() const { return rows_.size(); }
    /// Drops the first `count` rows, or all where there are fewer.
    void forget_rows(size_t count) {
        auto first = rows_.begin();
        rows_.erase(first, first + static_cast<std::ptrdiff_t>(std::min(count, rows_.size())));
    }
    bool cut() const { return cut_; }
    const std::vector<std::pair<std::string, std::string>>& columns() const { return columns_; }
    bool has(const std::string& group, const std::string& column) const {
        return places_.count({group, column}) != 0;
    }
    /// The number in that cell; nothing where there is no such column, or the cell holds none:
    /// "N/A", "nan", "inf", a blank. "12%" is 12.
    std::optional<double> value(size_t row, const std::string& group,
                                const std::string& column) const;
    /// The cell as it stands.
    std::string text(size_t row, const std::string& group, const std::string& column) const;

  private:
    std::vector<std::pair<std::string, std::string>> columns_;
    std::map<std::pair<std::string, std::string>, size_t>
        places_;  // the first of several of the same names
    std::vector<std::vector<std::string>> rows_;
    bool cut_ = false;
};

}  // namespace doorbell::host
