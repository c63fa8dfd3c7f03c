// What QEMU calls when it translates a block: decides what is called, and counted, where.
#pragma once
#include "host/model/plugin_api.h"

namespace doorbell::model {

void on_translation(qemu_plugin_id_t, qemu_plugin_tb* tb);

}  // namespace doorbell::model
