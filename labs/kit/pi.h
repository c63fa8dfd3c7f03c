// A job that only needs the processor: the decimal digits of pi, by the spigot of Rabinowitz and
// Wagon ("A Spigot Algorithm for the Digits of Pi", American Mathematical Monthly 102(3), 1995), in
// steps that are all alike.
#pragma once
#include <cstdint>

namespace doorbell::labs {

class PiJob {
  public:
    static constexpr unsigned digits = 100;

    PiJob() { restart(); }

    /// `n` steps, at least 1: each one division with remainder, 17 instructions. After `digits`
    /// digits it begins again.
    [[gnu::always_inline]] void run(uint64_t n) {
        do {
            asm volatile(
                "1:\tmovl %[place], %%ecx\n\t"
                "imull $10, (%[remainder],%%rcx,4), %%eax\n\t"
                "movl %[carry], %%edx\n\t"
                "imull %%ecx, %%edx\n\t"
                "addl %%edx, %%eax\n\t"
                "leal -1(%%rcx,%%rcx), %%esi\n\t"
                "xorl %%edx, %%edx\n\t"
                "divl %%esi\n\t"
                "movl %%edx, (%[remainder],%%rcx,4)\n\t"
                "movl %%eax, %[carry]\n\t"
                "incq %[steps]\n\t"
                "decl %%ecx\n\t"
                "movl %%ecx, %[place]\n\t"
                "decq %[n]\n\t"
                "jz 2f\n\t"
                "cmpl $1, %%ecx\n\t"
                "jne 1b\n"
                "2:"
                : [n] "+r"(n), [place] "+m"(place_), [carry] "+m"(carry_), [steps] "+m"(steps_)
                : [remainder] "r"(remainder_)
                : "rax", "rcx", "rdx", "rsi", "memory", "cc");
            if (place_ == 1) end_of_row();
        } while (n != 0);
    }
    uint64_t steps() const { return steps_; }
    /// How many digits of the current pass are settled; digit 0 is the 3.
    unsigned settled() const { return settled_; }
    uint8_t digit(unsigned i) const { return digit_[i]; }

  private:
    // One mixed-radix place a digit needs 10/3; two digits more than wanted, so that none wanted is
    // held back.
    static constexpr unsigned places = (digits + 4) * 10 / 3 + 2;

    void restart() {
        for (uint32_t& r : remainder_) r = 2;
        place_ = places - 1;
        carry_ = 0;
        settled_ = 0;
        nines_ = 0;
        held_ = 0;
        first_ = true;
    }
    void settle(uint32_t d) {
        if (settled_ < digits) digit_[settled_++] = static_cast<uint8_t>(d % 10);
    }
    [[gnu::noinline]] void end_of_row() {
        uint32_t value = 10 * remainder_[1] + carry_;
        remainder_[1] = value % 10;
        uint32_t d = value / 10;
        if (d == 9) {
            ++nines_;
        } else {
            // A digit is held back until it is known that no carry comes.
            if (!first_) settle(held_ + (d == 10));
            for (; nines_ != 0; --nines_) settle(d == 10 ? 0 : 9);
            held_ = d == 10 ? 0 : d;
            first_ = false;
        }
        carry_ = 0;
        place_ = places - 1;
        if (settled_ == digits) restart();
    }

    uint32_t remainder_[places];
    uint8_t digit_[digits];
    uint32_t place_, carry_, nines_, held_;
    unsigned settled_;
    bool first_;
    uint64_t steps_ = 0;
};

}  // namespace doorbell::labs
