// Products on the tensor cores, for gemm.cu and gemm_grouped.cu. One arithmetic for every shape:
//
//   (1) Rows of w are the mma's 16 rows (operand a), rows of activations its 8 columns (operand b).
//   (2) 128 k are one block: a chain of mma from zero, in ascending k; f32 activations are cut into
//       three bf16 parts, added lowest part first. e4m3 is widened to bf16, exactly. (mma_e4m3 is
//       not used: Hopper keeps too few bits of its sums for integers to come out exactly.)
//   (3) f8: the block times float(a_scale * w_scale). Blocks are added in ascending order, f32.
//
// So an element's bits depend on its two rows alone, and the kernels may be chosen by size:
// few_rows streams w once from memory (each warp takes every eighth block, a block's sums meet in
// shared memory), tile_rows re-uses both operands from shared memory.
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

// ---- few rows: 16 kM rows of w against 8 kN rows of activations, all of k, one block of threads.
// Bytes: w once (cols * inner), activations once for each 16 kM columns, from L2. 4 KiB (f8: kM 1)
// to 8 KiB of w are on their way for each warp while it computes on as many. All pointers and rows
// are 16-byte aligned.
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

// ---- many rows: 128 rows of w against 64 rows of activations, 64 k a stage in shared memory.
// 2 * 128 * 64 FLOP for (128 + 64) * bytes loaded and a k: 85 FLOP a byte of f8, 43 of bf16.
// Warps are 4 x 2, each 32 x 32. Chunks of a row are stored in an order that leaves no two lanes of
// a quarter warp in one bank.
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
