// Atomics. One thread runs at a time, so a plain read and write is one; the race check is told.
#include "tests/simt/state.h"

namespace simt {

namespace {
template <class T>
T bits(AtomicOp op, T old, T value) {
  switch (op) {
    case AtomicOp::bit_and:
      return static_cast<T>(old & value);
    case AtomicOp::bit_or:
      return static_cast<T>(old | value);
    default:
      return static_cast<T>(old ^ value);
  }
}
template <class T>
T changed(AtomicOp op, T old, T value, T expected) {
  switch (op) {
    case AtomicOp::add:
      return static_cast<T>(old + value);
    case AtomicOp::min:
      return value < old ? value : old;
    case AtomicOp::max:
      return value > old ? value : old;
    case AtomicOp::exchange:
      return value;
    case AtomicOp::compare_exchange:
      return old == expected ? value : old;
    default:
      if constexpr (std::is_integral_v<T>) return bits(op, old, value);
      return old;
  }
}
}  // namespace

template <class T>
T atomic(AtomicOp op, T* where, T value, T expected, Loc at) {
  if (reinterpret_cast<std::uintptr_t>(where) % sizeof(T) != 0)
    fail("an atomic on an address that is not aligned to its size", at);
  race::touch(race::Access::atomic, *rt->current, where, sizeof(T), at);
  const T old = *where;
  *where = changed(op, old, value, expected);
  return old;
}
template int atomic(AtomicOp, int*, int, int, Loc);
template unsigned atomic(AtomicOp, unsigned*, unsigned, unsigned, Loc);
template unsigned long long atomic(
    AtomicOp, unsigned long long*, unsigned long long, unsigned long long, Loc);
template float atomic(AtomicOp, float*, float, float, Loc);
template double atomic(AtomicOp, double*, double, double, Loc);

}  // namespace simt
