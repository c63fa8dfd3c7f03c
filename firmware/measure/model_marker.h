// How the image speaks to the cache model (wire/mailbox.h): a NOP that the model knows, whose
// displacement is an absolute address, which this image's code model has.
//
// As in cpu/access.h, a hosted build has no hardware behind this: there it says nothing.
#pragma once
#include <cstdint>

#include "firmware/cpu/paging.h"
#include "firmware/cpu/registers.h"
#include "firmware/wire/mailbox.h"

extern "C" doorbell::wire::Mailbox model_mailbox;

#if __STDC_HOSTED__
#define MODEL_MARKER(command) (void)(command)
#else
#define MODEL_MARKER(command)                                          \
    asm volatile(".byte 0x0f, 0x1f, 0x80\n\t.long model_mailbox + %c0" \
                 :                                                     \
                 : "i"(static_cast<unsigned>(command))                 \
                 : "memory")
#endif

namespace doorbell::measure {

/// Where the interrupt descriptor table lies; 0 in a hosted build.
inline uint64_t idt_address() {
#if __STDC_HOSTED__
    return 0;
#else
    struct [[gnu::packed]] {
        uint16_t limit;
        uint64_t base;
    } idt;
    asm volatile("sidt %0" : "=m"(idt));
    return idt.base;
#endif
}

/// Where the page tables lie that are loaded; 0 in a hosted build.
inline uint64_t page_tables_address() {
#if __STDC_HOSTED__
    return 0;
#else
    return cpu::read_cr3() & cpu::PageTables::address_mask;
#endif
}

}  // namespace doorbell::measure
