// doorbell-model.so: the cache model as a plugin of QEMU's TCG, for QEMU 7.2 to 10.
//
//   qemu-system-x86_64 -plugin doorbell-model.so,l1d=32K:8:64,...      the words: see geometry.h
//
//
// Only one processor is modelled, and guest memory below Mailbox::ram_end is taken to be
// identity-mapped: asking QEMU for every address's translation would cost more than the whole
// model.
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>

#include "host/model/geometry.h"
#include "host/model/plugin_api.h"
#include "host/model/plugin_state.h"
#include "host/model/translation.h"

extern "C" {
[[gnu::visibility("default")]] int qemu_plugin_version = 1;
[[gnu::visibility("default")]] int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t* info,
                                                       int argc, char** argv);
}

namespace doorbell::model {

int api = 1;
std::unique_ptr<Model> model;

namespace {

[[gnu::constructor]] void choose_version() { qemu_plugin_version = api = plugin_api_version(); }

void on_vcpu(qemu_plugin_id_t, unsigned vcpu) {
    if (model->board == nullptr || vcpu != 0) return;
    model->tally = static_cast<ModelCounts*>(qemu_plugin_scoreboard_find(model->board, 0));
    model->hierarchy.count_into(model->tally);
}

int install(qemu_plugin_id_t id, const qemu_info_t* info, int argc, char** argv) {
    if (std::string_view(info->target_name) != "x86_64")
        throw std::invalid_argument(std::string("it models x86_64, not ") + info->target_name);
    if (!info->system_emulation)
        throw std::invalid_argument("it models a machine, not one program's emulation");
    if (info->smp_vcpus > 1)
        throw std::invalid_argument("it models one processor, not " +
                                    std::to_string(info->smp_vcpus) + "; use -smp 1");
    bool inlines = api == 1 ? qemu_plugin_register_vcpu_insn_exec_inline != nullptr
                            : qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu != nullptr &&
                                  qemu_plugin_scoreboard_new != nullptr;
    if (info->version.min > api || info->version.cur < api || !inlines ||
        qemu_plugin_insn_data == nullptr || qemu_plugin_register_vcpu_mem_cb == nullptr)
        throw std::invalid_argument("this QEMU's plugin interface (versions " +
                                    std::to_string(info->version.min) + " to " +
                                    std::to_string(info->version.cur) +
                                    ") is not one it knows; it needs QEMU 7.2 to 10 (1 to 4)");
    std::string words;
    for (int i = 0; i < argc; ++i) {
        // QEMU turns a word alone into "word=on".
        std::string word = argv[i];
        if (word.ends_with("=on")) word.resize(word.size() - 3);
        words += (i == 0 ? "" : ",") + word;
    }
    model = std::make_unique<Model>(parse(words));
    model->hierarchy.count_into(model->tally);
    if (api >= 2) model->board = qemu_plugin_scoreboard_new(sizeof(ModelCounts));
    qemu_plugin_register_vcpu_init_cb(id, on_vcpu);
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    return 0;
}

}  // namespace
}  // namespace doorbell::model

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t* info, int argc, char** argv) {
    try {
        return doorbell::model::install(id, info, argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "doorbell-model: %s\n", error.what());
        return 1;
    }
}
