// The part of QEMU's TCG plugin interface that the model uses, declared here because no package
// carries the header. Every function is weak: which of them a QEMU has tells its version of the
// interface (docs/devel/ tcg-plugins.rst of QEMU; measured with 7.2 and 10.0).
//
//   version 0, 1  QEMU up to 8.2: inline operations add to a plain address
//   version 2     QEMU 9.0: inline operations need a scoreboard
//   version 3, 4  QEMU 9.1 to 10: insn_data copies into a buffer
#pragma once
#include <cstddef>
#include <cstdint>

extern "C" {
using qemu_plugin_id_t = uint64_t;
using qemu_plugin_meminfo_t = uint32_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_hwaddr;
struct qemu_plugin_scoreboard;
struct qemu_plugin_u64 {
    qemu_plugin_scoreboard* score;
    size_t offset;
};
struct qemu_info_t {
    const char* target_name;
    struct {
        int min, cur;
    } version;
    bool system_emulation;
    int smp_vcpus, max_vcpus;  ///< only of system emulation
};
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };
enum qemu_plugin_mem_rw { QEMU_PLUGIN_MEM_R = 1, QEMU_PLUGIN_MEM_W, QEMU_PLUGIN_MEM_RW };
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };

using qemu_plugin_tb_trans_t = void (*)(qemu_plugin_id_t, qemu_plugin_tb*);
using qemu_plugin_exec_t = void (*)(unsigned vcpu, void* data);
using qemu_plugin_mem_t = void (*)(unsigned vcpu, qemu_plugin_meminfo_t, uint64_t address,
                                   void* data);
using qemu_plugin_vcpu_t = void (*)(qemu_plugin_id_t, unsigned vcpu);

#define WEAK [[gnu::weak]]
WEAK void qemu_plugin_register_vcpu_init_cb(qemu_plugin_id_t, qemu_plugin_vcpu_t);
WEAK void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, qemu_plugin_tb_trans_t);
WEAK void qemu_plugin_register_vcpu_insn_exec_cb(qemu_plugin_insn*, qemu_plugin_exec_t,
                                                 qemu_plugin_cb_flags, void*);
WEAK void qemu_plugin_register_vcpu_mem_cb(qemu_plugin_insn*, qemu_plugin_mem_t,
                                           qemu_plugin_cb_flags, qemu_plugin_mem_rw, void*);
WEAK size_t qemu_plugin_tb_n_insns(const qemu_plugin_tb*);
WEAK qemu_plugin_insn* qemu_plugin_tb_get_insn(const qemu_plugin_tb*, size_t);
WEAK uint64_t qemu_plugin_insn_vaddr(const qemu_plugin_insn*);
WEAK void* qemu_plugin_insn_haddr(const qemu_plugin_insn*);
WEAK size_t qemu_plugin_insn_size(const qemu_plugin_insn*);
WEAK bool qemu_plugin_mem_is_store(qemu_plugin_meminfo_t);
WEAK unsigned qemu_plugin_mem_size_shift(qemu_plugin_meminfo_t);
WEAK qemu_plugin_hwaddr* qemu_plugin_get_hwaddr(qemu_plugin_meminfo_t, uint64_t);
WEAK bool qemu_plugin_hwaddr_is_io(const qemu_plugin_hwaddr*);
WEAK uint64_t qemu_plugin_hwaddr_phys_addr(const qemu_plugin_hwaddr*);
WEAK void qemu_plugin_outs(const char*);
// One name, two types: versions 0 to 2 return the bytes, later ones copy them.
WEAK void qemu_plugin_insn_data();
// Version 1 and before.
WEAK void qemu_plugin_register_vcpu_tb_exec_inline();
WEAK void qemu_plugin_register_vcpu_insn_exec_inline(qemu_plugin_insn*, qemu_plugin_op,
                                                     void* address, uint64_t add);
// From version 2 on.
WEAK void qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(qemu_plugin_insn*, qemu_plugin_op,
                                                              qemu_plugin_u64, uint64_t add);
WEAK qemu_plugin_scoreboard* qemu_plugin_scoreboard_new(size_t element_bytes);
WEAK void* qemu_plugin_scoreboard_find(qemu_plugin_scoreboard*, unsigned vcpu);
// From version 3 on.
WEAK void qemu_plugin_register_vcpu_tb_exec_cond_cb();
#undef WEAK
}

namespace doorbell::model {

/// The version of the interface that this QEMU and the model have in common. A constructor stores
/// it in qemu_plugin_version: QEMU reads that after it has loaded the file and before it calls
/// anything in it.
inline int plugin_api_version() {
    if (qemu_plugin_register_vcpu_tb_exec_inline != nullptr) return 1;
    return qemu_plugin_register_vcpu_tb_exec_cond_cb != nullptr ? 3 : 2;
}

}  // namespace doorbell::model
