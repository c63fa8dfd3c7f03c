// What does one event cost on this processor, as far as user mode can tell? The same bodies, names
// and method as in the image (labs/prices.cpp): firmware/measure/price.h, labs/kit/primitives.h.
#include <cpuid.h>

#include <atomic>
#include <vector>

#include "firmware/measure/price.h"
#include "host/bench.h"
#include "host/lab.h"
#include "host/memory.h"
#include "host/partner.h"
#include "labs/kit/primitives.h"

namespace doorbell::host {
namespace {

constexpr Case cases[] = {DOORBELL_USER_PRICE_CASES "primitive=line-from-core"};

/// Takes all samples first, so that they can be repeated where the yardstick drifts; the loop then
/// only records them. `prepare` makes the plan last: making the series evicts memory that the plan
/// brings into the caches.
template <class Prepare>
void record(LinuxBench& bench, Prepare&& prepare) {
    const char* unit = bench.instrument.counts_instructions ? "milli-insn" : "millitick";
    measure::Series& price = bench.series("price", {.unit = unit});
    measure::Series& yardstick = bench.series("yardstick", {.unit = unit});
    std::vector<measure::PriceSample> samples(bench.samples());
    const measure::PricePlan plan = prepare();
    bool drift =
        measure::take_prices(plan, labs::plan_of(labs::user_primitives().front()), samples);
    uint64_t next = 0;
    bench.repeat([&] {
        const measure::PriceSample& s = samples[next++ % samples.size()];
        price.record(s.price);
        yardstick.record(s.yardstick);
        return s.price / 1000 + 1;
    });
    if (drift) price.flag(measure::price_drifted);
    const measure::Histogram& h = *price.parts().warm;
    if (!measure::steady(h.min(), h.percentile(25000))) price.flag(measure::price_unsteady);
}

/// Prices of levels hold no page walks as long as the kernel gives large pages.
void flag_small_pages(LinuxBench& bench, const Memory& memory) {
    if (!memory.is_large())
        bench.flag("the kernel gave pages of 4 KiB: misses of the TLB are in this price");
}

void measure_memory(LinuxBench& bench, labs::Access access, uint64_t bytes) {
    Memory memory(bytes, true);
    std::vector<uint32_t> table(bytes / labs::cache_line);
    PrimitivePlace place{};
    record(bench, [&] {
        return labs::plan_memory(access, memory.at(), bytes, table.data(), bench.random, place);
    });
    flag_small_pages(bench, memory);
}

void measure_late_branch(LinuxBench& bench, uint64_t bytes) {
    Memory zeros(bytes, true), bits(bytes, true);
    std::vector<uint32_t> table(bytes / labs::cache_line);
    labs::LateBranchPlaces places{{}, {}, bench.random, 0};
    record(bench, [&] {
        return labs::plan_late_branch(zeros.at(), bits.at(), bytes, table.data(), places);
    });
    flag_small_pages(bench, zeros);
    flag_small_pages(bench, bits);
}

/// A thread on another CPU that writes its lines when it is told to.
class OtherCore {
  public:
    OtherCore(int cpu, void* lines)
        : lines_(static_cast<char*>(lines)), partner_(As::thread, cpu, [this] { write_lines(); }) {}
    ~OtherCore() { asked_ = over; }
    OtherCore(const OtherCore&) = delete;
    /// Returns when it has written each line.
    void write() {
        uint64_t now = ++asked_;
        while (done_ != now) __builtin_ia32_pause();
    }

  private:
    static constexpr uint64_t over = ~0ull;
    void write_lines() {
        for (uint64_t done = 0;;) {
            uint64_t now = asked_;
            if (now == over) return;
            if (now == done) {
                __builtin_ia32_pause();
                continue;
            }
            // The first word of a line is the ring's.
            for (uint64_t i = 0; i < labs::core_lines; ++i)
                *reinterpret_cast<volatile uint64_t*>(lines_ + i * labs::cache_line + 8) = now;
            done_ = done = now;
        }
    }
    char* lines_;
    std::atomic<uint64_t> asked_{0}, done_{0};
    Partner partner_;  // last: it uses the others
};

void measure_line_from_core(LinuxBench& bench) {
    if (!bench.two_cpus()) throw Skip("there is one CPU, and this is about two");
    constexpr uint64_t bytes = labs::core_lines * labs::cache_line;
    Memory memory(3 * bytes, true);
    std::vector<uint32_t> table(2 * labs::core_lines);
    OtherCore other(bench.cpu(1), static_cast<char*>(memory.at()) + 2 * bytes);
    labs::OtherCorePlaces places{
        {}, {}, [](void* core) { static_cast<OtherCore*>(core)->write(); }, &other};
    record(bench, [&] {
        return labs::plan_line_from_core(memory.at(), table.data(), bench.random, places);
    });
}

void measure_pages(LinuxBench& bench, uint64_t page, uint64_t pages, bool within_large) {
    Memory memory(page * pages, within_large);
    std::vector<uint32_t> table(pages);
    PrimitivePlace place{};
    record(bench, [&] {
        return labs::plan_pages(memory.at(), pages, page, table.data(), bench.random, place);
    });
    if (within_large) flag_small_pages(bench, memory);
}

void measure_mispredict(LinuxBench& bench) {
    std::vector<uint64_t> zeros(labs::mispredict_branches / 8), bits(zeros.size());
    labs::MispredictPlaces places{{}, {}, bench.random};
    record(bench, [&] {
        return labs::plan_mispredict(reinterpret_cast<uint8_t*>(zeros.data()),
                                     reinterpret_cast<uint8_t*>(bits.data()), places);
    });
}

bool has_rdtscp() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid(0x80000001, &a, &b, &c, &d) != 0 && (d >> 27 & 1) != 0;
}

void body(LinuxBench& bench, const Case& test_case) {
    std::string_view name = test_case["primitive"];
    labs::Access access;
    if (labs::access_of(name, access))
        return measure_memory(bench, access, test_case.number("bytes"));
    if (name == "load-paged")
        return measure_pages(bench, test_case.number("page"), test_case.number("pages"),
                             !test_case["within"].empty());
    if (name == "mispredict") return measure_mispredict(bench);
    if (name == "late-branch") return measure_late_branch(bench, test_case.number("bytes"));
    if (name == "line-from-core") return measure_line_from_core(bench);
    if (name == "rdtscp" && !has_rdtscp())
        throw Skip("this processor has no RDTSCP (CPUID 80000001H:EDX[27])");
    const labs::Primitive* p = labs::find_primitive(labs::user_primitives(), name);
    if (p == nullptr) throw Wrong("the lab has a case without a primitive");
    record(bench, [&] { return labs::plan_of(*p); });
}

}  // namespace

extern const Lab prices_lab;
constinit const Lab prices_lab = {
    "prices",
    "What does one event cost on this processor, as far as user mode can tell?",
    "nothing; large pages for prices that no page walk is in",
    cases,
    body,
    nullptr,
    false,
    false};

}  // namespace doorbell::host
