// What every .cu includes. The one place with PTX: under nvcc these are the instructions; under the
// host compiler (SEEDBED_SIMT) the same names run on fibers, see tests/simt/. A source that keeps
// to this header, CUDA's own built-ins and launch() builds for both.
//
//   namespace seedbed::kernels::KN_NS {
//   namespace {
//   __global__ void __launch_bounds__(256) add_kernel(const float* x, float* y, int n) { ... }
//   }
//   void add(const AddParams& p) {
//     launch(add_kernel, dim3(ceil_div(p.n, 256)), dim3(256), 0, here().stream, p.x, p.y, p.n);
//   }
//   }
//
// What the host build does not offer: wgmma, TMA, mbarrier, clusters, cooperative groups, textures,
// waiting for another block. Files of ops whose bytes are promised are built with --fmad=false (the
// list stands in kernels/CMakeLists.txt), so that kernels/dtype.h, math.h and sample_rules.h, which
// may be called on the device, round as on the host.
#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/cuda/stream.h"
#include "kernels/dtype.h"
#include "kernels/pool.h"

#if defined(SEEDBED_SIMT)
#include "tests/simt/simt.h"
#else
#include <cuda_bf16.h>
#include <cuda_fp8.h>
#include <cuda_runtime.h>

// Static shared array, 16-byte aligned: KN_SHARED(int, hist, [256]);
#define KN_SHARED(T, name, ...) __shared__ __align__(16) T name __VA_ARGS__
// Dynamic shared memory, 128-byte aligned, as unsigned char*.
#define KN_DYN_SMEM(name) extern __shared__ __align__(128) unsigned char name[]
// Call site, for reports of the host build: the last parameter and the last argument of helpers
// that hold a barrier or a shuffle (KN_HERE_ONLY where it is the only argument).
#define KN_AT
#define KN_HERE
#define KN_HERE_ONLY
// True where the code being compiled may use mma_e4m3. (Host code asks here().arch >= 89.)
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 890
#define KN_HAS_FP8_MMA 1
#else
#define KN_HAS_FP8_MMA 0
#endif
// A broken contract found on the device ends the kernel (KERNEL_CHECK is for host code).
#define KN_CHECK(condition, a, b)         \
  do {                                    \
    if (!(condition)) __trap();           \
    (void)sizeof((a)), (void)sizeof((b)); \
  } while (0)
#define SEEDBED_CUDA(call)                                                                    \
  do {                                                                                        \
    if (const cudaError_t kn_error = (call); kn_error != cudaSuccess)                         \
      throw ::seedbed::kernels::DeviceError(kn_error, cudaGetErrorString(kn_error), __FILE__, \
                                            __LINE__);                                        \
  } while (0)
#endif

// Everything below has a namespace of its own for each build: both may be linked into one program.
namespace seedbed::kernels::KN_NS {

constexpr unsigned kFullMask = 0xffffffffU;

#if !defined(SEEDBED_SIMT)
// kernel<<<grid, block, smem, stream>>>(args...), arguments cast to the kernel's parameters. A grid
// without blocks is no launch.
template <class... P, class... A>
void launch(void (*kernel)(P...),
            dim3 grid,
            dim3 block,
            std::size_t smem,
            cudaStream_t stream,
            A&&... args) {
  static_assert(sizeof...(P) == sizeof...(A), "one argument a parameter");
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  if (smem > 48 * 1024)
    SEEDBED_CUDA(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                      cudaFuncAttributeMaxDynamicSharedMemorySize,
                                      static_cast<int>(smem)));
  kernel<<<grid, block, smem, stream>>>(static_cast<P>(args)...);
  SEEDBED_CUDA(cudaGetLastError());
}
inline void fill_async(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  SEEDBED_CUDA(cudaMemsetAsync(to, value, bytes, stream));
}
inline void copy_async(void* to, const void* from, std::size_t bytes, cudaStream_t stream) {
  SEEDBED_CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream));
}

__device__ __forceinline__ unsigned shared_address(const void* p) {
  return static_cast<unsigned>(__cvta_generic_to_shared(p));
}

// Asynchronous copies from global to shared memory; both sides aligned to the size. Where !valid
// the destination becomes zero and nothing is read. A thread sees its own copies after
// cp_async_wait, the others' after a barrier as well.
__device__ __forceinline__ void cp_async16(void* to, const void* from, bool valid = true) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from),
               "r"(valid ? 16 : 0)
               : "memory");
}
__device__ __forceinline__ void cp_async8(void* to, const void* from, bool valid = true) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(shared_address(to)), "l"(from),
               "r"(valid ? 8 : 0)
               : "memory");
}
__device__ __forceinline__ void cp_async4(void* to, const void* from, bool valid = true) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_address(to)), "l"(from),
               "r"(valid ? 4 : 0)
               : "memory");
}
__device__ __forceinline__ void cp_async_commit() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
template <int N>  // all but the last N groups are done
__device__ __forceinline__ void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

// c += a * b, m16n8k16 row.col. With g = lane / 4 and t = lane % 4: a[i] holds row g + 8 (i & 1),
// columns 2t + 8 (i >> 1) and the next; b[i] column g, k = 2t + 8i and the next; c[0..1] row g,
// c[2..3] row g + 8, columns 2t and 2t + 1. The lower half of a register is the lower column.
__device__ __forceinline__ void mma_bf16(float (&c)[4],
                                         const std::uint32_t (&a)[4],
                                         const std::uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
// The same with f16.
__device__ __forceinline__ void mma_f16(float (&c)[4],
                                        const std::uint32_t (&a)[4],
                                        const std::uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
// c += a * b, m16n8k32, e4m3: a[i] holds row g + 8 (i & 1), columns 4t + 16 (i >> 1) and the next
// three; b[i] column g, k = 4t + 16i and the next three; c as above. Only where KN_HAS_FP8_MMA.
__device__ __forceinline__ void mma_e4m3(float (&c)[4],
                                         const std::uint32_t (&a)[4],
                                         const std::uint32_t (&b)[2]) {
#if KN_HAS_FP8_MMA
  asm volatile(
      "mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  (void)c, (void)a, (void)b;
  __trap();
#endif
}
// 8x8 matrices of 16-bit numbers from shared memory: lane 8m + i gives the address of row i of
// matrix m (16-byte aligned); r[m] is then row lane / 4, columns 2 (lane % 4) and the next; trans:
// column lane / 4, rows 2 (lane % 4) and the next. x2 reads the addresses of lanes 0 to 15.
__device__ __forceinline__ void ldmatrix_x4(std::uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
__device__ __forceinline__ void ldmatrix_x4_trans(std::uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
__device__ __forceinline__ void ldmatrix_x2(std::uint32_t (&r)[2], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(shared_address(row))
               : "memory");
}
__device__ __forceinline__ void ldmatrix_x2_trans(std::uint32_t (&r)[2], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(shared_address(row))
               : "memory");
}
// Named barriers 1 to 15 (0 is __syncthreads): `threads` threads of the block, a multiple of 32.
// bar_arrive does not wait.
__device__ __forceinline__ void bar_sync(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
__device__ __forceinline__ void bar_arrive(int id, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
#else
using ::simt::bar_arrive;
using ::simt::bar_sync;
using ::simt::copy_async;
using ::simt::cp_async16;
using ::simt::cp_async4;
using ::simt::cp_async8;
using ::simt::cp_async_commit;
using ::simt::cp_async_wait;
using ::simt::fill_async;
using ::simt::launch;
using ::simt::ldmatrix_x2;
using ::simt::ldmatrix_x2_trans;
using ::simt::ldmatrix_x4;
using ::simt::ldmatrix_x4_trans;
using ::simt::mma_bf16;
using ::simt::mma_e4m3;
using ::simt::mma_f16;
#endif

// ---- the same text in both builds ----

__host__ __device__ constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

// Over all 32 lanes; every lane gets the result, the same bits (butterfly: the order of the sums
// depends on nothing).
__device__ __forceinline__ float warp_sum(float x KN_AT) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(kFullMask, x, step, 32 KN_HERE);
  return x;
}
__device__ __forceinline__ float warp_max(float x KN_AT) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2)
    x = fmaxf(x, __shfl_xor_sync(kFullMask, x, step, 32 KN_HERE));
  return x;
}
__device__ __forceinline__ int warp_sum_int(int x KN_AT) {
  return static_cast<int>(__reduce_add_sync(kFullMask, static_cast<unsigned>(x) KN_HERE));
}

// Over the THREADS (a multiple of 32) threads of a block; scratch holds THREADS / 32 floats of
// shared memory and may be used again at once. Warps are added in ascending order.
template <int THREADS>
__device__ __forceinline__ float block_sum(float x, float* scratch KN_AT) {
  static_assert(THREADS % 32 == 0 && THREADS <= 1024);
  x = warp_sum(x KN_HERE);
  if constexpr (THREADS == 32) return x;
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = x;
  __syncthreads(KN_HERE_ONLY);
  x = 0;
#pragma unroll
  for (int warp = 0; warp < THREADS / 32; ++warp) x += scratch[warp];
  __syncthreads(KN_HERE_ONLY);
  return x;
}
template <int THREADS>
__device__ __forceinline__ float block_max(float x, float* scratch KN_AT) {
  static_assert(THREADS % 32 == 0 && THREADS <= 1024);
  x = warp_max(x KN_HERE);
  if constexpr (THREADS == 32) return x;
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = x;
  __syncthreads(KN_HERE_ONLY);
  x = scratch[0];
#pragma unroll
  for (int warp = 1; warp < THREADS / 32; ++warp) x = fmaxf(x, scratch[warp]);
  __syncthreads(KN_HERE_ONLY);
  return x;
}

// Number formats, bit for bit those of kernels/dtype.h.
__device__ __forceinline__ std::uint16_t bf16_bits(float x) {
  return __bfloat16_as_ushort(__float2bfloat16_rn(x));
}
__device__ __forceinline__ float bf16_to_float(std::uint16_t x) {
  return __uint_as_float(static_cast<unsigned>(x) << 16);
}
__device__ __forceinline__ std::uint32_t pack_bf16(float low, float high) {
  return static_cast<std::uint32_t>(bf16_bits(low)) |
         (static_cast<std::uint32_t>(bf16_bits(high)) << 16);
}
__device__ __forceinline__ float2 unpack_bf16(std::uint32_t pair) {
  return make_float2(__uint_as_float(pair << 16), __uint_as_float(pair & 0xffff0000U));
}
__device__ __forceinline__ std::uint8_t f32_to_e4m3_bits(float x) {
#if KN_HAS_FP8_MMA && !defined(SEEDBED_SIMT)
  const std::uint8_t code = __nv_cvt_float_to_fp8(x, __NV_SATFINITE, __NV_E4M3);
  return x != x ? static_cast<std::uint8_t>(((__float_as_uint(x) >> 24) & 0x80U) | 0x7fU) : code;
#else
  return f32_to_e4m3(x);
#endif
}
// Four codes of a register, the lowest byte first.
__device__ __forceinline__ float4 e4m3x4_to_f32(std::uint32_t codes) {
#if KN_HAS_FP8_MMA && !defined(SEEDBED_SIMT)
  unsigned low, high;  // pairs of halves
  asm("{.reg .b16 l, h; mov.b32 {l, h}, %2; cvt.rn.f16x2.e4m3x2 %0, l; cvt.rn.f16x2.e4m3x2 %1, h;}"
      : "=r"(low), "=r"(high)
      : "r"(codes));
  const float2 a = __half22float2(*reinterpret_cast<const __half2*>(&low));
  const float2 b = __half22float2(*reinterpret_cast<const __half2*>(&high));
  return make_float4(a.x, a.y, b.x, b.y);
#else
  return make_float4(e4m3_to_f32(static_cast<std::uint8_t>(codes)),
                     e4m3_to_f32(static_cast<std::uint8_t>(codes >> 8)),
                     e4m3_to_f32(static_cast<std::uint8_t>(codes >> 16)),
                     e4m3_to_f32(static_cast<std::uint8_t>(codes >> 24)));
#endif
}

}  // namespace seedbed::kernels::KN_NS
