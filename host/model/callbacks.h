// What QEMU calls while translated code runs; translation.cpp says where.
#pragma once
#include "host/model/plugin_api.h"

namespace doorbell::model {

void at_block(unsigned, void* block);
void at_line(unsigned, void* line);    ///< a line's number, times 2; + 1: it reaches into the next
void at_event(unsigned, void* count);  ///< a ModelCount
void at_software_interrupt(unsigned, void*);
void at_iretq(unsigned, void*);
void at_point(unsigned, void* site);  ///< where a region begins or ends
void at_cr3(unsigned, void*);
void at_serializing(unsigned, void* kind);  ///< `kind`: a ModelCount beside `serializing`, or 0
void at_edge(unsigned, void* site);
void at_memory(unsigned, qemu_plugin_meminfo_t info, uint64_t address, void* site);
void at_marker(unsigned, void* command);

}  // namespace doorbell::model
