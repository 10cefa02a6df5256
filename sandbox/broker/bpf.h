// A seccomp filter being written. No heap: it is made after clone.
#pragma once
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace seedbed::sandbox::bpf {

#if defined(__x86_64__)
inline constexpr std::uint32_t kArch = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
inline constexpr std::uint32_t kArch = AUDIT_ARCH_AARCH64;
#else
#error "no seccomp table for this architecture"
#endif

// Numbers as ret_if_in wants them.
template <std::size_t N>
consteval std::array<std::uint32_t, N> sorted(const int (&numbers)[N]) {
  std::array<std::uint32_t, N> out{};
  std::copy(std::begin(numbers), std::end(numbers), out.begin());
  std::sort(out.begin(), out.end());
  return out;
}

class Program {  // straight code: every test falls through to the next
 public:
  void load(std::size_t offset) {
    add(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset));
  }
  void arg(int index) {
    load(offsetof(seccomp_data, args) + 8 * static_cast<std::size_t>(index));
  }  // low half
  void ret(std::uint32_t action) { add(BPF_RET | BPF_K, action); }
  void ret_if(std::uint32_t value, std::uint32_t action) {
    add(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
    ret(action);
  }
  // What is loaded is one of `numbers` (sorted): by halving. The kernel tries every number of a
  // call when a filter is installed, so a long straight list costs a hundred microseconds a jail.
  void ret_if_in(std::span<const std::uint32_t> numbers, std::uint32_t action) {
    std::array<std::size_t, 128> misses{};
    std::size_t count = 0;
    search(numbers, action, misses, count);
    for (std::size_t i = 0; i < count; ++i)
      code_.at(misses.at(i)).k = static_cast<std::uint32_t>(size_ - misses.at(i) - 1);
  }
  void ret_unless(std::uint32_t value, std::uint32_t action) {
    add(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0);
    ret(action);
  }
  void ret_if_any_bit(std::uint32_t bits, std::uint32_t action) {
    add(BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1);
    ret(action);
  }
  // Tests of one call's arguments; ends in `otherwise`, so that nothing falls out of the block.
  template <class F>
  void when(int number, std::uint32_t otherwise, F&& body) {
    add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(number), 0, 0);
    const std::size_t jump = size_ - 1;
    body();
    ret(otherwise);
    code_.at(jump).jf =
        static_cast<std::uint8_t>(size_ - jump - 1);  // every path in the body returns
  }
  sock_fprog finish() { return {static_cast<unsigned short>(size_), code_.data()}; }

 private:
  void search(std::span<const std::uint32_t> numbers,
              std::uint32_t action,
              std::array<std::size_t, 128>& misses,
              std::size_t& count) {
    if (numbers.size() > 4) {
      const std::size_t half = numbers.size() / 2;
      add(BPF_JMP | BPF_JGE | BPF_K, numbers[half], 0, 0);
      const std::size_t jump = size_ - 1;
      search(numbers.first(half), action, misses, count);
      code_.at(jump).jt = static_cast<std::uint8_t>(size_ - jump - 1);
      search(numbers.subspan(half), action, misses, count);
      return;
    }
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const auto left = static_cast<std::uint8_t>(numbers.size() - 1 - i);
      add(BPF_JMP | BPF_JEQ | BPF_K, numbers[i], left, left == 0 ? 1 : 0);
    }
    ret(action);
    misses.at(count++) = size_;
    add(BPF_JMP | BPF_JA, 0);
  }
  void add(int code, std::uint32_t k, std::uint8_t jt = 0, std::uint8_t jf = 0) {
    code_.at(size_++) = {static_cast<std::uint16_t>(code), jt, jf, k};
  }
  std::array<sock_filter, 640> code_{};
  std::size_t size_ = 0;
};

}  // namespace seedbed::sandbox::bpf
