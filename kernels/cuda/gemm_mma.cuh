// Products on the tensor cores, for gemm.cu and gemm_grouped.cu. One arithmetic for every shape:
//
//   (1) Rows of w are the mma's 16 rows (operand a), rows of activations its 8 columns (operand b).
//   (2) 128 k are one block: a chain of mma from zero, in ascending k; f32 activations are cut into
//       three bf16 parts, added lowest part first. e4m3 is widened to bf16, exactly. (mma_e4m3 is
//       not used: its sums are reported to keep about 14 bits on Hopper, the contract wants more.)
//   (3) f8: the block times float(a_scale * w_scale). Blocks are added in ascending order, f32.
//
// So an element's bits depend on its two rows alone, and the kernels may be chosen by size:
// FewRows (gemm_few.cuh) streams w once from memory, TileRows (gemm_tile.cuh) re-uses both operands
// from shared memory.
#pragma once
#include "kernels/cuda/fragments.cuh"

namespace seedbed::kernels::KN_NS {
namespace {

struct Product {
  int rows = 0, cols = 0, inner = 0;
  const std::byte* a = nullptr;
  std::int64_t lda = 0;  // elements
  const float* a_scale = nullptr;
  const std::byte* w = nullptr;
  const float* w_scale = nullptr;
  float* out = nullptr;
  std::int64_t ldo = 0;
  bool accumulate = false;
  const std::int32_t* row_index = nullptr;  // which rows of a; null: 0, 1, 2 ...
};

enum class Kind { f8, bf16, f32_bf16 };
template <Kind kind>
struct Of {
  static constexpr int kWBytes = kind == Kind::f8 ? 1 : 2;
  static constexpr int kABytes = kind == Kind::f8 ? 1 : kind == Kind::bf16 ? 2 : 4;
  static constexpr int kStep = 64 / kWBytes;  // k that four lanes' chunks of w hold
  static constexpr int kMmas = kStep / 16;    // mma a step
  static constexpr int kParts = kind == Kind::f32_bf16 ? 3 : 1;
  static constexpr int kAWords = 4 * kABytes / kWBytes;  // 32-bit words of a in a lane and step
};

constexpr int kGemmThreads = 256, kGemmWarps = kGemmThreads / 32;

// A lane's chunk of one row of w as pairs of bf16.
template <Kind kind>
__device__ __forceinline__ void widen_w(const uint4& raw,
                                        std::uint32_t (&pair)[2 * Of<kind>::kMmas]) {
  if constexpr (kind == Kind::f8) {
    widen16<Half::bf16>(raw, pair);
  } else {
    pair[0] = raw.x, pair[1] = raw.y, pair[2] = raw.z, pair[3] = raw.w;
  }
}
// And of activations: f32 becomes three lists of pairs, the lowest part first.
template <Kind kind>
__device__ __forceinline__ void widen_a(
    const uint4 (&raw)[Of<kind>::kAWords / 4],
    std::uint32_t (&pair)[Of<kind>::kParts][2 * Of<kind>::kMmas]) {
  if constexpr (kind == Kind::f8) {
    widen16<Half::bf16>(raw[0], pair[0]);
  } else if constexpr (kind == Kind::bf16) {
    pair[0][0] = raw[0].x, pair[0][1] = raw[0].y, pair[0][2] = raw[0].z, pair[0][3] = raw[0].w;
  } else {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const Parts low = cut3(__uint_as_float(raw[i].x), __uint_as_float(raw[i].y));
      const Parts high = cut3(__uint_as_float(raw[i].z), __uint_as_float(raw[i].w));
      pair[0][2 * i] = low.low, pair[0][2 * i + 1] = high.low;
      pair[1][2 * i] = low.mid, pair[1][2 * i + 1] = high.mid;
      pair[2][2 * i] = low.high, pair[2][2 * i + 1] = high.high;
    }
  }
}

// Pairs of rows g and g + 8 of w, and of one row of activations.
template <int kPairs, int kParts>
__device__ __forceinline__ void mma_pairs(float (&acc)[4],
                                          const std::uint32_t (&w0)[kPairs],
                                          const std::uint32_t (&w1)[kPairs],
                                          const std::uint32_t (&a)[kParts][kPairs]) {
#pragma unroll
  for (int i = 0; i < kPairs; i += 2) {
    const std::uint32_t rows[4] = {w0[i], w1[i], w0[i + 1], w1[i + 1]};
#pragma unroll
    for (int part = 0; part < kParts; ++part) mma_bf16(acc, rows, {a[part][i], a[part][i + 1]});
  }
}

__device__ __forceinline__ std::int64_t row_of(const Product& p, int row) {
  return p.row_index == nullptr ? row : p.row_index[row];
}

}  // namespace
}  // namespace seedbed::kernels::KN_NS
