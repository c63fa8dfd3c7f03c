#include "labs/lab.h"

namespace doorbell::labs {
namespace {

constexpr Case cases[] = {
    "source=lapic wait=poll",  "source=lapic wait=poll-tsc", "source=lapic wait=irq", "source=lapic wait=irq-halt",
    "source=lapic wait=mwait", "source=tsc-deadline wait=poll", "source=tsc-deadline wait=irq", "source=tsc-deadline wait=irq-halt",
    "source=hpet wait=poll", "source=hpet wait=irq", "source=hpet wait=irq-halt",
    "source=pit wait=poll", "source=pit wait=irq", "source=pit wait=irq-halt",
};
constexpr Setting settings[] = {
    {"spacing", 20000, 5000, 100000000, "tick", "shortest time from arming to the deadline; up to a quarter of it is added at random"},
};

}  // namespace

extern const Lab timer_lab{"timer", "When a timer's deadline passes, how soon does the program know, by asking or by being told?",
    "a LAPIC timer; HPET, PIT and the TSC deadline where there are any", cases, settings, {}, nullptr};

}  // namespace doorbell::labs
