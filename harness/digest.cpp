#include "harness/digest.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <memory>
#include <stdexcept>

namespace doorbell::harness {
namespace {

constexpr const char* form_name = "doorbell-digest/1\n";

class Sha256 {
  public:
    Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
        if (!context_ || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1)
            throw std::runtime_error("libcrypto has no SHA-256");
    }
    void add(std::string_view bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }
    std::string hex() {
        unsigned char hash[EVP_MAX_MD_SIZE];
        unsigned length = 0;
        EVP_DigestFinal_ex(context_.get(), hash, &length);
        std::string text;
        for (unsigned i = 0; i < length; ++i) text += fmt::format("{:02x}", hash[i]);
        return text;
    }

  private:
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

std::string line_of(const Series& series) {
    // Sorted, unlike Json's members.
    nlohmann::json keys = nlohmann::json::object();
    for (const auto& [key, value] : series.which.pairs()) keys[key] = value;
    bool some = series.count != 0;
    nlohmann::json stages = nlohmann::json::array();
    for (const Stage& stage : series.stages)
        stages.push_back(nlohmann::json::array(
            {stage.name, stage.min, stage.max, stage.sum, nlohmann::json(stage.bins.json())}));
    std::vector<nlohmann::json> counters;
    for (const Counter& counter : series.counters)
        if (counter.evidence == "exact" || counter.evidence == "modelled") {
            counters.push_back(
                nlohmann::json::array({counter.name, nlohmann::json(counter.value), counter.evidence}));
            if (!counter.stage.empty()) counters.back().push_back(counter.stage);
        }
    std::sort(counters.begin(), counters.end(),
              [](const auto& a, const auto& b) { return a.dump() < b.dump(); });
    nlohmann::json line = nlohmann::json::array(
        {series.lab, keys, series.metric, series.unit, series.count, some ? series.min : 0, some ? series.max : 0,
         some ? series.sum : 0, nlohmann::json(series.bins.json()), stages, nlohmann::json(counters)});
    return line.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string canonical_form(const Run& run) {
    std::vector<std::string> lines;
    for (const Series& series : run.series)
        if (series.evidence == "exact" && !series.unstable()) lines.push_back(line_of(series));
    std::sort(lines.begin(), lines.end());
    std::string form = form_name;
    for (const std::string& line : lines) form += line;
    return form;
}

std::string digest(const Run& run) {
    std::string form = canonical_form(run);
    return form == form_name ? std::string() : "sha256:" + sha256(form);
}

std::string sha256(std::string_view bytes) {
    Sha256 hash;
    hash.add(bytes);
    return hash.hex();
}

std::string sha256_file(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in) throw std::runtime_error(fmt::format("cannot read {}", file.string()));
    Sha256 hash;
    char block[65536];
    while (in.read(block, sizeof block) || in.gcount() > 0)
        hash.add({block, static_cast<size_t>(in.gcount())});
    return hash.hex();
}

}  // namespace doorbell::harness
