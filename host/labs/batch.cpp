// Why hand over 1000 records in one call? The same records handed to Linux in calls of many sizes;
// cost a record.
#include <liburing.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <vector>

#include "host/bench.h"
#include "host/lab.h"
#include "host/partner.h"

namespace doorbell::host {
namespace {

constexpr size_t record_bytes = 64;

// size: records in one write(2), or packets in one sendmmsg(2). depth: writes in one
// io_uring_submit_and_wait().
constexpr Case cases[] = {
    "by=write size=1",     "by=write size=10",     "by=write size=100",    "by=write size=1000",
    "by=fwrite size=1",    "by=send size=1",       "by=sendmmsg size=1",   "by=sendmmsg size=4",
    "by=sendmmsg size=16", "by=sendmmsg size=64",  "by=sendmmsg size=256", "by=io_uring depth=1",
    "by=io_uring depth=4", "by=io_uring depth=16", "by=io_uring depth=64", "by=io_uring depth=256",
};

/// `work` deposits `records`; the sample is the whole time over their number.
template <class Before, class Work>
void measure_cost(LinuxBench& bench, uint64_t records, Before&& before, Work&& work) {
    measure::Series &cost = bench.series("cost"),
                    &total = bench.series("total", {.less_overhead = true});
    bench.repeat([&] {
        before();
        uint64_t t = measure::begin();
        work();
        uint64_t ticks = measure::end() - t;
        cost.record(ticks / records);
        total.record(ticks);
        return ticks;
    });
}

File memory_file() {
    File file(memfd_create("doorbell-batch", MFD_CLOEXEC));
    if (*file < 0) skip_errno("memfd_create");
    return file;
}

void by_write(LinuxBench& bench, size_t size) {
    constexpr uint64_t records = 1000;
    File file = memory_file();
    std::vector<char> batch(size * record_bytes, 'd');
    measure_cost(
        bench, records, [&] { lseek(*file, 0, SEEK_SET); },
        [&] {
            for (uint64_t i = 0; i < records; i += size)
                if (write(*file, batch.data(), batch.size()) != static_cast<ssize_t>(batch.size()))
                    wrong_errno("write");
        });
}

/// Each record goes into the library's buffer; the buffer holds them all and is written once.
void by_fwrite(LinuxBench& bench) {
    constexpr uint64_t records = 1000;
    File file = memory_file();
    std::FILE* stream = fdopen(dup(*file), "w");
    if (stream == nullptr) skip_errno("fdopen");
    std::vector<char> buffer(2 * records * record_bytes);
    setvbuf(stream, buffer.data(), _IOFBF, buffer.size());
    std::array<char, record_bytes> record{};
    measure_cost(
        bench, records, [&] { std::rewind(stream); },
        [&] {
            for (uint64_t i = 0; i < records; ++i)
                std::fwrite(record.data(), record_bytes, 1, stream);
            std::fflush(stream);
        });
    std::fclose(stream);
}

/// Two UDP sockets on the loopback, joined.
struct Pair {
    File from, to;
    Pair()
        : from(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)),
          to(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        if (*from < 0 || *to < 0) skip_errno("a UDP socket");
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof address;
        auto* generic = reinterpret_cast<sockaddr*>(&address);
        if (bind(*to, generic, length) != 0 || getsockname(*to, generic, &length) != 0 ||
            connect(*from, generic, length) != 0)
            skip_errno("UDP over the loopback");
        int megabytes = 4 << 20;
        setsockopt(*to, SOL_SOCKET, SO_RCVBUFFORCE, &megabytes, sizeof megabytes);
    }
    /// Packets that arrived.
    uint64_t drain() {
        char bytes[2 * record_bytes];
        uint64_t got = 0;
        while (recv(*to, bytes, sizeof bytes, MSG_DONTWAIT) >= 0) ++got;
        return got;
    }
};

void by_send(LinuxBench& bench, size_t size, bool one_by_one) {
    constexpr uint64_t packets = 256;
    Pair pair;
    std::array<char, record_bytes> record{};
    iovec part{record.data(), record.size()};
    std::vector<mmsghdr> messages(size);
    for (mmsghdr& m : messages) {
        m = {};
        m.msg_hdr.msg_iov = &part;
        m.msg_hdr.msg_iovlen = 1;
    }
    uint64_t sent = 0, arrived = 0;
    measure_cost(
        bench, packets, [&] { arrived += pair.drain(); },
        [&] {
            for (uint64_t i = 0; i < packets; i += size) {
                if (one_by_one ? send(*pair.from, record.data(), record.size(), 0) !=
                                     static_cast<ssize_t>(record.size())
                               : sendmmsg(*pair.from, messages.data(), static_cast<unsigned>(size),
                                          0) != static_cast<int>(size))
                    wrong_errno("sending");
            }
            sent += packets;
        });
    arrived += pair.drain();
    if (arrived != sent)
        bench.count("packets that the receiver's buffer had no room for", sent - arrived);
}

class Ring {
  public:
    explicit Ring(unsigned depth) {
        int error = io_uring_queue_init(depth, &ring_, 0);
        errno = -error;
        if (error < 0) skip_errno("io_uring_queue_init");
    }
    ~Ring() { io_uring_queue_exit(&ring_); }
    Ring(const Ring&) = delete;
    io_uring* operator&() { return &ring_; }

  private:
    io_uring ring_;
};

void by_io_uring(LinuxBench& bench, unsigned depth) {
    constexpr uint64_t records = 256;
    File file = memory_file();
    Ring ring(depth);
    std::array<char, record_bytes> record{};
    measure_cost(
        bench, records, [] {},
        [&] {
            for (uint64_t i = 0; i < records; i += depth) {
                for (unsigned k = 0; k < depth; ++k)
                    io_uring_prep_write(io_uring_get_sqe(&ring), *file, record.data(), record_bytes,
                                        (i + k) * record_bytes);
                if (io_uring_submit_and_wait(&ring, depth) != static_cast<int>(depth))
                    throw Wrong("io_uring took fewer writes than it was given");
                io_uring_cqe* done = nullptr;
                unsigned head, seen = 0;
                io_uring_for_each_cqe(&ring, head, done) {
                    if (done->res != static_cast<int>(record_bytes))
                        throw Wrong("io_uring: a write failed");
                    ++seen;
                }
                io_uring_cq_advance(&ring, seen);
            }
        });
}

void body(LinuxBench& bench, const Case& test_case) {
    std::string_view by = test_case["by"];
    auto size = static_cast<size_t>(test_case.number("size"));
    if (by == "write")
        by_write(bench, size);
    else if (by == "fwrite")
        by_fwrite(bench);
    else if (by == "io_uring")
        by_io_uring(bench, static_cast<unsigned>(test_case.number("depth")));
    else
        by_send(bench, size, by == "send");
}

uint64_t fewer(const Case&) { return 5; }

}  // namespace

extern const Lab batch_lab;
constinit const Lab batch_lab = {"batch",
                                 "Why hand over 1000 records in one call?",
                                 "io_uring: a kernel that allows it",
                                 cases,
                                 body,
                                 fewer};

}  // namespace doorbell::host
