// Errors are values: a function that can fail returns a Result and says in one sentence what went
// wrong.
#pragma once
#include <cstdint>
#include <utility>

namespace doorbell {

/// What an Error means for the case that it ends.
enum class ErrorKind : uint8_t {
    /// A defect of the lab, of the driver or of the machine: something that is there does not do
    /// what its manual says. A lost packet, a reset that does not complete, a link that goes down
    /// during a measurement, extended state that a task switch lost. The case has failed.
    wrong,
    /// The machine, as it is configured, does not have what the case needs; other hardware or
    /// another configuration would. A feature that CPUID does not name, a card that is not there,
    /// a link that was never up, too little memory. The case is skipped.
    lacking,
    /// The same, and the thing asked for is not in the machine at all (a card of that model), so
    /// that there is nothing that could say more. The case is skipped.
    absent,
};

/// Why something could not be done. `what` is a string literal (never freed), `value` the number
/// that goes with it (a register's content, an address, a length), printed in hexadecimal where it
/// is not 0. Where nobody says otherwise, something is wrong: see Lacking.
struct Error {
    const char* what;
    uint64_t value = 0;
    ErrorKind kind = ErrorKind::wrong;

    /// Whether the machine lacks something, which is not a defect: the case is skipped.
    constexpr bool lacking() const { return kind != ErrorKind::wrong; }
    constexpr bool absent() const { return kind == ErrorKind::absent; }
};

/// The Error that means that this machine lacks something.
struct Lacking : Error {
    constexpr Lacking(const char* what, uint64_t value = 0)
        : Error{what, value, ErrorKind::lacking} {}
};

/// The Error that means that what was asked for is not in this machine.
struct Absent : Error {
    constexpr explicit Absent(const char* what) : Error{what, 0, ErrorKind::absent} {}
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
    constexpr T take() { return std::move(value_); }  ///< moved out
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
    constexpr void take() const {}
    constexpr Error error() const { return error_; }

  private:
    Error error_{nullptr, 0};
    bool ok_;
};

/// The value of a Result; where there is none, the function that this stands in returns its Error.
/// Only where nothing has to be undone first. (A statement expression, of GCC and Clang.)
#define DOORBELL_TRY(expression)            \
    ({                                      \
        auto tried_ = (expression);         \
        if (!tried_) return tried_.error(); \
        tried_.take();                      \
    })

/// The error of the first of `results` that has one, else `otherwise`: for a check of several
/// results in one condition.
template <class... Results>
constexpr Error first_error(const Error& otherwise, const Results&... results) {
    Error first = otherwise;
    bool found = false;
    auto look = [&](const auto& result) {
        if (found || result) return;
        found = true;
        first = result.error();
    };
    (look(results), ...);
    return first;
}

}  // namespace doorbell
