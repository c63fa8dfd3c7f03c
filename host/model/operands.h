// What an instruction reads and writes, and how long its result takes: what the dataflow of a block
// is made of (dataflow.h). The disassembler is Zydis.
#pragma once
#include <cstddef>
#include <cstdint>

namespace doorbell::model {

/// The sixteen general registers in their order of encoding, then the flags.
inline constexpr unsigned flow_registers = 17;
inline constexpr uint32_t flags_register = 1u << 16;

/// Time in twelfths of a step: a step is a core cycle, and twelve parts of it serve cores that
/// begin 2, 3, 4 or 6 instructions a cycle.
inline constexpr uint32_t step = 12;

struct Operands {
    uint32_t reads = 0;    ///< registers whose values the result depends on; bit n: register n
    uint32_t address = 0;  ///< registers that a memory operand's address is made of
    uint32_t writes = 0;
    uint32_t moves = 0;  ///< pointers that are moved on (RSP of a POP): no load is waited for
    bool loads = false, stores = false;
    /// Whether loads of what it stores are followed: of any store but a CALL's or a PUSH's, which
    /// saves a register that the path goes on without.
    bool keeps = false;
    bool jumps = false;  ///< a jump, call or return, taken or not
    /// From the last operand to the result, in twelfths of a step, without a load.
    uint32_t latency = step;
    uint32_t load_latency = 0;  ///< what a load takes more than one of a plain address
};

/// Reads one instruction of 64-bit mode. What Zydis does not know has no operands.
Operands operands_of(const uint8_t* bytes, size_t size);

}  // namespace doorbell::model
