// Failures on purpose, to test panic, page permissions and watchdog: the image's word `fault=NAME`,
// which `doorbell run --fault NAME` passes on.
#pragma once
#include <cstdint>
#include <string_view>

namespace doorbell::wire {

enum class Fault : uint8_t {
    none,
    early,  ///< before the machine is looked at
    lab,    ///< in the first case
    double_fault,
    triple_fault,
    hang,
    stack,
    write_code,
    run_data,
    null
};

struct FaultName {
    std::string_view name;
    Fault fault;
};
inline constexpr FaultName fault_names[] = {{"early", Fault::early},
                                            {"lab", Fault::lab},
                                            {"double", Fault::double_fault},
                                            {"triple", Fault::triple_fault},
                                            {"hang", Fault::hang},
                                            {"stack", Fault::stack},
                                            {"write-code", Fault::write_code},
                                            {"run-data", Fault::run_data},
                                            {"null", Fault::null}};

}  // namespace doorbell::wire
