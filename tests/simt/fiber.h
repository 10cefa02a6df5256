// Stacks that one thread switches between. A switch costs about ten nanoseconds; AddressSanitizer
// is told of each.
#pragma once
#include <cstddef>

namespace simt {

struct Context {
  void* sp = nullptr;               // where it stopped
  const void* stack_low = nullptr;  // of its stack; for main: filled at the first switch away
  std::size_t stack_bytes = 0;
  void* fake_stack = nullptr;  // AddressSanitizer's
};

// Runs `to` from where it stopped; returns when somebody switches back to `from`.
void switch_context(Context& from, Context& to);
// The same, and `from` is never continued.
[[noreturn]] void leave_context(Context& from, Context& to);

// A region of equal stacks, each with a page below that nobody may touch. Mapped once, never given
// back.
class Stacks {
 public:
  Stacks(std::size_t count, std::size_t bytes);
  // Makes `context` begin in `entry` when it is switched to next.
  void arm(Context& context, std::size_t index, void (*entry)());
  // The first thing that `entry` does; `from` is who switched to it.
  static void entered(Context& from);
  [[nodiscard]] bool holds(const void* p) const;
  // Stacks left in the middle of something may be used again.
  void forget_poison();

 private:
  std::byte* region_;
  std::size_t count_, bytes_, step_;
};

}  // namespace simt
