#include "host/model/operands.h"

#include <Zydis/Zydis.h>

namespace doorbell::model {
namespace {

/// The bit of the general register that `reg` is a part of, or of the flags; 0 for any other.
uint32_t bit_of(ZydisRegister reg) {
    switch (reg) {
        case ZYDIS_REGISTER_FLAGS:
        case ZYDIS_REGISTER_EFLAGS:
        case ZYDIS_REGISTER_RFLAGS:
            return flags_register;
        default:
            break;
    }
    ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);
    if (whole < ZYDIS_REGISTER_RAX || whole > ZYDIS_REGISTER_R15) return 0;
    return 1u << (whole - ZYDIS_REGISTER_RAX);
}

/// Latencies of the cores of the last ten years, as uops.info and Agner Fog's "Instruction tables"
/// give them; where makers differ, between them.
uint32_t latency_of(ZydisMnemonic mnemonic) {
    switch (mnemonic) {
        case ZYDIS_MNEMONIC_MOV:
        case ZYDIS_MNEMONIC_NOP:
        case ZYDIS_MNEMONIC_PUSH:
        case ZYDIS_MNEMONIC_POP:
        case ZYDIS_MNEMONIC_CALL:
        case ZYDIS_MNEMONIC_RET:
            return 0;  // renamed, or done by the stack engine
        case ZYDIS_MNEMONIC_IMUL:
        case ZYDIS_MNEMONIC_MUL:
        case ZYDIS_MNEMONIC_MULX:
        case ZYDIS_MNEMONIC_SHLD:
        case ZYDIS_MNEMONIC_SHRD:
        case ZYDIS_MNEMONIC_CRC32:
        case ZYDIS_MNEMONIC_PEXT:
        case ZYDIS_MNEMONIC_PDEP:
            return 3 * step;
        case ZYDIS_MNEMONIC_POPCNT:
        case ZYDIS_MNEMONIC_LZCNT:
        case ZYDIS_MNEMONIC_TZCNT:
        case ZYDIS_MNEMONIC_BSF:
        case ZYDIS_MNEMONIC_BSR:
        case ZYDIS_MNEMONIC_XCHG:
            return 2 * step;
        case ZYDIS_MNEMONIC_DIV:
        case ZYDIS_MNEMONIC_IDIV:
            return 12 * step;
        // They look at more than one of the groups that flags are renamed in.
        case ZYDIS_MNEMONIC_CMOVBE:
        case ZYDIS_MNEMONIC_CMOVNBE:
            return 2 * step;
        // Of one group or two: Intel 1, AMD's Zen 5 2 (measured).
        case ZYDIS_MNEMONIC_CMOVL:
        case ZYDIS_MNEMONIC_CMOVNL:
        case ZYDIS_MNEMONIC_CMOVLE:
        case ZYDIS_MNEMONIC_CMOVNLE:
            return 3 * step / 2;
        default:
            return step;
    }
}

/// What the address of operand `mem` takes longer than a register and a displacement.
uint32_t address_latency(const ZydisDecodedOperand& operand) {
    const auto& mem = operand.mem;
    bool indexed = mem.index != ZYDIS_REGISTER_NONE;
    // A load takes a cycle more where an index is scaled; LEA, where it adds three.
    if (mem.type == ZYDIS_MEMOP_TYPE_MEM) return indexed && mem.scale > 1 ? step : 0;
    bool three = mem.base != ZYDIS_REGISTER_NONE && indexed && mem.disp.has_displacement;
    return mem.type == ZYDIS_MEMOP_TYPE_AGEN && three ? step : 0;
}

/// XOR and SUB of a register with itself: the result depends on nothing.
bool is_zeroing(const ZydisDecodedInstruction& in, const ZydisDecodedOperand* operands) {
    return (in.mnemonic == ZYDIS_MNEMONIC_XOR || in.mnemonic == ZYDIS_MNEMONIC_SUB) &&
           operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
           operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
           operands[0].reg.value == operands[1].reg.value;
}

/// What writes less than 32 bits keeps the rest of the register.
bool keeps_rest(const ZydisDecodedOperand& operand) {
    return operand.size < 32 && bit_of(operand.reg.value) != flags_register;
}

ZydisDecoder make_decoder() {
    ZydisDecoder decoder;
    ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    return decoder;
}

void add(Operands& all, const ZydisDecodedOperand& operand) {
    bool reads = (operand.actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0;
    bool writes = (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
    if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY) {
        uint32_t address = bit_of(operand.mem.base) | bit_of(operand.mem.index);
        if (operand.mem.type != ZYDIS_MEMOP_TYPE_MEM) {
            all.reads |= address;  // LEA
            return;
        }
        all.address |= address;
        all.loads |= reads;
        all.stores |= writes;
        return;
    }
    if (operand.type != ZYDIS_OPERAND_TYPE_REGISTER) return;
    uint32_t bit = bit_of(operand.reg.value);
    if (reads || (writes && keeps_rest(operand))) all.reads |= bit;
    bool moved = reads && writes && operand.visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN &&
                 bit != flags_register;
    if (moved)
        all.moves |= bit;
    else if (writes)
        all.writes |= bit;
}

}  // namespace

Operands operands_of(const uint8_t* bytes, size_t size) {
    static const ZydisDecoder decoder = make_decoder();
    ZydisDecodedInstruction in;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    Operands all;
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, size, &in, operands))) return all;
    for (unsigned i = 0; i < in.operand_count; ++i) add(all, operands[i]);
    // Where no memory is used, a hidden operand is a result like any other (MUL's RDX).
    if (all.address == 0) all.writes |= all.moves, all.moves = 0;
    all.reads &= ~all.moves;
    all.jumps = in.meta.category == ZYDIS_CATEGORY_COND_BR ||
                in.meta.category == ZYDIS_CATEGORY_UNCOND_BR ||
                in.meta.category == ZYDIS_CATEGORY_CALL || in.meta.category == ZYDIS_CATEGORY_RET;
    all.keeps = all.stores && in.meta.category != ZYDIS_CATEGORY_CALL &&
                in.meta.category != ZYDIS_CATEGORY_PUSH;
    all.latency = latency_of(in.mnemonic);
    for (unsigned i = 0; i < in.operand_count; ++i)
        if (operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY &&
            operands[i].mem.type == ZYDIS_MEMOP_TYPE_AGEN)
            all.latency += address_latency(operands[i]);
        else if (operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY && all.loads)
            all.load_latency = address_latency(operands[i]);
    if (is_zeroing(in, operands)) all.reads = 0;
    return all;
}

}  // namespace doorbell::model
