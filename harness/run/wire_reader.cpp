#include "harness/run/wire_reader.h"

#include <fmt/format.h>

#include <cstdlib>
#include <vector>

namespace doorbell::harness {
namespace {

/// A line longer than this is taken in parts: a wire without line ends must not fill the memory.
/// This many bytes that are not yet part of a record stay for the next part.
constexpr size_t longest_line = 6 * wire::max_record_length;
constexpr size_t longest_tail = 4 * wire::max_record_length;
/// How often a log may have wrapped a line into JSON.
constexpr int most_wrappings = 3;

/// Text, and the origin of each of its bytes.
struct Unwrapped {
    std::string bytes;
    std::vector<size_t> from;
};

/// The text of a JSON string (RFC 8259, section 7) up to its closing quote, or to the end.
Unwrapped unwrap(const Unwrapped& wrapped) {
    Unwrapped text;
    const std::string& in = wrapped.bytes;
    auto add = [&](char c, size_t at) {
        text.bytes += c;
        text.from.push_back(wrapped.from[at]);
    };
    for (size_t i = 0; i < in.size() && in[i] != '"'; ++i) {
        if (in[i] != '\\') {
            add(in[i], i);
            continue;
        }
        if (++i == in.size()) break;
        switch (in[i]) {
            case 'n':
                add('\n', i);
                break;
            case 'r':
                add('\r', i);
                break;
            case 't':
                add('\t', i);
                break;
            case 'u':
                // What a record holds is ASCII; "\u003c" and the like are what careful writers make
                // of '<', '>' and '&'.
                if (i + 4 < in.size() && in.compare(i + 1, 2, "00") == 0) {
                    add(static_cast<char>(std::strtoul(in.substr(i + 3, 2).c_str(), nullptr, 16)),
                        i + 4);
                    i += 4;
                } else {
                    add('?', i);
                }
                break;
            default:
                add(in[i], i);
        }
    }
    return text;
}

struct Found {
    wire::Line record;       ///< kind record, or not
    std::string held;        ///< what record.json points into, where it was unwrapped
    size_t end = 0;          ///< behind the record, from its '@' on
    bool lookalike = false;  ///< sequence number, CRC and an object's beginning are there
};

/// A record, plain or wrapped, whose '@' is text[0].
Found find_at(std::string_view text) {
    Found found;
    found.record = wire::decode_at(text);
    if (found.record.kind == wire::Line::Kind::record) {
        found.end =
            static_cast<size_t>(found.record.json.data() + found.record.json.size() - text.data());
        return found;
    }
    size_t brace = text.substr(0, 40).find(" {");
    found.lookalike = found.record.kind == wire::Line::Kind::damaged && brace != text.npos &&
                      (std::string_view(found.record.fault) == "wrong CRC" ||
                       std::string_view(found.record.fault) == "longer than a record may be");
    if (!found.lookalike || text.size() < brace + 4 || text[brace + 2] != '\\') return found;
    Unwrapped all;
    all.bytes = text.substr(0, longest_line);
    all.from.resize(all.bytes.size());
    for (size_t i = 0; i < all.from.size(); ++i) all.from[i] = i;
    for (int level = 0; level < most_wrappings; ++level) {
        all = unwrap(all);
        wire::Line line = wire::decode_at(all.bytes);
        if (line.kind != wire::Line::Kind::record) continue;
        size_t last = static_cast<size_t>(line.json.data() + line.json.size() - all.bytes.data());
        found.end = all.from[last - 1] + 1;
        found.held = line.json;
        found.record = line;
        return found;
    }
    return found;
}

}  // namespace

void WireReader::feed(std::string_view bytes) {
    for (char c : bytes) {
        if (c == 0) {
            ++bytes_of_words_;
            continue;
        }
        if (c == '\n' || c == '\r') {
            take(pending_, true);
            pending_.clear();
            ++bytes_of_words_;
            continue;
        }
        pending_ += c;
        if (pending_.size() < longest_line) continue;
        pending_.erase(0, take(pending_, false));
    }
}

void WireReader::end_of_input() {
    take(pending_, true);
    pending_.clear();
}

void WireReader::words(std::string_view text) {
    bytes_of_words_ += text.size();
    if (!text.empty() && handlers_.words) handlers_.words(text);
}

/// Takes the records of a line, or of its first part; returns how many bytes are finished.
size_t WireReader::take(std::string_view text, bool whole) {
    const char* fault = nullptr;
    size_t done = 0, records = 0;
    std::string_view like;
    for (size_t at = text.find('@'); at != text.npos; at = text.find('@', at)) {
        Found found = find_at(text.substr(at));
        if (found.record.kind != wire::Line::Kind::record) {
            if (found.record.kind == wire::Line::Kind::damaged && fault == nullptr)
                fault = found.record.fault;
            if (found.lookalike && like.empty()) like = text.substr(at);
            ++at;
            continue;
        }
        if (!found.held.empty()) found.record.json = found.held;
        words(text.substr(done, at - done));
        ++records;
        ++records_;
        done = at += found.end;
        if (handlers_.record) handlers_.record(found.record);
    }
    if (!whole) {
        // The rest may hold the beginning of a record.
        size_t rest = text.size() - done, away = rest > longest_tail ? rest - longest_tail : 0;
        words(text.substr(done, away));
        return done + away;
    }
    if (records == 0 && !like.empty()) note_lookalike(like);
    if (records == 0 && fault != nullptr && handlers_.damaged) handlers_.damaged(fault);
    words(text.substr(done));
    return text.size();
}

void WireReader::note_lookalike(std::string_view text) {
    if (lookalikes_++ == 0) line_length_ = text.size();
    same_length_ += text.size() == line_length_;
    html_ += text.find("&quot;") != text.npos || text.find("&#34;") != text.npos;
    no_quotes_ += text.find('"') == text.npos;
    cut_ += text.back() != '}';
}

std::string WireReader::lookalikes() const {
    if (lookalikes_ == 0 || records_ != 0) return {};
    std::string text =
        lookalikes_ == 1
            ? std::string("1 line looks like a record, and its CRC is wrong")
            : fmt::format("{} lines look like records, and not one has the right CRC", lookalikes_);
    auto most = [&](uint64_t count) { return 2 * count > lookalikes_; };
    if (most(html_)) return text + ": it looks like HTML; save the text, not the page";
    if (most(no_quotes_))
        return text + ": the quotation marks are missing or were replaced; save the log as it came";
    if (lookalikes_ > 1 && same_length_ == lookalikes_)
        return text + fmt::format(": each ends after {} columns; record without wrapping lines",
                                  line_length_);
    if (most(cut_)) return text + ": the lines are cut; record without wrapping or cutting lines";
    return text + ": bytes were changed; check the line's speed, parity and flow control";
}

}  // namespace doorbell::harness
