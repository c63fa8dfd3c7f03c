#include "labs/image/emit.h"

#include "firmware/cpu/descriptors.h"
#include "firmware/cpu/msr.h"
#include "firmware/measure/emit.h"
#include "firmware/wire/text.h"
#include "firmware/wire/words.h"

namespace doorbell::labs {
namespace {

using measure::Histogram;
using measure::Series;
using wire::Json;

// What built this image, in the compiler's own words: "g++ 12.2.0", "clang 14.0.6".
#define DOORBELL_WORD(x) #x
#define DOORBELL_NUMBER(x) DOORBELL_WORD(x)
#if defined(__clang__)
constexpr const char* compiler = "clang " DOORBELL_NUMBER(__clang_major__) "." DOORBELL_NUMBER(
    __clang_minor__) "." DOORBELL_NUMBER(__clang_patchlevel__);
#else
constexpr const char* compiler = "g++ " DOORBELL_NUMBER(__GNUC__) "." DOORBELL_NUMBER(
    __GNUC_MINOR__) "." DOORBELL_NUMBER(__GNUC_PATCHLEVEL__);
#endif
#undef DOORBELL_NUMBER
#undef DOORBELL_WORD

void put_error(Json& json, const char* name, Error error) {
    char buffer[200];
    wire::Text text(buffer);
    write_error(text, error);
    json.member(name, text.view());
}

void put_microcode(Json& j, const cpu::Features& f) {
    // IA32_BIOS_SIGN_ID is read on Intel bare metal only, after CPUID has loaded it (SDM vol. 3A,
    // "Microcode Update Signature"); AMD's PATCH_LEVEL has the same number.
    uint64_t update = 0;
    if (!f.hypervisor_present && (f.intel() || f.amd())) {
        cpu::FaultGuard guard;
        if (f.intel()) cpu::write(cpu::Msrs{}, cpu::Value<cpu::msr::BiosSignId>{});
        (void)cpu::Cpuid{}(1);
        update = cpu::read<cpu::msr::BiosSignId>(cpu::Msrs{}).word();
        if (f.intel()) update >>= 32;
        if (guard.faulted()) update = 0;
    }
    if (update == 0)
        j.key("microcode").null();
    else
        j.key("microcode").hex(update & 0xFFFFFFFF);
}

void put_tsc(Json& j, const platform::Machine& m) {
    j.member("tsc_hz", m.tsc.hz)
        .member("tsc_source", m.tsc.source)
        .member("tsc_invariant", m.features.invariant_tsc);
    if (m.tsc.check_source != nullptr)
        j.member("tsc_check_source", m.tsc.check_source).member("tsc_check_ppm", m.tsc.check_ppm);
    else
        j.key("tsc_check_source").null();
    j.key("tsc_sources").array();
    for (size_t i = 0; i < m.tsc.source_count; ++i)
        j.array().value(m.tsc.sources[i].name).value(m.tsc.sources[i].says.hz).end();
    j.end().member("tsc_sources_agree", m.tsc.agree);
}

/// What this machine does not have, and why; what is wrong with its tables.
void put_devices(Json& j, const platform::Machine& m) {
    if (m.hpet)
        j.member("hpet_period_fs", m.hpet->period_fs());
    else
        put_error(j, "hpet_absent", m.hpet.absent);
    if (!m.pit) put_error(j, "pit_absent", m.pit.absent);
    if (!m.pm_timer) put_error(j, "pm_timer_absent", m.pm_timer.absent);
    if (m.acpi_absent) put_error(j, "acpi_absent", *m.acpi_absent);
    if (m.mcfg_wrong) put_error(j, "mcfg_wrong", *m.mcfg_wrong);
    if (!m.acpi.faults.empty()) {
        j.key("acpi_faults").array();
        for (const platform::AcpiFault& fault : m.acpi.faults) {
            if (j.room() < 2 * measure::spare_room) break;
            j.object().member("table", fault.signature).key("address").hex(fault.address);
            put_error(j, "what", fault.error);
            j.end();
        }
        j.end();
    }
}

/// What may be between a lab's prices and the processor: threads that share a core, what CPUID
/// promises of its caches, and how the memory that loads go to is mapped.
void put_memory(Json& j, const platform::Machine& m) {
    const cpu::Features& f = m.features;
    if (f.threads == 0) {
        j.key("smt").null();
    } else {
        // CPUID has the threads that a core was made with; the MADT, those that are switched on.
        bool shared = false;
        for (size_t a = 0; a < m.acpi.cpus.size(); ++a)
            for (size_t b = 0; b < a; ++b)
                shared |= m.acpi.cpus[a] >> f.core_shift == m.acpi.cpus[b] >> f.core_shift;
        j.member("smt", f.threads > 1 && shared);
    }
    j.member("page_bytes", cpu::PageTables::large_page);
    j.key("caches").object();
    constexpr const char* names[] = {"l1d", "l2", "llc"};
    for (size_t level = 0; level < 3; ++level)
        if (f.cache_bytes[level] != 0) j.member(names[level], f.cache_bytes[level]);
    j.end();
}

}  // namespace

void write_error(wire::Text& text, Error error) {
    text << error.what;
    if (error.value != 0) (text << " (").hex(error.value) << ")";
}

void emit_machine(wire::Sender& sender, const platform::Machine& m, const char* boot_protocol,
                  std::string_view console) {
    const cpu::Features& f = m.features;
    Json& j = sender.begin(wire::kind::machine);
    j.member("compiler", compiler);
    j.member("cpu", f.brand)
        .member("vendor", f.vendor)
        .member("family", f.family)
        .member("model", f.model);
    j.member("stepping", f.stepping).member("hypervisor", f.hypervisor);
    put_microcode(j, f);
    put_tsc(j, m);
    j.member("apic", m.apic->x2() ? "x2apic" : "xapic")
        .member("lapic_hz", m.apic_rate.hz(m.tsc.hz));
    j.member("acpi", !m.acpi_absent.has_value())
        .member("memory_bytes", m.memory_bytes)
        .member("boot", boot_protocol)
        .member("serial", console);
    j.member("lfence", m.lfence);
    j.member("cpus", m.acpi.cpus.size() + m.acpi.cpus.dropped())
        .member("io_apics", m.io_apics.size())
        .member("network_cards", m.network.size());
    put_memory(j, m);
    put_devices(j, m);
    sender.send();
}

void emit_instrument(wire::Sender& sender, const measure::Instrument& in,
                     const measure::Counters& counters) {
    Json& j = sender.begin(wire::kind::instrument);
    measure::put_clock(j, in, measure::name_of(in.verdict), in.because);
    j.member("interrupt_cost", in.interrupt_cost).member("record_cost", in.record_cost);
    if (in.smi_known)
        j.member("smi_count", in.smi_before).member("smi_during", in.smi_during);
    else
        j.key("smi_count").null();
    j.member("counters", counters.source_name()).member("counters_because", counters.because());
    sender.send();
}

void emit_series(wire::Sender& sender, uint64_t id, const Lab& lab, const Case& test_case,
                 const Series& s) {
    auto nothing = [](Json&) {};
    measure::emit_series(sender, id, lab.name, test_case.text(), s, nothing, nothing);
}

namespace {

/// The name of row `i`: "" is the whole.
const char* stretch(const Series& s, const Counted& counted, size_t i) {
    size_t stages = s.parts().stages.size();
    return i == 0 ? "" : i <= stages ? s.parts().stages[i - 1] : counted.regions[i - stages - 1];
}

}  // namespace

void emit_counters(wire::Sender& sender, uint64_t id, const Series& s, const Counted& counted) {
    auto rows = counted.rows;
    for (size_t i = 0; i < rows.size(); ++i) {
        if (rows[i].samples == 0) continue;
        Json& j = sender.begin(wire::kind::counters);
        j.member("of", id)
            .member("stage", stretch(s, counted, i))
            .member("samples", rows[i].samples);
        j.member("evidence", counted.evidence).key("values").array();
        for (size_t c = 0; c < counted.names.size(); ++c)
            if ((counted.absent >> c & 1) == 0 &&
                (c < wire::model_counts_always || rows[i].counts[c] != 0))
                j.array().value(counted.names[c]).value(rows[i].counts[c]).end();
        j.end();
        auto put_costs = [&](const char* name, std::span<const uint64_t> costs) {
            if (costs.empty()) return;
            j.key(name).object();
            for (size_t c = 0; c < costs.size(); ++c) j.member(counted.names[c], costs[c]);
            j.end();
        };
        put_costs("pair_cost", counted.pair_cost);
        put_costs("pair_cost_ring3", counted.user_pair_cost);
        sender.send();
    }
}

std::span<const Figure> figures_of(const Series& s, const Counted& counted, Results& results) {
    auto rows = counted.rows.first(counted.rows.size() - counted.regions.size());
    size_t stretches = 0;
    for (const auto& row : rows) stretches += row.samples != 0;
    size_t kept = std::min<size_t>(counted.names.size(), wire::model_counts_always);
    std::span<Figure> figures = results.room_for(stretches * kept);
    size_t next = 0;
    for (size_t i = 0; i < rows.size(); ++i)
        for (size_t c = 0; rows[i].samples != 0 && c < kept && next < figures.size(); ++c)
            if ((counted.absent >> c & 1) == 0)
                figures[next++] = {counted.names[c], stretch(s, counted, i), counted.evidence,
                                   rows[i].counts[c], rows[i].samples};
    return figures.first(next);
}

Summary summarize(const Lab& lab, const Case& test_case, const Series& s,
                  const measure::Instrument& instrument) {
    const Series::Parts& p = s.parts();
    const Histogram& h = *p.warm;
    Summary sum;
    sum.lab = lab.name;
    sum.test_case = test_case.text();
    sum.metric = p.metric;
    sum.unit = p.unit;
    sum.evidence = p.evidence;
    bool of_clock = std::string_view(p.unit) == instrument.unit;
    sum.resolution = of_clock && !instrument.counts_instructions ? instrument.resolution : 0;
    sum.count = h.count();
    sum.min = h.min();
    sum.p50 = h.percentile(50000);
    sum.p99 = h.percentile(99000);
    sum.max = h.max();
    sum.sum = h.sum();
    for (const char* flag : s.flags()) {
        sum.unstable = sum.unstable || std::string_view(flag).starts_with("unstable");
        sum.partial = sum.partial || std::string_view(flag).starts_with("partial");
    }
    return sum;
}

void emit_tally(wire::Sender& sender, const Lab& lab, const Case& test_case, const Tally& tally) {
    Json& j = sender.begin(wire::kind::tally)
                  .member("lab", lab.name)
                  .member("case", test_case.text())
                  .member("name", tally.name);
    j.key("values").array();
    for (size_t i = 0; i < tally.names.size(); ++i)
        j.array().value(tally.names[i]).value(tally.counts[i]).end();
    j.end();
    sender.send();
}

void emit_alive(wire::Sender& sender, const Lab& lab, const Case& test_case, uint64_t frames) {
    sender.begin(wire::kind::alive)
        .member("lab", lab.name)
        .member("case", test_case.text())
        .member("frames", frames);
    sender.send();
}

void emit_end(wire::Sender& sender, const Lab& lab, const Case& test_case, Error reason) {
    Json& j = sender.begin(reason.lacking() ? wire::kind::skip : wire::kind::fail)
                  .member("lab", lab.name)
                  .member("case", test_case.text());
    put_error(j, "reason", reason);
    sender.send();
}

void emit_claim(wire::Sender& sender, const Lab& lab, const Claim& claim,
                const ClaimVerdict& verdict) {
    Json& j = sender.begin(wire::kind::claim).member("lab", lab.name);
    j.member("id", claim.id).member("text", claim.text);
    j.key("holds");
    if (verdict.holds == ClaimVerdict::Holds::cannot_say)
        j.null();
    else
        j.value(verdict.holds == ClaimVerdict::Holds::yes);
    j.member("because", verdict.because);
    sender.send();
}

}  // namespace doorbell::labs
