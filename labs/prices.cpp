// What does one event cost on this machine? The exact clock counts an interrupt, a ring crossing,
// an MMIO read and a load that misses as one instruction each; here each gets its price, by the
// difference of two bodies (firmware/measure/price.h). Two series a case, in thousandths of the
// clock's unit: `price` of one event, and `yardstick`, one IMUL of a chain at the same moment.
//
// What user mode can do is in labs/kit/primitives.cpp, and the Linux program measures it with the
// same bodies; here is what needs ring 0.
#include "firmware/cpu/descriptors.h"
#include "firmware/cpu/registers.h"
#include "firmware/kernel/kernel.h"
#include "firmware/measure/price.h"
#include "labs/kit/bench.h"
#include "labs/kit/lab.h"
#include "labs/kit/primitive_body.h"
#include "labs/kit/primitives.h"

// RDI is the page, the registers or the area that the primitive works on.
DOORBELL_BODIES(price_int_ring0, 8, "", "int $0x64", "");
// Ring 3. The function ends by the call `exit` through INT 0x80: SYSCALL is another one's here.
DOORBELL_BODIES_IN(".user_text, \"ax\"", price_int_ring3, 8, "", "int $0x64",
                   "movl $17, %eax\n\tint $0x80");
DOORBELL_BODIES_IN(".user_text, \"ax\"", price_syscall, 8, "", "syscall",
                   "movl $17, %eax\n\tint $0x80");
// The processor interrupts itself, and waits until the handler has run.
DOORBELL_BODIES(price_self_ipi, 4, "movl $0, price_fired(%rip)\n\tsti",
                "movl $0x44065, 0x300(%rdi)\n8:\tcmpl $0, price_fired(%rip)\n\tje 8b\n\t"
                "movl $0, price_fired(%rip)",
                "cli");
DOORBELL_BODIES(price_self_ipi_x2, 4, "movl $0, price_fired(%rip)\n\tsti",
                "movl $0x83F, %ecx\n\tmovl $0x65, %eax\n\txorl %edx, %edx\n\twrmsr\n"
                "8:\tcmpl $0, price_fired(%rip)\n\tje 8b\n\tmovl $0, price_fired(%rip)",
                "cli");
DOORBELL_BODIES(price_cr3, 8, "movq %cr3, %rax", "movq %rax, %cr3", "");
DOORBELL_BODIES(price_invlpg, 8, "", "invlpg (%rdi)", "");
// IA32_KERNEL_GS_BASE, which SWAPGS alone uses.
DOORBELL_BODIES(price_rdmsr, 8, "movl $0xC0000102, %ecx", "rdmsr", "");
DOORBELL_BODIES(price_wrmsr, 8, "movl $0xC0000102, %ecx\n\txorl %eax, %eax\n\txorl %edx, %edx",
                "wrmsr", "");
DOORBELL_BODIES(price_swapgs, 16, "", "swapgs", "");
// The local APIC: its version, its task priority (0, as it is), the end of interrupt (of none).
DOORBELL_BODIES(price_apic_read, 8, "", "movl 0x30(%rdi), %eax", "");
DOORBELL_BODIES(price_apic_write, 8, "xorl %eax, %eax", "movl %eax, 0x80(%rdi)", "");
DOORBELL_BODIES(price_eoi, 8, "xorl %eax, %eax", "movl %eax, 0xB0(%rdi)", "");
DOORBELL_BODIES(price_x2apic_read, 8, "movl $0x803, %ecx", "rdmsr", "");
DOORBELL_BODIES(price_eoi_msr, 8, "movl $0x80B, %ecx\n\txorl %eax, %eax\n\txorl %edx, %edx",
                "wrmsr", "");
// The HPET: its counter, and its interrupt status, where a 0 changes nothing.
DOORBELL_BODIES(price_hpet_read, 4, "", "movl 0xF0(%rdi), %eax", "");
DOORBELL_BODIES(price_hpet_write, 4, "xorl %eax, %eax", "movl %eax, 0x20(%rdi)", "");
// An Intel network card: STATUS, and IMC, where a 0 changes nothing.
DOORBELL_BODIES(price_card_read, 4, "", "movl 0x8(%rdi), %eax", "");
DOORBELL_BODIES(price_card_write, 4, "xorl %eax, %eax", "movl %eax, 0xD8(%rdi)", "");
// Port 80H, the diagnostic code, which nothing answers to.
DOORBELL_BODIES(price_port_read, 4, "", "inb $0x80, %al", "");
DOORBELL_BODIES(price_port_write, 4, "xorl %eax, %eax", "outb %al, $0x80", "");
DOORBELL_BODIES(price_xsave, 4, "movl $-1, %eax\n\tmovl $-1, %edx", "xsave (%rdi)", "");
DOORBELL_BODIES(price_xrstor, 4, "movl $-1, %eax\n\tmovl $-1, %edx\n\txsave (%rdi)",
                "xrstor (%rdi)", "");
asm(R"(
        .pushsection .text.primitives, "ax"
        .balign 64
price_return:
        iretq
        .balign 64
price_sysret:
        sysretq
        .balign 64
price_handler:
        movl    $1, price_fired(%rip)
        movl    $0, 0xB0(%rdi)
        iretq
        .balign 64
price_handler_x2:
        movl    $1, price_fired(%rip)
        movl    $0x80B, %ecx
        xorl    %eax, %eax
        xorl    %edx, %edx
        wrmsr
        iretq
        .popsection
        .pushsection .data.primitives, "aw"
        .balign 64
price_fired:
        .quad   0
        .popsection
)");

extern "C" {
void price_return();
void price_sysret();
void price_handler();
void price_handler_x2();
}

namespace doorbell::labs {
namespace {

constexpr Case cases[] = {
    DOORBELL_USER_PRICE_CASES  //
    "primitive=load-paged page=2097152 pages=16",
    "primitive=load-paged page=2097152 pages=64",
    "primitive=load-paged page=2097152 pages=128",
    "primitive=int-iretq ring=0",
    "primitive=int-iretq ring=3",
    "primitive=syscall-sysret",
    "primitive=self-ipi",
    "primitive=cr3-write",
    "primitive=invlpg",
    "primitive=rdmsr",
    "primitive=wrmsr",
    "primitive=swapgs",
    "primitive=xsave",
    "primitive=xrstor",
    "primitive=apic-read",
    "primitive=apic-write",
    "primitive=eoi",
    "primitive=hpet-read",
    "primitive=hpet-write",
    "primitive=card-read",
    "primitive=card-write",
    "primitive=port-read",
    "primitive=port-write",
};

constexpr uint8_t int_vector = 0x64, ipi_vector = 0x65;
constexpr uint32_t msr_lstar = 0xC0000082;
constexpr uint64_t page = 4096;

const char* milli_unit(const Bench& bench) { return bench.exact() ? "milli-insn" : "millitick"; }

/// Takes and records the samples of one price. `prepare` makes the plan, last of all: what makes
/// the series takes memory out of the caches that the plan has put there.
template <class Prepare>
Result<void> record(Bench& bench, Prepare&& prepare) {
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

Result<void> measure_pages(Bench& bench, uint64_t size, uint64_t pages) {
    auto table = bench.machine.arena.array<uint32_t>(pages);
    if (table.empty()) return Lacking{"not enough memory for the pages", pages};
    PrimitivePlace place{};
    if (size == page) {
        SmallPages small(bench);
        auto memory = small.map(pages);
        if (!memory) return memory.error();
        return record(bench, [&] {
            return plan_pages(reinterpret_cast<void*>(*memory), pages, page, table.data(),
                              bench.random, place);
        });
    }
    uint64_t memory = bench.machine.arena.take(pages * size, size);
    if (memory == 0) return Lacking{"not enough memory for so many large pages", pages * size};
    for (uint64_t at = memory; at < memory + pages * size; at += size)
        if (!(bench.machine.tables.entry_of(at) & cpu::PageFlags::large))
            return Lacking{"this memory is not mapped by large pages", at};
    return record(bench, [&] {
        return plan_pages(reinterpret_cast<void*>(memory), pages, size, table.data(), bench.random,
                          place);
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

constexpr Primitive int_ring3{"int-iretq", price_int_ring3, 8, 32};
constexpr Primitive syscall_sysret{"syscall-sysret", price_syscall, 8, 32};

// Where a primitive of ring 0 works, or what the machine lacks.
using Where = Result<uint64_t>(Bench& bench);

[[maybe_unused]] Result<uint64_t> nowhere(Bench&) { return uint64_t{0}; }
[[maybe_unused]] Result<uint64_t> a_page(Bench& bench) {
    uint64_t at = bench.machine.arena.take(page, page);
    if (at == 0) return Lacking{"not enough memory for a page"};
    return at;
}
[[maybe_unused]] Result<uint64_t> apic_page(Bench& bench) {
    return bench.machine.apic->xapic().base();
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

/// A primitive of ring 0. With a local APIC in x2APIC mode there are registers instead of a page.
struct RingZero {
    Primitive primitive;
    Where* where;
    const Primitive* x2 = nullptr;
};

constexpr Primitive self_ipi_x2{"self-ipi", price_self_ipi_x2, 4, 8},
    x2apic_read{"apic-read", price_x2apic_read, 8, 8}, x2apic_eoi{"eoi", price_eoi_msr, 8, 8};

constexpr RingZero ring0[] = {
    {{"int-iretq", price_int_ring0, 8, 16}, nowhere},
    {{"self-ipi", price_self_ipi, 4, 8}, apic_page, &self_ipi_x2},
    {{"cr3-write", price_cr3, 8, 8}, nowhere},
    {{"invlpg", price_invlpg, 8, 8}, a_page},
    {{"rdmsr", price_rdmsr, 8, 8}, nowhere},
    {{"wrmsr", price_wrmsr, 8, 8}, nowhere},
    {{"swapgs", price_swapgs, 16, 16}, nowhere},
    {{"xsave", price_xsave, 4, 8}, extended_area},
    {{"xrstor", price_xrstor, 4, 8}, extended_area},
    {{"apic-read", price_apic_read, 8, 8}, apic_page, &x2apic_read},
    {{"apic-write", price_apic_write, 8, 8}, apic_page},
    {{"eoi", price_eoi, 8, 8}, apic_page, &x2apic_eoi},
    {{"hpet-read", price_hpet_read, 4, 4}, hpet},
    {{"hpet-write", price_hpet_write, 4, 4}, hpet},
    {{"card-read", price_card_read, 4, 4}, intel_card},
    {{"card-write", price_card_write, 4, 4}, intel_card},
    {{"port-read", price_port_read, 4, 4}, nowhere},
    {{"port-write", price_port_write, 4, 4}, nowhere},
};

Result<void> measure_ring0(Bench& bench, const RingZero& what) {
    bool x2 = bench.machine.apic->x2();
    bool needs_page = what.where == apic_page && x2;
    if (needs_page && what.x2 == nullptr)
        return Lacking{"the local APIC is in x2APIC mode: it has no page to write"};
    auto where = DOORBELL_TRY(what.where(bench));
    cpu::set_gate(int_vector, price_return);
    cpu::set_gate(ipi_vector, x2 ? price_handler_x2 : price_handler);
    uint64_t cr0 = cpu::read_cr0(), cr4 = cpu::read_cr4();
    if (what.where == extended_area) {
        cpu::write_cr0((cr0 | cpu::cr0::monitor_coprocessor) &
                       ~(cpu::cr0::emulation | cpu::cr0::task_switched));
        cpu::write_cr4(cr4 | cpu::cr4::osfxsr | cpu::cr4::osxmmexcpt | cpu::cr4::osxsave);
        // x87, SSE, AVX and AVX-512: what there is of them.
        constexpr uint32_t wanted = 0xE7;
        uint32_t low = cpu::Cpuid{}(0xD, 0).eax & wanted;
        asm volatile("xsetbv" : : "c"(0), "a"(low), "d"(0) : "memory");
    }
    const Primitive& p = needs_page ? *what.x2 : what.primitive;
    auto done = record(bench, [&] { return plan_of(p, reinterpret_cast<void*>(where)); });
    cpu::write_cr4(cr4);
    cpu::write_cr0(cr0);
    cpu::reset_gate(ipi_vector);
    cpu::reset_gate(int_vector);
    return done;
}

Result<void> body(Bench& bench, const Case& test_case) {
    std::string_view name = test_case["primitive"];
    Access access;
    if (access_of(name, access)) return measure_memory(bench, access, test_case.number("bytes"));
    if (name == "load-paged")
        return measure_pages(bench, test_case.number("page"), test_case.number("pages"));
    if (name == "mispredict") return measure_mispredict(bench);
    if (name == "syscall-sysret") return measure_user(bench, syscall_sysret, true);
    if (test_case["ring"] == "3") return measure_user(bench, int_ring3, false);
    if (name == "rdtscp" && !bench.machine.features.rdtscp)
        return Lacking{"this processor has no RDTSCP (CPUID 80000001H:EDX[27])"};
    if (const Primitive* p = find_primitive(user_primitives(), name))
        return record(bench, [&] { return plan_of(*p); });
    for (const RingZero& r : ring0)
        if (r.primitive.name == name) return measure_ring0(bench, r);
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
