// Indexer scores on the tensor cores, for f8 and bf16 up to 128 channels.
//
// Keys are the mma's 16 rows, heads its 8 columns (DeepGEMM's arrangement): the four lanes of a key
// hold all its heads between them, so relu, weights and the sum over heads stay in registers, and
// two shuffles end it. A warp has 32 keys, which it reads from memory straight into registers, once
// for all tokens of its sequence that the block has; queries lie in shared memory, widened, in the
// order in which lanes want them. Every lane adds heads 8n + 2t and 8n + 2t + 1 in ascending order,
// then lanes are added: one order for all scores.
//
// Floors: decode 132 + 4 bytes a key and token (f8, 128 channels); prefill 2 * heads * dim FLOP a
// score at the rate of bf16.
#pragma once
#include "kernels/cuda/fragments.cuh"
#include "kernels/index_logits.h"

namespace seedbed::kernels::KN_NS {
namespace {

struct IndexJob {
  int tokens = 0, heads = 0, dim = 0, columns = 0;
  const std::byte* q = nullptr;
  const float* w = nullptr;
  const std::byte* k = nullptr;  // contiguous keys
  const float* k_scale = nullptr;
  bool paged = false;
  Pages pages;
  PageTable table;
  const std::int32_t* key_begin = nullptr;  // or null: 0
  const std::int32_t* key_end = nullptr;
  float* out = nullptr;
  std::int64_t ldo = 0;
};

constexpr int kIndexThreads = 256, kIndexWarps = kIndexThreads / 32;
constexpr int kWarpKeys = 32, kTileKeys = kIndexWarps * kWarpKeys;
constexpr int kIndexMaxDim = 128;
constexpr int kResidentTokens = 4;  // whose queries a decode block keeps

__device__ __forceinline__ int sequence_of(const IndexJob& job, int token) {
  return job.table.sequence == nullptr ? 0 : job.table.sequence[token];
}
__device__ __forceinline__ int begin_of(const IndexJob& job, int token) {
  return job.key_begin == nullptr ? 0 : max(job.key_begin[token], 0);
}
__device__ __forceinline__ int end_of(const IndexJob& job, int token) {
  return min(job.key_end[token], job.columns);
}

// Shared memory of one token: [heads / 8][4][32 lanes] chunks of 16 bytes, then the weights.
struct QueryRoom {
  int tiles, floats_at, bytes;
};
__host__ __device__ __forceinline__ QueryRoom query_room(int heads) {
  const int tiles = (heads + 15) / 16 * 2;  // taken in pairs
  return {tiles, tiles * 4 * 32 * 16, tiles * (4 * 32 * 16 + 8 * 4)};
}

template <bool kF8, bool kAligned>
struct IndexBlock {
  static constexpr Half kHalf = Half::bf16;
  static constexpr int kBytes = kF8 ? 1 : 2;
  static constexpr int kSteps = kF8 ? 2 : 4;   // of 64 bytes of a row
  static constexpr int kWords = 64 / 4;        // of a row in a lane, as pairs of bf16
  static constexpr int kQLoads = kF8 ? 2 : 4;  // a thread's share of 64 heads
  static constexpr int kStepDim = 64 / kBytes;

  const IndexJob& job;
  unsigned char* smem;
  const QueryRoom room;
  int lane, warp;
  std::uint32_t key[2][2][kWords];  // rows g, g + 8 of two mma tiles
  float key_scale = 1;              // of the key that this lane stores
  bool key_there = false;           // its page is there

  __device__ IndexBlock(const IndexJob& j, unsigned char* shared)
      : job(j), smem(shared), room(query_room(j.heads)) {
    lane = static_cast<int>(threadIdx.x) % 32;
    warp = static_cast<int>(threadIdx.x) / 32;
  }

  // ---- queries ----
  // Chunk `id` of a token: of head 8 tile + g, in step `step`.
  __device__ __forceinline__ uint4 query_chunk(int token, int id) const {
    const int head = id / (kSteps * 32) * 8 + id % 32 / 4, step = id / 32 % kSteps;
    const int at = 64 * step + 16 * (id % 4), left = job.dim * kBytes - at;
    const std::int64_t row = static_cast<std::int64_t>(token) * job.heads + head;
    return load16<kAligned>(job.q + row * job.dim * kBytes + at,
                            head < job.heads ? min(left, 16) : 0);
  }
  __device__ __forceinline__ void put_chunk(int slot, int id, const uint4& raw) const {
    uint4* to =
        reinterpret_cast<uint4*>(smem + slot * room.bytes) + id / (kSteps * 32) * 4 * 32 + id % 32;
    const int step = id / 32 % kSteps;
    if constexpr (kF8) {
      std::uint32_t pair[8];
      widen16<kHalf>(raw, pair);
      to[32 * (2 * step)] = make_uint4(pair[0], pair[1], pair[2], pair[3]);
      to[32 * (2 * step + 1)] = make_uint4(pair[4], pair[5], pair[6], pair[7]);
    } else {
      to[32 * step] = raw;
    }
  }
  __device__ __forceinline__ int query_chunks() const { return room.tiles * kSteps * 32; }
  __device__ __forceinline__ void fetch(int token, uint4 (&next)[kQLoads]) const {
#pragma unroll
    for (int i = 0; i < kQLoads; ++i) {
      const int id = static_cast<int>(threadIdx.x) + i * kIndexThreads;
      next[i] = id < query_chunks() ? query_chunk(token, id) : make_uint4(0, 0, 0, 0);
    }
  }
  // What fetch brought, what is beyond 64 heads, and the weights.
  __device__ __forceinline__ void put(int slot, int token, const uint4 (&next)[kQLoads]) const {
#pragma unroll
    for (int i = 0; i < kQLoads; ++i) {
      const int id = static_cast<int>(threadIdx.x) + i * kIndexThreads;
      if (id < query_chunks()) put_chunk(slot, id, next[i]);
    }
    for (int id = static_cast<int>(threadIdx.x) + kQLoads * kIndexThreads; id < query_chunks();
         id += kIndexThreads)
      put_chunk(slot, id, query_chunk(token, id));
    float* w = reinterpret_cast<float*>(smem + slot * room.bytes + room.floats_at);
    for (int head = static_cast<int>(threadIdx.x); head < 8 * room.tiles; head += kIndexThreads)
      w[head] =
          head < job.heads ? job.w[static_cast<std::int64_t>(token) * job.heads + head] : 0.0F;
  }

  // ---- keys ----
  // Where this warp's 32 keys of the tile at `first` lie; count 0: nowhere. `end`: keys beyond are
  // not asked for, nor is their place in the table.
  struct Place {
    const std::byte *keys = nullptr, *scales = nullptr;  // never null
    int count = 0;                                       // of the 32
  };
  __device__ __forceinline__ Place place(int token, int first, int end) const {
    Place at{job.q, job.q, 0};
    const int s = first + warp * kWarpKeys;
    if (s >= end) return at;
    if (!job.paged) {
      at.count = min(kWarpKeys, end - s);
      at.keys = job.k + static_cast<std::int64_t>(s) * job.dim * kBytes;
      if constexpr (kF8) at.scales = reinterpret_cast<const std::byte*>(job.k_scale + s);
      return at;
    }
    const std::int32_t page =
        job.table.table[sequence_of(job, token) * job.table.table_stride + s / kPageTokens];
    if (page < 0 || page >= job.pages.count) return at;
    at.count = min(kWarpKeys, end - s);
    const std::byte* base = job.pages.base + page * job.pages.stride;
    at.keys = base + s % kPageTokens * job.dim * kBytes;
    at.scales = base + kPageTokens * job.dim + s % kPageTokens * 4;
    return at;
  }
  // Row 16m + 8h + g of the warp's keys, this lane's chunks.
  __device__ __forceinline__ void load_row(const Place& at,
                                           int m,
                                           int h,
                                           uint4 (&raw)[kSteps]) const {
    const int row = 16 * m + 8 * h + lane / 4;
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
      const int from = 64 * step + 16 * (lane % 4), left = job.dim * kBytes - from;
      raw[step] = load16<kAligned>(at.keys + row * job.dim * kBytes + from,
                                   row < at.count ? min(left, 16) : 0);
    }
  }
  __device__ __forceinline__ void load_keys(const Place& at, uint4 (&raw)[2][2][kSteps]) const {
#pragma unroll
    for (int i = 0; i < 4; ++i) load_row(at, i / 2, i % 2, raw[i / 2][i % 2]);
  }
  __device__ __forceinline__ float load_scale(const Place& at) const {
    if (!kF8 || stored_key() >= at.count) return 1;
    const std::byte* scale = at.scales + 4 * stored_key();
    if constexpr (kAligned)
      return *reinterpret_cast<const float*>(scale);
    else
      return __uint_as_float(load16_bytes(scale, 4).x);
  }
  __device__ __forceinline__ void take_row(int m, int h, const uint4 (&raw)[kSteps]) {
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
      if constexpr (kF8) {
        std::uint32_t pair[8];
        widen16<kHalf>(raw[step], pair);
#pragma unroll
        for (int i = 0; i < 8; ++i) key[m][h][8 * step + i] = pair[i];
      } else {
        const uint4& x = raw[step];
        key[m][h][4 * step] = x.x, key[m][h][4 * step + 1] = x.y;
        key[m][h][4 * step + 2] = x.z, key[m][h][4 * step + 3] = x.w;
      }
    }
  }
  __device__ __forceinline__ void take_keys(const Place& at,
                                            const uint4 (&raw)[2][2][kSteps],
                                            float scale) {
#pragma unroll
    for (int i = 0; i < 4; ++i) take_row(i / 2, i % 2, raw[i / 2][i % 2]);
    key_scale = scale;
    key_there = stored_key() < at.count;
  }
  // Both at once, row by row: no registers for what is on its way.
  __device__ __forceinline__ void read_keys(const Place& at) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      uint4 raw[kSteps];
      load_row(at, i / 2, i % 2, raw);
      take_row(i / 2, i % 2, raw);
    }
    key_scale = load_scale(at);
    key_there = stored_key() < at.count;
  }
  // Lane 4g + t stores key 8t + g of the warp's.
  __device__ __forceinline__ int stored_key() const {
    return lane % 4 * 8 + lane / 4;
  }

  // ---- scores of this warp's keys for the token in `slot` ----
  __device__ __forceinline__ float score(int slot) const {
    const auto* q = reinterpret_cast<const uint4*>(smem + slot * room.bytes) + lane;
    const auto* w =
        reinterpret_cast<const float2*>(smem + slot * room.bytes + room.floats_at) + lane % 4;
    float sum[2][2] = {};
    for (int tile = 0; tile < room.tiles; tile += 2) {
      float acc[2][2][4] = {};
#pragma unroll
      for (int quarter = 0; quarter < 4; ++quarter) {
        if (quarter * kSteps / 4 * kStepDim >= job.dim) break;
        const uint4 b[2] = {q[(tile * 4 + quarter) * 32], q[((tile + 1) * 4 + quarter) * 32]};
#pragma unroll
        for (int i = 0; i < 2; ++i)
#pragma unroll
          for (int n = 0; n < 2; ++n)
#pragma unroll
            for (int m = 0; m < 2; ++m) {
              const int word = 4 * quarter + 2 * i;
              const std::uint32_t a[4] = {key[m][0][word], key[m][1][word], key[m][0][word + 1],
                                          key[m][1][word + 1]};
              mma_bf16(acc[m][n], a, {i == 0 ? b[n].x : b[n].z, i == 0 ? b[n].y : b[n].w});
            }
      }
#pragma unroll
      for (int n = 0; n < 2; ++n) {
        const float2 weight = w[(tile + n) * 4];
#pragma unroll
        for (int m = 0; m < 2; ++m)
#pragma unroll
          for (int h = 0; h < 2; ++h) {
            sum[m][h] = __fmaf_rn(weight.x, relu(acc[m][n][2 * h]), sum[m][h]);
            sum[m][h] = __fmaf_rn(weight.y, relu(acc[m][n][2 * h + 1]), sum[m][h]);
          }
      }
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      float& x = sum[i / 2][i % 2];
      x = __fadd_rn(x, __shfl_xor_sync(kFullMask, x, 1));
      x = __fadd_rn(x, __shfl_xor_sync(kFullMask, x, 2));
    }
    const int t = lane % 4;
    const float mine = t == 0 ? sum[0][0] : t == 1 ? sum[0][1] : t == 2 ? sum[1][0] : sum[1][1];
    return kF8 ? __fmul_rn(mine, key_scale) : mine;
  }
  static __device__ __forceinline__ float relu(float x) {
    return x < 0 ? 0.0F : x;
  }  // NaN stays

  // One row's cells of the tile at `first`: this lane's key.
  __device__ __forceinline__ void run_row(int token, int slot, int first) const {
    const int s = first + warp * kWarpKeys + stored_key(), warp_first = first + warp * kWarpKeys,
              begin = begin_of(job, token), end = end_of(job, token);
    float x = -INFINITY;
    if (warp_first < end && warp_first + kWarpKeys > begin) {
      const float scored = score(slot);
      if (s >= begin && s < end && key_there) x = scored;
    }
    if (s < job.columns) job.out[token * job.ldo + s] = x;
  }

  // The last key that any of the tokens [token, last) of one sequence sees; `next`: the first of
  // another sequence.
  __device__ __forceinline__ int end_of_run(int token, int last, int& next) const {
    int end = 0;
    for (next = token; next < last; ++next) {
      if (job.paged && sequence_of(job, next) != sequence_of(job, token)) break;
      end = max(end, end_of(job, next));
    }
    return end;
  }
};

}  // namespace
}  // namespace seedbed::kernels::KN_NS
