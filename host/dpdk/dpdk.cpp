// The same cable under DPDK's poll-mode drivers: net_virtio sends, net_e1000_em receives. One task
// does both. Its interfaces: DPDK's programmer's guide, "Poll Mode Driver" (rte_ethdev.h).
#include <rte_config.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <time.h>

#include <array>
#include <cstring>
#include <string>

#include "host/lab.h"
#include "host/packet.h"

namespace doorbell::host {
namespace {

// empty-poll: rx_burst() that finds nothing. receive: rx_burst() that finds a full burst, and the
// return of its buffers. transmit: tx_burst() of a full burst. Without op: send a packet and wait
// for it.
constexpr Case cases[] = {
    "model=e1000e wait=poll",
    "model=e1000e op=empty-poll",
    "model=e1000e op=receive burst=32",
    "model=e1000e op=transmit burst=32",
};

constexpr uint16_t burst = 32;
constexpr uint16_t ring = 256;
constexpr rte_ether_addr broadcast = {{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}};

/// EAL and both ports, once for the process; it ends with it.
class Ports {
  public:
    Ports() {
        std::array<std::string, 9> words{"doorbell-dpdk",
                                         "-l",
                                         "0",
                                         "--in-memory",
                                         "--no-telemetry",
                                         "--iova-mode=pa",
                                         "-m",
                                         "64",
                                         "--log-level=lib.*:error"};
        std::array<char*, words.size()> argv;
        for (size_t i = 0; i < words.size(); ++i) argv[i] = words[i].data();
        if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0)
            throw Skip(std::string("DPDK's EAL does not start: ") + rte_strerror(rte_errno));
        pool_ = rte_pktmbuf_pool_create("frames", 4095, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
                                        SOCKET_ID_ANY);
        if (pool_ == nullptr) throw Skip("DPDK has no memory for its frames");
        uint16_t port;
        RTE_ETH_FOREACH_DEV(port) {
            rte_eth_dev_info info;
            if (rte_eth_dev_info_get(port, &info) != 0) continue;
            if (std::strcmp(info.driver_name, "net_virtio") == 0) virtio_ = port;
            if (std::strcmp(info.driver_name, "net_e1000_em") == 0) e1000e_ = port;
        }
        if (virtio_ == none || e1000e_ == none) throw Skip("DPDK does not find both cards");
        start(virtio_);
        start(e1000e_);
        wait_for_link();
    }
    Ports(const Ports&) = delete;

    uint16_t virtio() const { return virtio_; }
    uint16_t e1000e() const { return e1000e_; }

    /// A frame whose payload begins with `number`.
    rte_mbuf* frame(uint64_t number) {
        rte_mbuf* m = rte_pktmbuf_alloc(pool_);
        if (m == nullptr) throw Wrong("DPDK ran out of frames");
        char* bytes = rte_pktmbuf_append(m, frame_bytes);
        if (bytes == nullptr) throw Wrong("DPDK's frames are too small");
        std::memset(bytes, 0, frame_bytes);
        std::memcpy(bytes, &broadcast, sizeof broadcast);
        bytes[6] = 2;  // a locally administered sender
        bytes[12] = static_cast<char>(0x88);
        bytes[13] = static_cast<char>(0xB5);  // EtherType for local experiments
        std::memcpy(bytes + 14, &number, sizeof number);
        return m;
    }
    static uint64_t number_of(rte_mbuf* m) {
        uint64_t number;
        std::memcpy(&number, rte_pktmbuf_mtod_offset(m, char*, 14), sizeof number);
        return number;
    }
    static void drain(uint16_t port) {
        rte_mbuf* got[burst];
        for (uint16_t n; (n = rte_eth_rx_burst(port, 0, got, burst)) != 0;)
            rte_pktmbuf_free_bulk(got, n);
    }

  private:
    static constexpr uint16_t none = 0xFFFF;

    void start(uint16_t port) {
        rte_eth_conf configuration{};
        if (rte_eth_dev_configure(port, 1, 1, &configuration) != 0 ||
            rte_eth_rx_queue_setup(port, 0, ring, SOCKET_ID_ANY, nullptr, pool_) != 0 ||
            rte_eth_tx_queue_setup(port, 0, ring, SOCKET_ID_ANY, nullptr) != 0 ||
            rte_eth_dev_start(port) != 0)
            throw Wrong("DPDK cannot start port " + std::to_string(port) + ": " +
                        rte_strerror(rte_errno));
        rte_eth_promiscuous_enable(port);
    }
    void wait_for_link() const {
        for (int i = 0; i < 100; ++i) {
            rte_eth_link link{};
            if (rte_eth_link_get_nowait(e1000e_, &link) == 0 && link.link_status == RTE_ETH_LINK_UP)
                return;
            timespec pause{0, 100'000'000};
            nanosleep(&pause, nullptr);
        }
        throw Skip("the e1000e card's link did not come up within 10 s");
    }

    rte_mempool* pool_ = nullptr;
    uint16_t virtio_ = none, e1000e_ = none;
};

void send_and_wait(LinuxBench& bench, Ports& ports) {
    CableSeries series(bench);
    uint64_t number = 0;
    bench.repeat([&] {
        keep_apart(bench);
        rte_mbuf *out = ports.frame(++number), *in[burst];
        uint64_t called = measure::begin();
        uint16_t sent = rte_eth_tx_burst(ports.virtio(), 0, &out, 1);
        uint64_t returned = measure::end();
        if (sent != 1) throw Wrong("net_virtio did not take the frame");
        lose_phase(bench);
        uint16_t got = 0;
        uint64_t polls = 0;
        while ((got = rte_eth_rx_burst(ports.e1000e(), 0, in, burst)) == 0)
            if (++polls > 10'000'000) throw Wrong("the frame did not arrive");
        uint64_t known = measure::end();
        read_every_byte(rte_pktmbuf_mtod(in[0], char*), frame_bytes);
        uint64_t read = measure::end();
        if (got != 1 || Ports::number_of(in[0]) != number)
            throw Wrong("another frame arrived than the one that was sent");
        rte_pktmbuf_free_bulk(in, got);
        return series.record(called, returned, known, read);
    });
}

void empty_poll(LinuxBench& bench, Ports& ports) {
    measure::Series& cost = bench.series("cost", {.less_overhead = true});
    bench.repeat([&] {
        rte_mbuf* in[burst];
        uint64_t t = measure::begin();
        uint16_t got = rte_eth_rx_burst(ports.e1000e(), 0, in, burst);
        uint64_t ticks = measure::end() - t;
        if (got != 0) throw Wrong("a frame arrived that nobody sent");
        cost.record(ticks);
        return ticks;
    });
}

/// `cost` of a packet: taking it and giving its buffer back; `take`: taking it alone.
void receive(LinuxBench& bench, Ports& ports) {
    measure::Series &cost = bench.series("cost"), &take = bench.series("take");
    bench.repeat([&] {
        rte_mbuf *out[burst], *in[burst];
        for (uint16_t i = 0; i < burst; ++i) out[i] = ports.frame(i);
        if (rte_eth_tx_burst(ports.virtio(), 0, out, burst) != burst)
            throw Wrong("net_virtio did not take the burst");
        spin_until(measure::end() + bench.instrument.tsc_hz / 1000);
        uint64_t t = measure::begin();
        uint16_t got = rte_eth_rx_burst(ports.e1000e(), 0, in, burst);
        uint64_t taken = measure::end();
        rte_pktmbuf_free_bulk(in, got);
        uint64_t end = measure::end();
        if (got != burst) throw Wrong("the burst did not arrive whole: " + std::to_string(got));
        uint64_t overhead = bench.instrument.overhead;
        take.record((taken - t - overhead) / burst);
        cost.record((end - t - overhead) / burst);
        return (end - t) / burst;
    });
}

void transmit(LinuxBench& bench, Ports& ports) {
    measure::Series& cost = bench.series("cost");
    bench.repeat([&] {
        rte_mbuf* out[burst];
        for (uint16_t i = 0; i < burst; ++i) out[i] = ports.frame(i);
        uint64_t t = measure::begin();
        uint16_t sent = rte_eth_tx_burst(ports.e1000e(), 0, out, burst);
        uint64_t ticks = measure::end() - t;
        if (sent != burst) throw Wrong("net_e1000_em did not take the burst");
        cost.record((ticks - bench.instrument.overhead) / burst);
        spin_until(measure::end() + bench.instrument.tsc_hz / 2000);
        Ports::drain(ports.virtio());
        return ticks / burst;
    });
}

void body(LinuxBench& bench, const Case& test_case) {
    static Ports ports;
    Ports::drain(ports.e1000e());
    Ports::drain(ports.virtio());
    if (test_case["op"] == "empty-poll")
        empty_poll(bench, ports);
    else if (test_case["op"] == "receive")
        receive(bench, ports);
    else if (test_case["op"] == "transmit")
        transmit(bench, ports);
    else
        send_and_wait(bench, ports);
}

}  // namespace

extern const Lab dpdk_lab;
constinit const Lab dpdk_lab = {
    "nic",
    "A packet is sent; how soon does a DPDK program know that it has come, and what does a packet "
    "cost it?",
    "a virtio and an e1000e card bound to uio_pci_generic, and hugepages", cases, body};

}  // namespace doorbell::host
