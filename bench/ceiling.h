// What this machine can do at most, measured: bytes read from memory and multiply-adds, by
// `threads` threads at once. Best of several runs, since other work on the machine only ever slows
// one down.
#pragma once
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <vector>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "kernels/ops.h"
#include "kernels/pool.h"

namespace seedbed::bench {

inline double now_us() {
  return std::chrono::duration<double, std::micro>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

struct Times {
  double best_us = 0, p50_us = 0;
};
// Runs once to warm up, then at least `least` times and for at least `for_us`; `between` runs
// outside the measured time.
inline Times measure(
    int least,
    double for_us,
    const std::function<void()>& run,
    const std::function<void()>& between = [] {}) {
  run();
  std::vector<double> all;
  const double end = now_us() + for_us;
  while (static_cast<int>(all.size()) < least || now_us() < end) {
    between();
    const double begin = now_us();
    run();
    all.push_back(now_us() - begin);
  }
  std::sort(all.begin(), all.end());
  return {all.front(), all[all.size() / 2]};
}

namespace detail {
#if defined(__x86_64__)
// Reads `streams` places of the piece in turn: one stream alone does not draw all that there is.
__attribute__((target("avx2"))) inline std::uint64_t sum_avx2(const std::byte* p,
                                                              std::int64_t bytes,
                                                              std::int64_t streams) {
  __m256i low = _mm256_setzero_si256(), high = low;
  const std::int64_t step = bytes / streams;
  for (std::int64_t i = 0; i + 64 <= step; i += 64)
    for (std::int64_t j = 0; j < streams; ++j) {
      const auto* at = reinterpret_cast<const __m256i*>(p + j * step + i);
      low = _mm256_add_epi64(low, _mm256_load_si256(at));
      high = _mm256_add_epi64(high, _mm256_load_si256(at + 1));
    }
  const __m256i all = _mm256_add_epi64(low, high);
  return static_cast<std::uint64_t>(_mm256_extract_epi64(all, 0) + _mm256_extract_epi64(all, 1) +
                                    _mm256_extract_epi64(all, 2) + _mm256_extract_epi64(all, 3));
}
// Twelve chains hide an instruction's latency. They are named one by one: in an array they would
// live in memory. What was computed goes to *out.
#define SEEDBED_CHAINS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define SEEDBED_START(n) __m512 sum##n = _mm512_setzero_ps();
#define SEEDBED_DP(n)                                              \
  sum##n = _mm512_dpbf16_ps(sum##n, (__m512bh)one, (__m512bh)one); \
  asm volatile("" : "+v"(sum##n));
#define SEEDBED_FMA(n)                        \
  sum##n = _mm512_fmadd_ps(one, one, sum##n); \
  asm volatile("" : "+v"(sum##n));
#define SEEDBED_TOTAL(n) total += sum##n;
__attribute__((target("avx512f,avx512bf16"))) inline void dpbf16_loop(std::int64_t turns,
                                                                      float* out) {
  SEEDBED_CHAINS(SEEDBED_START)
  const __m512i one = _mm512_set1_epi32(0x3f803f80);
  for (std::int64_t i = 0; i < turns; ++i) {
    SEEDBED_CHAINS(SEEDBED_DP)
  }
  __m512 total = _mm512_setzero_ps();
  SEEDBED_CHAINS(SEEDBED_TOTAL)
  std::memcpy(out, &total, sizeof *out);
}
__attribute__((target("avx512f"))) inline void fma_loop(std::int64_t turns, float* out) {
  SEEDBED_CHAINS(SEEDBED_START)
  const __m512 one = _mm512_set1_ps(1.0F);
  for (std::int64_t i = 0; i < turns; ++i) {
    SEEDBED_CHAINS(SEEDBED_FMA)
  }
  __m512 total = _mm512_setzero_ps();
  SEEDBED_CHAINS(SEEDBED_TOTAL)
  std::memcpy(out, &total, sizeof *out);
}
#undef SEEDBED_CHAINS
#undef SEEDBED_START
#undef SEEDBED_DP
#undef SEEDBED_FMA
#undef SEEDBED_TOTAL
#endif
inline std::uint64_t sum_words(const std::byte* p, std::int64_t bytes) {
  std::uint64_t sum = 0;
  for (std::int64_t i = 0; i + 8 <= bytes; i += 8) {
    std::uint64_t x;
    std::memcpy(&x, p + i, 8);
    sum += x;
  }
  return sum;
}
}  // namespace detail

// GB/s of one pass over `memory` in pieces of 1 MiB, each read at `streams` places in turn; 64-byte
// aligned, and far larger than the caches, or not read for long.
inline double read_once_gbs(kernels::Pool& pool,
                            const std::byte* memory,
                            std::int64_t bytes,
                            std::int64_t streams) {
  const bool wide = kernels::isa_supported(kernels::Isa::avx2);
  constexpr std::int64_t kPiece = 1 << 20;
  const double start = now_us();
  kernels::parallel_for(&pool, bytes / kPiece, 1, [&](std::int64_t begin, std::int64_t end) {
    volatile std::uint64_t sink = 0;
    for (std::int64_t i = begin; i < end; ++i) {
      const std::byte* p = memory + i * kPiece;
#if defined(__x86_64__)
      sink = wide ? detail::sum_avx2(p, kPiece, streams) : detail::sum_words(p, kPiece);
#else
      sink = detail::sum_words(p, kPiece);
#endif
    }
    (void)sink;
  });
  (void)wide, (void)streams;
  return static_cast<double>(bytes / kPiece * kPiece) / (now_us() - start) / 1e3;
}

// The best over parts of `memory` and ways of reading it. Parts are short, so that some are read
// while nothing else runs.
inline double read_gbs(kernels::Pool& pool,
                       const std::byte* memory,
                       std::int64_t bytes,
                       int rounds = 4) {
  constexpr std::int64_t kPart = 64 << 20;
  double best = 0;
  for (int i = 0; i < rounds; ++i)
    for (const std::int64_t streams : {1, 2, 4})
      for (std::int64_t at = 0; at + kPart <= bytes; at += kPart)
        best = std::max(best, read_once_gbs(pool, memory + at, kPart, streams));
  return best;
}

enum class Multiply { f32, bf16 };
// GFLOP/s of 512-bit multiply-adds (f32: vfmadd, bf16: vdpbf16ps); 0 where there are none.
inline double multiply_gflops(kernels::Pool& pool, Multiply kind, int runs = 40) {
#if defined(__x86_64__)
  if (kernels::isa_supported(kernels::Isa::avx512)) {
    constexpr std::int64_t kTurns = 100'000;
    volatile float sink = 0;
    const Times t = measure(runs, 0, [&] {
      kernels::parallel_for(&pool, pool.threads(), 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          float x = 0;
          if (kind == Multiply::f32)
            detail::fma_loop(kTurns, &x);
          else
            detail::dpbf16_loop(kTurns, &x);
          sink = x;
        }
      });
    });
    const double flops = 12.0 * kTurns * (kind == Multiply::f32 ? 32 : 64) * pool.threads();
    return flops / t.best_us / 1e3;
  }
#endif
  (void)pool, (void)kind, (void)runs;
  return 0;
}

}  // namespace seedbed::bench
