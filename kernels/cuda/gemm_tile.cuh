// Products on tensor cores, many rows: 128 rows of w against 64 rows of activations, 64 k a stage
// in shared memory. 2 * 128 * 64 FLOP for (128 + 64) * bytes loaded and a k: 85 FLOP a byte of f8,
// 43 of bf16. Warps are 4 x 2, each 32 x 32. Chunks of a row are stored in an order that leaves no
// two lanes of a quarter warp in one bank.
#pragma once
#include "kernels/cuda/gemm_mma.cuh"

namespace seedbed::kernels::KN_NS {
namespace {

constexpr int kTileCols = 128, kTileRows = 64, kTileK = 64;

template <Kind kind, bool kAligned>
struct TileRows {
  using K = Of<kind>;
  static constexpr bool kByRegisters = kind == Kind::f8;  // widened on the way to shared memory
  static constexpr int kStages = kByRegisters ? 2 : 3;
  static constexpr int kWRow = 2 * kTileK;  // bytes of a row in shared memory
  static constexpr int kARow = kind == Kind::f32_bf16 ? 4 * kTileK : 2 * kTileK;
  static constexpr int kABase = kTileCols * kWRow;
  static constexpr int kStageBytes = kABase + kTileRows * kARow;
  static constexpr int kBytes = kStages * kStageBytes;
  static constexpr int kWChunks =
      kTileCols * kTileK * K::kWBytes / 16 / kGemmThreads;  // a thread's
  static constexpr int kAChunks = kTileRows * kTileK * K::kABytes / 16 / kGemmThreads;

  const Product& p;
  unsigned char* smem;
  int col0, row0, lane, warp_col, warp_row;
  uint4 w_next[kByRegisters ? kWChunks : 1], a_next[kByRegisters ? kAChunks : 1];
  float total[2][4][4], acc[2][4][4];

  __device__ TileRows(const Product& product, int first_col, int first_row, unsigned char* shared)
      : p(product), smem(shared), col0(first_col), row0(first_row) {
    lane = static_cast<int>(threadIdx.x) % 32;
    const int warp = static_cast<int>(threadIdx.x) / 32;
    warp_col = warp / 2 * 32;
    warp_row = warp % 2 * 32;
  }

  // Where chunk `chunk` of a row lies in it. bf16 is read 4 chunks a row, f32 and what was f8 every
  // second chunk.
  static __device__ __forceinline__ int place_w(int row, int chunk) {
    return 16 * (kByRegisters ? chunk ^ (row & 1) : chunk ^ ((row & 1) << 2));
  }
  static __device__ __forceinline__ int place_a(int row, int chunk) {
    return 16 * (kind != Kind::bf16 ? chunk ^ (row & 1) : chunk ^ ((row & 1) << 2));
  }

  // Global chunk `id` of the thread's share of one operand's stage at k0.
  struct Chunk {
    int row, chunk, count;
    const std::byte* from;
  };
  template <bool kOfW>
  __device__ __forceinline__ Chunk chunk_of(int i, int k0) const {
    constexpr int bytes = kOfW ? K::kWBytes : K::kABytes, a_row = kTileK * bytes / 16;
    const int id = static_cast<int>(threadIdx.x) + i * kGemmThreads;
    Chunk c;
    c.row = id / a_row;
    c.chunk = id % a_row;
    const int k = k0 + c.chunk * (16 / bytes), left = (p.inner - k) * bytes;
    const int row = (kOfW ? col0 : row0) + c.row;
    const bool there = row < (kOfW ? p.cols : p.rows) && left > 0;
    c.count = !there ? 0 : left < 16 ? left : 16;
    const std::int64_t at = !there ? 0
                            : kOfW ? static_cast<std::int64_t>(row) * p.inner + k
                                   : row_of(p, row) * p.lda + k;
    c.from = (kOfW ? p.w : p.a) + at * bytes;
    return c;
  }

  __device__ __forceinline__ void copy(unsigned char* to, const Chunk& c) const {
    if constexpr (kAligned)
      cp_async16(to, c.from, c.count > 0);
    else
      *reinterpret_cast<uint4*>(to) = load16_bytes(c.from, c.count);
  }
  // Starts stage `unit` into its place.
  __device__ __forceinline__ void issue(int unit) const {
    unsigned char* stage = smem + unit % kStages * kStageBytes;
    if (unit * kTileK < p.inner) {
#pragma unroll
      for (int i = 0; i < kWChunks; ++i) {
        const Chunk c = chunk_of<true>(i, unit * kTileK);
        copy(stage + c.row * kWRow + place_w(c.row, c.chunk), c);
      }
#pragma unroll
      for (int i = 0; i < kAChunks; ++i) {
        const Chunk c = chunk_of<false>(i, unit * kTileK);
        copy(stage + kABase + c.row * kARow + place_a(c.row, c.chunk), c);
      }
    }
    cp_async_commit();
  }

  __device__ __forceinline__ void fetch(int unit) {
    if (unit * kTileK >= p.inner) return;
#pragma unroll
    for (int i = 0; i < kWChunks; ++i) {
      const Chunk c = chunk_of<true>(i, unit * kTileK);
      w_next[i] = load16<kAligned>(c.from, c.count);
    }
#pragma unroll
    for (int i = 0; i < kAChunks; ++i) {
      const Chunk c = chunk_of<false>(i, unit * kTileK);
      a_next[i] = load16<kAligned>(c.from, c.count);
    }
  }
  static __device__ __forceinline__ void put16(unsigned char* row, int at, int chunk, uint4 codes) {
    std::uint32_t pair[8];
    widen16<Half::bf16>(codes, pair);
    *reinterpret_cast<uint4*>(row + place_w(at, 2 * chunk)) =
        make_uint4(pair[0], pair[1], pair[2], pair[3]);
    *reinterpret_cast<uint4*>(row + place_w(at, 2 * chunk + 1)) =
        make_uint4(pair[4], pair[5], pair[6], pair[7]);
  }
  __device__ __forceinline__ void put(int unit) const {
    if (unit * kTileK >= p.inner) return;
    unsigned char* stage = smem + unit % kStages * kStageBytes;
#pragma unroll
    for (int i = 0; i < kWChunks; ++i) {
      const int id = static_cast<int>(threadIdx.x) + i * kGemmThreads;
      put16(stage + id / 4 * kWRow, id / 4, id % 4, w_next[i]);
    }
#pragma unroll
    for (int i = 0; i < kAChunks; ++i) {
      const int id = static_cast<int>(threadIdx.x) + i * kGemmThreads;
      put16(stage + kABase + id / 4 * kARow, id / 4, id % 4, a_next[i]);
    }
  }

  // Two mma's share of row `row`: pairs of bf16 of this lane.
  __device__ __forceinline__ void read_pairs(const unsigned char* row_at,
                                             int row,
                                             int half,
                                             std::uint32_t (&pair)[4]) const {
    const int t = lane % 4;
    const uint4 x = *reinterpret_cast<const uint4*>(
        row_at + place_w(row, kByRegisters ? 2 * t + half : 4 * half + t));
    pair[0] = x.x, pair[1] = x.y, pair[2] = x.z, pair[3] = x.w;
  }
  __device__ __forceinline__ void read_a(const unsigned char* stage,
                                         int row,
                                         int half,
                                         std::uint32_t (&pair)[K::kParts][4]) const {
    const unsigned char* at = stage + kABase + row * kARow;
    if constexpr (kind == Kind::f32_bf16) {
      uint4 raw[2];
#pragma unroll
      for (int i = 0; i < 2; ++i)
        raw[i] = *reinterpret_cast<const uint4*>(at + place_a(row, 8 * half + 2 * (lane % 4) + i));
      widen_a<kind>(raw, pair);
    } else {
      read_pairs(at, row, half, pair[0]);
    }
  }

  __device__ __forceinline__ void compute(int unit) {
    const unsigned char* stage = smem + unit % kStages * kStageBytes;
    const int g = lane / 4;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      if (!kByRegisters && unit * kTileK + half * 32 >= p.inner) break;
      std::uint32_t w[2][2][4];
#pragma unroll
      for (int m = 0; m < 2; ++m)
#pragma unroll
        for (int h = 0; h < 2; ++h) {
          const int row = warp_col + 16 * m + 8 * h + g;
          read_pairs(stage + row * kWRow, row, half, w[m][h]);
        }
#pragma unroll
      for (int n = 0; n < 4; ++n) {
        std::uint32_t a[K::kParts][4];
        read_a(stage, warp_row + 8 * n + g, half, a);
#pragma unroll
        for (int m = 0; m < 2; ++m) mma_pairs(acc[m][n], w[m][0], w[m][1], a);
      }
    }
  }

  // The block's sums join the totals.
  __device__ __forceinline__ void join(int block) {
    const std::int64_t blocks = quant_blocks(p.inner);
    const float w_scale = kind == Kind::f8 ? p.w_scale[col0 / kQuantBlock * blocks + block] : 1.0F;
#pragma unroll
    for (int n = 0; n < 4; ++n)
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const int row = row0 + warp_row + 8 * n + 2 * (lane % 4) + i;
        float scale = 1;
        if (kind == Kind::f8 && row < p.rows)
          scale = __fmul_rn(p.a_scale[row * blocks + block], w_scale);
#pragma unroll
        for (int m = 0; m < 2; ++m)
#pragma unroll
          for (int h = 0; h < 2; ++h) {
            float& sum = acc[m][n][2 * h + i];
            total[m][n][2 * h + i] =
                __fadd_rn(total[m][n][2 * h + i], kind == Kind::f8 ? __fmul_rn(sum, scale) : sum);
            sum = 0;
          }
      }
  }

  __device__ __forceinline__ void finish() const {
    const int g = lane / 4, t = lane % 4;
#pragma unroll
    for (int m = 0; m < 2; ++m)
#pragma unroll
      for (int n = 0; n < 4; ++n)
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const int row = row0 + warp_row + 8 * n + 2 * t + i % 2;
          const int col = col0 + warp_col + 16 * m + 8 * (i / 2) + g;
          if (row >= p.rows || col >= p.cols) continue;
          float& to = p.out[row * p.ldo + col];
          to = p.accumulate ? __fadd_rn(to, total[m][n][i]) : total[m][n][i];
        }
  }

  __device__ __forceinline__ void run() {
    const int units = (p.inner + kTileK - 1) / kTileK;
#pragma unroll
    for (int i = 0; i < 32; ++i)
      total[i / 16][i / 4 % 4][i % 4] = acc[i / 16][i / 4 % 4][i % 4] = 0;
    if constexpr (kByRegisters) {
      fetch(0);
      put(0);
      fetch(1);
    } else {
      issue(0);
      issue(1);
    }
    for (int unit = 0; unit < units; ++unit) {
      if constexpr (!kByRegisters) cp_async_wait<1>();
      __syncthreads();  // stage `unit` is there for all; nobody reads the stage before it any more
      if constexpr (kByRegisters) {
        put(unit + 1);
        fetch(unit + 2);
      } else {
        issue(unit + 2);
      }
      compute(unit);
      if (unit % 2 == 1 || unit + 1 == units) join(unit / 2);
    }
    if constexpr (!kByRegisters) cp_async_wait<0>();
    __syncthreads();  // the next tile may use the stages
    finish();
  }
};

}  // namespace
}  // namespace seedbed::kernels::KN_NS
