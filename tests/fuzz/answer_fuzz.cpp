// Any bytes as a frame from outside: the responder stays inside the frame and does not change a
// frame that it does not answer. An answer has valid checksums, and is a frame that it would not
// answer again.
#include <cstdlib>
#include <cstring>
#include <memory>

#include "firmware/nic/answer.h"

namespace {

using namespace doorbell::nic;

constexpr MacAddress mac{0x52, 0x54, 0, 0x12, 0x34, 0x56};

unsigned word_sum(const uint8_t* p, size_t bytes) {
    unsigned long sum = 0;
    for (size_t i = 0; i < bytes; i += 2) sum += p[i] * 256ul + (i + 1 < bytes ? p[i + 1] : 0);
    while (sum > 0xFFFF) sum = sum % 0x10000 + sum / 0x10000;
    return static_cast<unsigned>(sum);
}

void must(bool truth) {
    if (!truth) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
    // The first byte's highest bit: whether to make the checksums right, which random bytes hardly
    // ever are.
    if (size == 0) return 0;
    bool seal = (data[0] & 0x80) != 0;
    uint32_t errors = data[0] & 0x40;
    ++data, --size;
    size_t room = size < shortest_frame ? shortest_frame : size;
    std::unique_ptr<uint8_t[]> frame(new uint8_t[room]());
    std::memcpy(frame.get(), data, size);
    uint8_t* p = frame.get();
    if (seal && size >= 42) {
        std::memcpy(p, mac.data(), 6);
        std::memcpy(p + 12, "\x08\x00\x45", 3);
        std::memcpy(p + 30, "\x0A\x44\x44\x02", 4);
        p[24] = p[25] = 0;
        unsigned sum = ~word_sum(p + 14, 20) & 0xFFFF;
        p[24] = static_cast<uint8_t>(sum >> 8), p[25] = static_cast<uint8_t>(sum);
        size_t total = p[16] * 256ul + p[17];
        if (p[23] == 17) p[40] = p[41] = 0;
        if (p[23] == 1 && total >= 28 && total + 14 <= size) {
            p[36] = p[37] = 0;
            sum = ~word_sum(p + 34, total - 20) & 0xFFFF;
            p[36] = static_cast<uint8_t>(sum >> 8), p[37] = static_cast<uint8_t>(sum);
        }
    }
    std::unique_ptr<uint8_t[]> before(new uint8_t[room]);
    std::memcpy(before.get(), p, room);
    Responder responder(mac, 0x0A444402, 24);
    Answer answer = responder.answer({p, static_cast<uint32_t>(size), errors});
    must(static_cast<unsigned>(answer.fate) < fates);
    must((answer.length != 0) == (static_cast<unsigned>(answer.fate) < answered_fates));
    if (answer.length == 0) {
        must(std::memcmp(before.get(), p, room) == 0);
        return 0;
    }
    must(answer.length >= shortest_frame && answer.length <= room);
    must(std::memcmp(p + 6, mac.data(), 6) == 0);
    if (answer.fate != Fate::arp) must(word_sum(p + 14, 20) == 0xFFFF);
    if (answer.fate == Fate::icmp_echo)
        must(word_sum(p + 34, p[16] * 256ul + p[17] - 20) == 0xFFFF);
    must(responder.answer({p, answer.length, 0}).length == 0);
    return 0;
}
