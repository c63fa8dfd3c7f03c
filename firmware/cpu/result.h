// Errors are values: a function that can fail returns a Result and says in one sentence what went
// wrong.
#pragma once
#include <cstdint>
#include <utility>

namespace doorbell {

/// Why something could not be done. `what` is a string literal (never freed), `value` the number
/// that goes with it (a register's content, an address, a length), printed in hexadecimal where it
/// is not 0.
struct Error {
    const char* what;
    uint64_t value = 0;
};

/// A value of type T, or the Error that kept it from being.
template <class T>
class [[nodiscard]] Result {
  public:
    constexpr Result(T value) : value_(std::move(value)), ok_(true) {}
    constexpr Result(Error error) : error_(error), ok_(false) {}

    constexpr explicit operator bool() const { return ok_; }
    constexpr T& operator*() { return value_; }
    constexpr const T& operator*() const { return value_; }
    constexpr T* operator->() { return &value_; }
    constexpr const T* operator->() const { return &value_; }
    constexpr Error error() const { return error_; }

  private:
    T value_{};
    Error error_{nullptr, 0};
    bool ok_;
};

/// Success without a value, or an Error.
template <>
class [[nodiscard]] Result<void> {
  public:
    constexpr Result() : ok_(true) {}
    constexpr Result(Error error) : error_(error), ok_(false) {}

    constexpr explicit operator bool() const { return ok_; }
    constexpr Error error() const { return error_; }

  private:
    Error error_{nullptr, 0};
    bool ok_;
};

}  // namespace doorbell
