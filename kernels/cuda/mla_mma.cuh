// Latent attention on the tensor cores, for bf16 and f8 pages up to 512 + 64 channels.
//
// A block of 128 threads has 16 heads of one token (256 threads: two such groups on the same
// records) and takes the list 32 entries at a time:
//   (1) records come as they are stored, by cp.async, two or three blocks ahead; what is not valid
//       becomes zeros. Nothing is widened in shared memory: each number is read once for the scores
//       and once for the sums, and widened in registers on the way.
//   (2) scores: each of the four warps multiplies its quarter of the channels (128 latent, 16 of
//   the
//       rotated key) for all 32 entries, queries staying in registers as two parts: one alone would
//       be off by percents of a weight where scores are large. Keys' scales are multiplied in f32,
//       once a quarter, which is one fp8 block. Quarters meet in shared memory.
//   (3) softmax: a lane is an entry, a warp has four heads; a running maximum and sum a split.
//   (4) sums: each warp its 128 channels. bf16: weights as two parts (one missed FlashMLA's
//       tolerance on a list of 70). f8: one f16 part of weight times scale over the largest scale.
// e4m3 is exact in f16 as in bf16, and f16 keeps 11 bits of the other side: queries 22 in two parts
// (over a power of two a head, so that any f32 fits), weights 11 in one. bf16 pages leave bf16 as
// the only choice: 17 bits of queries, 17 of weights.
// Every 256 entries (kMlaSplit) the sums are closed and joined to those before, either here or by
// mla_combine: the same operations in the same order.
//
// Registers decide: 72 of queries and 64 of sums a thread, so two blocks of 128 threads share a
// multiprocessor. Floors for one token and 16 heads: 656 (bf16: 1152) bytes an entry; for all heads
// 2 * (c + r + c) FLOP an entry and head; parts make it 1.5 (f8) or 2 (bf16)
// times that here.
#pragma once
#include "kernels/cuda/mla_record.cuh"

namespace seedbed::kernels::KN_NS {
namespace {

template <bool kF8, bool kFast, int kGroups>
struct MlaRow {
  using R = Record<kF8>;
  static constexpr int kThreads = kGroups * kMlaThreads;
  static constexpr Half kHalf = kF8 ? Half::f16 : Half::bf16;

  const MlaJob& job;
  unsigned char* smem;
  const MlaShared at;
  const int stages;
  const int c, r;
  const std::int64_t token;
  const int length;
  int lane, warp, group, first_head;
  std::uint32_t q_high[8][4], q_low[8][4], q_key[3][4];  // of the rotated key: all 24 bits
  float acc[16][4];        // channels 32 (i / 4) + i % 4 + 4 n of the quarter, n = the mma's column
  float top[4], total[4];  // of this warp's four heads; total of this lane's entries alone
  float scale_unit;        // f8: acc counts in units of this / kWeightUnit

  __device__ MlaRow(const MlaJob& j,
                    unsigned char* shared,
                    const MlaShared& offsets,
                    int stage_count,
                    std::int64_t row,
                    int head_tile)
      : job(j),
        smem(shared),
        at(offsets),
        stages(stage_count),
        c(kFast ? kMaxLatent : j.c),
        r(kFast ? kMaxRope : j.r),
        token(row),
        length(list_length(j, row)) {
    lane = static_cast<int>(threadIdx.x) % 32;
    warp = static_cast<int>(threadIdx.x) / 32 % 4;
    group = static_cast<int>(threadIdx.x) / kMlaThreads;
    first_head = (head_tile * kGroups + group) * kMlaHeads;
  }

  template <class T>
  __device__ __forceinline__ T* shared_at(int offset) const {
    return reinterpret_cast<T*>(smem + offset);
  }
  __device__ __forceinline__ float* partial() const {  // [4 warps][16 heads][kPartialPitch]
    return shared_at<float>(at.partial) + group * 4 * kMlaHeads * kPartialPitch;
  }
  __device__ __forceinline__ float* weight() const {  // [16 heads][kWeightPitch]
    return shared_at<float>(at.weight) + group * kMlaHeads * kWeightPitch;
  }
  __device__ __forceinline__ float* of_head(int offset) const {
    return shared_at<float>(offset) + group * kMlaHeads;
  }
  __device__ __forceinline__ std::int32_t* ring(int block) const {
    return shared_at<std::int32_t>(at.ring) + block % kSlotRing * kMlaBlock;
  }
  __device__ __forceinline__ unsigned char* stage(int block) const {
    return smem + block % stages * kMlaBlock * R::kPitch;
  }

  // Queries of this warp's quarter, in the order in which records give their channels. Ends with
  // the heads' units in shared memory, for all to see after the next barrier.
  __device__ __forceinline__ void load_q() {
    const int g = lane / 4, t = lane % 4;
    float2 q[9][4];
    float largest[2] = {0, 0};
#pragma unroll
    for (int i = 0; i < 9; ++i)
#pragma unroll
      for (int part = 0; part < 4; ++part) {
        const int head = first_head + g + 8 * (part & 1);
        constexpr int lane_width = kF8 ? 16 : 8, mmas = lane_width / 4;
        int channel = i < 8 ? 128 * warp + i / mmas * 4 * lane_width + lane_width * t + i % mmas * 4
                            : 16 * warp + 4 * t;
        channel += part / 2 * 2;
        const int limit = i < 8 ? c : r;
        const float* from = job.q + (token * job.heads + head) * (c + r) + (i < 8 ? 0 : c);
        const bool here = head < job.heads;
        q[i][part] = make_float2(here && channel < limit ? from[channel] : 0.0F,
                                 here && channel + 1 < limit ? from[channel + 1] : 0.0F);
        largest[part & 1] =
            fmaxf(largest[part & 1], fmaxf(fabsf(q[i][part].x), fabsf(q[i][part].y)));
      }
    float inverse[2] = {1, 1};
    if constexpr (kF8) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        largest[h] = fmaxf(largest[h], __shfl_xor_sync(kFullMask, largest[h], 1));
        largest[h] = fmaxf(largest[h], __shfl_xor_sync(kFullMask, largest[h], 2));
        if (t == 0) partial()[(warp * kMlaHeads + g + 8 * h) * kPartialPitch] = largest[h];
      }
      __syncthreads();
#pragma unroll
      for (int h = 0; h < 2; ++h) {
#pragma unroll
        for (int from = 0; from < 4; ++from)
          largest[h] = fmaxf(largest[h], partial()[(from * kMlaHeads + g + 8 * h) * kPartialPitch]);
        const std::uint32_t power = power_of(largest[h]);
        inverse[h] = inverse_power(__uint_as_float(power));
        if (warp == 0 && t == 0) of_head(at.unit)[g + 8 * h] = __uint_as_float(power);
      }
    }
#pragma unroll
    for (int part = 0; part < 4; ++part) {
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        const float x = __fmul_rn(q[i][part].x, inverse[part & 1]),
                    y = __fmul_rn(q[i][part].y, inverse[part & 1]);
        q_high[i][part] = pack<kHalf>(x, y);
        const float2 high = unpack<kHalf>(q_high[i][part]);
        q_low[i][part] = pack<kHalf>(__fsub_rn(x, high.x), __fsub_rn(y, high.y));
      }
      const Parts key = cut3(__fmul_rn(q[8][part].x, inverse[part & 1]),
                             __fmul_rn(q[8][part].y, inverse[part & 1]));
      q_key[0][part] = key.low, q_key[1][part] = key.mid, q_key[2][part] = key.high;
    }
  }
  // The bits of the power of two below |x|, of 1 where that or its inverse is no normal number.
  static __device__ __forceinline__ std::uint32_t power_of(float x) {
    const std::uint32_t power = __float_as_uint(x) & 0x7f800000U;
    return power == 0 || power >= 0x7f000000U ? 0x3f800000U : power;
  }
  static __device__ __forceinline__ float inverse_power(float power) {
    return __uint_as_float(0x7f000000U - __float_as_uint(power));
  }

  // ---- records to shared memory ----
  __device__ __forceinline__ void issue(int block) const {
    unsigned char* to = stage(block);
    const std::int32_t* slot = ring(block);
    if constexpr (kFast) {
      constexpr int kPer = kMlaBlock * R::kChunks;
#pragma unroll 4
      for (int id = static_cast<int>(threadIdx.x); id < kPer; id += kThreads) {
        const int entry = id / R::kChunks, chunk = id % R::kChunks;
        const std::int32_t s = slot[entry];
        cp_async16(to + entry * R::kPitch + 16 * chunk,
                   record_of(job, s < 0 ? 0 : s, 16 * R::kChunks) + 16 * chunk, s >= 0);
      }
    } else {
      for (int id = static_cast<int>(threadIdx.x); id < kMlaBlock * R::kPitch / 4; id += kThreads) {
        const int entry = id / (R::kPitch / 4), word = id % (R::kPitch / 4);
        *reinterpret_cast<std::uint32_t*>(to + entry * R::kPitch + 4 * word) =
            padded_word(slot[entry], word);
      }
    }
  }
  // Word `word` of a record padded to the published shape; any alignment.
  __device__ __forceinline__ std::uint32_t padded_word(std::int32_t slot, int word) const {
    if (slot < 0) return 0;
    const std::byte* record = record_of(job, slot, kv_record_bytes(job.pages.dtype, c, r));
    const int key_at = kF8 ? c + 4 * quant_blocks(c) : 2 * c;
    int from = 4 * word, left = (kF8 ? c : 2 * c) - from;
    if (4 * word >= R::kKey) {
      from = key_at + 4 * word - R::kKey;
      left = key_at + 2 * r - from;
    } else if (kF8 && 4 * word >= R::kScales) {
      from = c + 4 * word - R::kScales;
      left = key_at - from;
    }
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i)
      if (i < left) value |= static_cast<std::uint32_t>(record[from + i]) << (8 * i);
    return value;
  }

  // ---- scores ----
  __device__ __forceinline__ void add_score(float (&sum)[4],
                                            int i,
                                            std::uint32_t low,
                                            std::uint32_t high) const {
    mma<kHalf>(sum, q_low[i], {low, high});
    mma<kHalf>(sum, q_high[i], {low, high});
  }
  __device__ __forceinline__ void score(const unsigned char* records) const {
    const int g = lane / 4, t = lane % 4;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const unsigned char* row = records + (8 * j + entry_of(g)) * R::kPitch;
      float sum[4] = {};
#pragma unroll
      for (int s = 0; s < R::kSteps; ++s) {
        if (128 * warp + s * (128 / R::kSteps) >= c) break;
        const uint4 raw =
            *reinterpret_cast<const uint4*>(row + R::kQuarter * warp + 64 * s + 16 * t);
        if constexpr (kF8) {
          std::uint32_t pair[8];
          widen16<kHalf>(raw, pair);
#pragma unroll
          for (int i = 0; i < 4; ++i) add_score(sum, 4 * s + i, pair[2 * i], pair[2 * i + 1]);
        } else {
          add_score(sum, 2 * s, raw.x, raw.y);
          add_score(sum, 2 * s + 1, raw.z, raw.w);
        }
      }
      if constexpr (kF8) {
        const unsigned char* scale = records + (8 * j + t) * R::kPitch + R::kScales + 4 * warp;
        const float low = *reinterpret_cast<const float*>(scale);
        const float high = *reinterpret_cast<const float*>(scale + 4 * R::kPitch);
        sum[0] = __fmul_rn(sum[0], low), sum[1] = __fmul_rn(sum[1], high);
        sum[2] = __fmul_rn(sum[2], low), sum[3] = __fmul_rn(sum[3], high);
      }
      if (16 * warp < r) {
        const uint2 key = *reinterpret_cast<const uint2*>(row + R::kKey + 32 * warp + 8 * t);
#pragma unroll
        for (int part = 0; part < 3; ++part) mma_bf16(sum, q_key[part], {key.x, key.y});
      }
      float* to = partial() + (warp * kMlaHeads + g) * kPartialPitch + 8 * j + t;
      to[0] = sum[0], to[4] = sum[1];
      to[8 * kPartialPitch] = sum[2], to[8 * kPartialPitch + 4] = sum[3];
    }
  }

  // ---- softmax of this warp's four heads; this lane's entry ----
  __device__ __forceinline__ void weigh(int block) {
    const bool valid = ring(block)[lane] >= 0;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int head = 4 * warp + i;
      const float* from = partial() + head * kPartialPitch + lane;
      constexpr int step = kMlaHeads * kPartialPitch;
      float x = __fadd_rn(__fadd_rn(from[0], from[step]), from[2 * step]);
      const float unit = kF8 ? __fmul_rn(job.scale, of_head(at.unit)[head]) : job.scale;
      x = valid ? __fmul_rn(__fadd_rn(x, from[3 * step]), unit) : -INFINITY;
      const float now = fmaxf(top[i], warp_max(x)), base = now == -INFINITY ? 0.0F : now;
      const float fade = fade_of(top[i] - base), w = fade_of(x - base);
      total[i] = __fadd_rn(__fmul_rn(total[i], fade), w);
      top[i] = now;
      weight()[head * kWeightPitch + lane] = w;
      if (lane == 0) of_head(at.fade)[head] = fade;
    }
  }

  // ---- sums ----
  // Brings the sums to the block's maxima and, f8, to its largest scale; returns what a weight's
  // scale is to be multiplied by.
  __device__ __forceinline__ float fade_sums(const unsigned char* records) {
    float low = of_head(at.fade)[lane / 4], high = of_head(at.fade)[lane / 4 + 8], inverse = 0;
    if constexpr (kF8) {
      const unsigned bits = __reduce_max_sync(
          kFullMask,
          *reinterpret_cast<const unsigned*>(records + lane * R::kPitch + R::kScales + 4 * warp));
      const float largest = __uint_as_float(bits & 0x7f800000U);
      if (largest > scale_unit) {
        const float ratio = __fmul_rn(scale_unit, inverse_power(largest));
        low = __fmul_rn(low, ratio), high = __fmul_rn(high, ratio);
        scale_unit = largest;
      }
      inverse = scale_unit == 0 ? 0.0F : __fmul_rn(kWeightUnit, inverse_power(scale_unit));
    }
    if (__all_sync(kFullMask, low == 1 && high == 1)) return inverse;
#pragma unroll
    for (int i = 0; i < 16; ++i) {
      acc[i][0] = __fmul_rn(acc[i][0], low), acc[i][1] = __fmul_rn(acc[i][1], low);
      acc[i][2] = __fmul_rn(acc[i][2], high), acc[i][3] = __fmul_rn(acc[i][3], high);
    }
    return inverse;
  }
  // The weights of entries 16 kk + 2t, 2t + 1 and those 8 on, as the mma's operand in kParts parts.
  static constexpr int kParts = kF8 ? 1 : 2;
  static constexpr float kWeightUnit = 16384;  // weights begin at 2^14: none is subnormal in f16
  __device__ __forceinline__ void read_weights(int kk,
                                               const unsigned char* rows,
                                               float inverse,
                                               std::uint32_t (&a)[kParts][4]) const {
    const float* from = weight() + lane / 4 * kWeightPitch + 16 * kk + 2 * (lane % 4);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      float2 w = *reinterpret_cast<const float2*>(from + (i & 1) * 8 * kWeightPitch + i / 2 * 8);
      if constexpr (kF8) {
        const unsigned char* scale = rows + i / 2 * 8 * R::kPitch + R::kScales + 4 * warp;
        w.x = __fmul_rn(w.x, __fmul_rn(*reinterpret_cast<const float*>(scale), inverse));
        w.y =
            __fmul_rn(w.y, __fmul_rn(*reinterpret_cast<const float*>(scale + R::kPitch), inverse));
        a[0][i] = pack<kHalf>(w.x, w.y);
      } else {
        a[1][i] = pack<kHalf>(w.x, w.y);
        const float2 high = unpack<kHalf>(a[1][i]);
        a[0][i] = pack<kHalf>(__fsub_rn(w.x, high.x), __fsub_rn(w.y, high.y));
      }
    }
  }
  static __device__ __forceinline__ void add_pairs(float (&sum)[4],
                                                   const std::uint32_t (&a)[kParts][4],
                                                   std::uint32_t low,
                                                   std::uint32_t high) {
#pragma unroll
    for (int part = 0; part < kParts; ++part) mma<kHalf>(sum, a[part], {low, high});
  }
  __device__ __forceinline__ void add_values(const unsigned char* records, float inverse) {
    const int g = lane / 4, t = lane % 4;
#pragma unroll
    for (int kk = 0; kk < 2; ++kk) {
      const unsigned char* row = records + (16 * kk + 2 * t) * R::kPitch;
      std::uint32_t a[kParts][4];
      read_weights(kk, row, inverse, a);
      row += R::kQuarter * warp + (kF8 ? 4 : 8) * g;
#pragma unroll
      for (int d = 0; d < 4; ++d) {
        if (128 * warp + 32 * d >= c) break;
        if constexpr (kF8) {
          const auto word = [&](int entry) {
            return *reinterpret_cast<const std::uint32_t*>(row + entry * R::kPitch + 32 * d);
          };
          const std::uint32_t x[4] = {word(0), word(1), word(8), word(9)};
#pragma unroll
          for (int j = 0; j < 4; ++j) {  // a NaN's score is NaN already
            const unsigned pick = 0x4400U + 0x1111U * static_cast<unsigned>(j);
            add_pairs(acc[4 * d + j], a, widen_spread<kHalf>(__byte_perm(x[0], x[1], pick)),
                      widen_spread<kHalf>(__byte_perm(x[2], x[3], pick)));
          }
        } else {
          const auto words = [&](int entry) {
            return *reinterpret_cast<const uint2*>(row + entry * R::kPitch + 64 * d);
          };
          const uint2 x[4] = {words(0), words(1), words(8), words(9)};
          add_pairs(acc[4 * d], a, __byte_perm(x[0].x, x[1].x, 0x5410),
                    __byte_perm(x[2].x, x[3].x, 0x5410));
          add_pairs(acc[4 * d + 1], a, __byte_perm(x[0].x, x[1].x, 0x7632),
                    __byte_perm(x[2].x, x[3].x, 0x7632));
          add_pairs(acc[4 * d + 2], a, __byte_perm(x[0].y, x[1].y, 0x5410),
                    __byte_perm(x[2].y, x[3].y, 0x5410));
          add_pairs(acc[4 * d + 3], a, __byte_perm(x[0].y, x[1].y, 0x7632),
                    __byte_perm(x[2].y, x[3].y, 0x7632));
        }
      }
    }
  }

  __device__ __forceinline__ void begin_split() {
#pragma unroll
    for (int i = 0; i < 4; ++i) top[i] = -INFINITY, total[i] = 0;
    scale_unit = 0;
#pragma unroll
    for (int i = 0; i < 16; ++i)
#pragma unroll
      for (int n = 0; n < 4; ++n) acc[i][n] = 0;
  }
  // Every thread learns the split's maxima and sums; ends with a barrier.
  __device__ __forceinline__ void close_split() {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float sum = warp_sum(total[i]);
      if (lane == 0) {
        of_head(at.top)[4 * warp + i] = top[i];
        of_head(at.total)[4 * warp + i] = sum;
      }
    }
    __syncthreads();
  }

  // Calls take(i, h, x): channels channel_of(i) .. + 3 of head lane / 4 + 8h of the tile.
  template <class Take>
  __device__ __forceinline__ void each4(const Take& take) const {
    const float unit = kF8 ? __fmul_rn(scale_unit, 1 / kWeightUnit) : 1.0F;
#pragma unroll
    for (int d = 0; d < 4; ++d)
#pragma unroll
      for (int h = 0; h < 2; ++h)
#pragma unroll
        for (int n = 0; n < 2; ++n)
          take(2 * d + n, h,
               make_float4(__fmul_rn(acc[4 * d][2 * h + n], unit),
                           __fmul_rn(acc[4 * d + 1][2 * h + n], unit),
                           __fmul_rn(acc[4 * d + 2][2 * h + n], unit),
                           __fmul_rn(acc[4 * d + 3][2 * h + n], unit)));
  }
  __device__ __forceinline__ int channel_of(int i) const {
    return 128 * warp + 32 * (i / 2) + 8 * (lane % 4) + 4 * (i % 2);
  }

  // Blocks [first, last) of the list; closed(split) follows each split that ends.
  template <class Closed>
  __device__ __forceinline__ void run(int first, int last, const Closed& closed) {
    load_q();
    begin_split();
    const int thread = static_cast<int>(threadIdx.x);
    const auto look_up = [&](int block) {
      return slot_at(job, token, block * kMlaBlock + lane, length);
    };
    if (thread < 32)
      for (int i = 0; i + 1 < stages; ++i) ring(first + i)[lane] = look_up(first + i);
    __syncthreads();
    for (int i = 0; i + 1 < stages; ++i) {
      if (first + i < last) issue(first + i);
      cp_async_commit();
    }
    std::int32_t ahead = thread < 32 ? look_up(first + stages - 1) : -1;
    for (int block = first; block < last; ++block) {
      if (thread < 32) {
        ring(block + stages - 1)[lane] = ahead;
        ahead = look_up(block + stages);
      }
      if (stages == 3)
        cp_async_wait<1>();
      else
        cp_async_wait<0>();
      __syncthreads();  // the block's records are there; the stage before it is free
      if (block + stages - 1 < last) issue(block + stages - 1);
      cp_async_commit();
      score(stage(block));
      __syncthreads();
      weigh(block);
      __syncthreads();
      const float inverse = fade_sums(stage(block));
      add_values(stage(block), inverse);
      if (block % kMlaBlocks == kMlaBlocks - 1 || block + 1 == last) {
        close_split();
        closed(block / kMlaBlocks);
        begin_split();
      }
    }
  }
};

}  // namespace
}  // namespace seedbed::kernels::KN_NS
