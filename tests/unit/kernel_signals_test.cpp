// The rules of signals, and the path to a handler and back over a task's stack.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "firmware/kernel/signals.h"

namespace doorbell::kernel {
namespace {

using Kind = Delivery::Kind;
constexpr uint64_t handler = 0x11F000, other_handler = 0x11F040, way_back = 0x11F080;

TEST(Signals, WithoutAHandlerTheTaskEnds) {
    Signals s;
    s.raise(sigterm);
    ASSERT_TRUE(s.due());
    Delivery d = s.take();
    EXPECT_EQ(d.kind, Kind::end);
    EXPECT_EQ(d.signal, sigterm);
    EXPECT_FALSE(s.due());
}

TEST(Signals, AHandlerIsCalledOnceForASignal) {
    Signals s;
    ASSERT_TRUE(s.set_handler(sigterm, handler));
    s.raise(sigterm);
    s.raise(sigterm);  // pending already
    Delivery d = s.take();
    EXPECT_EQ(d.kind, Kind::handle);
    EXPECT_EQ(d.handler, handler);
    s.set_mask(d.mask_before);
    EXPECT_EQ(s.take().kind, Kind::none);
}

TEST(Signals, WhileItsHandlerRunsTheSignalWaits) {
    Signals s;
    s.set_handler(sigterm, handler);
    s.raise(sigterm);
    Delivery first = s.take();
    s.raise(sigterm);
    EXPECT_FALSE(s.due());
    EXPECT_NE(s.pending(), 0u);
    s.set_mask(first.mask_before);  // the handler returned
    EXPECT_EQ(s.take().kind, Kind::handle);
}

TEST(Signals, AnotherSignalComesInBetween) {
    Signals s;
    s.set_handler(sigterm, handler);
    s.set_handler(sigint, other_handler);
    s.raise(sigterm);
    Delivery outer = s.take();
    s.raise(sigint);
    Delivery inner = s.take();
    EXPECT_EQ(inner.handler, other_handler);
    EXPECT_EQ(inner.mask_before, Signals::bit(sigterm));
    s.set_mask(inner.mask_before);
    EXPECT_EQ(s.mask(), Signals::bit(sigterm));
    s.set_mask(outer.mask_before);
    EXPECT_EQ(s.mask(), 0u);
}

TEST(Signals, MaskedSignalsWaitAndThenComeLowestFirst) {
    Signals s;
    s.set_mask(Signals::bit(sigterm) | Signals::bit(sigint));
    s.set_handler(sigterm, handler);
    s.set_handler(sigint, other_handler);
    s.raise(sigterm);
    s.raise(sigint);
    EXPECT_EQ(s.take().kind, Kind::none);
    s.set_mask(0);
    EXPECT_EQ(s.take().signal, sigint);
    EXPECT_EQ(s.take().signal, sigterm);
}

TEST(Signals, SigkillIsNeitherCaughtNorMaskedNorIgnored) {
    Signals s;
    EXPECT_FALSE(s.set_handler(sigkill, handler));
    EXPECT_FALSE(s.set_handler(sigkill, signal_ignore));
    s.set_mask(~0u);
    EXPECT_EQ(s.mask() & Signals::bit(sigkill), 0u);
    s.raise(sigkill);
    Delivery d = s.take();
    EXPECT_EQ(d.kind, Kind::end);
    EXPECT_EQ(d.signal, sigkill);
}

TEST(Signals, SigkillGoesBeforeEverythingElse) {
    Signals s;
    s.set_handler(sigint, handler);
    s.raise(sigint);
    s.raise(sigkill);
    EXPECT_EQ(s.take().signal, sigkill);
}

TEST(Signals, AnIgnoredSignalIsGone) {
    Signals s;
    ASSERT_TRUE(s.set_handler(sigpipe, signal_ignore));
    s.raise(sigpipe);
    EXPECT_EQ(s.pending(), 0u);
    s.raise(sigchld);  // ignored unless asked for
    EXPECT_EQ(s.pending(), 0u);
}

TEST(Signals, AFaultCannotBeHeldBackOrIgnored) {
    for (bool masked : {true, false}) {
        Signals s;
        s.set_handler(sigsegv, masked ? handler : signal_ignore);
        if (masked) s.set_mask(Signals::bit(sigsegv));
        s.force(sigsegv);
        Delivery d = s.take();
        EXPECT_EQ(d.kind, Kind::end);
        EXPECT_EQ(d.signal, sigsegv);
    }
    Signals caught;
    caught.set_handler(sigsegv, handler);
    caught.force(sigsegv);
    EXPECT_EQ(caught.take().kind, Kind::handle);
    caught.force(sigsegv);  // its handler faults in turn
    EXPECT_EQ(caught.take().kind, Kind::end);
}

TEST(Signals, NumbersThatDoNotExistAreRefused) {
    Signals s;
    for (uint64_t n : {uint64_t{0}, uint64_t{most_signals}, ~uint64_t{0}})
        EXPECT_FALSE(s.set_handler(n, handler)) << n;
}

TEST(Signals, AHandlerMustBeAtAnAddressThatRingThreeCanHave) {
    Signals s;
    EXPECT_TRUE(s.set_handler(sigterm, (1ull << 47) - 1));
    for (uint64_t bad : {uint64_t{1} << 47, uint64_t{0x8000'0000'0000'0000}, ~uint64_t{0}})
        EXPECT_FALSE(s.set_handler(sigterm, bad)) << std::hex << bad;
}

/// A task's stack; the kernel accesses it as the test's memory.
struct SignalStack : testing::Test {
    static constexpr uint64_t user = 0x6000'0000'0000, bytes = 8192;
    alignas(16) std::vector<uint64_t> words = std::vector<uint64_t>(bytes / 8);
    UserMemory memory;
    cpu::Frame frame{};
    Signals signals;

    void SetUp() override {
        memory.add({user, bytes, reinterpret_cast<uint64_t>(words.data()), true});
        auto* registers = reinterpret_cast<uint64_t*>(&frame);
        for (unsigned i = 0; i < sizeof frame / 8; ++i) registers[i] = 0x1000 + i;
        frame.rip = 0x11F123;
        frame.rsp = user + bytes - 40;
        frame.cs = 0x2B;
        frame.ss = 0x23;
        frame.rflags = 0x247;
        signals.set_handler(sigterm, handler);
        signals.raise(sigterm);
    }
    SignalFrame* on_stack() {
        return reinterpret_cast<SignalFrame*>(
            memory.at(frame.rsp, sizeof(SignalFrame), Access::write));
    }
    /// What the handler's RET does.
    void handler_returns() { frame.rsp += 8; }
};

TEST_F(SignalStack, TheHandlerStartsLikeACalledFunction) {
    ASSERT_TRUE(push_signal(frame, memory, signals.take(), way_back));
    EXPECT_EQ(frame.rip, handler);
    EXPECT_EQ(frame.rdi, sigterm);
    EXPECT_EQ((frame.rsp + 8) % 16, 0u);
    EXPECT_EQ(on_stack()->return_address, way_back);
    EXPECT_EQ(frame.rflags & 0x200, 0x200u) << "interrupts on";
    EXPECT_EQ(frame.rflags & 0x400, 0u) << "strings upwards";
}

TEST_F(SignalStack, EveryRegisterComesBack) {
    cpu::Frame before = frame;
    ASSERT_TRUE(push_signal(frame, memory, signals.take(), way_back));
    handler_returns();
    cpu::Frame in_call = frame;
    in_call.rax = in_call.rbx = in_call.r15 = in_call.rcx = 0xBAD;
    ASSERT_TRUE(pop_signal(in_call, memory, signals));
    EXPECT_EQ(std::memcmp(&in_call, &before, sizeof before), 0);
    EXPECT_EQ(signals.mask(), 0u);
}

TEST_F(SignalStack, TwoHandlersNestAndReturnInOrder) {
    cpu::Frame before = frame;
    ASSERT_TRUE(push_signal(frame, memory, signals.take(), way_back));
    cpu::Frame in_outer = frame;
    signals.set_handler(sigint, other_handler);
    signals.raise(sigint);
    ASSERT_TRUE(push_signal(frame, memory, signals.take(), way_back));
    EXPECT_EQ(frame.rip, other_handler);
    handler_returns();
    ASSERT_TRUE(pop_signal(frame, memory, signals));
    EXPECT_EQ(std::memcmp(&frame, &in_outer, sizeof frame), 0);
    EXPECT_EQ(signals.mask(), Signals::bit(sigterm));
    handler_returns();
    ASSERT_TRUE(pop_signal(frame, memory, signals));
    EXPECT_EQ(std::memcmp(&frame, &before, sizeof frame), 0);
}

TEST_F(SignalStack, AStackThatIsNotTheTasksGetsNothing) {
    for (uint64_t rsp :
         {uint64_t{0}, user, user + 64, user + bytes + 4096, ~uint64_t{7}, uint64_t{0xFEE00400}}) {
        frame.rsp = rsp;
        cpu::Frame before = frame;
        EXPECT_FALSE(push_signal(frame, memory, {Kind::handle, sigterm, handler, 0}, way_back))
            << std::hex << rsp;
        EXPECT_EQ(std::memcmp(&frame, &before, sizeof frame), 0);
    }
}

TEST_F(SignalStack, RingThreeCannotForgeItsWayUp) {
    ASSERT_TRUE(push_signal(frame, memory, signals.take(), way_back));
    SignalFrame* forged = on_stack();
    forged->interrupted.cs = 0x08;
    forged->interrupted.ss = 0x10;
    forged->interrupted.rflags = ~0ull & ~0x200ull;  // IOPL 3, NT, VM, VIF; interrupts off
    forged->mask = ~0u;
    handler_returns();
    ASSERT_TRUE(pop_signal(frame, memory, signals));
    EXPECT_EQ(frame.cs, 0x2Bu);
    EXPECT_EQ(frame.ss, 0x23u);
    EXPECT_EQ(frame.rflags & 0x3000, 0u) << "IOPL";
    EXPECT_EQ(frame.rflags & 0x4000, 0u) << "NT";
    EXPECT_EQ(frame.rflags & 0x1A0000, 0u) << "VM, VIF, VIP";
    EXPECT_EQ(frame.rflags & 0x200, 0x200u) << "IF";
    EXPECT_EQ(signals.mask() & Signals::bit(sigkill), 0u);
}

TEST_F(SignalStack, AddressesThatAreNotRingThreesAreRefused) {
    ASSERT_TRUE(push_signal(frame, memory, signals.take(), way_back));
    SignalFrame good = *on_stack();
    handler_returns();
    cpu::Frame in_call = frame;
    auto* forged = reinterpret_cast<SignalFrame*>(
        memory.at(frame.rsp - 8, sizeof(SignalFrame), Access::write));
    for (uint64_t bad : {uint64_t{1} << 47, uint64_t{0x8000'0000'0000'0000}, ~uint64_t{0}}) {
        *forged = good;
        forged->interrupted.rip = bad;
        EXPECT_FALSE(pop_signal(frame, memory, signals)) << std::hex << bad;
        *forged = good;
        forged->interrupted.rsp = bad;
        EXPECT_FALSE(pop_signal(frame, memory, signals)) << std::hex << bad;
    }
    EXPECT_EQ(std::memcmp(&frame, &in_call, sizeof frame), 0);
    frame.rsp = 0x100000;  // the image's memory
    EXPECT_FALSE(pop_signal(frame, memory, signals));
}

}  // namespace
}  // namespace doorbell::kernel
