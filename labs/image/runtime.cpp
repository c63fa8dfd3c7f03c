// What the compiler takes for granted without a C library: four memory functions and the calls it
// makes for things that cannot happen here.
#include <cstddef>
#include <cstdint>

extern "C" {

void* memcpy(void* to, const void* from, size_t n) {
    void* result = to;
    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
    return result;
}

void* memset(void* to, int value, size_t n) {
    void* result = to;
    asm volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(value) : "memory");
    return result;
}

void* memmove(void* to, const void* from, size_t n) {
    auto* t = static_cast<unsigned char*>(to);
    auto* f = static_cast<const unsigned char*>(from);
    if (t <= f || t >= f + n) return memcpy(to, from, n);
    for (size_t i = n; i-- > 0;) *const_cast<volatile unsigned char*>(t + i) = f[i];
    return to;
}

int memcmp(const void* a, const void* b, size_t n) {
    auto* x = static_cast<const volatile unsigned char*>(a);
    auto* y = static_cast<const volatile unsigned char*>(b);
    for (size_t i = 0; i < n; ++i)
        if (x[i] != y[i]) return x[i] < y[i] ? -1 : 1;
    return 0;
}

const void* memchr(const void* where, int wanted, size_t n) {
    auto* p = static_cast<const volatile unsigned char*>(where);
    for (size_t i = 0; i < n; ++i)
        if (p[i] == static_cast<unsigned char>(wanted))
            return static_cast<const unsigned char*>(where) + i;
    return nullptr;
}

size_t strlen(const char* s) {
    size_t n = 0;
    while (static_cast<const volatile char*>(s)[n] != 0) ++n;
    return n;
}

// An object with a destructor that outlives the image, and a pure virtual call: both end in an
// invalid opcode, which the panic handler reports.
int __cxa_atexit(void (*)(void*), void*, void*) { return 0; }
void __cxa_pure_virtual() { asm volatile("ud2"); }
}

// Where the freestanding library finds a defect (substr() behind the end, a failed assertion of its
// own), it calls one of these, which one by its version: reported like any other defect.
namespace std {
[[gnu::noreturn]] void terminate() noexcept {
    for (;;) asm volatile("ud2");
}
[[gnu::noreturn]] void __throw_out_of_range_fmt(const char*, ...) { terminate(); }
[[gnu::noreturn]] void __throw_out_of_range(const char*) { terminate(); }
[[gnu::noreturn]] void __throw_length_error(const char*) { terminate(); }
[[gnu::noreturn]] void __throw_logic_error(const char*) { terminate(); }
[[gnu::noreturn]] void __glibcxx_assert_fail(const char*, int, const char*, const char*) noexcept {
    terminate();
}
}  // namespace std
