#include "host/partner.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

#include "host/bench.h"

namespace doorbell::host {

Partner::Partner(As as, int cpu, std::function<void()> work) {
    if (as == As::thread) {
        thread_ = std::thread([cpu, work = std::move(work)] {
            try {
                pin(cpu);
            } catch (const Skip&) {
                // Then it runs on any CPU; the caller's own pin() has already reported that.
            }
            work();
        });
        return;
    }
    pid_t parent = getpid();
    pid_ = fork();
    if (pid_ < 0) skip_errno("fork");
    if (pid_ != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);
    try {
        pin(cpu);
        work();
    } catch (const Skip&) {
        _exit(1);
    }
    _exit(0);
}

int Partner::join() {
    if (thread_.joinable()) thread_.join();
    int status = 0;
    if (pid_ > 0) {
        while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        pid_ = -1;
    }
    return status;
}

Partner::~Partner() {
    for (int i = 0; pid_ > 0 && i < 3000; ++i) {
        if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
            pid_ = -1;
            break;
        }
        timespec ms{0, 1'000'000};
        nanosleep(&ms, nullptr);
    }
    if (pid_ > 0) kill(pid_, SIGKILL);
    join();
}

void* map_shared(size_t bytes) {
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED) skip_errno("shared memory");
    return memory;
}

void unmap_shared(void* memory, size_t bytes) { munmap(memory, bytes); }

File::~File() {
    if (fd_ >= 0) close(fd_);
}

}  // namespace doorbell::host
