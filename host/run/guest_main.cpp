// doorbell-guest: the labs in one static program, for a guest that has no libraries. The loops
// count for themselves; labs, series and records are the same as in doorbell-linux.
#include <cstdio>
#include <stdexcept>

#include "host/run/session.h"

int main(int argc, char** argv) {
    using namespace doorbell::host;
    try {
        Words words = read_words(argc, argv);
        LinuxRun session(words, "doorbell-guest");
        for (const Chosen& chosen : words.cases) {
            for (uint64_t i = 0; i < words.repetitions; ++i) {
                CountingLoop loop(session.samples_of(chosen));
                if (!session.run(chosen, loop).empty()) break;
            }
            session.close(chosen);
        }
        session.end();
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "doorbell-guest: %s\n", error.what());
        return 2;
    }
}
