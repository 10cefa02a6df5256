// The indexer's Core that multiplies in f32, keys along the lanes. A tile is [dim][64] numbers, the
// queries [heads][dim]. Products of e4m3 or bf16 numbers are exact in f32.
#pragma once
#include "kernels/cpu/attn_index.h"

namespace seedbed::kernels::SEEDBED_ISA {

namespace {  // internal linkage, as all that is built for one instruction set

struct F32Core {
  static constexpr int kVecs = 4;  // vectors of keys beside each other

  static std::size_t q_bytes(const IndexJob& job) {
    return sizeof(float) * static_cast<std::size_t>(job.heads) * static_cast<std::size_t>(job.dim);
  }
  static std::size_t tile_bytes(const IndexJob& job) {
    return sizeof(float) * kTileKeys * static_cast<std::size_t>(job.dim);
  }
  static float number(DType dtype, const std::byte* from, std::int64_t i) {
    if (dtype == DType::f8) return kE4m3.value[static_cast<std::uint8_t>(from[i])];
    if (dtype == DType::bf16) {
      std::uint16_t x;
      std::memcpy(&x, from + 2 * i, 2);
      return bf16_to_f32(x);
    }
    float x;
    std::memcpy(&x, from + 4 * i, 4);
    return x;
  }
  static void widen_q(const IndexJob& job, const std::byte* from, std::byte* to) {
    auto* q = reinterpret_cast<float*>(to);
    const std::int64_t n = static_cast<std::int64_t>(job.heads) * job.dim;
    for (std::int64_t i = 0; i < n; ++i) q[i] = number(job.dtype, from, i);
  }
  static void widen_tile(const IndexJob& job, const KeyTile& tile, std::byte* to) {
    auto* wide = reinterpret_cast<float*>(to);
    if (tile.rows < kTileKeys) std::memset(to, 0, tile_bytes(job));
    int done = 0;  // channels of all keys that are done already
#if defined(SEEDBED_ISA_avx2)
    if (job.dtype == DType::f8 && tile.rows == kTileKeys) {
      done = job.dim / 8 * 8;
      for (int key = 0; key < kTileKeys; key += 8)
        for (int i = 0; i < done; i += 8)
          widen_8x8(tile.keys + key * index_row_bytes(job) + i, index_row_bytes(job),
                    wide + i * kTileKeys + key);
    }
#endif
    for (int key = 0; key < tile.rows; ++key) {
      const std::byte* row = tile.keys + key * index_row_bytes(job);
      for (int i = done; i < job.dim; ++i) wide[i * kTileKeys + key] = number(job.dtype, row, i);
    }
  }
#if defined(SEEDBED_ISA_avx2)
  // Eight channels of eight keys: transposed as bytes, then widened.
  static void widen_8x8(const std::byte* from, std::int64_t step, float* to) {
    __m128i key[8], two[4], four[4];
    for (int i = 0; i < 8; ++i)
      key[i] = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from + i * step));
    for (int i = 0; i < 4; ++i) two[i] = _mm_unpacklo_epi8(key[2 * i], key[2 * i + 1]);
    for (int i = 0; i < 4; i += 2) {
      four[i] = _mm_unpacklo_epi16(two[i], two[i + 1]);
      four[i + 1] = _mm_unpackhi_epi16(two[i], two[i + 1]);
    }
    const __m128i eight[4] = {
        _mm_unpacklo_epi32(four[0], four[2]), _mm_unpackhi_epi32(four[0], four[2]),
        _mm_unpacklo_epi32(four[1], four[3]), _mm_unpackhi_epi32(four[1], four[3])};
    for (int i = 0; i < 4; ++i) {
      const __m256i low = _mm256_cvtepu8_epi32(eight[i]);
      const __m256i high = _mm256_cvtepu8_epi32(_mm_srli_si128(eight[i], 8));
      v_store(to + 2 * i * kTileKeys, v_e4m3(reinterpret_cast<IntVec>(low)));
      v_store(to + (2 * i + 1) * kTileKeys, v_e4m3(reinterpret_cast<IntVec>(high)));
    }
  }
#endif

  // sum[v] += w[h] * relu(q[h] . key) head by head; one head's dot product is one chain of
  // additions along dim, whatever stands beside it.
  template <int kHeads>
  static void add_heads(
      const float* q, int dim, const float* tile, const float* w, Vec (&sum)[kVecs]) {
    Vec dot[kHeads][kVecs];
    for (int h = 0; h < kHeads; ++h)
      for (int v = 0; v < kVecs; ++v) dot[h][v] = Vec{};
    for (int i = 0; i < dim; ++i) {
      Vec key[kVecs];
      for (int v = 0; v < kVecs; ++v) key[v] = v_load(tile + i * kTileKeys + v * kLanes);
      for (int h = 0; h < kHeads; ++h) {
        const Vec x = v_set(q[h * dim + i]);
        for (int v = 0; v < kVecs; ++v) dot[h][v] = v_fma(x, key[v], dot[h][v]);
      }
    }
    for (int h = 0; h < kHeads; ++h)
      for (int v = 0; v < kVecs; ++v) {
        const Vec positive = Vec{} > dot[h][v] ? Vec{} : dot[h][v];
        sum[v] = v_fma(v_set(w[h]), positive, sum[v]);
      }
  }
  // Several scales a key: the blocks' dot products are scaled before they are summed.
  static void add_scaled_head(
      const float* q, int dim, const float* tile, const float* scale, float w, Vec (&sum)[kVecs]) {
    Vec total[kVecs] = {};
    for (int begin = 0; begin < dim; begin += kQuantBlock, scale += kTileKeys) {
      const int end = begin + kQuantBlock < dim ? begin + kQuantBlock : dim;
      Vec dot[kVecs] = {};
      for (int i = begin; i < end; ++i)
        for (int v = 0; v < kVecs; ++v)
          dot[v] = v_fma(v_set(q[i]), v_load(tile + i * kTileKeys + v * kLanes), dot[v]);
      for (int v = 0; v < kVecs; ++v)
        total[v] = v_fma(dot[v], v_load(scale + v * kLanes), total[v]);
    }
    for (int v = 0; v < kVecs; ++v)
      sum[v] = v_fma(v_set(w), Vec{} > total[v] ? Vec{} : total[v], sum[v]);
  }

  static void score(const IndexJob& job,
                    const std::byte* q_bytes_of_row,
                    const float* w,
                    const std::byte* tile_bytes_of_keys,
                    const float* scale,
                    Ahead& ahead,
                    float* out) {
    ahead.rest();
    const auto* q = reinterpret_cast<const float*>(q_bytes_of_row);
    const auto* tile = reinterpret_cast<const float*>(tile_bytes_of_keys);
    const bool scales = job.dtype == DType::f8;
    const bool several = scales && job.dim > kQuantBlock;
    for (int at = 0; at < kTileKeys; at += kVecs * kLanes) {
      Vec sum[kVecs] = {};
      int h = 0;
      if (several)
        for (; h < job.heads; ++h)
          add_scaled_head(q + h * job.dim, job.dim, tile + at, scale + at, w[h], sum);
      for (; h + kHeadBlock <= job.heads; h += kHeadBlock)
        add_heads<kHeadBlock>(q + h * job.dim, job.dim, tile + at, w + h, sum);
      for (; h < job.heads; ++h) add_heads<1>(q + h * job.dim, job.dim, tile + at, w + h, sum);
      for (int v = 0; v < kVecs; ++v) {
        const Vec factor = scales && !several ? v_load(scale + at + v * kLanes) : v_set(1.0F);
        v_store(out + at + v * kLanes, sum[v] * factor);
      }
    }
  }
};

}  // namespace

}  // namespace seedbed::kernels::SEEDBED_ISA
