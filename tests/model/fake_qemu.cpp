#include "tests/model/fake_qemu.h"

using doorbell::test::FakeQemu;

extern "C" {
void qemu_plugin_register_vcpu_init_cb(qemu_plugin_id_t, qemu_plugin_vcpu_t callback) {
    FakeQemu::now()->vcpu_init = callback;
}
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, qemu_plugin_tb_trans_t callback) {
    FakeQemu::now()->translate = callback;
}
void qemu_plugin_register_vcpu_insn_exec_cb(qemu_plugin_insn* i, qemu_plugin_exec_t callback,
                                            qemu_plugin_cb_flags, void* data) {
    i->callbacks.emplace_back(callback, data);
}
void qemu_plugin_register_vcpu_mem_cb(qemu_plugin_insn* i, qemu_plugin_mem_t callback,
                                      qemu_plugin_cb_flags, qemu_plugin_mem_rw, void* data) {
    i->memory.emplace_back(callback, data);
}
size_t qemu_plugin_tb_n_insns(const qemu_plugin_tb* tb) { return tb->instructions.size(); }
qemu_plugin_insn* qemu_plugin_tb_get_insn(const qemu_plugin_tb* tb, size_t n) {
    return const_cast<qemu_plugin_insn*>(&tb->instructions[n]);
}
uint64_t qemu_plugin_insn_vaddr(const qemu_plugin_insn* i) { return i->address; }
void* qemu_plugin_insn_haddr(const qemu_plugin_insn* i) { return i->host; }
size_t qemu_plugin_insn_size(const qemu_plugin_insn* i) { return i->size; }
bool qemu_plugin_mem_is_store(qemu_plugin_meminfo_t) { return FakeQemu::now()->use.store; }
unsigned qemu_plugin_mem_size_shift(qemu_plugin_meminfo_t) {
    return FakeQemu::now()->use.bytes_log2;
}
qemu_plugin_hwaddr* qemu_plugin_get_hwaddr(qemu_plugin_meminfo_t, uint64_t address) {
    static qemu_plugin_hwaddr where;
    where = {address, FakeQemu::now()->use.io};
    return &where;
}
bool qemu_plugin_hwaddr_is_io(const qemu_plugin_hwaddr* where) { return where->io; }
uint64_t qemu_plugin_hwaddr_phys_addr(const qemu_plugin_hwaddr* where) { return where->address; }
void qemu_plugin_outs(const char*) {}

// One name, two types, so its own declaration is not this one.
#if PLUGIN_API < 3
const void* fake_insn_data(const qemu_plugin_insn* i) asm("qemu_plugin_insn_data");
const void* fake_insn_data(const qemu_plugin_insn* i) { return i->host; }
#else
size_t fake_insn_data(const qemu_plugin_insn* i, void* to,
                      size_t room) asm("qemu_plugin_insn_data");
size_t fake_insn_data(const qemu_plugin_insn* i, void* to, size_t room) {
    size_t bytes = std::min(room, i->size);
    std::memcpy(to, i->host, bytes);
    return bytes;
}
void qemu_plugin_register_vcpu_tb_exec_cond_cb() {}
#endif
#if PLUGIN_API == 1
void qemu_plugin_register_vcpu_tb_exec_inline() {}
void qemu_plugin_register_vcpu_insn_exec_inline(qemu_plugin_insn* i, qemu_plugin_op, void* address,
                                                uint64_t add) {
    i->additions.emplace_back(static_cast<uint64_t*>(address), add);
}
#else
void qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(qemu_plugin_insn* i, qemu_plugin_op,
                                                         qemu_plugin_u64 entry, uint64_t add) {
    i->additions.emplace_back(entry.score->words.data() + entry.offset / 8, add);
}
qemu_plugin_scoreboard* qemu_plugin_scoreboard_new(size_t bytes) {
    auto& board = *FakeQemu::now()->boards.emplace_back(std::make_unique<qemu_plugin_scoreboard>());
    board.words.resize(bytes / 8);
    return &board;
}
void* qemu_plugin_scoreboard_find(qemu_plugin_scoreboard* board, unsigned) {
    // QEMU 10 aborts where this is called while the plugin is installed.
    if (!FakeQemu::now()->vcpu_is_there)
        throw std::logic_error("scoreboard_find before there is a vCPU");
    return board->words.data();
}
#endif
}
