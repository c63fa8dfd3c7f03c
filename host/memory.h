// Memory whose pages have a known size.
#pragma once
#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>

#include "host/bench.h"

namespace doorbell::host {

/// Memory at a boundary of large pages, given back at the end. Throws Skip where there is too
/// little.
class Memory {
  public:
    /// `large`: ask for large pages, which the kernel may refuse
    /// (/sys/kernel/mm/transparent_hugepage).
    Memory(uint64_t bytes, bool large)
        : bytes_((bytes + large_page - 1) / large_page * large_page + large_page) {
        mapped_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (mapped_ == MAP_FAILED)
            throw Skip("there are not " + std::to_string(bytes) + " bytes of memory");
        auto start = reinterpret_cast<uintptr_t>(mapped_);
        at_ = reinterpret_cast<void*>((start + large_page - 1) & ~(large_page - 1));
        (void)madvise(at_, bytes_ - large_page, large ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    }
    ~Memory() { munmap(mapped_, bytes_); }
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;
    void* at() const { return at_; }
    /// Whether the kernel has put all of it into large pages, once it has been touched.
    bool is_large() const {
        std::ifstream in("/proc/self/smaps");
        bool ours = false;
        for (std::string line; std::getline(in, line);) {
            unsigned long from = 0, to = 0, kilobytes = 0;
            if (std::sscanf(line.c_str(), "%lx-%lx ", &from, &to) == 2)
                ours = from <= reinterpret_cast<uintptr_t>(at_) &&
                       reinterpret_cast<uintptr_t>(at_) < to;
            else if (ours && std::sscanf(line.c_str(), "AnonHugePages: %lu kB", &kilobytes) == 1)
                return kilobytes * 1024 >= bytes_ - large_page;
        }
        return false;
    }

  private:
    static constexpr uint64_t large_page = 2 << 20;
    uint64_t bytes_;
    void* mapped_;
    void* at_;
};

}  // namespace doorbell::host
