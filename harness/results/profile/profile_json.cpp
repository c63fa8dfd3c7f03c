// profile.json: the schema doorbell-profile/1, written and read.
#include <fmt/format.h>

#include <stdexcept>

#include "harness/results/profile/profile.h"
#include "harness/system/number.h"

namespace doorbell::harness {
namespace {

Json price_json(const Estimate& i) {
    return {{"value", i.value}, {"low", i.low}, {"high", i.high}};
}

Json price_json(const Price& price) {
    Json json = {{"name", price.name}, {"evidence", price.evidence}};
    const std::pair<const char*, const std::optional<Estimate>&> units[] = {
        {"insn", price.insn}, {"ticks", price.ticks}, {"cycles", price.cycles}, {"ns", price.ns}};
    for (const auto& [unit, interval] : units)
        if (interval) json[unit] = price_json(*interval);
    json["from"] = price.from;
    json["flags"] = price.flags;
    return json;
}

Json price_json(const std::vector<NoPrice>& missing) {
    Json list = Json::array();
    for (const NoPrice& m : missing) list.push_back({{"name", m.name}, {"reason", m.reason}});
    return list;
}

const Json& profile_member(const Json& object, const char* name) {
    static const Json nothing;
    if (!object.is_object()) return nothing;
    auto found = object.find(name);
    return found == object.end() ? nothing : *found;
}

std::string profile_text(const Json& object, const char* name) {
    const Json& value = profile_member(object, name);
    if (value.is_null()) return {};
    if (!value.is_string()) throw std::runtime_error(fmt::format("\"{}\" is not text", name));
    return value.get<std::string>();
}

std::vector<std::string> profile_texts(const Json& object, const char* name) {
    std::vector<std::string> texts;
    for (const Json& value : profile_member(object, name))
        if (value.is_string()) texts.push_back(value.get<std::string>());
    return texts;
}

std::optional<Estimate> estimate_of(const Json& price, const char* unit) {
    const Json& json = profile_member(price, unit);
    if (json.is_null()) return std::nullopt;
    Estimate i;
    const std::pair<const char*, double&> parts[] = {
        {"value", i.value}, {"low", i.low}, {"high", i.high}};
    for (const auto& [name, part] : parts) {
        const Json& number = profile_member(json, name);
        if (!number.is_number())
            throw std::runtime_error(fmt::format("price \"{}\": {} has no number \"{}\"",
                                                 profile_text(price, "name"), unit, name));
        part = number.get<double>();
    }
    if (!(0 <= i.low && i.low <= i.value && i.value <= i.high))
        throw std::runtime_error(
            fmt::format("price \"{}\": {} is not in the order 0 <= low <= value <= high",
                        profile_text(price, "name"), unit));
    return i;
}

const Json& profile_list(const Json& document, const char* name) {
    static const Json none = Json::array();
    const Json& list = profile_member(document, name);
    if (list.is_null()) return none;
    if (!list.is_array()) throw std::runtime_error(fmt::format("\"{}\" is not a list", name));
    return list;
}

std::vector<NoPrice> no_prices_of(const Json& document, const char* name) {
    std::vector<NoPrice> missing;
    for (const Json& one : profile_list(document, name))
        missing.push_back({profile_text(one, "name"), profile_text(one, "reason")});
    return missing;
}

Price price_from(const Json& json, const std::string& evidence) {
    Price price;
    price.name = profile_text(json, "name");
    if (price.name.empty()) throw std::runtime_error("a price has no name");
    price.evidence = profile_text(json, "evidence");
    if (price.evidence.empty()) price.evidence = evidence;
    price.insn = estimate_of(json, "insn");
    price.ticks = estimate_of(json, "ticks");
    price.cycles = estimate_of(json, "cycles");
    price.ns = estimate_of(json, "ns");
    price.from = profile_texts(json, "from");
    price.flags = profile_texts(json, "flags");
    if (!price.insn && !price.ticks && !price.cycles && !price.ns)
        throw std::runtime_error(fmt::format(
            "price \"{}\" has a value in none of insn, ticks, cycles and ns", price.name));
    if (price.evidence == "published" && price.from.empty())
        throw std::runtime_error(
            fmt::format("price \"{}\" is published, and \"from\" names no source", price.name));
    return price;
}

}  // namespace

const Price* Profile::find(std::string_view price) const {
    for (const Price& p : prices)
        if (p.name == price) return &p;
    return nullptr;
}

Json Profile::json() const {
    Json json = {{"schema", profile_schema}, {"name", name},
                 {"evidence", evidence},     {"date", date},
                 {"machine", machine},       {"firmware", firmware},
                 {"hypervisor", hypervisor}, {"smt", smt},
                 {"page_bytes", page_bytes}};
    json["tsc_hz"] = tsc_hz > 0 ? Json(tsc_hz) : Json();
    json["yardstick"] = yardstick ? price_json(*yardstick) : Json();
    if (yardstick) json["yardstick"]["unit"] = "core cycles a tick";
    if (!model.empty()) json["model"] = model;
    json["sources"] = sources;
    json["prices"] = Json::array();
    for (const Price& price : prices) json["prices"].push_back(price_json(price));
    json["capacities"] = Json::array();
    for (const Capacity& c : capacities) {
        Json one = {{"name", c.name}, {"unit", c.unit}, {"low", c.low}};
        one["high"] = c.high != 0 ? Json(c.high) : Json();
        json["capacities"].push_back(std::move(one));
    }
    json["refused"] = price_json(refused);
    json["absent"] = price_json(absent);
    return json;
}

Profile Profile::from(const Json& document) {
    std::string schema = profile_text(document, "schema");
    if (schema != profile_schema)
        throw std::runtime_error(
            fmt::format("its schema is \"{}\", not {}", schema, profile_schema));
    Profile p;
    p.name = profile_text(document, "name");
    p.evidence = profile_text(document, "evidence");
    p.date = profile_text(document, "date");
    for (const auto& [member_name, where] :
         {std::pair{"machine", &p.machine}, std::pair{"firmware", &p.firmware}})
        if (const Json& value = profile_member(document, member_name); value.is_object())
            *where = value;
    p.hypervisor = profile_member(document, "hypervisor");
    p.smt = profile_member(document, "smt");
    if (const Json& bytes = profile_member(document, "page_bytes"); !bytes.is_null())
        p.page_bytes = whole_number(bytes, "\"page_bytes\"");
    if (const Json& hz = profile_member(document, "tsc_hz"); hz.is_number())
        p.tsc_hz = hz.get<double>();
    p.yardstick = estimate_of(document, "yardstick");
    p.model = profile_text(document, "model");
    p.sources = profile_texts(document, "sources");
    for (const Json& price : profile_list(document, "prices"))
        p.prices.push_back(price_from(price, p.evidence));
    for (const Json& c : profile_list(document, "capacities")) {
        const Json& high = profile_member(c, "high");
        p.capacities.push_back({profile_text(c, "name"), profile_text(c, "unit"),
                                whole_number(profile_member(c, "low"), "a capacity's \"low\""),
                                high.is_null() ? 0 : whole_number(high, "a capacity's \"high\"")});
    }
    p.refused = no_prices_of(document, "refused");
    p.absent = no_prices_of(document, "absent");
    return p;
}

}  // namespace doorbell::harness
