// Errors that a caller may meet are values. An Error names the boundary it crossed; its message has
// four parts: what, where, found and wanted, what to do.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace seedbed {

enum class Where : std::uint8_t {
  config,
  usage,
  store,
  sandbox,
  tool,
  model,
  verifier,
  pack,
  interrupted
};

struct [[nodiscard]] Error {
  Where where = Where::config;
  std::string message;
};

// Error with the four parts in the one form that every message has.
Error make_error(Where where,
                 std::string_view what,
                 std::string_view at,
                 std::string_view found_and_wanted,
                 std::string_view todo);

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value)
      : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Result(Error error)
      : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  Error& error() & { return std::get<1>(state_); }
  const Error& error() const& { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

// What a step that yields nothing returns: empty on success.
using Step = std::optional<Error>;

}  // namespace seedbed

#define SEEDBED_CAT2(a, b) a##b
#define SEEDBED_CAT(a, b) SEEDBED_CAT2(a, b)
// SEEDBED_TRY(auto x, f()): x becomes f()'s value, or the enclosing function returns f()'s error.
#define SEEDBED_TRY(decl, expr)                                    \
  auto SEEDBED_CAT(seedbed_try_, __LINE__) = (expr);               \
  if (!SEEDBED_CAT(seedbed_try_, __LINE__).ok())                   \
    return std::move(SEEDBED_CAT(seedbed_try_, __LINE__)).error(); \
  decl = *std::move(SEEDBED_CAT(seedbed_try_, __LINE__))
