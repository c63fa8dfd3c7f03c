// What does one event cost on this machine? The exact clock counts an interrupt, a ring crossing,
// an MMIO read and a load that misses as one instruction each; here each gets its price, by the
// difference of two bodies (firmware/measure/price.h). Two series a case, in thousandths of the
// clock's unit: `price` of one event, and `yardstick`, one IMUL of a chain at the same moment.
//
// What user mode can do is in labs/kit/primitives.cpp, and the Linux program measures it with the
// same bodies; what needs ring 0 is in labs/kit/ring0_primitives.cpp.
#include "firmware/cpu/descriptors.h"
#include "firmware/cpu/registers.h"
#include "firmware/kernel/kernel.h"
#include "firmware/measure/price.h"
#include "labs/kit/bench.h"
#include "labs/kit/lab.h"
#include "labs/kit/primitives.h"
#include "labs/kit/ring0_primitives.h"

namespace doorbell::labs {
namespace {

constexpr Case cases[] = {
    DOORBELL_USER_PRICE_CASES  //
    "primitive=load-paged page=2097152 pages=16",
    "primitive=load-paged page=2097152 pages=64",
    "primitive=load-paged page=2097152 pages=128",
    "primitive=int-iretq ring=0",
    "primitive=int-iretq ring=3",
    "primitive=iretq",
    "primitive=syscall-sysret",
    "primitive=self-ipi",
    "primitive=interrupt-entry",
    "primitive=timer-entry",
    "primitive=hlt-wake",
    // The hints of C1, C1E, C2, C3, C4, C6, C7 and beyond, as processors enumerate them.
    "primitive=mwait-wake hint=0",
    "primitive=mwait-wake hint=1",
    "primitive=mwait-wake hint=16",
    "primitive=mwait-wake hint=32",
    "primitive=mwait-wake hint=33",
    "primitive=mwait-wake hint=48",
    "primitive=mwait-wake hint=64",
    "primitive=mwait-wake hint=80",
    "primitive=mwait-wake hint=96",
    "primitive=cr3-write",
    "primitive=cr3-write-pcid",
    "primitive=invlpg",
    "primitive=rdmsr",
    "primitive=wrmsr",
    "primitive=swapgs",
    "primitive=xsave",
    "primitive=xrstor",
    "primitive=apic-read",
    "primitive=apic-write",
    "primitive=eoi",
    "primitive=x2apic-read",
    "primitive=eoi-msr",
    "primitive=hpet-read",
    "primitive=hpet-write",
    "primitive=card-read",
    "primitive=card-write",
    "primitive=port-read",
    "primitive=port-write",
    "primitive=ipi",
    "primitive=line-from-core",
};

constexpr uint32_t msr_lstar = 0xC0000082;
constexpr uint64_t page = 4096;

const char* milli_unit(const Bench& bench) { return bench.exact() ? "milli-insn" : "millitick"; }

/// Takes and records the samples of one price. `prepare` makes the plan, last of all: what makes
/// the series takes memory out of the caches that the plan has put there. `never_0`: a price of 0
/// is refused.
template <class Prepare>
Result<void> record(Bench& bench, Prepare&& prepare, bool never_0 = false) {
    measure::Series& price = bench.series("price", {.unit = milli_unit(bench)});
    measure::Series& yardstick = bench.series("yardstick", {.unit = milli_unit(bench)});
    uint64_t most = bench.samples() > bench.warm_up() ? bench.samples() : bench.warm_up();
    auto samples = bench.machine.arena.array<measure::PriceSample>(most);
    if (samples.empty()) return Lacking{"not enough memory for the samples asked for"};
    const measure::PricePlan plan = prepare();
    const measure::PricePlan imuls = plan_of(user_primitives().front());
    bool drift = false;
    bench.repeat([&](uint64_t count) {
        auto taken = samples.first(count);
        drift = measure::take_prices(plan, imuls, taken);
        for (const measure::PriceSample& s : taken) {
            price.record(s.price);
            yardstick.record(s.yardstick);
        }
    });
    if (drift) price.flag(measure::price_drifted);
    const measure::Histogram& h = *price.parts().warm;
    if (!measure::steady(h.min(), h.percentile(25000))) price.flag(measure::price_unsteady);
    if (never_0 && h.percentile(25000) == 0) price.flag(measure::price_of_nothing);
    return {};
}

Result<void> measure_memory(Bench& bench, Access access, uint64_t bytes) {
    uint64_t memory = bench.machine.arena.take(bytes, cpu::PageTables::large_page);
    auto table = bench.machine.arena.array<uint32_t>(bytes / cache_line);
    if (memory == 0 || table.empty()) return Lacking{"not enough memory for the loads", bytes};
    PrimitivePlace place{};
    return record(bench, [&] {
        return plan_memory(access, reinterpret_cast<void*>(memory), bytes, table.data(),
                           bench.random, place);
    });
}

/// An address space in which some memory is mapped by pages of 4 KiB, neighbours of which lie apart
/// (AMD's TLBs keep four that lie side by side in one entry). Loaded as long as it lives.
class SmallPages {
  public:
    explicit SmallPages(Bench& bench) : machine_(bench.machine), before_(cpu::read_cr3()) {}
    ~SmallPages() { cpu::write_cr3(before_); }
    SmallPages(const SmallPages&) = delete;

    Result<uint64_t> map(uint64_t pages) {
        uint64_t memory = machine_.arena.take(pages * page, page);
        auto tables =
            cpu::PageTables::make(machine_.arena.frames(), false, machine_.features.no_execute);
        if (memory == 0 || !tables)
            return first_error(Lacking{"not enough memory for the pages", pages}, tables);
        for (uint64_t entry = 0; entry < 512; ++entry) tables->share(machine_.tables, entry << 39);
        constexpr uint64_t flags = cpu::PageFlags::writable | cpu::PageFlags::no_execute;
        constexpr uint64_t odd = 7;  // no common divisor with a number of pages
        for (uint64_t i = 0; i < pages; ++i) {
            DOORBELL_TRY(tables->map(kernel::window_start + i * page,
                                     memory + i * odd % pages * page, page, flags));
        }
        cpu::write_cr3(tables->root());
        return kernel::window_start;
    }

  private:
    platform::Machine& machine_;
    uint64_t before_;
};

/// `within`: the size of the pages that those of `size` are only pieces of; else `size`.
Result<void> measure_pages(Bench& bench, uint64_t size, uint64_t pages, uint64_t within) {
    auto table = bench.machine.arena.array<uint32_t>(pages);
    if (table.empty()) return Lacking{"not enough memory for the pages", pages};
    PrimitivePlace place{};
    if (within == page) {
        SmallPages small(bench);
        auto memory = small.map(pages);
        if (!memory) return memory.error();
        return record(bench, [&] {
            return plan_pages(reinterpret_cast<void*>(*memory), pages, page, table.data(),
                              bench.random, place);
        });
    }
    uint64_t memory = bench.machine.arena.take(pages * size, within);
    if (memory == 0) return Lacking{"not enough memory for so many large pages", pages * size};
    for (uint64_t at = memory; at < memory + pages * size; at += size)
        if (!(bench.machine.tables.entry_of(at) & cpu::PageFlags::large))
            return Lacking{"this memory is not mapped by large pages", at};
    return record(bench, [&] {
        return plan_pages(reinterpret_cast<void*>(memory), pages, size, table.data(), bench.random,
                          place);
    });
}

Result<void> measure_late_branch(Bench& bench, uint64_t bytes) {
    uint64_t zeros = bench.machine.arena.take(bytes, cpu::PageTables::large_page),
             bits = bench.machine.arena.take(bytes, cpu::PageTables::large_page);
    auto table = bench.machine.arena.array<uint32_t>(bytes / cache_line);
    if (zeros == 0 || bits == 0 || table.empty())
        return Lacking{"not enough memory for the branches", bytes};
    LateBranchPlaces places{{}, {}, bench.random, 0};
    return record(bench, [&] {
        return plan_late_branch(reinterpret_cast<void*>(zeros), reinterpret_cast<void*>(bits),
                                bytes, table.data(), places);
    });
}

Result<void> measure_mispredict(Bench& bench) {
    auto zeros = bench.machine.arena.array<uint8_t>(mispredict_branches);
    auto bits = bench.machine.arena.array<uint8_t>(mispredict_branches);
    if (zeros.empty() || bits.empty()) return Lacking{"not enough memory for the branches"};
    MispredictPlaces places{{}, {}, bench.random};
    return record(bench, [&] { return plan_mispredict(zeros.data(), bits.data(), places); });
}

/// A body in ring 3: the kernel's task, run to its end.
struct UserBody {
    kernel::Kernel* kernel;
    kernel::Task* task;
    measure::PriceBody* program;
    Result<void> done;
};
void run_user(void* place, uint64_t turns) {
    auto& user = *static_cast<UserBody*>(place);
    user.kernel->restart(*user.task, reinterpret_cast<const void*>(user.program), {0, turns});
    user.kernel->run();
    if (!user.task->ended() || user.task->ended_by != 0)
        user.done = Error{"the task did not end by itself: signal", user.task->ended_by};
}

Result<void> measure_user(Bench& bench, const Primitive& p, bool system_call) {
    kernel::Kernel kernel(bench.machine);
    auto up = kernel.start({});
    if (!up) return up;
    auto space = kernel.make_space(65536);
    if (!space) return space.error();
    auto task = kernel.make_task(**space, reinterpret_cast<const void*>(p.bodies.base), {0, 1});
    if (!task) return task.error();
    UserBody base{&kernel, *task, p.bodies.base, {}}, more{&kernel, *task, p.bodies.more, {}};
    uint64_t entry = cpu::Msrs{}.read(msr_lstar);
    if (system_call)
        cpu::Msrs{}.write(msr_lstar, reinterpret_cast<uint64_t>(price_sysret));
    else
        cpu::set_gate(int_vector, price_return, 3);
    measure::PricePlan plan = plan_of(p);
    plan.base = plan.more = run_user;
    plan.base_place = &base;
    plan.more_place = &more;
    auto done = record(bench, [&] { return plan; });
    cpu::Msrs{}.write(msr_lstar, entry);
    cpu::reset_gate(int_vector);
    if (!base.done) return base.done;
    return more.done ? done : more.done;
}

// Where a primitive of ring 0 works, or what the machine lacks.

[[maybe_unused]] Result<uint64_t> a_page(Bench& bench) {
    uint64_t at = bench.machine.arena.take(page, page);
    if (at == 0) return Lacking{"not enough memory for a page"};
    return at;
}
[[maybe_unused]] Result<uint64_t> apic_page(Bench& bench, const RingZero& what) {
    if (!bench.machine.apic->x2()) return bench.machine.apic->xapic().base();
    if (what.x2.bodies.base == nullptr)
        return Lacking{"the local APIC is in x2APIC mode: its registers have no page"};
    return uint64_t{0};
}
[[maybe_unused]] Result<uint64_t> hpet(Bench& bench) {
    if (!bench.machine.hpet) return bench.machine.hpet.absent;
    return bench.machine.hpet->base();
}
[[maybe_unused]] Result<uint64_t> intel_card(Bench& bench) {
    constexpr uint16_t intel = 0x8086, command = 4, memory_space = 2;
    for (const platform::PciFunction& card : bench.machine.network) {
        if (card.vendor() != intel || card.bar(0).kind != platform::PciBar::Kind::memory) continue;
        card.write16(command, card.read16(command) | memory_space);
        return card.bar(0).address;
    }
    return Lacking{"this machine has no Intel network card"};
}
/// What XSAVE may write, where the extended state is switched on (SDM vol. 1, "Enabling the XSAVE
/// Feature Set").
[[maybe_unused]] Result<uint64_t> extended_area(Bench& bench) {
    if (!bench.machine.features.xsave)
        return Lacking{"this processor has no XSAVE (CPUID 1:ECX[26])"};
    uint64_t bytes = cpu::Cpuid{}(0xD, 0).ecx;  // of every component
    uint64_t at = bench.machine.arena.take(bytes, 64);
    if (at == 0) return Lacking{"not enough memory for the extended state", bytes};
    for (uint64_t i = 0; i < bytes / 4; ++i) reinterpret_cast<volatile uint32_t*>(at)[i] = 0;
    return at;
}
/// A timer that counts for a second / `waits_a_second`.
[[maybe_unused]] Result<uint64_t> timer_place(Bench& bench, uint64_t waits_a_second,
                                              uint64_t hint) {
    auto* place = bench.machine.arena.make<TimerPlace>();
    if (place == nullptr) return Lacking{"not enough memory for a page"};
    const cpu::LocalApic& apic = *bench.machine.apic.device;
    place->page = apic.x2() ? 0 : apic.xapic().base();
    place->count = bench.machine.apic_rate.counts_to_load(bench.machine.tsc.hz / waits_a_second);
    place->hint = hint;
    return reinterpret_cast<uint64_t>(place);
}
/// Long enough for a processor to enter the state, short beside what disturbs it.
[[maybe_unused]] Result<uint64_t> wake_place(Bench& bench, uint64_t hint) {
    if (bench.exact())
        return Lacking{"this clock counts instructions, and a halted processor executes none"};
    return timer_place(bench, 20000, hint);
}
[[maybe_unused]] Result<uint64_t> mwait_place(Bench& bench, uint64_t hint) {
    if (!bench.machine.features.monitor)
        return Lacking{"this processor has no MWAIT (CPUID.01H:ECX[3])"};
    constexpr uint32_t monitor_leaf = 5;
    if (bench.machine.features.max_leaf < monitor_leaf ||
        !has_mwait_hint(cpu::Cpuid{}(monitor_leaf).edx, static_cast<uint32_t>(hint)))
        return Lacking{"CPUID leaf 5 does not enumerate this hint's C-state", hint};
    return wake_place(bench, hint);
}

Result<uint64_t> where(Bench& bench, const RingZero& what, const Case& test_case) {
    switch (what.needs) {
        case Needs::nothing:
            return uint64_t{0};
        case Needs::page:
            return a_page(bench);
        case Needs::xapic:
            return apic_page(bench, what);
        case Needs::x2apic:
            if (!bench.machine.apic->x2())
                return Lacking{"the local APIC is in xAPIC mode: its registers are not MSRs"};
            return uint64_t{0};
        case Needs::hpet:
            return hpet(bench);
        case Needs::intel_card:
            return intel_card(bench);
        case Needs::extended:
            return extended_area(bench);
        case Needs::pcid:
            if (!bench.machine.features.pcid)
                return Lacking{"this processor has no PCID (CPUID.01H:ECX[17])"};
            return uint64_t{0};
        case Needs::timer_entry:
            // Longer than arming it takes, which the exact clock counts as one instruction.
            return timer_place(bench, bench.exact() ? 5000000 : 500000, 0);
        case Needs::timer:
            return wake_place(bench, 0);
        case Needs::mwait:
            return mwait_place(bench, test_case.number("hint"));
        case Needs::other_cores:
            break;
    }
    return Lacking{"this image runs one processor, and this is about two"};
}

/// What a primitive needs switched on, and back at the end: gates, the timer, extended state, PCID.
class Prepared {
  public:
    Prepared(Bench& bench, Needs needs)
        : apic_(*bench.machine.apic.device), cr0_(cpu::read_cr0()), cr4_(cpu::read_cr4()) {
        cpu::set_gate(int_vector, price_return);
        cpu::set_gate(ipi_vector, !apic_.x2()                   ? price_handler
                                  : needs == Needs::timer_entry ? price_keeping_handler_x2
                                                                : price_handler_x2);
        timer_ = needs == Needs::timer_entry || needs == Needs::timer || needs == Needs::mwait;
        if (timer_) {
            apic_.set_divide_1();
            apic_.set_timer_mode(cpu::TimerMode::one_shot, ipi_vector, false);
        }
        if (needs == Needs::pcid) cpu::write_cr4(cr4_ | cpu::cr4::pcid);
        if (needs == Needs::extended) {
            cpu::write_cr0((cr0_ | cpu::cr0::monitor_coprocessor) &
                           ~(cpu::cr0::emulation | cpu::cr0::task_switched));
            cpu::write_cr4(cr4_ | cpu::cr4::osfxsr | cpu::cr4::osxmmexcpt | cpu::cr4::osxsave);
            // x87, SSE, AVX and AVX-512: what there is of them.
            constexpr uint32_t wanted = 0xE7;
            uint32_t low = cpu::Cpuid{}(0xD, 0).eax & wanted;
            asm volatile("xsetbv" : : "c"(0), "a"(low), "d"(0) : "memory");
        }
    }
    ~Prepared() {
        cpu::write_cr4(cr4_);
        cpu::write_cr0(cr0_);
        if (timer_) apic_.set_timer_mode(cpu::TimerMode::one_shot, ipi_vector, true);
        cpu::reset_gate(ipi_vector);
        cpu::reset_gate(int_vector);
    }
    Prepared(const Prepared&) = delete;

  private:
    const cpu::LocalApic& apic_;
    uint64_t cr0_, cr4_;
    bool timer_ = false;
};

Result<void> measure_ring0(Bench& bench, const RingZero& what, const Case& test_case) {
    auto place = DOORBELL_TRY(where(bench, what, test_case));
    const bool x2 = bench.machine.apic->x2() && what.x2.bodies.base != nullptr;
    Prepared prepared(bench, what.needs);
    // A processor that halts wakes later than one that spins.
    const bool waits = what.needs == Needs::timer || what.needs == Needs::mwait;
    return record(
        bench,
        [&] { return plan_of(x2 ? what.x2 : what.primitive, reinterpret_cast<void*>(place)); },
        waits);
}

Result<void> body(Bench& bench, const Case& test_case) {
    std::string_view name = test_case["primitive"];
    Access access;
    if (access_of(name, access)) return measure_memory(bench, access, test_case.number("bytes"));
    if (name == "load-paged")
        return measure_pages(bench, test_case.number("page"), test_case.number("pages"),
                             test_case.number(test_case["within"].empty() ? "page" : "within"));
    if (name == "late-branch") return measure_late_branch(bench, test_case.number("bytes"));
    if (name == "mispredict") return measure_mispredict(bench);
    if (name == "syscall-sysret") return measure_user(bench, syscall_ring3, true);
    if (test_case["ring"] == "3") return measure_user(bench, int_ring3, false);
    if (name == "rdtscp" && !bench.machine.features.rdtscp)
        return Lacking{"this processor has no RDTSCP (CPUID 80000001H:EDX[27])"};
    if (const Primitive* p = find_primitive(user_primitives(), name))
        return record(bench, [&] { return plan_of(*p); });
    for (const RingZero& r : ring0_primitives())
        if (r.primitive.name == name) return measure_ring0(bench, r, test_case);
    return Error{"the lab has a case without a primitive"};
}

}  // namespace

extern const Lab prices_lab = define_lab(
    {.name = "prices",
     .question = "What does one event cost on this machine?",
     .needs = "a real processor, or the prices are counts of instructions; an HPET and an Intel "
              "network card for their registers",
     .by_default = false,
     .wants_card = true},
    cases, {}, {}, body);

}  // namespace doorbell::labs
