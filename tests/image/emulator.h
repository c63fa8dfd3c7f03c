// What tests that boot the image expect from different QEMUs: a table with one row for each version
// from which on it holds, and a reason for each column. Measured with QEMU 7.2.22 and 10.0.13; no
// version between them was tried.
#pragma once
#include <cstdio>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>

namespace doorbell::test {

struct Emulator {
    std::pair<unsigned, unsigned> since;  ///< QEMU's version, major and minor

    /// The longest frame that the e1000e takes, without the check sequence. The older card leaves
    /// room for a VLAN tag in every frame, the newer one only in a tagged one.
    unsigned e1000e_longest_frame;
    /// Whether an e1000e wakes a halted processor of the exact clock 128 us late: the older card
    /// starts its throttle timer before it interrupts, and the clock is warped to that.
    bool e1000e_wakes_late;
    /// Privileged instructions that ring 3 may run: the newer translator does not check the
    /// privilege level of INVD and WBINVD.
    std::set<std::string> allowed_in_ring_3;
    /// How many bytes of the IDT an error code counts as one gate: 16 is a defect of the older
    /// QEMU, 8 is right (SDM vol. 3A, "Error Code").
    unsigned bytes_a_gate;
    /// The most descriptors of a virtio-net transmit queue whose peer is a hub.
    unsigned virtio_transmit_room;
};

inline const Emulator emulators[] = {
    {{7, 2}, 1522, true, {}, 16, 256},
    {{8, 0}, 1518, false, {"invd", "wbinvd"}, 8, 1024},
};

/// The row of the QEMU that the tests run. Throws where there is none, or one that is too old.
inline const Emulator& emulator() {
    static const Emulator& row = []() -> const Emulator& {
        std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen("qemu-system-x86_64 --version", "r"),
                                                   pclose);
        std::pair<unsigned, unsigned> version{};
        const Emulator* found = nullptr;
        if (pipe && std::fscanf(pipe.get(), "QEMU emulator version %u.%u", &version.first,
                                &version.second) == 2)
            for (const Emulator& one : emulators)
                if (one.since <= version) found = &one;
        if (found == nullptr) throw std::runtime_error("there is no QEMU 7.2 or later");
        return *found;
    }();
    return row;
}

}  // namespace doorbell::test
