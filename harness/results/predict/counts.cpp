#include "harness/results/predict/counts.h"

#include <algorithm>

#include "labs/catalogue.h"

namespace doorbell::harness {
namespace {

constexpr const char* miss_classes[] = {"chained", "scattered", "streamed", "store", "fetch"};
constexpr const char* miss_levels[] = {"l2", "llc", "memory"};

/// Takes the counts `names` out of `all`, down to 0.
double rest_of(const Counts& counts, const char* all, std::initializer_list<const char*> names) {
    double rest = count_of(counts, all);
    for (const char* name : names) rest -= count_of(counts, name);
    return std::max(rest, 0.0);
}

/// Moves the pairs of `a` and `b` to `pair`.
void pair_up(Counts& terms, const char* a, const char* b, const char* pair) {
    double pairs = std::min(count_of(terms, a), count_of(terms, b));
    if (pairs == 0) return;
    terms[pair] += pairs;
    terms[a] -= pairs;
    terms[b] -= pairs;
}

/// Misses whose class nobody told, by the level that served them.
void unclassed_misses(const Counts& counts, Counts& terms) {
    for (const char* name : miss_classes)
        for (const char* level : miss_levels)
            if (counts.contains(std::string(name) + "_" + level)) return;
    double l1 = count_of(counts, "l1d_misses") + count_of(counts, "l1i_misses"),
           l2 = count_of(counts, "l2_misses"), llc = count_of(counts, "llc_misses");
    terms["unclassed_l2"] = std::max(l1 - l2, 0.0);
    terms["unclassed_llc"] = std::max(l2 - llc, 0.0);
    terms["unclassed_memory"] = llc;
}

/// Misses of the DTLB, by size of the page and by what knew it: the second level, or the tables.
void pages(const Counts& counts, Counts& terms) {
    double large = count_of(counts, "dtlb_large_misses"),
           large_walks = count_of(counts, "page_walks_large");
    terms["large_pages_walks"] = large_walks;
    terms["large_pages_l2_tlb"] = std::max(large - large_walks, 0.0);
    double walks = rest_of(counts, "page_walks", {"page_walks_large"});
    terms["small_pages_walks"] = walks;
    terms["small_pages_l2_tlb"] =
        std::max(rest_of(counts, "dtlb_misses", {"dtlb_large_misses"}) - walks, 0.0);
}

void mmio(const Counts& counts, Counts& terms) {
    // Runs of before there were these parts do not have path_steps either.
    bool known = counts.contains("path_steps");
    terms[known ? "card_reads" : "some_mmio_reads"] =
        rest_of(counts, "mmio_reads", {"apic_reads", "hpet_reads"});
    terms[known ? "card_writes" : "some_mmio_writes"] =
        rest_of(counts, "mmio_writes", {"apic_writes", "hpet_writes"});
}

}  // namespace

std::optional<Counts> counts_of(const Series& series, const std::string& stage) {
    Counts counts;
    for (const Counter& c : series.counters) {
        if (c.stage != stage || c.samples == 0 || !c.value.is_number()) continue;
        counts[c.name] = c.value.get<double>() / static_cast<double>(c.samples);
    }
    return counts.contains("instructions") ? std::optional(std::move(counts)) : std::nullopt;
}

Circumstances circumstances_of(const Series& series) {
    Circumstances c;
    std::string_view ring = series.test_case["ring"], wait = series.test_case["wait"],
                     source = series.test_case["source"];
    if (ring == "3") c.entry = "interrupt-entry-ring3";
    if (wait == "irq-halt") c.entry = "interrupt-entry-hlt";
    if (wait == "mwait") c.entry = "interrupt-entry-mwait";
    c.from_ring3 = ring != "0";
    c.by_int = source == "int";
    c.polls = wait.starts_with("poll");
    c.pcid = series.test_case["space"] == "other-pcid";
    if (source.empty()) {
        const labs::Lab* lab = labs::find(series.lab);
        c.message = c.card = lab != nullptr && lab->wants_card;
    } else {
        c.message = source != "lapic" && source != "tsc-deadline" && source != "ipi";
    }
    return c;
}

Counts in_priced_terms(const Counts& counts, const Circumstances& circumstances) {
    Counts terms = counts;
    unclassed_misses(counts, terms);
    pages(counts, terms);
    mmio(counts, terms);
    terms["other_serializing"] =
        rest_of(counts, "serializing", {"iretq", "cr3_writes", "cpuid", "wrmsr", "invlpg"});
    pair_up(terms, "lfence", "rdtsc", "lfence_rdtsc");
    pair_up(terms, "int", "iretq", "int_pairs");
    for (const char* name : {"int", "int_pairs"})
        if (auto node = terms.extract(name)) {
            node.key() += circumstances.from_ring3 ? "_ring3" : "_ring0";
            terms.insert(std::move(node));
        }
    if (circumstances.pcid) std::swap(terms["cr3_writes"], terms["cr3_pcid_writes"]);
    pair_up(terms, "syscall", "sysret", "syscall_pairs");
    double interrupts = count_of(terms, "interrupts");
    terms[circumstances.entry] = interrupts;
    if (circumstances.message) terms["messages"] = interrupts;
    // Entering and leaving the wait belongs to the price of an interrupt that ends it.
    for (const auto& [entry, wait] :
         {std::pair{"interrupt-entry-hlt", "hlt"}, {"interrupt-entry-mwait", "mwait"}})
        if (circumstances.entry == entry)
            terms[wait] = std::max(count_of(terms, wait) - interrupts, 0.0);
    double late = std::min(count_of(counts, "late_branch_misses"),
                           count_of(counts, "scattered_l2") + count_of(counts, "scattered_llc") +
                               count_of(counts, "scattered_memory"));
    terms["late_branches"] = late;
    std::erase_if(terms, [](const auto& term) { return term.second == 0; });
    return terms;
}

}  // namespace doorbell::harness
