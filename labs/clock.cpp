#include "labs/lab.h"

namespace doorbell::labs {
namespace {
constexpr Case cases[] = {"clock=rdtsc", "clock=rdtsc-fenced", "clock=rdtscp", "clock=lapic", "clock=hpet", "clock=pm-timer", "clock=pit"};
}

extern const Lab clock_lab{"clock", "What does each way of telling the time cost, and what does it resolve?", "nothing", cases, {}, {}, nullptr};

}  // namespace doorbell::labs
