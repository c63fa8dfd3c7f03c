// Text from outside (a wire's strings, a results.json from elsewhere, file names), made safe for
// the stream it goes to. No other code in this command may decide what is safe.
#pragma once
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace doorbell::harness {

/// Text that a terminal displays and does not interpret: line ends and valid UTF-8 stay; control
/// characters, bytes that are not UTF-8 ("\xe9"), and characters that control the terminal or the
/// text direction ("\u202e") become visible escapes.
std::string printable(std::string_view text);

/// printable(), and line ends become visible too: a name or a reason cannot forge a second line.
std::string one_line(std::string_view text);

/// Text for HTML and XML: printable(), with the markup characters replaced.
std::string escaped(std::string_view text);

/// A path, or a word of a command line, as a JSON text: UTF-8 as it is, any other byte as "\xe9", a
/// backslash doubled. path_from_text() gives the same bytes back.
std::string text_of_path(const std::filesystem::path& path);
std::filesystem::path path_from_text(std::string_view text);

/// text_of_path() of each.
std::vector<std::string> texts_of_words(const std::vector<std::string>& words);

}  // namespace doorbell::harness
