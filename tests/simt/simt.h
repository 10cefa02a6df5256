// CUDA's names on the host: a block's threads are fibers of one thread, which switch only where
// threads of a block can meet (barriers, shuffles, votes, mma). What a device would do silently
// wrong is an error here, with file and line: see README.md. Kernels include this through
// kernels/cuda/device.h. One launch at a time in the process; blocks run one after another.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

// device_launch_parameters.h declares threadIdx and the like in a way that conflicts with ours.
#define __DEVICE_LAUNCH_PARAMETERS_H__
#include <cuda_bf16.h>
#include <cuda_fp8.h>
#include <cuda_runtime.h>

#include "tests/simt/runtime.h"

#define __launch_bounds__(...)
#undef __shared__
#define __shared__ static_assert(false, "shared memory is declared by KN_SHARED or KN_DYN_SMEM");

#define KN_AT , ::simt::Loc kn_at = {__builtin_FILE(), __builtin_LINE()}
#define KN_HERE , kn_at
#define KN_HERE_ONLY kn_at
#define KN_HAS_FP8_MMA 1
// Each declaration has a slot; the first thread of a block that comes by allocates.
#define KN_SHARED(T, name, ...)                       \
  static ::simt::Slot name##_slot;                    \
  using name##_shared = T __VA_ARGS__;                \
  name##_shared& name = *static_cast<name##_shared*>( \
      ::simt::shared(name##_slot, sizeof(name##_shared), #name, {__FILE__, __LINE__}))
#define KN_DYN_SMEM(name) unsigned char* const name = ::simt::dynamic_shared()
#define KN_CHECK(condition, a, b) KERNEL_CHECK(condition, a, b)
#define SEEDBED_CUDA(call) static_cast<void>(call)

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
inline constexpr int warpSize = 32;

namespace simt {

template <class... P, class... A>
void launch(
    void (*kernel)(P...), dim3 grid, dim3 block, std::size_t smem, cudaStream_t, A&&... args) {
  static_assert(sizeof...(P) == sizeof...(A), "one argument a parameter");
  struct Packed {
    void (*kernel)(P...);
    std::tuple<P...> args;
  } packed{kernel, {static_cast<P>(args)...}};
  run_grid(
      {{grid.x, grid.y, grid.z}, {block.x, block.y, block.z}, smem},
      [](const void* context) {
        const auto& p = *static_cast<const Packed*>(context);
        std::apply(p.kernel, p.args);
      },
      &packed);
}
inline void fill_async(void* to, int value, std::size_t bytes, cudaStream_t) {
  std::memset(to, value, bytes);
}
inline void copy_async(void* to, const void* from, std::size_t bytes, cudaStream_t) {
  std::memmove(to, from, bytes);
}

inline void cp_async16(void* to, const void* from, bool valid = true SIMT_AT) {
  cp_async(to, from, 16, valid, at);
}
inline void cp_async8(void* to, const void* from, bool valid = true SIMT_AT) {
  cp_async(to, from, 8, valid, at);
}
inline void cp_async4(void* to, const void* from, bool valid = true SIMT_AT) {
  cp_async(to, from, 4, valid, at);
}
template <int N>
void cp_async_wait() {
  cp_async_wait_group(N);
}

// A value of up to 16 bytes from another lane.
template <class T>
T from_lane(unsigned mask, T value, int source, Op op, Loc at) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 16);
  exchange(op, mask, &value, sizeof(T), source, at);
  return value;
}
}  // namespace simt

// ---- barriers, votes, shuffles ----
inline void __syncthreads(SIMT_AT_ONLY) {
  ::simt::barrier(at);
}
inline int __syncthreads_count(int predicate SIMT_AT) {
  return ::simt::barrier_count(predicate, at);
}
inline int __syncthreads_or(int predicate SIMT_AT) {
  return ::simt::barrier_count(predicate, at) > 0 ? 1 : 0;
}
inline int __syncthreads_and(int predicate SIMT_AT) {
  return ::simt::barrier_count(predicate == 0 ? 1 : 0, at) == 0 ? 1 : 0;
}
inline void __syncwarp(unsigned mask = 0xffffffffU SIMT_AT) {
  ::simt::warp_barrier(mask, at);
}
template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32 SIMT_AT) {
  const int lane = ::simt::lane(), base = lane & ~(width - 1);
  return ::simt::from_lane(mask, value, base + (source & (width - 1)), ::simt::Op::shuffle, at);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32 SIMT_AT) {
  const int lane = ::simt::lane(), source = lane ^ bits;
  const bool inside = source < (lane & ~(width - 1)) + width;
  return ::simt::from_lane(mask, value, inside ? source : lane, ::simt::Op::shuffle_xor, at);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32 SIMT_AT) {
  const int lane = ::simt::lane(), source = lane - static_cast<int>(delta);
  return ::simt::from_lane(mask, value, source >= (lane & ~(width - 1)) ? source : lane,
                           ::simt::Op::shuffle_up, at);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32 SIMT_AT) {
  const int lane = ::simt::lane(), source = lane + static_cast<int>(delta);
  return ::simt::from_lane(mask, value, source < (lane & ~(width - 1)) + width ? source : lane,
                           ::simt::Op::shuffle_down, at);
}
inline unsigned __ballot_sync(unsigned mask, int predicate SIMT_AT) {
  return ::simt::ballot(mask, predicate != 0, at);
}
inline int __any_sync(unsigned mask, int predicate SIMT_AT) {
  return ::simt::ballot(mask, predicate != 0, at) != 0 ? 1 : 0;
}
inline int __all_sync(unsigned mask, int predicate SIMT_AT) {
  return ::simt::ballot(mask, predicate == 0, at) == 0 ? 1 : 0;
}
template <class T>
unsigned __match_any_sync(unsigned mask, T value SIMT_AT) {
  static_assert(std::is_integral_v<T> && sizeof(T) <= 8);
  return ::simt::match_any(mask, static_cast<unsigned long long>(value), at);
}
inline unsigned __reduce_add_sync(unsigned mask, unsigned value SIMT_AT) {
  return ::simt::reduce(::simt::Op::reduce_add, mask, value, at);
}
inline int __reduce_add_sync(unsigned mask, int value SIMT_AT) {
  return static_cast<int>(
      ::simt::reduce(::simt::Op::reduce_add, mask, static_cast<unsigned>(value), at));
}
inline unsigned __reduce_min_sync(unsigned mask, unsigned value SIMT_AT) {
  return ::simt::reduce(::simt::Op::reduce_min, mask, value, at);
}
inline unsigned __reduce_max_sync(unsigned mask, unsigned value SIMT_AT) {
  return ::simt::reduce(::simt::Op::reduce_max, mask, value, at);
}
inline int __reduce_min_sync(unsigned mask, int value SIMT_AT) {  // order of int by a flipped sign
  return static_cast<int>(
      ::simt::reduce(::simt::Op::reduce_min, mask, static_cast<unsigned>(value) ^ 0x80000000U, at) ^
      0x80000000U);
}
inline int __reduce_max_sync(unsigned mask, int value SIMT_AT) {
  return static_cast<int>(
      ::simt::reduce(::simt::Op::reduce_max, mask, static_cast<unsigned>(value) ^ 0x80000000U, at) ^
      0x80000000U);
}
inline unsigned __reduce_or_sync(unsigned mask, unsigned value SIMT_AT) {
  return ::simt::reduce(::simt::Op::reduce_or, mask, value, at);
}
inline unsigned __reduce_and_sync(unsigned mask, unsigned value SIMT_AT) {
  return ::simt::reduce(::simt::Op::reduce_and, mask, value, at);
}
// Blocks run one after another and nothing is reordered: fences only order what already is.
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __nanosleep(unsigned) {
  ::simt::yield_thread();
}
[[noreturn]] inline void __trap(SIMT_AT_ONLY) {
  ::simt::fail("__trap", at);
}

// ---- atomics: on shared or global memory ----
#define SIMT_ATOMIC(name, op, T)                                                         \
  inline T name(T* where, T value SIMT_AT) {                                             \
    return ::simt::atomic<T>(::simt::AtomicOp::op, where, value, static_cast<T>(0), at); \
  }                                                                                      \
  inline T name##_block(T* where, T value SIMT_AT) {                                     \
    return name(where, value, at);                                                       \
  }
SIMT_ATOMIC(atomicAdd, add, int)
SIMT_ATOMIC(atomicAdd, add, unsigned)
SIMT_ATOMIC(atomicAdd, add, unsigned long long)
SIMT_ATOMIC(atomicAdd, add, float)
SIMT_ATOMIC(atomicAdd, add, double)
SIMT_ATOMIC(atomicMin, min, int)
SIMT_ATOMIC(atomicMin, min, unsigned)
SIMT_ATOMIC(atomicMin, min, unsigned long long)
SIMT_ATOMIC(atomicMax, max, int)
SIMT_ATOMIC(atomicMax, max, unsigned)
SIMT_ATOMIC(atomicMax, max, unsigned long long)
SIMT_ATOMIC(atomicAnd, bit_and, unsigned)
SIMT_ATOMIC(atomicOr, bit_or, unsigned)
SIMT_ATOMIC(atomicXor, bit_xor, unsigned)
SIMT_ATOMIC(atomicExch, exchange, int)
SIMT_ATOMIC(atomicExch, exchange, unsigned)
SIMT_ATOMIC(atomicExch, exchange, unsigned long long)
SIMT_ATOMIC(atomicExch, exchange, float)
#undef SIMT_ATOMIC
inline int atomicSub(int* where, int value SIMT_AT) {
  return atomicAdd(where, -value, at);
}
inline unsigned atomicSub(unsigned* where, unsigned value SIMT_AT) {
  return atomicAdd(where, 0U - value, at);
}
inline int atomicOr(int* where, int value SIMT_AT) {
  return static_cast<int>(
      atomicOr(reinterpret_cast<unsigned*>(where), static_cast<unsigned>(value), at));
}
#define SIMT_CAS(T)                                                                           \
  inline T atomicCAS(T* where, T expected, T value SIMT_AT) {                                 \
    return ::simt::atomic<T>(::simt::AtomicOp::compare_exchange, where, value, expected, at); \
  }
SIMT_CAS(int)
SIMT_CAS(unsigned)
SIMT_CAS(unsigned long long)
#undef SIMT_CAS

// ---- loads with hints, bits, arithmetic ----
template <class T>
T __ldg(const T* p) {
  return *p;
}
template <class T>
T __ldcs(const T* p) {
  return *p;
}
template <class T>
T __ldcg(const T* p) {
  return *p;
}
template <class T>
void __stcs(T* p, T value) {
  *p = value;
}
template <class T>
void __stcg(T* p, T value) {
  *p = value;
}
inline int __popc(unsigned x) {
  return __builtin_popcount(x);
}
inline int __popcll(unsigned long long x) {
  return __builtin_popcountll(x);
}
inline int __clz(int x) {
  return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x));
}
inline int __clzll(long long x) {
  return x == 0 ? 64 : __builtin_clzll(static_cast<unsigned long long>(x));
}
inline int __ffs(int x) {
  return __builtin_ffs(x);
}
inline unsigned __brev(unsigned x) {
  unsigned out = 0;
  for (int i = 0; i < 32; ++i) out |= ((x >> i) & 1U) << (31 - i);
  return out;
}
unsigned __byte_perm(unsigned low, unsigned high, unsigned selector);
inline int __dp4a(int a, int b, int c) {
  for (int i = 0; i < 4; ++i)
    c += static_cast<std::int8_t>(a >> (8 * i)) * static_cast<std::int8_t>(b >> (8 * i));
  return c;
}
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>((std::uint64_t{a} * b) >> 32);
}
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<unsigned long long>((static_cast<Wide>(a) * b) >> 64);
}
inline unsigned __float_as_uint(float x) {
  return __builtin_bit_cast(unsigned, x);
}
inline int __float_as_int(float x) {
  return __builtin_bit_cast(int, x);
}
inline float __uint_as_float(unsigned x) {
  return __builtin_bit_cast(float, x);
}
inline float __int_as_float(int x) {
  return __builtin_bit_cast(float, x);
}
inline long long __double_as_longlong(double x) {
  return __builtin_bit_cast(long long, x);
}
inline double __longlong_as_double(long long x) {
  return __builtin_bit_cast(double, x);
}
inline int __float2int_rn(float x) {
  return static_cast<int>(std::nearbyint(x));
}
inline int __float2int_rz(float x) {
  return static_cast<int>(x);
}
inline float __int2float_rn(int x) {
  return static_cast<float>(x);
}
// One rounding each, never fused (the host build has -ffp-contract=off).
#define SIMT_ARITHMETIC(T, prefix)        \
  inline T __##prefix##add_rn(T a, T b) { \
    return a + b;                         \
  }                                       \
  inline T __##prefix##sub_rn(T a, T b) { \
    return a - b;                         \
  }                                       \
  inline T __##prefix##mul_rn(T a, T b) { \
    return a * b;                         \
  }                                       \
  inline T __##prefix##div_rn(T a, T b) { \
    return a / b;                         \
  }                                       \
  inline T __##prefix##sqrt_rn(T a) {     \
    return std::sqrt(a);                  \
  }
SIMT_ARITHMETIC(float, f)
SIMT_ARITHMETIC(double, d)
#undef SIMT_ARITHMETIC
inline float __fmaf_rn(float a, float b, float c) {
  return std::fma(a, b, c);
}
inline double __fma_rn(double a, double b, double c) {
  return std::fma(a, b, c);
}
inline float __frcp_rn(float x) {
  return 1.0F / x;
}
inline float __fdividef(float a, float b) {
  return a / b;
}
inline float rsqrtf(float x) {
  return 1.0F / std::sqrt(x);
}
inline float __expf(float x) {
  return std::exp(x);
}
inline float __exp2f(float x) {
  return std::exp2(x);
}
inline float __logf(float x) {
  return std::log(x);
}
inline float __log2f(float x) {
  return std::log2(x);
}
inline float __saturatef(float x) {
  return x > 0 ? (x < 1 ? x : 1) : 0;  // NaN gives 0
}
#define SIMT_MIN_MAX(T)    \
  inline T min(T a, T b) { \
    return b < a ? b : a;  \
  }                        \
  inline T max(T a, T b) { \
    return a < b ? b : a;  \
  }
SIMT_MIN_MAX(int)
SIMT_MIN_MAX(unsigned)
SIMT_MIN_MAX(long long)
SIMT_MIN_MAX(unsigned long long)
SIMT_MIN_MAX(long)
SIMT_MIN_MAX(unsigned long)
#undef SIMT_MIN_MAX
inline float min(float a, float b) {
  return std::fmin(a, b);
}
inline float max(float a, float b) {
  return std::fmax(a, b);
}
inline double min(double a, double b) {
  return std::fmin(a, b);
}
inline double max(double a, double b) {
  return std::fmax(a, b);
}
