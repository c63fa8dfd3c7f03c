#include "host/counters/pcm_csv.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <stdexcept>

namespace doorbell::host {
namespace {

std::string_view trimmed(std::string_view cell) {
    while (!cell.empty() && (cell.front() == ' ' || cell.front() == '\t')) cell.remove_prefix(1);
    while (!cell.empty() && (cell.back() == ' ' || cell.back() == '\t' || cell.back() == '\r'))
        cell.remove_suffix(1);
    return cell;
}

std::vector<std::string> cells_of(std::string_view line) {
    std::vector<std::string> cells;
    while (true) {
        size_t comma = line.find(',');
        cells.emplace_back(trimmed(line.substr(0, comma)));
        if (comma == line.npos) break;
        line.remove_prefix(comma + 1);
    }
    // The text after the last comma is a cell only where it is not empty.
    if (cells.back().empty()) cells.pop_back();
    return cells;
}

}  // namespace

PcmCsv PcmCsv::parse(std::string_view text) {
    PcmCsv csv;
    std::vector<std::string> groups;
    size_t line_number = 0, full = 0, commas = 0;
    bool headers = false;
    while (!text.empty()) {
        size_t newline = text.find('\n');
        std::string_view line = trimmed(text.substr(0, newline));
        text = newline == text.npos ? std::string_view{} : text.substr(newline + 1);
        ++line_number;
        if (line.empty()) continue;
        std::vector<std::string> cells = cells_of(line);
        if (!headers && groups.empty()) {
            groups = std::move(cells);
            if (groups.empty()) throw std::runtime_error("PCM's first header row is empty");
            continue;
        }
        if (!headers) {
            full = cells.size();
            commas = static_cast<size_t>(std::count(line.begin(), line.end(), ','));
            if (full == 0 || groups.size() > full)
                throw std::runtime_error(
                    "PCM's header rows do not fit each other: " + std::to_string(groups.size()) +
                    " groups, " + std::to_string(full) + " columns");
            groups.resize(full);
            for (size_t i = 0; i < full; ++i) {
                csv.columns_.emplace_back(groups[i], cells[i]);
                csv.places_.emplace(csv.columns_.back(), i);
            }
            headers = true;
            continue;
        }
        if (cells.size() > full)
            throw std::runtime_error("PCM's line " + std::to_string(line_number) + " has " +
                                     std::to_string(cells.size()) + " cells, its header " +
                                     std::to_string(full));
        // Count commas: a last cell may be blank, and a number that was cut in the middle may still
        // be a number.
        bool whole = static_cast<size_t>(std::count(line.begin(), line.end(), ',')) >= commas;
        if (!whole) {
            if (text.find_first_not_of(" \t\r\n") != text.npos)
                throw std::runtime_error("PCM's line " + std::to_string(line_number) + " has " +
                                         std::to_string(cells.size()) + " cells, its header " +
                                         std::to_string(full));
            csv.cut_ = true;
            break;
        }
        cells.resize(full);
        csv.rows_.push_back(std::move(cells));
    }
    if (!headers)
        throw std::runtime_error(
            "PCM wrote no header: it could not count (its reason is on its standard error)");
    return csv;
}

std::string PcmCsv::text(size_t row, const std::string& group, const std::string& column) const {
    auto place = places_.find({group, column});
    return place == places_.end() || row >= rows_.size() ? std::string()
                                                         : rows_[row][place->second];
}

std::optional<double> PcmCsv::value(size_t row, const std::string& group,
                                    const std::string& column) const {
    std::string cell = text(row, group, column);
    std::string_view digits = trimmed(cell);
    if (!digits.empty() && digits.back() == '%')
        digits = trimmed(digits.substr(0, digits.size() - 1));
    double value = 0;
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size() ||
        !std::isfinite(value))
        return std::nullopt;
    return value;
}

}  // namespace doorbell::host
