// Products of f32 with f32, for gemm.cu and gemm_grouped.cu: fused multiply-adds, no tensor cores
// (parity runs want f32's own rounding). 128 k are one block, summed from zero in ascending k by
// one thread; blocks are added in ascending order. So an element's bits depend on its two rows
// alone, whichever of the two kernels made it.
#pragma once
#include "kernels/cuda/gemm_mma.cuh"

namespace seedbed::kernels::KN_NS {
namespace {

// Four numbers from k on, zero beyond inner.
template <bool kAligned>
__device__ __forceinline__ float4 load4(const float* row, int k, int inner) {
  if constexpr (kAligned) {
    return k < inner ? *reinterpret_cast<const float4*>(row + k) : make_float4(0, 0, 0, 0);
  } else {
    return make_float4(k < inner ? row[k] : 0.0F, k + 1 < inner ? row[k + 1] : 0.0F,
                       k + 2 < inner ? row[k + 2] : 0.0F, k + 3 < inner ? row[k + 3] : 0.0F);
  }
}
__device__ __forceinline__ float dot4(const float4& x, const float4& y, float sum) {
  sum = __fmaf_rn(x.x, y.x, sum);
  sum = __fmaf_rn(x.y, y.y, sum);
  sum = __fmaf_rn(x.z, y.z, sum);
  return __fmaf_rn(x.w, y.w, sum);
}

// ---- few rows: 64 rows of w against kRows rows of activations. A thread has one row of w and
// every fourth block of it; the lines it reads stay in L1 until it has read all of them. Bytes: w
// once (4 * cols * inner).
constexpr int kFewCols = 64, kFewGroups = kGemmThreads / kFewCols;

template <int kRows, bool kAligned>
__device__ __forceinline__ void few_rows_f32(const Product& p,
                                             int col0,
                                             int row0,
                                             float (&part)[kFewGroups][kRows][kFewCols]) {
  const int mine = static_cast<int>(threadIdx.x) % kFewCols,
            group = static_cast<int>(threadIdx.x) / kFewCols, col = col0 + mine;
  const float* w = reinterpret_cast<const float*>(p.w) +
                   static_cast<std::int64_t>(col < p.cols ? col : 0) * p.inner;
  const float* a[kRows];
#pragma unroll
  for (int i = 0; i < kRows; ++i)
    a[i] = reinterpret_cast<const float*>(p.a) +
           row_of(p, row0 + i < p.rows ? row0 + i : p.rows - 1) * p.lda;
  const int blocks = quant_blocks(p.inner);
  constexpr int kOwn = (kRows * kFewCols + kGemmThreads - 1) / kGemmThreads;
  float total[kOwn] = {};
  for (int first = 0; first < blocks; first += kFewGroups) {
    const int block = first + group;
    if (block < blocks) {
      float sum[kRows] = {};
#pragma unroll 4
      for (int k = block * kQuantBlock; k < min((block + 1) * kQuantBlock, p.inner); k += 4) {
        const float4 x = load4<kAligned>(w, k, p.inner);
#pragma unroll
        for (int i = 0; i < kRows; ++i) sum[i] = dot4(load4<kAligned>(a[i], k, p.inner), x, sum[i]);
      }
#pragma unroll
      for (int i = 0; i < kRows; ++i) part[group][i][mine] = sum[i];
    }
    __syncthreads();
    const int count = min(kFewGroups, blocks - first);
#pragma unroll
    for (int o = 0; o < kOwn; ++o) {
      const int e = static_cast<int>(threadIdx.x) + o * kGemmThreads;
      if (e < kRows * kFewCols)
        for (int from = 0; from < count; ++from)
          total[o] = __fadd_rn(total[o], part[from][e / kFewCols][e % kFewCols]);
    }
    __syncthreads();
  }
#pragma unroll
  for (int o = 0; o < kOwn; ++o) {
    const int e = static_cast<int>(threadIdx.x) + o * kGemmThreads;
    const int row = row0 + e / kFewCols, to_col = col0 + e % kFewCols;
    if (e >= kRows * kFewCols || row >= p.rows || to_col >= p.cols) continue;
    float& to = p.out[row * p.ldo + to_col];
    to = p.accumulate ? __fadd_rn(to, total[o]) : total[o];
  }
}

// ---- many rows: 64 x 64, 32 k a stage, 4 x 4 a thread. A row in shared memory is 36 floats long:
// the 8 lanes of a quarter warp read 8 different rows from all banks.
constexpr int kF32Tile = 64, kF32K = 32, kF32Pitch = kF32K + 4;
struct F32Stage {
  float w[kF32Tile][kF32Pitch], a[kF32Tile][kF32Pitch];
};

template <bool kAligned>
__device__ __forceinline__ void tile_rows_f32(const Product& p,
                                              int col0,
                                              int row0,
                                              F32Stage& stage) {
  const int thread = static_cast<int>(threadIdx.x), x = thread % 16, y = thread / 16;
  const auto* w = reinterpret_cast<const float*>(p.w);
  const auto* a = reinterpret_cast<const float*>(p.a);
  float total[4][4] = {}, sum[4][4] = {};
  float4 w_next[2], a_next[2];
  const auto fetch = [&](int k0) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int id = thread + i * kGemmThreads, row = id / 8, k = k0 + id % 8 * 4;
      const int w_at = min(col0 + row, p.cols - 1), a_at = min(row0 + row, p.rows - 1);
      w_next[i] = load4<kAligned>(w + static_cast<std::int64_t>(w_at) * p.inner, k, p.inner);
      a_next[i] = load4<kAligned>(a + row_of(p, a_at) * p.lda, k, p.inner);
    }
  };
  fetch(0);
  for (int k0 = 0; k0 < p.inner; k0 += kF32K) {
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int id = thread + i * kGemmThreads, row = id / 8, k = id % 8 * 4;
      *reinterpret_cast<float4*>(&stage.w[row][k]) = w_next[i];
      *reinterpret_cast<float4*>(&stage.a[row][k]) = a_next[i];
    }
    __syncthreads();
    fetch(k0 + kF32K);
#pragma unroll 2
    for (int k = 0; k < kF32K; k += 4) {
      float4 ws[4], as[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        ws[i] = *reinterpret_cast<const float4*>(&stage.w[x + 16 * i][k]);
        as[i] = *reinterpret_cast<const float4*>(&stage.a[y + 16 * i][k]);
      }
#pragma unroll
      for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j)
          if (k0 + k < p.inner) sum[i][j] = dot4(as[i], ws[j], sum[i][j]);
    }
    if ((k0 + kF32K) % kQuantBlock == 0 || k0 + kF32K >= p.inner)
#pragma unroll
      for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) {
          total[i][j] = __fadd_rn(total[i][j], sum[i][j]);
          sum[i][j] = 0;
        }
  }
  __syncthreads();  // the next tile may use the stage
#pragma unroll
  for (int i = 0; i < 4; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int row = row0 + y + 16 * i, col = col0 + x + 16 * j;
      if (row >= p.rows || col >= p.cols) continue;
      float& to = p.out[row * p.ldo + col];
      to = p.accumulate ? __fadd_rn(to, total[i][j]) : total[i][j];
    }
}

}  // namespace
}  // namespace seedbed::kernels::KN_NS
