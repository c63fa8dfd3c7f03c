// A bit of one register cannot be combined with, written to or read from another one: such code
// does not compile.
#include "firmware/cpu/field.h"

#include <gtest/gtest.h>

#include "firmware/cpu/cpuid.h"
#include "firmware/cpu/msr.h"
#include "tests/unit/fakes.h"

namespace doorbell::test {
namespace {

using cpu::Field;
using cpu::Value;

struct Left : cpu::Register<0x10> {
    static constexpr Field<Left, 1> low{};
    static constexpr Field<Left, 16, 2> pair{};
    static constexpr Field<Left, 31> high{};
};
struct Right : cpu::Register<0x20> {
    static constexpr Field<Right, 1> low{};
};

template <class A, class B>
concept Joins = requires(A a, B b) { a | b; };
template <class A, class B>
concept Masks = requires(A a, B b) { a & b; };
template <class To, class From>
concept Takes = std::convertible_to<From, To>;

static_assert(Joins<decltype(Left::low), decltype(Left::pair)>);
static_assert(Joins<Value<Left>, decltype(Left::pair)>);
static_assert(Masks<Value<Left>, decltype(Left::pair)>);
static_assert(!Joins<decltype(Left::low), decltype(Right::low)>);
static_assert(!Joins<Value<Left>, decltype(Right::low)>);
static_assert(!Masks<Value<Left>, Value<Right>>);
static_assert(!Joins<Value<Left>, uint32_t>);
static_assert(Takes<Value<Left>, decltype(Left::low)>);
static_assert(!Takes<Value<Right>, decltype(Left::low)>);
static_assert(!Takes<Value<Left>, uint32_t>);

template <class Leaf, class F>
concept Answers = requires(Leaf leaf, F field) { leaf[field]; };
static_assert(Answers<cpu::CpuidLeaf<7>, decltype(cpu::cpuid::StructuredEbx::smep)>);
static_assert(!Answers<cpu::CpuidLeaf<1>, decltype(cpu::cpuid::StructuredEbx::smep)>);
static_assert(!Answers<cpu::CpuidLeaf<7, 1>, decltype(cpu::cpuid::StructuredEbx::smep)>);

template <class R, class V>
concept Writes = requires(cpu::Msrs msrs, V value) { cpu::write<R>(msrs, value); };
static_assert(Writes<cpu::msr::Efer, decltype(cpu::msr::Efer::system_call)>);
static_assert(!Writes<cpu::msr::ApicBase, decltype(cpu::msr::Efer::system_call)>);

TEST(Field, HoldsItsBitsAndNoOthers) {
    Value<Left> v = Left::low | Left::pair(2) | Left::high;
    EXPECT_EQ(v.word(), 0x80020002u);
    EXPECT_EQ(Left::pair.of(v), 2u);
    EXPECT_EQ((v & ~(Left::low | Left::high)).word(), 0x20000u);
    EXPECT_EQ(Left::pair(7).word(), 0x30000u) << "what has no room is cut off";
    EXPECT_FALSE(v & Left::pair(1));
    EXPECT_EQ((~Value<Left>(0)).word(), ~0u);
}

TEST(Field, AnMsrIsWrittenByTheValuesOwnNumber) {
    struct Device : FakeDevice {
        uint64_t on_read(uint64_t msr, unsigned) override { return msr == 0xC0000080 ? 0x500 : 0; }
        void on_write(uint64_t, unsigned, uint64_t) override {}
    } device;
    cpu::Msrs msrs(device);
    cpu::write(msrs, cpu::read<cpu::msr::Efer>(msrs) | cpu::msr::Efer::system_call);
    EXPECT_EQ(device.writes, (std::vector<Access>{{0xC0000080, 8, 0x501}}));
}

}  // namespace
}  // namespace doorbell::test
