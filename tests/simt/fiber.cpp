#include "tests/simt/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <stdexcept>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

// Saves what a function must keep (System V, x86-64) on the stack it leaves, takes it from the one
// it enters. An indirect jump instead of a return: the processor's return predictor would be wrong.
asm(R"(
.pushsection .text
.p2align 4
.globl simt_switch_stack
.type simt_switch_stack,@function
simt_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  popq %rcx
  jmp *%rcx
.size simt_switch_stack,.-simt_switch_stack
.popsection
)");
extern "C" void simt_switch_stack(void** save, void* load);

namespace simt {

void switch_context(Context& from, Context& to) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&from.fake_stack, to.stack_low, to.stack_bytes);
#endif
  simt_switch_stack(&from.sp, to.sp);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(from.fake_stack, nullptr, nullptr);
#endif
}

void leave_context(Context& from, Context& to) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(nullptr, to.stack_low, to.stack_bytes);
#endif
  simt_switch_stack(&from.sp, to.sp);
  __builtin_unreachable();
}

void Stacks::entered([[maybe_unused]] Context& from) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &from.stack_low, &from.stack_bytes);
#endif
}

Stacks::Stacks(std::size_t count, std::size_t bytes)
    : count_(count), bytes_(bytes), step_(bytes + static_cast<std::size_t>(getpagesize())) {
  void* region = mmap(nullptr, count * step_, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (region == MAP_FAILED) throw std::runtime_error("simt: no memory for the stacks");
  region_ = static_cast<std::byte*>(region);
  for (std::size_t i = 0; i < count; ++i) mprotect(region_ + i * step_, step_ - bytes_, PROT_NONE);
}

void Stacks::arm(Context& context, std::size_t index, void (*entry)()) {
  std::byte* const low = region_ + index * step_ + (step_ - bytes_);
  auto* top = reinterpret_cast<std::uintptr_t*>(low + bytes_);
  *--top = 0;  // entry's return address: it does not return
  *--top = reinterpret_cast<std::uintptr_t>(entry);
  for (int i = 0; i < 6; ++i) *--top = 0;
  context = {top, low, bytes_, nullptr};
}

bool Stacks::holds(const void* p) const {
  return p >= region_ && p < region_ + count_ * step_;
}

void Stacks::forget_poison() {
#if defined(__SANITIZE_ADDRESS__)
  for (std::size_t i = 0; i < count_; ++i)
    __asan_unpoison_memory_region(region_ + i * step_ + (step_ - bytes_), bytes_);
#endif
}

}  // namespace simt
