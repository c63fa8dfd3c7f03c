#include "firmware/cpu/tsc.h"

#include "firmware/cpu/cpuid.h"
#include "firmware/cpu/mul_div.h"

namespace doorbell::cpu {
namespace {

// Reads within which a reference must have moved. The slowest ticks every 0.84 us, and a read takes
// about as long on a machine, 10 to 30 instructions in an instruction clock.
constexpr unsigned most_reads = 10000;
// Looks at a reference while a window passes, each after about 2000 instructions.
constexpr unsigned most_looks = 5000000;
// Ticks of the reference that are tried for a narrow one at either end of a window.
constexpr unsigned edges_tried = 8;
constexpr unsigned most_windows = 8;

/// One read of a counter, with the TSC before and after it.
struct Sample {
    uint64_t before = 0, value = 0, after = 0;
    uint64_t width() const { return after - before; }
};

/// One end of a window. `read`: the shortest read. `edge`: the shortest span within which the
/// counter became edge.value, from before the last read of another value until after the first read
/// of this one.
struct End {
    Sample read, edge;
};

/// TSC ticks per tick of a counter, times a scale; certain bounds and a point between them.
struct Rate {
    uint64_t low = 0, high = 0, point = 0;
};

// Not inlined: in an instruction clock both ends of a window must read in the same number of
// instructions.
[[gnu::noinline]] Sample take(Tsc tsc, const ReferenceCounter& counter) {
    Sample s;
    s.before = tsc();
    s.value = counter.value();
    s.after = tsc();
    return s;
}

Result<End> look(Tsc tsc, const ReferenceCounter& counter) {
    Sample last = take(tsc, counter);
    End end{last, {}};
    unsigned edges = 0;
    for (unsigned i = 0; i < most_reads && edges < edges_tried; ++i) {
        Sample now = take(tsc, counter);
        if (now.value != last.value) {
            Sample edge{last.before, now.value, now.after};
            if (edges++ == 0 || edge.width() < end.edge.width()) end.edge = edge;
        }
        if (now.width() < end.read.width()) end.read = now;
        last = now;
    }
    if (edges == 0) return Error{"a reference counter stands still", last.value};
    if (end.edge.width() == 0) return Error{"the time-stamp counter stands still", last.after};
    return end;
}

/// Looks at one end, waits until done() without busying the device, looks at the other end.
template <class Done>
Result<Rate> window(Tsc tsc, const ReferenceCounter& counter, uint64_t numerator,
                    uint64_t denominator, Done done) {
    auto start = DOORBELL_TRY(look(tsc, counter));
    uint64_t last = start.read.value, passed = 0;
    for (unsigned looks = 0, still = 0;; ++looks) {
        Sample now = take(tsc, counter);
        still = now.value == last ? still + 1 : 0;
        if (still == most_reads) return Error{"a reference counter stopped", now.value};
        if (looks == most_looks) return Error{"waited too long for a reference counter", now.value};
        passed += (now.value - last) & counter.mask;
        last = now.value;
        if (done(passed, now.after - start.read.before)) break;
        tsc.pass_time();
    }
    auto end = DOORBELL_TRY(look(tsc, counter));

    auto rate = [&](uint64_t ticks, uint64_t counts) {
        return mul_div(ticks, numerator, denominator * counts);
    };
    // Between two edges a whole number of counts has passed.
    uint64_t whole = (end.edge.value - start.edge.value) & counter.mask;
    // Between two reads, up to one count more or less than their difference.
    uint64_t about = (end.read.value - start.read.value) & counter.mask;
    if (whole < 2 || about < 2 || end.edge.before < start.edge.after ||
        end.read.before < start.read.after)
        return Error{"a window was too short to measure in", about};
    Rate r{rate(end.edge.before - start.edge.after, whole),
           rate(end.edge.after - start.edge.before, whole) + 1,
           rate(end.read.before - start.read.before, about)};
    uint64_t low = rate(end.read.before - start.read.after, about + 1);
    uint64_t high = rate(end.read.after - start.read.before, about - 1) + 1;
    r.low = low > r.low ? low : r.low;
    r.high = high < r.high ? high : r.high;
    if (r.low > r.high) return Error{"a reference counter's ticks are not even", about};
    r.point = r.point < r.low ? r.low : r.point > r.high ? r.high : r.point;
    return r;
}

/// The number between low and high with the most zeros at its end.
uint64_t roundest(uint64_t low, uint64_t high) {
    for (uint64_t power = 1000000000000000000; power > 1; power /= 10)
        if (uint64_t number = high / power * power; number >= low && number != 0) return number;
    return low + (high - low) / 2;
}

bool is_intel(Cpuid cpuid) {
    CpuidRegisters r = cpuid(0);
    return r.ebx == 0x756E6547 && r.edx == 0x49656E69 && r.ecx == 0x6C65746E;  // "GenuineIntel"
}

/// The crystal of processors that have CPUID 15h without it (SDM vol. 3B, table "Nominal Core
/// Crystal Clock Frequency"); 0 where the table has none.
uint64_t crystal_by_model(Cpuid cpuid) {
    if (!is_intel(cpuid)) return 0;
    CpuidLeaf<1> one(cpuid);
    if (one[cpuid::VersionEax::family] != 6) return 0;
    switch (one[cpuid::VersionEax::model] | one[cpuid::VersionEax::extended_model] << 4) {
        case 0x4E:
        case 0x5E:
        case 0x8E:
        case 0x9E:
            return 24000000;
        case 0x55:
            return 25000000;
        case 0x5C:
            return 19200000;
        default:
            return 0;
    }
}

/// CPUID 16h: the base frequency, in whole MHz. 0: not there.
uint64_t base_hz(Cpuid cpuid) {
    if (cpuid(0).eax < 0x16) return 0;
    return uint64_t{CpuidLeaf<0x16>(cpuid)[cpuid::BaseFrequencyEax::mhz]} * 1000000;
}

uint64_t distance(uint64_t a, uint64_t b) { return a > b ? a - b : b - a; }

/// CPUID 15h: TSC = crystal * EBX / EAX. 0: not there, or the crystal is not known.
uint64_t crystal_hz(Cpuid cpuid) {
    if (cpuid(0).eax < 0x15) return 0;
    CpuidRegisters r = cpuid(0x15);
    if (r.eax == 0 || r.ebx == 0) return 0;
    if (r.ecx != 0) return mul_div(r.ecx, r.ebx, r.eax);
    uint64_t hz = mul_div(crystal_by_model(cpuid), r.ebx, r.eax);
    // The table is by model, and some models were built with two crystals: the base frequency tells
    // them apart.
    uint64_t base = base_hz(cpuid);
    return base != 0 && distance(hz, base) > base / 100 ? 0 : hz;
}

/// The timing leaf that VMware defined and KVM took over: EAX is the TSC in kHz. 0: not there.
uint64_t hypervisor_hz(Cpuid cpuid) {
    if (!CpuidLeaf<1>(cpuid)[cpuid::VersionEcx::hypervisor]) return 0;
    CpuidRegisters r = cpuid(cpuid::first_hypervisor);
    bool vmware =
        r.ebx == 0x61774D56 && r.ecx == 0x4D566572 && r.edx == 0x65726177;         // "VMwareVMware"
    bool kvm = r.ebx == 0x4B4D564B && r.ecx == 0x564B4D56 && r.edx == 0x0000004D;  // "KVMKVMKVM"
    // Other hypervisors mean other things by this leaf.
    if ((!vmware && !kvm) || r.eax < 0x40000010) return 0;
    return uint64_t{cpuid(0x40000010).eax} * 1000;
}

}  // namespace

namespace {

/// Two windows that agree, of `ticks` of the reference each.
Result<Frequency> agreed(Tsc tsc, const ReferenceCounter& reference, uint64_t ticks,
                         unsigned windows) {
    auto done = [&](uint64_t passed, uint64_t) { return passed >= ticks; };
    Rate seen[most_windows];
    unsigned count = 0;
    Error error{"no two windows of the TSC's measurement agree"};
    if (windows > most_windows) windows = most_windows;
    for (unsigned i = 0; i < windows; ++i) {
        Result<Rate> now =
            window(tsc, reference, reference.hz_numerator, reference.hz_denominator, done);
        if (!now) {
            error = now.error();
            continue;
        }
        if (windows == 1) return Frequency{roundest(now->low, now->high), now->low, now->high};
        for (unsigned k = 0; k < count; ++k) {
            uint64_t low = now->low > seen[k].low ? now->low : seen[k].low;
            uint64_t high = now->high < seen[k].high ? now->high : seen[k].high;
            if (low <= high) return Frequency{roundest(low, high), low, high};
        }
        seen[count++] = *now;
    }
    return error;
}

}  // namespace

Result<Frequency> measure_tsc(Tsc tsc, const ReferenceCounter& reference, const Calibration& how) {
    for (uint64_t us = how.window_us;; us *= 4) {
        if (us > how.longest_us) us = how.longest_us;
        uint64_t ticks = mul_div(reference.hz_numerator, us, reference.hz_denominator * 1000000);
        // Well below the wrap, so that a late look cannot miss one.
        bool longest = us == how.longest_us || ticks > reference.mask / 2;
        if (ticks > reference.mask / 2) ticks = reference.mask / 2;
        Result<Frequency> f = agreed(tsc, reference, ticks, how.windows);
        if (!f || longest || f->high - f->low <= mul_div(f->hz, how.wide_ppm, 1000000)) return f;
    }
}

namespace {

/// The sources of one TscClock, asked one after the other.
class Poll {
  public:
    explicit Poll(TscClock& clock) : clock_(clock) {}
    void add(const char* name, Frequency f) {
        if (clock_.source_count < TscClock::most_sources)
            clock_.sources[clock_.source_count++] = {name, f};
    }
    void add(const char* name, uint64_t hz) {
        if (hz != 0) add(name, {hz, hz, hz});
    }
    /// Finds the largest group that agrees, and in it the source that was asked first.
    void count() {
        clock_.agree = 0;
        for (size_t i = 0; i < clock_.source_count; ++i) {
            size_t near = 0;
            for (size_t k = 0; k < clock_.source_count; ++k) near += agrees(i, k);
            if (near > clock_.agree) clock_.agree = near, best_ = i;
        }
    }
    size_t best() const { return best_; }
    void decide() {
        const TscSource& chosen = clock_.sources[best_];
        clock_.hz = chosen.says.hz;
        clock_.hz_low = chosen.says.low;
        clock_.hz_high = chosen.says.high;
        clock_.source = chosen.name;
        clock_.disagrees = clock_.agree < clock_.source_count;
        for (size_t i = 0; i < clock_.source_count; ++i)
            if (i != best_ && clock_.check_source == nullptr &&
                (clock_.agree == 1 || agrees(best_, i)))
                take_check(clock_.sources[i]);
    }

  private:
    static uint64_t middle(Frequency f) { return f.low + (f.high - f.low) / 2; }
    bool agrees(size_t i, size_t k) const {
        uint64_t hz = clock_.sources[i].says.hz;
        return i == k || distance(middle(clock_.sources[k].says), hz) <= hz / 1000;
    }
    void take_check(const TscSource& other) {
        constexpr uint64_t most = INT64_MAX;
        uint64_t check = middle(other.says);
        uint64_t ppm = mul_div(distance(check, clock_.hz), 1000000, clock_.hz);
        clock_.check_source = other.name;
        clock_.check_ppm =
            static_cast<int64_t>(ppm < most ? ppm : most) * (check < clock_.hz ? -1 : 1);
    }

    TscClock& clock_;
    size_t best_ = 0;
};

}  // namespace

Result<TscClock> establish(Cpuid cpuid, Tsc tsc, std::span<const ReferenceCounter> references,
                           const Calibration& how) {
    TscClock clock;

    // CPUID counts as one source, however many of its leaves answer.
    Poll poll(clock);
    if (uint64_t hz = crystal_hz(cpuid))
        poll.add("cpuid-15h", hz);
    else
        poll.add("hypervisor", hypervisor_hz(cpuid));
    bool cpuid_spoke = clock.source_count != 0;
    // What only checks needs no narrow bounds.
    Calibration quick = how;
    quick.longest_us = how.window_us;
    const ReferenceCounter* asked[TscClock::most_sources] = {};
    poll.count();
    for (const ReferenceCounter& r : references) {
        if (clock.agree >= 2 || clock.source_count == TscClock::most_sources) break;
        if (Result<Frequency> f = measure_tsc(tsc, r, clock.source_count == 0 ? how : quick)) {
            asked[clock.source_count] = &r;
            poll.add(r.name, *f);
        }
        // Two that agree are enough, unless another has contradicted them.
        if (clock.source_count == 2) poll.count();
    }
    // Its base frequency is in whole MHz: the least precise source of all.
    if (!cpuid_spoke && clock.agree < 2) poll.add("cpuid-16h", base_hz(cpuid));
    if (clock.source_count == 0)
        return Error{"nothing tells the TSC's frequency", references.size()};
    poll.count();
    // The reference that outvoted the first source was only asked to check it.
    size_t best = poll.best();
    if (best != 0 && asked[best] != nullptr)
        if (Result<Frequency> f = measure_tsc(tsc, *asked[best], how)) {
            clock.sources[best].says = *f;
            poll.count();
        }
    poll.decide();
    return clock;
}

namespace {

/// One place in memory, so that each call is the same instructions.
[[gnu::noinline]] uint64_t time_stretch(Tsc tsc) {
    uint64_t start = tsc();
    for (unsigned turn = 0; turn < 10000; ++turn) asm volatile("");
    return tsc() - start;
}

}  // namespace

bool counts_instructions(Tsc tsc) {
    uint64_t first = time_stretch(tsc);
    for (unsigned i = 1; i < 16; ++i)
        if (time_stretch(tsc) != first) return false;
    return first != 0;
}

Result<TimerRate> measure_apic_timer(const LocalApic& apic, Tsc tsc, uint64_t ticks) {
    // Counts down; turned round here.
    ReferenceCounter counter{"lapic",
                             [](void* self) -> uint64_t {
                                 return 0xFFFFFFFF -
                                        static_cast<const LocalApic*>(self)->current_count();
                             },
                             const_cast<LocalApic*>(&apic),
                             1,
                             1,
                             0xFFFFFFFF};
    apic.set_divide_1();
    apic.set_timer_mode(TimerMode::one_shot, 0xFF, true);
    apic.set_initial_count(0xFFFFFFFF);
    auto done = [&](uint64_t, uint64_t passed) { return passed >= ticks; };
    Result<Rate> rate = window(tsc, counter, TimerRate::one, 1, done);
    bool ran_out = apic.current_count() == 0;
    apic.set_initial_count(0);
    if (!rate) return rate.error();
    if (ran_out) return Error{"the local APIC's timer ran out while it was measured"};
    return TimerRate{rate->point, rate->low, rate->high};
}

}  // namespace doorbell::cpu
