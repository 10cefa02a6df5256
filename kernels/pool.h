// Threads that share the loops of one op. Work is split by index only, so results never depend on
// the number of threads.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

namespace seedbed::kernels {

class Pool {
 public:
  explicit Pool(int threads);  // threads >= 1, the caller's own included
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  [[nodiscard]] int threads() const;
  // Calls work(context, begin, end) over disjoint pieces of [0, count), each at most `grain` long,
  // on all threads; returns when all are done. One caller at a time; not from inside work.
  void run(std::int64_t count,
           std::int64_t grain,
           void (*work)(void* context, std::int64_t begin, std::int64_t end),
           void* context);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// body(begin, end) over pieces of [0, count); pool may be null (then on this thread alone).
template <class Body>
static inline void parallel_for(Pool* pool, std::int64_t count, std::int64_t grain, Body&& body) {
  if (count <= 0) return;
  if (pool == nullptr || count <= grain) {
    body(std::int64_t{0}, count);
    return;
  }
  pool->run(
      count, grain,
      [](void* context, std::int64_t begin, std::int64_t end) {
        (*static_cast<std::remove_reference_t<Body>*>(context))(begin, end);
      },
      const_cast<void*>(static_cast<const void*>(&body)));
}

// At least `bytes` of 64-byte aligned memory of this thread's own, slot 0 to 7; valid until the
// same slot is asked for again on this thread. Contents are undefined.
void* scratch(int slot, std::size_t bytes);

// Broken contract of a kernel; prints and aborts. A plain function, so that files built for one
// instruction set instantiate nothing.
[[noreturn]] void kernel_check_failed(
    const char* condition, const char* file, int line, long long a, long long b);

}  // namespace seedbed::kernels

#define KERNEL_CHECK(condition, a, b)                                                            \
  do {                                                                                           \
    if (!(condition))                                                                            \
      ::seedbed::kernels::kernel_check_failed(                                                   \
          #condition, __FILE__, __LINE__, static_cast<long long>(a), static_cast<long long>(b)); \
  } while (0)
