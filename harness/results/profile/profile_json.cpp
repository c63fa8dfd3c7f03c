// profile.json: the schema doorbell-profile/1, written and read.
#include <fmt/format.h>

#include <stdexcept>

#include "harness/results/profile/estimate_json.h"
#include "harness/results/profile/profile.h"
#include "harness/text/json_lists.h"
#include "harness/text/members.h"
#include "harness/text/number.h"

namespace doorbell::harness {
namespace {

Json price_json(const Price& price) {
    Json json = {{"name", price.name}, {"evidence", price.evidence}};
    const std::pair<const char*, const std::optional<Estimate>&> units[] = {
        {"insn", price.insn}, {"ticks", price.ticks}, {"cycles", price.cycles}, {"ns", price.ns}};
    for (const auto& [unit, interval] : units)
        if (interval) json[unit] = estimate_json(*interval);
    json["from"] = price.from;
    json["flags"] = price.flags;
    return json;
}

Json capacity_json(const Capacity& c) {
    return {{"name", c.name},
            {"unit", c.unit},
            {"low", c.low},
            {"high", c.high != 0 ? Json(c.high) : Json()}};
}

Json no_price_json(const NoPrice& m) { return {{"name", m.name}, {"reason", m.reason}}; }

std::optional<Estimate> estimate_of(const Json& price, const char* unit) {
    const Json& json = member(price, unit);
    if (json.is_null()) return std::nullopt;
    std::string of = fmt::format("price \"{}\": {}", text_of(price, "name"), unit);
    Estimate e = estimate_from(json, of);
    if (!(0 <= e.low && e.low <= e.value && e.value <= e.high))
        throw std::runtime_error(of + " is not in the order 0 <= low <= value <= high");
    return e;
}

Capacity capacity_from(const Json& json) {
    const Json& high = member(json, "high");
    return {text_of(json, "name"), text_of(json, "unit"),
            whole_number(member(json, "low"), "a capacity's \"low\""),
            high.is_null() ? 0 : whole_number(high, "a capacity's \"high\"")};
}

NoPrice no_price_from(const Json& json) { return {text_of(json, "name"), text_of(json, "reason")}; }

Price price_from(const Json& json, const std::string& evidence) {
    Price price;
    price.name = text_of(json, "name");
    if (price.name.empty()) throw std::runtime_error("a price has no name");
    price.evidence = text_of(json, "evidence");
    if (price.evidence.empty()) price.evidence = evidence;
    price.insn = estimate_of(json, "insn");
    price.ticks = estimate_of(json, "ticks");
    price.cycles = estimate_of(json, "cycles");
    price.ns = estimate_of(json, "ns");
    price.from = texts_of(json, "from");
    price.flags = texts_of(json, "flags");
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
    json["yardstick"] = yardstick ? estimate_json(*yardstick) : Json();
    if (yardstick) json["yardstick"]["unit"] = "core cycles a tick";
    if (!model.empty()) json["model"] = model;
    json["sources"] = sources;
    json["prices"] = json_list(prices, price_json);
    json["capacities"] = json_list(capacities, capacity_json);
    json["refused"] = json_list(refused, no_price_json);
    json["absent"] = json_list(absent, no_price_json);
    json["notes"] = notes;
    return json;
}

Profile Profile::from(const Json& document) {
    expect_schema(document, profile_schema);
    Profile p;
    p.name = text_of(document, "name");
    p.evidence = text_of(document, "evidence");
    p.date = text_of(document, "date");
    for (const auto& [member_name, where] :
         {std::pair{"machine", &p.machine}, std::pair{"firmware", &p.firmware}})
        if (const Json& value = member(document, member_name); value.is_object()) *where = value;
    p.hypervisor = member(document, "hypervisor");
    p.smt = member(document, "smt");
    if (const Json& bytes = member(document, "page_bytes"); !bytes.is_null())
        p.page_bytes = whole_number(bytes, "\"page_bytes\"");
    if (const Json& hz = member(document, "tsc_hz"); hz.is_number()) p.tsc_hz = hz.get<double>();
    p.yardstick = estimate_of(document, "yardstick");
    p.model = text_of(document, "model");
    p.sources = texts_of(document, "sources");
    p.prices = vector_of(document, "prices",
                         [&](const Json& price) { return price_from(price, p.evidence); });
    p.capacities = vector_of(document, "capacities", capacity_from);
    p.refused = vector_of(document, "refused", no_price_from);
    p.absent = vector_of(document, "absent", no_price_from);
    p.notes = texts_of(document, "notes");
    return p;
}

}  // namespace doorbell::harness
