// The image's main line: say hello, bring the machine up, state what the instrument is worth, run
// the labs that were asked for, leave.
#include "firmware/boot/boot_info.h"
#include "firmware/cpu/registers.h"
#include "firmware/measure/hold.h"
#include "firmware/measure/instrument.h"
#include "firmware/measure/pmu_pass.h"
#include "firmware/platform/machine.h"
#include "firmware/platform/power.h"
#include "firmware/wire/text.h"
#include "firmware/wire/words.h"
#include "labs/catalogue.h"
#include "labs/image/command_line.h"
#include "labs/image/console.h"
#include "labs/image/emit.h"
#include "labs/image/panic.h"
#include "labs/image/screen.h"
#include "labs/kit/bench.h"

extern "C" const unsigned char
    build_id[];  // the linker's note: header of 16 bytes, then 20 bytes of SHA-1
extern "C" char text_start[];
extern "C" void (*const init_array_start[])();
extern "C" void (*const init_array_end[])();

namespace doorbell::labs {
namespace {

/// A large object made at start-up, so that the image carries no bytes for what is nearly all
/// zeros. The assembly keeps a compiler from doing it beforehand.
template <class T>
[[gnu::noinline]] T fresh() {
    asm volatile("");
    return T{};
}

boot::BootInfo boot_info = fresh<boot::BootInfo>();
CommandLine command_line = fresh<CommandLine>();
platform::Machine machine = fresh<platform::Machine>();
measure::Instrument instrument = fresh<measure::Instrument>();
Results results;
measure::Counters counters;
measure::PmuPass pmu;

platform::Handover handover() {
    return {{boot_info.memory.begin(), boot_info.memory.end()},
            boot_info.rsdp_address,
            {boot_info.rsdp_copy, boot_info.rsdp_copy_length},
            boot_info.map_cut || boot_info.memory.dropped() != 0};
}

void say_hello() {
    char id[41] = {};
    for (int i = 0; i < 20; ++i) {
        id[2 * i] = "0123456789abcdef"[build_id[16 + i] >> 4];
        id[2 * i + 1] = "0123456789abcdef"[build_id[16 + i] & 15];
    }
    sender()
        .begin(wire::kind::hello)
        .member("wire", wire::wire_name)
        .member("image", id)
        .member("command_line", boot_info.words());
    sender().send();
}

[[noreturn]] void finish(const char* status, wire::Exit exit) {
    show_end(status, sender().sent() + 1, console_name());
    sender().begin(wire::kind::end).member("status", status).member("records", sender().sent());
    sender().send();
    leave(static_cast<unsigned char>(exit));
}

void send_error(const char* text, std::string_view detail, const char* advice = nullptr) {
    wire::Json& json = sender().begin(wire::kind::error).member("text", text);
    if (!detail.empty()) json.member("word", detail);
    if (advice != nullptr) json.member("advice", advice);
    sender().send();
    show(text);
    if (!detail.empty()) show(detail);
    if (advice != nullptr) show(advice);
}

/// Runs down the stack until its guard page.
[[gnu::noinline]] uint64_t run_away(uint64_t depth) {
    volatile uint64_t here[64] = {depth};
    return here[0] == ~0ull ? 0 : run_away(depth + 1) + here[1];
}

/// Faults on purpose, so that tests can see a panic and a watchdog at work.
[[gnu::noinline]] void fail_on_purpose(Fault fault) {
    switch (fault) {
        case Fault::double_fault:
            // A push onto no stack at all: #PF, whose own push fails again.
            asm volatile("xorl %%esp, %%esp\n\tpushq %%rax" : : : "memory");
            break;
        case Fault::triple_fault: {
            struct [[gnu::packed]] {
                uint16_t limit;
                uint64_t base;
            } none{0, 0};
            asm volatile("lidt %0\n\tud2" : : "m"(none));
            break;
        }
        case Fault::hang:
            say("hanging on purpose");
            for (;;) asm volatile("pause" : : : "memory");
        case Fault::stack:
            (void)run_away(0);
            break;
        case Fault::write_code: {
            *static_cast<volatile char*>(text_start) = 0;
            break;
        }
        case Fault::run_data: {
            static unsigned char data[] = {0xC3};
            asm volatile("call *%0" : : "r"(data) : "memory");
            break;
        }
        case Fault::null: {
            volatile uint64_t* null = nullptr;
            asm volatile("movq $0, (%0)" : : "r"(null) : "memory");
            break;
        }
        case Fault::early:
        case Fault::lab:
        case Fault::none:
            break;
    }
    asm volatile("ud2");
}

const char* run_flag() {
    if (machine.tsc.disagrees)
        return "two sources disagree on the TSC's frequency by more than 0.1 %";
    if (boot_info.map_cut || boot_info.memory.dropped() != 0)
        return "the boot loader's memory map was longer than could be kept: the smallest reserved "
               "regions are missing";
    if (boot_info.command_line_cut) return "the command line was longer than could be read";
    return nullptr;
}

uint64_t count_cases() {
    uint64_t cases = 0;
    for (unsigned i = 0; i < command_line.wanted_count; ++i)
        for (const Case& c : command_line.wanted[i].lab->cases) cases += command_line.runs(i, c);
    return cases;
}

void send_plan() {
    wire::Json& json = sender().begin(wire::kind::plan);
    json.member("cases", count_cases()).member("samples", command_line.request.samples);
    json.member("warmup", command_line.request.warm_up)
        .member("seed", command_line.request.seed)
        .key("labs")
        .array();
    for (unsigned i = 0; i < command_line.wanted_count; ++i)
        json.value(command_line.wanted[i].lab->name);
    json.end();
    sender().send();
}

void look_for_counters() {
    uint64_t ram_end = 0;
    for (const boot::MemoryRegion& r : boot_info.memory) {
        if (r.memory() && r.base < (1ull << 32) && r.end() > ram_end) ram_end = r.end();
    }
    counters.look_for_model(ram_end < (1ull << 32) ? ram_end : 1ull << 32);
    if (counters.source() != measure::Counters::Source::none) return;
    if (machine.features.tcg())
        return counters.none("QEMU's emulation has no PMU; --model on loads the cache model");
    uint64_t mark = machine.arena.mark();
    auto found =
        pmu.open(machine.features, machine.arena.take(64 * 4096, 4096), *machine.apic.device);
    machine.arena.back_to(mark);
    if (found)
        counters.use_pmu(pmu.description());
    else
        counters.none(found.error().what);
}

/// Counts by the PMU: the case once more for each turn of its events. What it measures is thrown
/// away.
void count_by_pmu(const Lab& lab, const Case& test_case, measure::Histogram& nowhere,
                  uint64_t first_id) {
    constexpr uint64_t most_samples = 256, edges = 32768;
    for (unsigned turn = 0; turn < pmu.turns(); ++turn) {
        uint64_t mark = machine.arena.mark();
        auto log = machine.arena.array<measure::PmuEdge>(edges);
        if (log.empty() || !pmu.start(turn, log)) return machine.arena.back_to(mark);
        counters.start_case();
        counters.pmu_pass(&pmu);
        Request request = command_line.request;
        if (request.samples > most_samples) request.samples = most_samples;
        Bench bench(machine, instrument, lab, request, nowhere, counters);
        Result<void> done = lab.body(bench, test_case);
        cpu::disable_interrupts();
        counters.pmu_pass(nullptr);
        pmu.stop();
        uint64_t id = first_id;
        for (const measure::Series* s : bench.all()) {
            auto rows = machine.arena.array<measure::CountRow>(s->parts().stages.size() + 1);
            if (bench.sound(done) && s->parts().counted && !rows.empty()) {
                pmu.attribute(*s, s->parts().checked, rows);
                Counted counted{rows, pmu.names(),     "measured",
                                0,    pmu.pair_cost(), pmu.user_pair_cost()};
                emit_counters(sender(), id, *s, counted);
                results.add_figures(lab.name, test_case.text(), s->parts().metric,
                                    figures_of(*s, counted, results));
            }
            ++id;
        }
        auto outcome = bench.outcome(done);
        if (!outcome && !outcome.error().lacking())
            return emit_end(sender(), lab, test_case, outcome.error());
        machine.arena.back_to(mark);
    }
}

/// Where the clock counts instructions, each case begins at a multiple of so many: a whole number
/// of the HPET's ticks. A halted processor that was woken a few instructions late is in no later
/// case's figures then.
constexpr uint64_t case_phase = 1000000;

/// One case: its own seed (so that it does not depend on which others ran), its own memory, given
/// back after.
void run_case(const Lab& lab, const Case& test_case, measure::Histogram& nowhere,
              uint64_t& next_id) {
    whereabouts() = {"lab", lab.name, test_case.text()};
    sender().begin(wire::kind::begin).member("lab", lab.name).member("case", test_case.text());
    sender().send();
    show_case(lab, test_case);
    uint64_t mark = machine.arena.mark();
    {
        counters.start_case();
        Bench bench(machine, instrument, lab, command_line.request, nowhere, counters);
        if (command_line.fault != Fault::none) fail_on_purpose(command_line.fault);
        if (bench.exact()) measure::hold_until(measure::next_multiple(case_phase));
        Result<void> done = lab.body(bench, test_case);
        cpu::disable_interrupts();
        counters.end();
        auto outcome = bench.outcome(done);
        if (!outcome && outcome.error().lacking()) results.add_skip(lab.name, test_case.text());
        if (bench.sound(done)) {
            uint64_t first_id = next_id;
            for (measure::Series* s : bench.all()) {
                s->finish();
                emit_series(sender(), next_id, lab, test_case, *s);
                Counted counted{counters.rows_of(*s), counters.names(), "modelled",
                                counters.absent()};
                counted.regions = counters.regions_of(*s);
                emit_counters(sender(), next_id++, *s, counted);
                Summary summary = summarize(lab, test_case, *s, instrument);
                summary.figures = figures_of(*s, counted, results);
                results.add(summary);
            }
            if (bench.tally.name != nullptr) emit_tally(sender(), lab, test_case, bench.tally);
            if (counters.source() == measure::Counters::Source::pmu)
                count_by_pmu(lab, test_case, nowhere, first_id);
        }
        if (!outcome) {
            emit_end(sender(), lab, test_case, outcome.error());
            show_outcome(outcome.error());
        }
    }
    machine.arena.back_to(mark);
}

void run_labs(measure::Histogram& nowhere) {
    uint64_t next_id = 0;
    for (unsigned i = 0; i < command_line.wanted_count; ++i) {
        const Wanted& wanted = command_line.wanted[i];
        for (const Case& test_case : wanted.lab->cases)
            if (command_line.runs(i, test_case)) run_case(*wanted.lab, test_case, nowhere, next_id);
        // A lab that is asked for in several words (nic:wait=poll nic:wait=irq) is judged once,
        // from all its cases.
        if (command_line.comes_again(i)) continue;
        whereabouts() = {"claims", wanted.lab->name, {}};
        for (const Claim& claim : wanted.lab->claims) {
            ClaimVerdict verdict = claim.judge(results, wanted.lab->name);
            emit_claim(sender(), *wanted.lab, claim, verdict);
            show_claim(claim, verdict);
        }
    }
    whereabouts() = {"end", {}, {}};
}

void run() {
    command_line.read(boot_info.words());
    command_line.request.alive = [](const Lab& lab, const Case& test_case, uint64_t frames) {
        emit_alive(sender(), lab, test_case, frames);
    };
    if (command_line.fault == Fault::early) fail_on_purpose(Fault::early);
    for (unsigned i = 0; i < command_line.problem_count; ++i)
        send_error("a word on the command line was not understood", command_line.problems[i].word,
                   command_line.problems[i].what);
    if (command_line.problem_count != 0) finish("refused", wire::Exit::refused);

    whereabouts().phase = "machine";
    // The HPET counts from when it is enabled: not from how long it took to read these words.
    measure::hold_until(measure::next_multiple(case_phase));
    auto up = machine.bring_up(handover());
    if (!up) {
        send_error(up.error().what, {});
        finish("refused", wire::Exit::refused);
    }
    open_high_screen(machine, boot_info.frame_buffer);
    emit_machine(sender(), machine, boot_info.protocol, console_name());

    whereabouts().phase = "instrument";
    auto* scratch = machine.arena.make<std::array<measure::Histogram, 3>>();
    if (scratch == nullptr) {
        send_error("not enough memory for the instrument", {});
        finish("refused", wire::Exit::refused);
    }
    constexpr uint64_t most_results = 4096;
    results = Results(machine.arena.array<Summary>(most_results),
                      machine.arena.array<Figure>(8 * most_results));
    if (machine.features.tcg()) results.set_emulator("QEMU's emulation (TCG)");
    instrument = measure::observe(machine.features, machine.tsc, scratch->data());
    // The HPET counts from when it is started: at a tick that no compiler's code has chosen.
    if (instrument.counts_instructions && machine.hpet) {
        machine.hpet->stop();
        measure::store_at(measure::next_multiple(case_phase),
                          machine.hpet->base() + platform::hpet::Configuration::address, 1);
    }
    look_for_counters();
    emit_instrument(sender(), instrument, counters);
    show_instrument(instrument);
    if (const char* flag = run_flag()) {
        sender().begin(wire::kind::flag).member("text", flag);
        sender().send();
    }
    send_plan();
    if (instrument.verdict == measure::Verdict::refused) {
        send_error("the instrument refused", instrument.because);
        finish("refused", wire::Exit::refused);
    }
    run_labs(scratch->front());
    finish("done", wire::Exit::done);
}

}  // namespace

void leave(unsigned char exit_code) {
    cpu::disable_interrupts();
    drain_console();
    machine.quiet();
    cpu::Ports ports;
    switch (command_line.leave) {
        case Leave::debug_exit:
            platform::debug_exit(ports, exit_code);
            break;
        case Leave::power_off:
            say(platform::power_off(ports, cpu::Mmio(0), machine.acpi.fixed).what);
            break;
        case Leave::reset:
            say(platform::reset(ports, cpu::Mmio(0), machine.acpi.fixed).what);
            break;
        case Leave::halt:
            break;
    }
    drain_console();
    cpu::stop();
}

}  // namespace doorbell::labs

/// Called by entry.S with the boot loader's information.
extern "C" [[noreturn]] void boot_main(uint64_t information) {
    using namespace doorbell;
    for (auto* make = init_array_start; make != init_array_end; ++make) (*make)();
    cpu::load_descriptors(labs::unexpected);
    bool known = boot::read_boot_info(information, labs::boot_info);
    labs::open_screen(labs::boot_info.frame_buffer);
    auto acpi = platform::read_acpi(labs::handover());
    labs::open_console(labs::boot_info.words(), acpi ? acpi->serial : platform::AcpiSerial{});
    labs::say_hello();
    if (!known) {
        labs::send_error("neither PVH nor multiboot2 handed over", {});
        labs::finish("refused", wire::Exit::refused);
    }
    labs::run();
    labs::leave(static_cast<unsigned char>(wire::Exit::failed));
}
