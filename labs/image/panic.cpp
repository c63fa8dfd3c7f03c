#include "labs/image/panic.h"

#include "firmware/cpu/registers.h"
#include "firmware/wire/text.h"
#include "firmware/wire/words.h"
#include "labs/image/console.h"

extern "C" char image_start[], text_start[], text_end[], image_end[];

namespace doorbell::labs {
namespace {

constexpr const char* exception_names[] = {"#DE divide error",
                                           "#DB debug",
                                           "NMI",
                                           "#BP breakpoint",
                                           "#OF overflow",
                                           "#BR bound range",
                                           "#UD invalid opcode",
                                           "#NM no device",
                                           "#DF double fault",
                                           "coprocessor overrun",
                                           "#TS invalid TSS",
                                           "#NP segment not present",
                                           "#SS stack fault",
                                           "#GP general protection",
                                           "#PF page fault",
                                           "reserved",
                                           "#MF x87",
                                           "#AC alignment check",
                                           "#MC machine check",
                                           "#XM SIMD",
                                           "#VE virtualization",
                                           "#CP control protection"};

const char* name_of(uint64_t vector) {
    if (vector < sizeof exception_names / sizeof *exception_names) return exception_names[vector];
    return vector < 32 ? "reserved exception" : "unexpected interrupt";
}

/// Return addresses by the chain of frame pointers. Each link must lie in the image's own memory
/// and go upwards, so that a destroyed stack ends the walk instead of faulting again.
struct Backtrace {
    static constexpr unsigned most = 16;
    uint64_t address[most];
    unsigned count = 0;

    explicit Backtrace(const cpu::Frame& frame) {
        auto value = [](const char* symbol) { return reinterpret_cast<uint64_t>(symbol); };
        uint64_t link = frame.rbp;
        while (count < most && link % 8 == 0 && link >= value(text_end) &&
               link + 16 <= value(image_end)) {
            const auto* pair = reinterpret_cast<const uint64_t*>(link);
            if (pair[1] < value(text_start) || pair[1] >= value(text_end)) break;
            address[count++] = pair[1];
            if (pair[0] <= link) break;
            link = pair[0];
        }
    }
};

struct Named {
    const char* name;
    uint64_t value;
};

void say_registers(std::span<const Named> registers) {
    char buffer[110];
    wire::Text line(buffer);
    unsigned in_line = 0;
    for (const Named& r : registers) {
        (line << "  " << r.name << "=").hex(r.value);
        if (++in_line == 4) {
            say(line.view());
            line.clear();
            in_line = 0;
        }
    }
    if (in_line != 0) say(line.view());
}

void put(wire::Json& json, const char* name, std::span<const Named> registers) {
    json.key(name).object();
    for (const Named& r : registers) json.key(r.name).hex(r.value);
    json.end();
}

constinit Whereabouts here;

}  // namespace

Whereabouts& whereabouts() { return here; }

void unexpected(cpu::Frame& frame) {
    // An 8259 that is masked can still say "spurious" (inputs 7 and 15); so can the APIC. Neither
    // wants an EOI.
    if (frame.vector == cpu::vector::spurious || frame.vector == cpu::vector::pic_base + 7u ||
        frame.vector == cpu::vector::pic_base + 15u)
        return;
    panic(frame);
}

void panic(const cpu::Frame& f) {
    static bool twice = false;
    if (twice) leave(static_cast<unsigned char>(wire::Exit::failed));
    twice = true;

    const Named registers[] = {{"rax", f.rax}, {"rbx", f.rbx},       {"rcx", f.rcx}, {"rdx", f.rdx},
                               {"rsi", f.rsi}, {"rdi", f.rdi},       {"rbp", f.rbp}, {"rsp", f.rsp},
                               {"r8", f.r8},   {"r9", f.r9},         {"r10", f.r10}, {"r11", f.r11},
                               {"r12", f.r12}, {"r13", f.r13},       {"r14", f.r14}, {"r15", f.r15},
                               {"rip", f.rip}, {"rflags", f.rflags}, {"cs", f.cs},   {"ss", f.ss}};
    const Named control[] = {{"cr0", cpu::read_cr0()},
                             {"cr2", cpu::read_cr2()},
                             {"cr3", cpu::read_cr3()},
                             {"cr4", cpu::read_cr4()}};
    Backtrace trace(f);

    char buffer[200];
    wire::Text line(buffer);
    say("");
    line << "PANIC: " << name_of(f.vector) << " (vector " << f.vector << ", error code ";
    line.hex(f.error_code) << ") at ";
    line.hex(f.rip) << " in phase " << here.phase;
    if (!here.lab.empty()) line << ", lab " << here.lab << ", case " << here.test_case;
    say(line.view());
    say_registers(registers);
    say_registers(control);
    line.clear();
    line << "  called from";
    for (unsigned i = 0; i < trace.count; ++i) (line << " ").hex(trace.address[i]);
    say(line.view());

    wire::Json& json = sender().begin(wire::kind::panic);
    json.member("vector", f.vector)
        .member("name", name_of(f.vector))
        .key("error_code")
        .hex(f.error_code);
    json.key("rip")
        .hex(f.rip)
        .member("phase", here.phase)
        .member("lab", here.lab)
        .member("case", here.test_case);
    put(json, "registers", registers);
    put(json, "control", control);
    json.key("backtrace").array().hex(f.rip);
    for (unsigned i = 0; i < trace.count; ++i) json.hex(trace.address[i]);
    json.end();
    sender().send();
    leave(static_cast<unsigned char>(wire::Exit::failed));
}

}  // namespace doorbell::labs
