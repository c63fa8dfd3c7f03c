// Regions of measured code that the cache model counts apart (wire/mailbox.h). A region's beginning
// and end are addresses in a table of the image, so that no instruction is added to measured code.
//
// An end without its beginning is ignored. A beginning without its end, forgotten when the region
// begins again or its handler returns, leaves what was executed to the region that it lies in. What
// an interrupt's handler executes is in no region that it interrupts.
//
// A place that a jump leads to has one address for those who come through the code in front of it
// and those who jump: put the beginning where every way leads into the region. The compiler may
// have to add a jump for an end in a branch of its own; at the beginning of a loop's body, or in
// straight code, it need not. Compare the code before and after.
//
// Region 0 is the handler of the interrupt that the lab names, and has no places.
#pragma once

#include "firmware/wire/mailbox.h"

#if __STDC_HOSTED__
#define MODEL_POINT(region, ends) (void)(region)
#else
extern "C" const doorbell::wire::ModelPoint model_points_start[], model_points_end[];
#define MODEL_POINT(region, ends)                       \
    asm inline volatile(                                \
        "661:\n\t.pushsection .model_points, \"a\"\n\t" \
        ".quad 661b, %c0\n\t.popsection"                \
        :                                               \
        : "i"(static_cast<unsigned>(region) << 1 | (ends)))
#endif
#define MODEL_REGION_BEGINS(region) MODEL_POINT(region, 0u)
#define MODEL_REGION_ENDS(region) MODEL_POINT(region, 1u)
