// gemm and lm_head: see gemm_mma.cuh and gemm_f32.cuh for the arithmetic. Products of bf16 and f8
// with many rows go to cuBLASLt where the caller allows it (blas.h).
#include "kernels/cuda/blas.h"
#include "kernels/cuda/gemm_f32.cuh"
#include "kernels/cuda/gemm_few.cuh"
#include "kernels/cuda/gemm_tile.cuh"
#include "kernels/gemm.h"

namespace seedbed::kernels::KN_NS {
namespace {

struct Steps {  // bytes, or elements of out, from one product of a batch to the next
  std::int64_t a, w, out;
};
__device__ __forceinline__ Product of_batch(Product p, const Steps& steps) {
  p.a += blockIdx.z * steps.a;
  p.w += blockIdx.z * steps.w;
  p.out += blockIdx.z * steps.out;
  return p;
}

// Floor: (cols * inner) bytes of w at the bandwidth of memory.
template <Kind kind, int kM, int kN>
__global__ void __launch_bounds__(kGemmThreads, kM* kN > 2 ? 1 : 2)
    few_rows_kernel(Product p, Steps steps) {
  KN_SHARED(float, part, [FewPart<kM, kN>::kFloats]);
  const Product mine = of_batch(p, steps);
  FewRows<kind, kM, kN> few(mine, static_cast<int>(blockIdx.x) * 16 * kM,
                            static_cast<int>(blockIdx.y) * 8 * kN);
  few.run(part);
}

// Floor: 2 * rows * cols * inner FLOP (three times as many for f32 activations) at the rate of
// bf16.
template <Kind kind, bool kAligned>
__global__ void __launch_bounds__(kGemmThreads, 1) tile_rows_kernel(Product p, Steps steps) {
  KN_DYN_SMEM(smem);
  const Product mine = of_batch(p, steps);
  TileRows<kind, kAligned> tile(mine, static_cast<int>(blockIdx.y) * kTileCols,
                                static_cast<int>(blockIdx.x) * kTileRows, smem);
  tile.run();
}

// Floor: 4 * cols * inner bytes.
template <int kRows, bool kAligned>
__global__ void __launch_bounds__(kGemmThreads) few_rows_f32_kernel(Product p, Steps steps) {
  KN_SHARED(float, part, [kFewGroups][kRows][kFewCols]);
  few_rows_f32<kRows, kAligned>(of_batch(p, steps), static_cast<int>(blockIdx.x) * kFewCols,
                                static_cast<int>(blockIdx.y) * kRows, part);
}

// Floor: 2 * rows * cols * inner FLOP at the rate of f32.
template <bool kAligned>
__global__ void __launch_bounds__(kGemmThreads) tile_rows_f32_kernel(Product p, Steps steps) {
  KN_SHARED(F32Stage, stage);
  tile_rows_f32<kAligned>(of_batch(p, steps), static_cast<int>(blockIdx.y) * kF32Tile,
                          static_cast<int>(blockIdx.x) * kF32Tile, stage);
}

unsigned count(std::int64_t n) {
  return static_cast<unsigned>(n);
}

template <Kind kind, int kM, int kN>
void launch_few(const Product& p, const Steps& steps, int batch) {
  launch(few_rows_kernel<kind, kM, kN>,
         dim3(count(ceil_div(p.cols, 16 * kM)), count(ceil_div(p.rows, 8 * kN)), count(batch)),
         dim3(kGemmThreads), 0, here().stream, p, steps);
}
template <Kind kind, bool kAligned>
void launch_tile(const Product& p, const Steps& steps, int batch) {
  launch(tile_rows_kernel<kind, kAligned>,
         dim3(count(ceil_div(p.rows, kTileRows)), count(ceil_div(p.cols, kTileCols)), count(batch)),
         dim3(kGemmThreads), TileRows<kind, kAligned>::kBytes, here().stream, p, steps);
}

// Every choice gives the same bits.
template <Kind kind>
void launch_mma(const Product& p, const Steps& steps, int batch, bool aligned) {
  const std::int64_t tiles =
      ceil_div(p.rows, kTileRows) * ceil_div(p.cols, kTileCols) * std::int64_t{batch};
  if (!aligned)
    launch_tile<kind, false>(p, steps, batch);
  else if (p.rows <= 8)
    launch_few<kind, 1, 1>(p, steps, batch);
  else if (p.rows <= 16)
    launch_few<kind, 2, 2>(p, steps, batch);
  else if (p.rows <= 32 || (p.rows <= 256 && 2 * tiles < here().sms))
    launch_few<kind, 2, 4>(p, steps, batch);  // too few tiles to fill the device
  else
    launch_tile<kind, true>(p, steps, batch);
}

template <bool kAligned>
void launch_f32(const Product& p, const Steps& steps, int batch) {
  const dim3 block(kGemmThreads);
  const auto few = [&](int rows) {
    return dim3(count(ceil_div(p.cols, kFewCols)), count(ceil_div(p.rows, rows)), count(batch));
  };
  CUstream_st* stream = here().stream;
  if (p.rows == 1)
    launch(few_rows_f32_kernel<1, kAligned>, few(1), block, 0, stream, p, steps);
  else if (p.rows <= 32)
    launch(few_rows_f32_kernel<4, kAligned>, few(4), block, 0, stream, p, steps);
  else
    launch(tile_rows_f32_kernel<kAligned>,
           dim3(count(ceil_div(p.rows, kF32Tile)), count(ceil_div(p.cols, kF32Tile)), count(batch)),
           block, 0, stream, p, steps);
}

bool divides16(const void* p) {
  return reinterpret_cast<std::uintptr_t>(p) % 16 == 0;
}

// Floor: both lists of scales, read and written once.
__global__ void lay_scales_kernel(LibraryScales p) {
  const int blocks = quant_blocks(p.inner);
  const std::int64_t of_a = static_cast<std::int64_t>(blocks) * p.rows,
                     w_step = library_scale_step(p.inner),
                     of_w = p.w_out == nullptr ? 0 : w_step * quant_blocks(p.cols);
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
       i < of_a + of_w; i += static_cast<std::int64_t>(gridDim.x) * blockDim.x) {
    if (i < of_a) {
      p.a_out[i] = p.a_scale[i % p.rows * blocks + i / p.rows];
    } else {
      const std::int64_t at = i - of_a, block = at % w_step;
      p.w_out[at] = block < blocks ? p.w_scale[at / w_step * blocks + block] : 0.0F;
    }
  }
}

#if defined(SEEDBED_SIMT)
int by_library(const Product&, DType, const Steps&, int) {
  return 0;
}
#else
// How many rows, from row 0 on, cuBLASLt has taken.
int by_library(const Product& p, DType dtype, const Steps& steps, int batch) {
  const Here* allowed = &here();
  if (!allowed->library_gemm) return 0;
  LibraryProduct whole;
  whole.rows = p.rows;
  whole.cols = p.cols;
  whole.inner = p.inner;
  whole.batch = batch;
  whole.dtype = dtype;
  whole.a = p.a;
  whole.w = p.w;
  whole.out = p.out;
  whole.lda = p.lda;
  whole.ldo = p.ldo;
  whole.a_step = steps.a / bytes_of(dtype);
  whole.w_step = steps.w / bytes_of(dtype);
  whole.out_step = steps.out;
  whole.accumulate = p.accumulate;
  whole.rows = library_rows(whole);
  if (whole.rows == 0) return 0;
  // The workspace: scales of a, scales of w unless they already lie as they should, the library's.
  LibraryScales scales;
  std::int64_t used = 0;
  if (dtype == DType::f8) {
    const std::int64_t blocks = quant_blocks(p.inner), step = library_scale_step(p.inner);
    const bool copy_w = step != blocks || !divides16(p.w_scale);
    const std::int64_t a_bytes = ceil_div(4 * blocks * whole.rows, 256) * 256;
    used = a_bytes + (copy_w ? ceil_div(4 * step * quant_blocks(p.cols), 256) * 256 : 0);
    scales = {whole.rows,
              p.cols,
              p.inner,
              p.a_scale,
              p.w_scale,
              reinterpret_cast<float*>(here().workspace),
              copy_w ? reinterpret_cast<float*>(here().workspace + a_bytes) : nullptr};
    whole.a_scale = scales.a_out;
    whole.w_scale = copy_w ? scales.w_out : p.w_scale;
  }
  if (used > static_cast<std::int64_t>(here().workspace_bytes)) return 0;
  whole.workspace = here().workspace + used;
  whole.workspace_bytes = here().workspace_bytes - static_cast<std::size_t>(used);
  if (!library_offers(whole)) return 0;
  if (dtype == DType::f8) lay_scales(scales);
  return library_gemm(whole) ? whole.rows : 0;
}
#endif

void run(Product p, DType a_dtype, DType w_dtype, Steps steps, int batch) {
  KERNEL_CHECK((a_dtype == DType::f32 && w_dtype != DType::f8) || a_dtype == w_dtype, a_dtype,
               w_dtype);
  KERNEL_CHECK(batch == 1 || a_dtype != DType::f8, batch, a_dtype);
  KERNEL_CHECK(p.rows >= 0 && p.cols >= 0 && p.inner >= 0 && batch >= 0, p.rows, p.cols);
  if (p.rows == 0 || p.cols == 0 || batch == 0) return;
  const std::int64_t a_bytes = bytes_of(a_dtype), w_bytes = bytes_of(w_dtype);
  steps.a *= a_bytes;
  steps.w *= w_bytes;
  // Four chunks of w and of a make a step: rows must hold whole chunks of both.
  const bool aligned = divides16(p.a) && divides16(p.w) && p.lda * a_bytes % 16 == 0 &&
                       p.inner * w_bytes % 16 == 0 && steps.a % 16 == 0 && steps.w % 16 == 0;
  if (a_dtype == w_dtype && w_dtype != DType::f32) {
    const int taken = by_library(p, w_dtype, steps, batch);
    if (taken == p.rows) return;
    p.rows -= taken;
    p.a += taken * p.lda * a_bytes;
    p.out += taken * p.ldo;
    if (a_dtype == DType::f8) p.a_scale += taken * std::int64_t{quant_blocks(p.inner)};
  }
  if (w_dtype == DType::f32)
    aligned ? launch_f32<true>(p, steps, batch) : launch_f32<false>(p, steps, batch);
  else if (a_dtype == DType::f32)
    launch_mma<Kind::f32_bf16>(p, steps, batch, aligned);
  else if (a_dtype == DType::bf16)
    launch_mma<Kind::bf16>(p, steps, batch, aligned);
  else
    launch_mma<Kind::f8>(p, steps, batch, aligned);
}

}  // namespace

void lay_scales(const LibraryScales& p) {
  const std::int64_t floats = std::int64_t{quant_blocks(p.inner)} * p.rows +
                              library_scale_step(p.inner) * quant_blocks(p.cols);
  constexpr int kThreads = 256;
  launch(lay_scales_kernel,
         dim3(count(min(static_cast<long long>(ceil_div(floats, kThreads)), 1024LL))),
         dim3(kThreads), 0, here().stream, p);
}

void gemm(const GemmParams& p) {
  Product one;
  one.rows = p.rows;
  one.cols = p.cols;
  one.inner = p.inner;
  one.a = static_cast<const std::byte*>(p.a);
  one.lda = p.lda != 0 ? p.lda : p.inner;
  one.a_scale = p.a_scale;
  one.w = static_cast<const std::byte*>(p.w);
  one.w_scale = p.w_scale;
  one.out = p.out;
  one.ldo = p.ldo != 0 ? p.ldo : p.cols;
  one.accumulate = p.accumulate;
  const Steps steps = p.batch == 1 ? Steps{0, 0, 0} : Steps{p.a_step, p.w_step, p.out_step};
  run(one, p.a_dtype, p.w_dtype, steps, p.batch);
}

void lm_head(const LmHeadParams& p) {
  Product one;
  one.rows = p.rows;
  one.cols = p.vocab;
  one.inner = p.dim;
  one.a = reinterpret_cast<const std::byte*>(p.x);
  one.lda = p.dim;
  one.w = static_cast<const std::byte*>(p.w);
  one.out = p.out;
  one.ldo = p.vocab;
  one.row_index = p.row_index;
  run(one, DType::f32, p.dtype, {0, 0, 0}, 1);
}

}  // namespace seedbed::kernels::KN_NS
