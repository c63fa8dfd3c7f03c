// Registers whose content carries their type, so that a bit of one cannot be written to another: a
// register is a type, its bits are `Field`s of that type, and what is read from it or written to it
// is a `Value` of that type. A value is one word, and all of this is gone in the compiled code.
//
//     struct Rctl : Register<0x0100> {
//         static constexpr Field<Rctl, 1> enable{};
//         static constexpr Field<Rctl, 16, 2> buffer_size{};
//     };
//     block.write(Rctl::enable | Rctl::buffer_size(2));   // the value knows where it belongs
//     if (block.read<Rctl>() & Rctl::enable) ...
//     block.write<Tctl>(Rctl::enable);                    // does not compile
#pragma once
#include <concepts>
#include <cstdint>

namespace doorbell::cpu {

/// What a register is: its address (an offset in its block, the number of an MSR) and its width.
template <uint64_t at, std::unsigned_integral WordType = uint32_t>
struct Register {
    using Word = WordType;
    static constexpr uint64_t address = at;
};

/// The content of register R, or some of its bits.
template <class R>
class Value {
  public:
    using Word = typename R::Word;
    constexpr Value() = default;
    constexpr explicit Value(Word word) : word_(word) {}
    constexpr Word word() const { return word_; }
    constexpr explicit operator bool() const { return word_ != 0; }
    constexpr Value operator~() const { return Value(static_cast<Word>(~word_)); }
    friend constexpr Value operator|(Value a, Value b) { return Value(a.word_ | b.word_); }
    friend constexpr Value operator&(Value a, Value b) { return Value(a.word_ & b.word_); }
    friend constexpr bool operator==(Value, Value) = default;

  private:
    Word word_ = 0;
};

/// Bits `first` to `first + width - 1` of register R. By its name alone it stands for all of them
/// set.
template <class R, unsigned first, unsigned width = 1>
struct Field {
    static constexpr uint64_t ones = width >= 64 ? ~0ull : (1ull << width) - 1;
    constexpr operator Value<R>() const {
        static_assert(first + width <= 8 * sizeof(typename R::Word));
        return Value<R>(static_cast<typename R::Word>(ones << first));
    }
    /// The field with that content; what it has no room for is cut off.
    constexpr Value<R> operator()(uint64_t content) const {
        return Value<R>(static_cast<typename R::Word>((content & ones) << first));
    }
    /// The field's content in `value`.
    constexpr auto of(Value<R> value) const { return value.word() >> first & ones; }
    friend constexpr Value<R> operator|(Field a, Value<R> b) { return Value<R>(a) | b; }
    template <unsigned other, unsigned wide>
    friend constexpr Value<R> operator|(Field a, Field<R, other, wide> b) {
        return Value<R>(a) | Value<R>(b);
    }
    constexpr Value<R> operator~() const { return ~Value<R>(*this); }
};

}  // namespace doorbell::cpu
