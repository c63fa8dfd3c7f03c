// predictions.json: the schema doorbell-predictions/1, written and read.
#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <stdexcept>

#include "harness/results/predict/predict.h"
#include "harness/results/profile/estimate_json.h"
#include "harness/system/failure.h"
#include "harness/text/json_lists.h"
#include "harness/text/members.h"

namespace doorbell::harness {
namespace {

constexpr std::pair<const char*, PredictionUnit> unit_members[] = {
    {"cycles", PredictionUnit::cycles},
    {"ns", PredictionUnit::ns},
    {"clock", PredictionUnit::clock}};

/// {"cycles": {value, low, high, parts: [{name, count, value, low, high}]}, "ns": ...}
void put_costs(Json& json, const Costs& costs) {
    for (const auto& [name, unit] : unit_members) {
        const Cost& cost = costs.in(unit);
        if (!cost.known()) continue;
        Json one = estimate_json(cost.all);
        one["parts"] = json_list(cost.parts, [](const CostPart& part) {
            Json p = {{"name", part.name}, {"count", part.count}};
            p.update(estimate_json(part.cost));
            return p;
        });
        json[name] = std::move(one);
    }
}

Json series_prediction_json(const SeriesPrediction& s) {
    Json json = {{"lab", s.lab},
                 {"case", s.test_case.json()},
                 {"metric", s.metric},
                 {"evidence", predicted_evidence},
                 {"counted", {{"unit", s.unit}, {"evidence", s.evidence}}}};
    if (s.exact) json["counted"]["p50"] = *s.exact;
    if (!s.why_not.empty()) {
        json["why_not"] = s.why_not;
        return json;
    }
    if (s.share) {
        json["ppm"] = estimate_json(*s.share);
        return json;
    }
    if (!s.costs.known()) json["missing"] = s.costs.missing();
    put_costs(json, s.costs);
    for (const StagePrediction& stage : s.stages) {
        Json one = {{"name", stage.name}};
        if (!stage.costs.known()) one["missing"] = stage.costs.missing();
        put_costs(one, stage.costs);
        json["stages"].push_back(std::move(one));
    }
    return json;
}

Json claim_prediction_json(const ClaimPrediction& c, const std::string& profile) {
    using Verdict = ClaimPrediction::Verdict;
    bool decided = c.verdict == Verdict::holds || c.verdict == Verdict::does_not_hold;
    Json json = {{"lab", c.lab}, {"text", c.text}};
    if (!c.id.empty()) json["id"] = c.id;
    json["holds"] = c.measured ? Json(*c.measured) : Json();
    json["predicted"] = {{"profile", profile},
                         {"holds", decided ? Json(c.verdict == Verdict::holds) : Json()},
                         {"verdict", word(c.verdict)},
                         {"because", c.because}};
    return json;
}

/// JSON has no infinity: null.
Json finite_json(double number) { return std::isinf(number) ? Json() : Json(number); }

Json rate_json(const RatePrediction& r) {
    Json json = {{"lab", r.lab},
                 {"name", r.name},
                 {"text", r.sentence},
                 {"unit", r.unit},
                 {"evidence", predicted_evidence}};
    if (r.counted) json["counted"] = finite_json(*r.counted);
    if (r.value) {
        json["value"] = finite_json(r.value->value);
        json["low"] = finite_json(r.value->low);
        json["high"] = finite_json(r.value->high);
    }
    if (r.at_most) json["at_most"] = finite_json(*r.at_most);
    if (r.at_least) json["at_least"] = finite_json(*r.at_least);
    if (!r.missing.empty()) json["missing"] = r.missing;
    if (!r.why_not.empty()) json["why_not"] = r.why_not;
    json["parts"] = json_list(r.parts, [](const RatePrediction::Part& part) {
        Json one = {{"name", part.name}};
        one.update(estimate_json(part.ns));
        return one;
    });
    return json;
}

Costs costs_from(const Json& json, const std::string& of) {
    Costs costs;
    std::vector<std::string> missing = texts_of(json, "missing");
    for (const auto& [name, unit] : unit_members) {
        const Json& one = member(json, name);
        Cost& cost = costs.in(unit);
        if (one.is_null()) {
            cost.missing = missing.empty() ? std::vector<std::string>{"(of this unit)"} : missing;
            continue;
        }
        cost.all = estimate_from(one, of);
        cost.parts = vector_of(one, "parts", [&](const Json& part) {
            return CostPart{text_of(part, "name"), number_in(part, "count"),
                            estimate_from(part, of)};
        });
    }
    return costs;
}

SeriesPrediction series_prediction_from(const Json& json) {
    SeriesPrediction s;
    s.lab = text_of(json, "lab");
    s.test_case = CaseKeys::from(member(json, "case"));
    s.metric = text_of(json, "metric");
    const Json& counted = member(json, "counted");
    s.unit = text_of(counted, "unit");
    s.evidence = text_of(counted, "evidence");
    if (const Json& p50 = member(counted, "p50"); p50.is_number()) s.exact = p50.get<double>();
    s.why_not = text_of(json, "why_not");
    if (!s.why_not.empty()) return s;
    if (const Json& share = member(json, "ppm"); !share.is_null()) {
        s.share = estimate_from(share, s.name());
        return s;
    }
    s.costs = costs_from(json, s.name());
    if (const Json& stages = member(json, "stages"); stages.is_array())
        for (const Json& stage : stages)
            s.stages.push_back({text_of(stage, "name"), costs_from(stage, s.name())});
    return s;
}

ClaimPrediction claim_prediction_from(const Json& json) {
    using Verdict = ClaimPrediction::Verdict;
    ClaimPrediction c;
    c.lab = text_of(json, "lab");
    c.id = text_of(json, "id");
    c.text = text_of(json, "text");
    if (const Json& holds = member(json, "holds"); holds.is_boolean())
        c.measured = holds.get<bool>();
    const Json& predicted = member(json, "predicted");
    c.because = text_of(predicted, "because");
    std::string said = text_of(predicted, "verdict");
    for (Verdict v : {Verdict::holds, Verdict::does_not_hold, Verdict::open, Verdict::cannot_say})
        if (said == word(v)) c.verdict = v;
    return c;
}

/// A rate is infinite where the file has null.
std::optional<double> rate_from(const Json& json, const char* name) {
    auto found = json.find(name);
    if (found == json.end()) return std::nullopt;
    return found->is_number() ? found->get<double>() : std::numeric_limits<double>::infinity();
}

RatePrediction rate_prediction_from(const Json& json) {
    RatePrediction r;
    r.lab = text_of(json, "lab");
    r.name = text_of(json, "name");
    r.sentence = text_of(json, "text");
    r.unit = text_of(json, "unit");
    r.why_not = text_of(json, "why_not");
    r.missing = texts_of(json, "missing");
    if (!json.is_object()) return r;
    r.counted = rate_from(json, "counted");
    r.at_most = rate_from(json, "at_most");
    r.at_least = rate_from(json, "at_least");
    auto value = rate_from(json, "value"), low = rate_from(json, "low"),
         high = rate_from(json, "high");
    if (value && low && high) r.value = Estimate{*value, *low, *high};
    r.parts = vector_of(json, "parts", [&](const Json& part) {
        return RatePrediction::Part{text_of(part, "name"), estimate_from(part, r.name)};
    });
    return r;
}

}  // namespace

Json Predictions::json() const {
    Json json = {{"schema", predictions_schema}, {"run", run}};
    if (!digest.empty()) json["digest"] = digest;
    json["profile"] = {{"name", profile}, {"evidence", profile_evidence}};
    json["clock_unit"] = clock_unit;
    json["rules"] = Json::object();
    for (const auto& [price, rule] : rules) json["rules"][price] = rule;
    json["series"] = json_list(series, series_prediction_json);
    json["claims"] = json_list(
        claims, [&](const ClaimPrediction& c) { return claim_prediction_json(c, profile); });
    json["rates"] = json_list(rates, rate_json);
    if (!against.is_null()) json["against"] = against;
    return json;
}

Predictions Predictions::from(const Json& document) {
    expect_schema(document, predictions_schema);
    Predictions p;
    p.run = text_of(document, "run");
    p.digest = text_of(document, "digest");
    p.profile = text_of(member(document, "profile"), "name");
    p.profile_evidence = text_of(member(document, "profile"), "evidence");
    p.clock_unit = text_of(document, "clock_unit");
    p.against = member(document, "against");
    if (const Json& rules = member(document, "rules"); rules.is_object())
        for (const auto& [price, rule] : rules.items())
            if (rule.is_string()) p.rules.emplace_back(price, rule.get<std::string>());
    p.series = vector_of(document, "series", series_prediction_from);
    p.claims = vector_of(document, "claims", claim_prediction_from);
    p.rates = vector_of(document, "rates", rate_prediction_from);
    return p;
}

std::optional<Predictions> stored_predictions(const StoredRun& stored) {
    std::filesystem::path file = stored.folder / "predictions.json";
    std::error_code error;
    if (!std::filesystem::exists(file, error)) return std::nullopt;
    try {
        Predictions p = Predictions::from(Json::parse(read_file(file)));
        // The folder may hold another run by now.
        if (p.digest != stored.run.digest || (p.digest.empty() && p.run != stored.name))
            return std::nullopt;
        return p;
    } catch (const std::exception& trouble) {
        throw UsageError(fmt::format("{} is damaged: {}; doorbell predict writes it again",
                                     file.string(), trouble.what()));
    }
}

}  // namespace doorbell::harness
