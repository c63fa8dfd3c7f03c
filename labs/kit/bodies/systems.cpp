// Bodies that do what kernels, servers and language runtimes do.
#include "labs/kit/bodies/body.h"

namespace doorbell::labs::bodies {
namespace {

/// A random graph: each vertex has `degree` edges to any other.
struct Graph {
    static constexpr u32 vertices = 8192, degree = 4;
    u32 edges[vertices][degree];
    u32 queue[vertices], distance[vertices];
    Draw draw;
};

struct Sets {
    static constexpr u64 count = 8192;
    u32 parent[count];
    Draw draw;

    u32 root(u32 of) {
        while (parent[of] != of) of = parent[of] = parent[parent[of]];
        return of;
    }
};

/// A machine of sixteen registers; an instruction has an opcode, a register and an operand: the
/// number of a register, of an instruction, or a small number.
struct Interpreter {
    enum Op : u8 {
        set,
        add,
        subtract,
        multiply,
        exclusive_or,
        shift_right,
        load,
        store,
        jump_if,
        move,
        stop
    };
    struct Instruction {
        u8 op, to, operand;
    };
    Instruction program[32];
    u64 memory[256];
};

constexpr Interpreter::Instruction program[] = {
    // r0 counts down, r1 mixes, r2 is an address, r3 a sum.
    {Interpreter::set, 0, 200},        {Interpreter::set, 1, 77},
    {Interpreter::set, 3, 0},          {Interpreter::set, 5, 1},
    {Interpreter::set, 6, 13},         {Interpreter::multiply, 1, 6},
    {Interpreter::add, 1, 0},          {Interpreter::move, 2, 1},
    {Interpreter::load, 4, 2},         {Interpreter::add, 3, 4},
    {Interpreter::exclusive_or, 4, 1}, {Interpreter::store, 4, 2},
    {Interpreter::set, 7, 5},          {Interpreter::move, 8, 3},
    {Interpreter::shift_right, 8, 1},  {Interpreter::exclusive_or, 3, 8},
    {Interpreter::subtract, 7, 5},     {Interpreter::jump_if, 7, 13},
    {Interpreter::subtract, 0, 5},     {Interpreter::jump_if, 0, 5},
    {Interpreter::stop, 3, 0},
};
static_assert(sizeof program / sizeof *program <= 32);

/// Buffers that a producer fills and a consumer empties, as a card's driver and its user do.
struct PacketRing {
    static constexpr u32 slots = 256, burst = 32, buffer = 2048;
    struct Descriptor {
        u8* data;
        u32 length, ready;
    };
    Descriptor ring[slots];
    u8 buffers[slots][buffer];
    u32 head, tail;
    Draw draw;

    void produce() {
        for (u32 i = 0; i < burst && head - tail < slots; ++i) {
            Descriptor& d = ring[head % slots];
            d.length = 64 + static_cast<u32>(draw.below(1400));
            auto* words = reinterpret_cast<u64*>(d.data);
            for (u64 w = 0; w < 8; ++w) words[w] = draw.state + w;
            words[d.length / 8] = head;
            d.ready = 1;
            ++head;
        }
    }
    u64 consume() {
        u64 sum = 0;
        for (u32 i = 0; i < burst && ring[tail % slots].ready != 0; ++i) {
            Descriptor& d = ring[tail % slots];
            auto* words = reinterpret_cast<const u64*>(d.data);
            for (u64 w = 0; w < 8; ++w) sum ^= words[w] << w;
            sum += words[d.length / 8] + d.length;
            d.ready = 0;
            ++tail;
        }
        return sum;
    }
};

/// Timers by deadline: a heap whose root is the next one.
struct Timers {
    static constexpr u64 count = 1023;
    struct Timer {
        u64 deadline, number;
    };
    Timer heap[count];
    Draw draw;

    void sift_down(u64 at) {
        Timer timer = heap[at];
        for (u64 child; (child = 2 * at + 1) < count; at = child) {
            child += child + 1 < count && heap[child + 1].deadline < heap[child].deadline;
            if (timer.deadline <= heap[child].deadline) break;
            heap[at] = heap[child];
        }
        heap[at] = timer;
    }
};

}  // namespace

void prepare_breadth_first(void* m, u64 seed) {
    Graph& graph = as<Graph>(m);
    Random random(seed);
    for (auto& edges : graph.edges)
        for (u32& to : edges) to = static_cast<u32>(random.below(Graph::vertices));
    graph.draw.seed(seed);
}
u64 run_breadth_first(void* m) {
    Graph& graph = as<Graph>(m);
    constexpr u32 unknown = ~0u;
    for (u32& distance : graph.distance) distance = unknown;
    auto first = static_cast<u32>(graph.draw.below(Graph::vertices));
    graph.distance[first] = 0;
    graph.queue[0] = first;
    u64 sum = 0;
    u32 head = 0, tail = 1;
    while (head < tail) {
        u32 here = graph.queue[head++];
        sum += graph.distance[here];
        for (u32 to : graph.edges[here]) {
            if (graph.distance[to] != unknown) continue;
            graph.distance[to] = graph.distance[here] + 1;
            graph.queue[tail++] = to;
        }
    }
    return sum * Graph::vertices + tail;
}

void prepare_union_find(void* m, u64 seed) { as<Sets>(m).draw.seed(seed); }
u64 run_union_find(void* m) {
    Sets& sets = as<Sets>(m);
    for (u32 i = 0; i < Sets::count; ++i) sets.parent[i] = i;
    u64 joined = 0;
    for (u64 i = 0; i < Sets::count; ++i) {
        u32 a = sets.root(static_cast<u32>(sets.draw.below(Sets::count)));
        u32 b = sets.root(static_cast<u32>(sets.draw.below(Sets::count)));
        joined += a != b;
        sets.parent[a] = b;
    }
    return joined * Sets::count + sets.root(5);
}

void prepare_interpreter(void* m, u64 seed) {
    Interpreter& machine = as<Interpreter>(m);
    for (u64 i = 0; i < sizeof program / sizeof *program; ++i) machine.program[i] = program[i];
    fill_random(machine.memory, sizeof machine.memory, seed);
}
u64 run_interpreter(void* m) {
    Interpreter& machine = as<Interpreter>(m);
    u64 registers[16] = {};
    for (const auto* at = machine.program;;) {
        u64& to = registers[at->to & 15];
        u64 from = registers[at->operand & 15];
        u8 operand = at->operand;
        switch (at++->op) {
            case Interpreter::set:
                to = operand;
                break;
            case Interpreter::add:
                to += from;
                break;
            case Interpreter::subtract:
                to -= from;
                break;
            case Interpreter::multiply:
                to *= from;
                break;
            case Interpreter::exclusive_or:
                to ^= from;
                break;
            case Interpreter::shift_right:
                to >>= operand;
                break;
            case Interpreter::load:
                to = machine.memory[from % 256];
                break;
            case Interpreter::store:
                machine.memory[from % 256] = to;
                break;
            case Interpreter::jump_if:
                if (to != 0) at = machine.program + operand;
                break;
            case Interpreter::move:
                to = from;
                break;
            default:
                return to;
        }
    }
}

void prepare_packet_ring(void* m, u64 seed) {
    auto& packets = as<PacketRing>(m);
    for (u32 i = 0; i < PacketRing::slots; ++i) packets.ring[i] = {packets.buffers[i], 0, 0};
    packets.head = packets.tail = 0;
    packets.draw.seed(seed);
    fill_random(packets.buffers, sizeof packets.buffers, seed);
}
u64 run_packet_ring(void* m) {
    auto& packets = as<PacketRing>(m);
    u64 sum = 0;
    for (u64 bursts = 0; bursts < 16; ++bursts) {
        packets.produce();
        sum = sum * 3 + packets.consume();
    }
    return sum;
}

void prepare_timers(void* m, u64 seed) {
    auto& timers = as<Timers>(m);
    timers.draw.seed(seed);
    u64 number = 0;
    for (auto& timer : timers.heap) timer = {timers.draw.below(100000), number++};
    for (u64 i = Timers::count / 2; i-- > 0;) timers.sift_down(i);
}
u64 run_timers(void* m) {
    auto& timers = as<Timers>(m);
    u64 sum = 0;
    for (u64 i = 0; i < 1024; ++i) {
        // The first one expires and starts again.
        auto& first = timers.heap[0];
        sum = sum * 3 + first.number;
        first.deadline += 1 + timers.draw.below(100000);
        timers.sift_down(0);
    }
    return sum;
}

}  // namespace doorbell::labs::bodies
