// What do programs cost on this processor whose counts the image knows exactly? The same object
// code as in the image (labs/caches.cpp): labs/kit/bodies.h. Beside each sample stands one of the
// yardstick, an IMUL of a chain, which is 3 core cycles, in thousandths of the clock's unit.
#include <vector>

#include "firmware/measure/price.h"
#include "host/bench.h"
#include "host/lab.h"
#include "host/memory.h"
#include "labs/kit/bodies.h"
#include "labs/kit/primitives.h"

namespace doorbell::host {
namespace {

constexpr Case cases[] = {
#define BODY(function, name, bytes, input, sentence) "body=" name,
#include "labs/kit/bodies.list"
#undef BODY
};

void body(LinuxBench& bench, const Case& test_case) {
    const labs::Body* chosen = labs::find_body(test_case["body"]);
    if (chosen == nullptr) throw Wrong("the lab has a case without a body");
    const labs::Body& body = *chosen;
    const char* unit = bench.instrument.counts_instructions ? "milli-insn" : "millitick";
    measure::Series& cost = bench.series("cost", {.less_overhead = true});
    measure::Series& yardstick = bench.series("yardstick", {.unit = unit});
    const measure::PricePlan imuls = labs::plan_of(labs::user_primitives().front());
    Memory memory(body.bytes, true);
    const uint64_t first_seed = bench.random.next();
    uint64_t seed = first_seed;
    std::vector<uint32_t> checksums;  // of the first run alone
    body.prepare(memory.at(), seed);
    bench.repeat([&] {
        measure::PriceSample chain = measure::take_sample(imuls);
        yardstick.record(
            measure::milli_an_event(chain.base, chain.more, imuls.units * imuls.turns));
        if (body.input == labs::BodyInput::fresh) body.prepare(memory.at(), seed++);
        uint64_t t = measure::begin();
        uint64_t result = body.run(memory.at());
        uint64_t ticks = measure::end() - t;
        cost.record(ticks);
        if (checksums.empty()) checksums.push_back(labs::Body::checksum(result));
        return ticks;
    });
    body.prepare(memory.at(), first_seed);
    if (labs::Body::checksum(body.run(memory.at())) != checksums.front())
        throw Wrong("the body computes something else from the same data when it runs again");
    if (bench.counters().empty()) bench.count("checksum", checksums.front());
}

// As many samples as are useful on a machine that does other things, in a few seconds.
uint64_t fewer(const Case&) { return 10; }

}  // namespace

extern const Lab caches_lab;
constinit const Lab caches_lab = {
    "caches",
    "What do programs cost on this processor whose counts the image knows exactly?",
    "nothing; large pages, as the image has them",
    cases,
    body,
    fewer,
    false,
    false};

}  // namespace doorbell::host
