#include "harness/results/profile/published.h"

#include <fmt/format.h>

#include "harness/results/stored_run.h"
#include "harness/system/escape.h"
#include "harness/system/failure.h"
#include "harness/text/json.h"
#include "harness/text/nearest.h"

// In profiles.S: for each published profile its name, a line end, its text, and a zero.
extern "C" const char doorbell_profiles[], doorbell_profiles_end[];

namespace doorbell::harness {
namespace {

struct PublishedProfile {
    std::string_view name, text;
};

std::vector<PublishedProfile> all_published() {
    std::vector<PublishedProfile> all;
    std::string_view rest(doorbell_profiles,
                          static_cast<size_t>(doorbell_profiles_end - doorbell_profiles));
    while (!rest.empty()) {
        size_t end = rest.find('\0'), line = rest.find('\n');
        all.push_back({rest.substr(0, line), rest.substr(line + 1, end - line - 1)});
        rest.remove_prefix(end + 1);
    }
    return all;
}

/// What Profile::from() passes over, and predictions rely on.
void check(const Json& document, const Profile& profile) {
    if (!document.contains("prices")) throw std::runtime_error("it has no list \"prices\"");
    for (size_t i = 0; i < profile.prices.size(); ++i)
        if (profile.find(profile.prices[i].name) != &profile.prices[i])
            throw std::runtime_error(
                fmt::format("price \"{}\" is there twice", profile.prices[i].name));
    auto hz_or_nothing = [](const Json& object, const char* name) {
        auto found = object.find(name);
        if (found == object.end() || found->is_null()) return;
        auto of = [&](const char* end) {
            if (found->is_number()) return found->get<double>();
            return found->is_object() ? number_in(*found, end) : 0;
        };
        if (!(0 < of("low") && of("low") <= of("value") && of("value") <= of("high")))
            throw std::runtime_error(fmt::format(
                "\"{}\" is neither a number of Hz above 0 nor such value, low and high", name));
    };
    hz_or_nothing(profile.machine, "core_hz");
    hz_or_nothing(document, "tsc_hz");
}

Profile profile_from_text(std::string_view text, const std::string& where) {
    const Json document = parse_document(text, where);
    try {
        Profile profile = Profile::from(document);
        check(document, profile);
        return profile;
    } catch (const std::exception& trouble) {
        throw UsageError(fmt::format("{} is not a profile: {}", where, trouble.what()));
    }
}

}  // namespace

std::vector<std::string> published_profiles() {
    std::vector<std::string> names;
    for (const PublishedProfile& p : all_published()) names.emplace_back(p.name);
    return names;
}

std::optional<std::string_view> published_profile(std::string_view name) {
    for (const PublishedProfile& p : all_published())
        if (p.name == name) return p.text;
    return std::nullopt;
}

Profile load_profile(const std::string& word) {
    namespace fs = std::filesystem;
    std::error_code error;
    fs::path file = word;
    if (fs::is_directory(file, error)) file /= "profile.json";
    if (fs::exists(file, error)) {
        std::string text;
        try {
            text = read_file(file);
        } catch (const std::exception& trouble) {
            throw UsageError(trouble.what());
        }
        Profile p = profile_from_text(text, file.string());
        if (p.name.empty()) p.name = text_of_path(file.stem());
        return p;
    }
    if (auto text = published_profile(word)) {
        Profile p = profile_from_text(*text, word);
        p.name = word;
        return p;
    }
    if (word.find('/') != word.npos || word.ends_with(".json"))
        throw UsageError(fmt::format("profile {}: no such file", word));
    std::vector<std::string> names = published_profiles();
    if (names.empty()) throw UsageError(fmt::format("profile {}: no such file", word));
    throw UsageError(unknown_word("profile", word, names));
}

}  // namespace doorbell::harness
