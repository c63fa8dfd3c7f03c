#include "harness/run/symbolize.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <sstream>

#include "harness/system/child.h"

namespace doorbell::harness {
namespace {

std::optional<uint64_t> hexadecimal(std::string_view text) {
    if (text.starts_with("0x")) text.remove_prefix(2);
    uint64_t value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::string words(const Json& record, const char* name) {
    auto found = record.find(name);
    if (found == record.end() || found->is_null()) return {};
    return found->is_string() ? found->get<std::string>() : found->dump();
}

/// "name=value  name=value", four on a line.
void add_table(std::vector<std::string>& lines, const Json& object) {
    if (!object.is_object()) return;
    std::string line;
    size_t on_line = 0;
    for (const auto& [name, value] : object.items()) {
        line += fmt::format("{:>8} {:<18}", name,
                            value.is_string() ? value.get<std::string>() : value.dump());
        if (++on_line < 3) continue;
        lines.push_back(line);
        line.clear();
        on_line = 0;
    }
    if (!line.empty()) lines.push_back(line);
}

}  // namespace

std::vector<std::string> symbolize(const std::filesystem::path& image,
                                   const std::vector<std::string>& addresses) {
    std::vector<std::string> result = addresses;
    if (image.empty() || addresses.empty()) return result;
    std::vector<std::string> argv{"addr2line", "-e", image.string(), "-f", "-C", "-s"};
    std::vector<size_t> asked;
    for (size_t i = 0; i < addresses.size(); ++i) {
        auto address = hexadecimal(addresses[i]);
        if (!address || *address == 0) continue;
        argv.push_back(fmt::format("{:#x}", i == 0 ? *address : *address - 1));
        asked.push_back(i);
    }
    if (asked.empty()) return result;
    ToolResult tool = run_tool(argv, 20);
    if (tool.exit_status != 0) return result;
    std::istringstream lines(tool.out);
    std::string function, place;
    for (size_t i : asked) {
        if (!std::getline(lines, function) || !std::getline(lines, place)) break;
        if (function.starts_with("??")) continue;
        result[i] += " " + function;
        if (!place.starts_with("??")) result[i] += " at " + place;
    }
    return result;
}

std::vector<std::string> describe_panic(Json& panic, const std::filesystem::path& image) {
    std::vector<std::string> lines;
    std::string head = "panic";
    if (std::string name = words(panic, "name"); !name.empty()) head += ": " + name;
    if (std::string code = words(panic, "error_code"); !code.empty())
        head += ", error code " + code;
    lines.push_back(head);
    std::string where = words(panic, "lab");
    if (std::string test_case = words(panic, "case"); !test_case.empty()) where += " " + test_case;
    if (std::string phase = words(panic, "phase"); !phase.empty())
        where += (where.empty() ? "" : ", ") + ("phase " + phase);
    if (!where.empty()) lines.push_back("  in " + where);
    for (const char* table : {"registers", "control"})
        if (auto found = panic.find(table); found != panic.end()) add_table(lines, *found);

    std::vector<std::string> addresses;
    std::string rip = words(panic, "rip");
    if (!rip.empty()) addresses.push_back(rip);
    if (auto trace = panic.find("backtrace"); trace != panic.end() && trace->is_array())
        for (const Json& address : *trace)
            if (address.is_string() && !(addresses.size() == 1 && address == rip))
                addresses.push_back(address);
    std::vector<std::string> named = symbolize(image, addresses);
    panic["backtrace_lines"] = named;
    for (size_t i = 0; i < named.size(); ++i)
        lines.push_back((i == 0 ? "  at   " : "  from ") + named[i]);
    return lines;
}

}  // namespace doorbell::harness
