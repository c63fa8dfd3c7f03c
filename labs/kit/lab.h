// What a lab is: one question, one file, one table. The same tables are compiled into the image,
// which runs the bodies, and into the harness, which lists them; there the bodies are left out.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>

#include "firmware/cpu/result.h"

namespace doorbell::labs {

class Bench;    // what a body measures with: bench.h
class Results;  // what a claim is judged from: results.h

/// One point of a lab's parameters: "key=value key=value", keys in the order in which they are
/// printed.
class Case {
  public:
    constexpr Case() = default;
    constexpr Case(const char* text) : text_(text) {}
    constexpr std::string_view text() const { return text_; }
    /// The value of `key`, or "" where this case has none.
    [[gnu::noinline]] constexpr std::string_view operator[](std::string_view key) const {
        std::string_view rest = text_;
        while (!rest.empty()) {
            size_t blank = rest.find(' ');
            std::string_view word = rest.substr(0, blank);
            size_t equals = word.find('=');
            if (word.substr(0, equals) == key) return word.substr(equals + 1);
            rest = blank == rest.npos ? std::string_view{} : rest.substr(blank + 1);
        }
        return {};
    }
    /// The value of `key` as a decimal number; 0 where there is none.
    [[gnu::noinline]] constexpr uint64_t number(std::string_view key) const {
        uint64_t n = 0;
        for (char c : (*this)[key]) {
            if (c < '0' || c > '9') return 0;
            n = n * 10 + static_cast<uint64_t>(c - '0');
        }
        return n;
    }

  private:
    std::string_view text_;
};

/// Words that only the harness shows: the image, which has to stay small, does not carry them.
class ForPeople {
  public:
    consteval ForPeople(const char* text) : text_(__STDC_HOSTED__ ? text : "") {}
    constexpr const char* text() const { return text_; }

  private:
    const char* text_;
};

/// A number that `--set name=value` changes for a lab.
struct Setting {
    const char* name;
    uint64_t normal, least, most;
    ForPeople unit;  ///< "IPv4": an address, which people write with dots
    ForPeople help;
};

/// What the samples say of a claim.
struct ClaimVerdict {
    enum class Holds : uint8_t { yes, no, cannot_say };
    Holds holds = Holds::cannot_say;
    /// The figures, in words ("45 insn against 12,010 insn"); points to memory that lives until the
    /// next verdict.
    std::string_view because;
};

/// One series of a lab, by the words that it is looked up with.
struct Which {
    const char* test_case = "";
    const char* metric = "";
};

/// What many claims say: one median, or one count of cache misses, is below 1/`times` of another.
/// Made by below() and below_by_misses() in compare.h.
struct Comparison {
    Which first, second;
    uint64_t times = 1;
    const char* not_in_exact = nullptr;
    bool by_misses = false;
    const char *after = nullptr, *before = nullptr;
};

/// A sentence that the samples can prove or refute. Judged in the image, after the lab's last case;
/// the judge touches no hardware and is compiled everywhere.
class Claim {
  public:
    using Judge = ClaimVerdict(const Results& results);

    consteval Claim(const char* id, const char* text, Judge* judge)
        : id(id), text(text), judge_(judge) {}
    consteval Claim(const char* id, const char* text, const Comparison& comparison)
        : id(id), text(text), comparison_(comparison) {}

    const char* id;  ///< kebab-case, one of its kind in the lab; it stays when the text changes
    const char* text;
    /// What the samples of `lab` say; `because` lives until the next verdict.
    ClaimVerdict judge(const Results& results, const char* lab) const;

  private:
    Judge* judge_ = nullptr;
    Comparison comparison_;  ///< judges, unless the claim has a judge of its own
};

/// Measures one case. An Error ends it, with the error's sentence as the reason: the case is
/// skipped where the machine lacks something, and has failed where something is wrong (see
/// ErrorKind).
using LabBody = Result<void>(Bench& bench, const Case& test_case);

/// One lab.
struct Lab {
    const char* name;
    ForPeople question;
    ForPeople needs;  ///< hardware, in words, for `doorbell list`
    std::span<const Case> cases;
    std::span<const Setting> settings;
    std::span<const Claim> claims;
    LabBody* body;
    /// Whether `doorbell run` without a lab's name runs it.
    bool by_default = true;
    /// Whether it can do more with network cards in the machine: `doorbell run` then puts them in.
    bool wants_card = false;
    /// The counters that tell this lab's story, for the table, one blank between two; without any,
    /// a usual few.
    ForPeople counters = "";
};

/// What people read of a lab, and what decides whether a run includes it: see Lab.
struct LabDescription {
    const char* name;
    ForPeople question;
    ForPeople needs;
    bool by_default = true;
    bool wants_card = false;
    ForPeople counters = "";
};

/// A lab whose parts stand in its own file. Only the image has the body: everywhere else it is
/// null, so that a lab's table can be read and its claims judged without linking the firmware.
consteval Lab define_lab(const LabDescription& description, std::span<const Case> cases,
                         std::span<const Setting> settings, std::span<const Claim> claims,
                         LabBody* body) {
    return {.name = description.name,
            .question = description.question,
            .needs = description.needs,
            .cases = cases,
            .settings = settings,
            .claims = claims,
            .body = __STDC_HOSTED__ ? nullptr : body,
            .by_default = description.by_default,
            .wants_card = description.wants_card,
            .counters = description.counters};
}

}  // namespace doorbell::labs
