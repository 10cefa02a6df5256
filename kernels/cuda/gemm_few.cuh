// Products on tensor cores, few rows: 16 kM rows of w against 8 kN rows of activations, all of k,
// one block of threads. Bytes: w once (cols * inner), activations once for each 16 kM columns, from
// L2. 4 KiB (f8: kM 1) to 8 KiB of w are on their way for each warp while it computes on as many.
// All pointers and rows are 16-byte aligned.
#pragma once
#include "kernels/cuda/gemm_mma.cuh"

namespace seedbed::kernels::KN_NS {
namespace {

template <int kM, int kN>
struct FewPart {
  static constexpr int kPitch = 16 * kM + 4;  // odd multiple of 4: no two rows in one bank
  static constexpr int kFloats = kGemmWarps * 8 * kN * kPitch;
};

template <Kind kind, int kM, int kN>
struct FewRows {
  using K = Of<kind>;
  static constexpr int kUnit = 2 * K::kStep;          // k of w that are loaded ahead
  static constexpr int kUnits = kQuantBlock / kUnit;  // in a block
  static constexpr int kLoads = K::kAWords / 4;       // 16-byte loads of a
  using Part = FewPart<kM, kN>;

  const Product& p;
  const std::byte *w_row[kM][2], *a_row[kN];
  bool w_there[kM][2], a_there[kN];
  int lane, warp, col0, row0;

  __device__ FewRows(const Product& product, int first_col, int first_row)
      : p(product), col0(first_col), row0(first_row) {
    lane = static_cast<int>(threadIdx.x) % 32;
    warp = static_cast<int>(threadIdx.x) / 32;
    const int g = lane / 4, t = lane % 4;
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const int col = col0 + 16 * m + 8 * h + g;
        w_there[m][h] = col < p.cols;
        w_row[m][h] = p.w +
                      static_cast<std::int64_t>(w_there[m][h] ? col : 0) * p.inner * K::kWBytes +
                      16 * t;
      }
#pragma unroll
    for (int n = 0; n < kN; ++n) {
      const int row = row0 + 8 * n + g;
      a_there[n] = row < p.rows;
      a_row[n] = p.a + (a_there[n] ? row_of(p, row) : 0) * p.lda * K::kABytes + 16 * kLoads * t;
    }
  }

  // The lane's chunks of unit `unit` of block `block`; beyond inner: zero.
  __device__ __forceinline__ void load_w(int block, int unit, uint4 (&raw)[kM][2][2]) const {
#pragma unroll
    for (int s = 0; s < 2; ++s) {
      const int k = block * kQuantBlock + unit * kUnit + s * K::kStep;
      const bool inside = k + lane % 4 * (16 / K::kWBytes) < p.inner;
#pragma unroll
      for (int m = 0; m < kM; ++m)
#pragma unroll
        for (int h = 0; h < 2; ++h)
          raw[m][h][s] = load16<true>(w_row[m][h] + static_cast<std::int64_t>(k) * K::kWBytes,
                                      inside && w_there[m][h] ? 16 : 0);
    }
  }

  __device__ __forceinline__ void step(int k,
                                       int s,
                                       const uint4 (&raw)[kM][2][2],
                                       float (&acc)[kM][kN][4]) const {
    uint4 a_raw[kN][kLoads];
    const bool inside = k + lane % 4 * (16 / K::kWBytes) < p.inner;
#pragma unroll
    for (int n = 0; n < kN; ++n)
#pragma unroll
      for (int i = 0; i < kLoads; ++i)
        a_raw[n][i] = load16<true>(a_row[n] + static_cast<std::int64_t>(k) * K::kABytes + 16 * i,
                                   inside && a_there[n] ? 16 : 0);
    std::uint32_t w[kM][2][2 * K::kMmas];
#pragma unroll
    for (int m = 0; m < kM; ++m)
#pragma unroll
      for (int h = 0; h < 2; ++h) widen_w<kind>(raw[m][h][s], w[m][h]);
#pragma unroll
    for (int n = 0; n < kN; ++n) {
      if (n > 0 && row0 + 8 * n >= p.rows) break;
      std::uint32_t a[K::kParts][2 * K::kMmas];
      widen_a<kind>(a_raw[n], a);
#pragma unroll
      for (int m = 0; m < kM; ++m) mma_pairs(acc[m][n], w[m][0], w[m][1], a);
    }
  }

  // A block's sums, times their scales, into this warp's part: [8 kN rows][16 kM columns].
  __device__ __forceinline__ void store(int block, float (&acc)[kM][kN][4], float* part) const {
    const int g = lane / 4, t = lane % 4;
    const std::int64_t blocks = quant_blocks(p.inner);
    const float w_scale = kind == Kind::f8 ? p.w_scale[col0 / kQuantBlock * blocks + block] : 1.0F;
#pragma unroll
    for (int n = 0; n < kN; ++n)
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const int within = 8 * n + 2 * t + i;
        float scale = 1;
        if (kind == Kind::f8 && row0 + within < p.rows)
          scale = __fmul_rn(p.a_scale[(row0 + within) * blocks + block], w_scale);
#pragma unroll
        for (int m = 0; m < kM; ++m)
#pragma unroll
          for (int h = 0; h < 2; ++h)
            part[(warp * 8 * kN + within) * Part::kPitch + 16 * m + 8 * h + g] =
                kind == Kind::f8 ? __fmul_rn(acc[m][n][2 * h + i], scale) : acc[m][n][2 * h + i];
      }
  }

  __device__ __forceinline__ void run(float* part) {
    constexpr int kOutputs = 128 * kM * kN;
    constexpr int kOwn = (kOutputs + kGemmThreads - 1) / kGemmThreads;
    const int blocks = quant_blocks(p.inner), rounds = (blocks + kGemmWarps - 1) / kGemmWarps;
    float total[kOwn] = {};
    uint4 next[kM][2][2];
    load_w(warp, 0, next);
    for (int round = 0; round < rounds; ++round) {
      const int block = round * kGemmWarps + warp;
      if (block < blocks) {
        float acc[kM][kN][4] = {};
#pragma unroll
        for (int unit = 0; unit < kUnits; ++unit) {
          uint4 raw[kM][2][2];
#pragma unroll
          for (int m = 0; m < kM; ++m)
#pragma unroll
            for (int i = 0; i < 4; ++i) raw[m][i / 2][i % 2] = next[m][i / 2][i % 2];
          if (unit + 1 < kUnits)
            load_w(block, unit + 1, next);
          else
            load_w(block + kGemmWarps, 0, next);
#pragma unroll
          for (int s = 0; s < 2; ++s) {
            const int k = block * kQuantBlock + unit * kUnit + s * K::kStep;
            if (k < p.inner) step(k, s, raw, acc);
          }
        }
        store(block, acc, part);
      }
      __syncthreads();
      const int count = min(kGemmWarps, blocks - round * kGemmWarps);
#pragma unroll
      for (int o = 0; o < kOwn; ++o) {
        const int e = static_cast<int>(threadIdx.x) + o * kGemmThreads;
        if (e < kOutputs)
          for (int from = 0; from < count; ++from)
            total[o] = __fadd_rn(
                total[o], part[(from * 8 * kN + e / (16 * kM)) * Part::kPitch + e % (16 * kM)]);
      }
      __syncthreads();
    }
#pragma unroll
    for (int o = 0; o < kOwn; ++o) {
      const int e = static_cast<int>(threadIdx.x) + o * kGemmThreads;
      const int row = row0 + e / (16 * kM), col = col0 + e % (16 * kM);
      if (e >= kOutputs || row >= p.rows || col >= p.cols) continue;
      float& to = p.out[row * p.ldo + col];
      to = p.accumulate ? __fadd_rn(to, total[o]) : total[o];
    }
  }
};

}  // namespace
}  // namespace seedbed::kernels::KN_NS
