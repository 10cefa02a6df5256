// The indexer's scores with bf16 dot products: e4m3 numbers are bf16 numbers, so nothing is lost.
// Keys lie along the lanes, so the relu and the weighted sum over heads stay in registers.
//
// A widened tile is [pairs of dim][64 keys][2] bf16, the queries [heads][dim] bf16, dim padded with
// zeros. bf16 pages: the processor takes numbers below 2^-126 as zero here, far under the
// tolerance.
#include <immintrin.h>

#include "kernels/cpu/attn_index_f32.h"
#include "kernels/cpu/ops_here.h"

namespace seedbed::kernels::SEEDBED_ISA {

namespace {

constexpr int kTileVecs = kTileKeys / 16;

// Rows of 16 words become columns: out[i] lane j = row j, word i.
inline void transpose16(const __m512i (&row)[16], __m512i (&out)[16]) {
  __m512i a[16];
  for (int i = 0; i < 16; i += 2) {
    a[i] = _mm512_unpacklo_epi32(row[i], row[i + 1]);
    a[i + 1] = _mm512_unpackhi_epi32(row[i], row[i + 1]);
  }
  __m512i b[16];  // b[4g + w]: words w, w + 4, .. (one a lane of 128 bits) of rows 4g .. 4g + 3
  for (int g = 0; g < 16; g += 4) {
    b[g] = _mm512_unpacklo_epi64(a[g], a[g + 2]);
    b[g + 1] = _mm512_unpackhi_epi64(a[g], a[g + 2]);
    b[g + 2] = _mm512_unpacklo_epi64(a[g + 1], a[g + 3]);
    b[g + 3] = _mm512_unpackhi_epi64(a[g + 1], a[g + 3]);
  }
  for (int w = 0; w < 4; ++w) {
    const __m512i low01 = _mm512_shuffle_i32x4(b[w], b[4 + w], 0x44);
    const __m512i low23 = _mm512_shuffle_i32x4(b[8 + w], b[12 + w], 0x44);
    const __m512i high01 = _mm512_shuffle_i32x4(b[w], b[4 + w], 0xee);
    const __m512i high23 = _mm512_shuffle_i32x4(b[8 + w], b[12 + w], 0xee);
    out[w] = _mm512_shuffle_i32x4(low01, low23, 0x88);
    out[4 + w] = _mm512_shuffle_i32x4(low01, low23, 0xdd);
    out[8 + w] = _mm512_shuffle_i32x4(high01, high23, 0x88);
    out[12 + w] = _mm512_shuffle_i32x4(high01, high23, 0xdd);
  }
}

// 64 bytes (from + at) of each of the 64 keys: bf16 numbers, transposed to [16 pairs][64 keys][2].
inline void transpose_bf16(const std::byte* from, std::int64_t step, __m512i* to) {
  for (int v = 0; v < kTileVecs; ++v) {
    __m512i row[16], out[16];
    for (int i = 0; i < 16; ++i) row[i] = _mm512_loadu_si512(from + (16 * v + i) * step);
    transpose16(row, out);
    for (int i = 0; i < 16; ++i) _mm512_store_si512(to + i * kTileVecs + v, out[i]);
  }
}

// The same for e4m3 numbers, widened: [32 pairs][64 keys][2]. A word of a transposed vector is four
// numbers of one key; widening splits each 16 bytes (four keys) in two, and the shuffles put first
// and second pairs of the four keys side by side again.
inline void transpose_e4m3(const E4m3ToBf16& table,
                           const std::byte* from,
                           std::int64_t step,
                           __m512i* to) {
  for (int v = 0; v < kTileVecs; ++v) {
    __m512i row[16], out[16];
    for (int i = 0; i < 16; ++i) row[i] = _mm512_loadu_si512(from + (16 * v + i) * step);
    transpose16(row, out);
    for (int i = 0; i < 16; ++i) {
      __m512i keys01, keys23;
      e4m3_to_bf16(table, out[i], keys01, keys23);
      const __m512 a = _mm512_castsi512_ps(keys01), b = _mm512_castsi512_ps(keys23);
      __m512i* pair = to + 2 * i * kTileVecs + v;
      _mm512_store_si512(pair, _mm512_castps_si512(_mm512_shuffle_ps(a, b, 0x88)));
      _mm512_store_si512(pair + kTileVecs, _mm512_castps_si512(_mm512_shuffle_ps(a, b, 0xdd)));
    }
  }
}

struct Bf16Core {
  // Channels padded so that a row of keys is whole vectors.
  static int padded(const IndexJob& job) {
    return round_up(job.dim, job.dtype == DType::f8 ? 64 : 32);
  }
  static std::size_t q_bytes(const IndexJob& job) {
    return 2 * static_cast<std::size_t>(job.heads) * static_cast<std::size_t>(padded(job));
  }
  // The widened keys, then room for padded rows.
  static std::size_t widened_bytes(const IndexJob& job) {
    return 2 * kTileKeys * static_cast<std::size_t>(padded(job));
  }
  static std::size_t tile_bytes(const IndexJob& job) { return 2 * widened_bytes(job); }

  static void widen_q(const IndexJob& job, const std::byte* from, std::byte* to) {
    const int dim = padded(job);
    std::memset(to, 0, q_bytes(job));
    for (int h = 0; h < job.heads; ++h) {
      const std::byte* row = from + h * index_row_bytes(job);
      auto* q = reinterpret_cast<std::uint16_t*>(to) + static_cast<std::int64_t>(h) * dim;
      if (job.dtype == DType::bf16)
        std::memcpy(q, row, static_cast<std::size_t>(job.dim) * 2);
      else
        for (int i = 0; i < job.dim; ++i)
          q[i] = static_cast<std::uint16_t>(
              std::bit_cast<std::uint32_t>(kE4m3.value[static_cast<std::uint8_t>(row[i])]) >> 16);
    }
  }

  static void widen_tile(const IndexJob& job, const KeyTile& tile, std::byte* to) {
    const std::byte* keys = tile.keys;
    std::int64_t step = index_row_bytes(job);
    const std::int64_t padded_step = static_cast<std::int64_t>(padded(job)) * bytes_of(job.dtype);
    if (tile.rows < kTileKeys || step != padded_step) {
      std::byte* room = to + widened_bytes(job);
      std::memset(room, 0, static_cast<std::size_t>(kTileKeys * padded_step));
      for (int i = 0; i < tile.rows; ++i)
        std::memcpy(room + i * padded_step, keys + i * step, static_cast<std::size_t>(step));
      keys = room;
      step = padded_step;
    }
    auto* wide = reinterpret_cast<__m512i*>(to);
    const E4m3ToBf16 table = e4m3_to_bf16_table();
    for (std::int64_t at = 0; at < step; at += 64) {
      if (job.dtype == DType::bf16)
        transpose_bf16(keys + at, step, wide + at / 4 * kTileVecs);
      else
        transpose_e4m3(table, keys + at, step, wide + at / 2 * kTileVecs);
    }
  }

  static __m512 dot2(__m512 sum, __m512i a, __m512i b) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  }

  // sum[v] += w[h] * relu(q[h] . key) head by head.
  template <int kHeads>
  static void add_heads(const std::int32_t* q,
                        int pairs,
                        const __m512i* tile,
                        const float* w,
                        Ahead& ahead,
                        __m512 (&sum)[kTileVecs]) {
    __m512 dot[kHeads][kTileVecs];
    for (int h = 0; h < kHeads; ++h)
      for (int v = 0; v < kTileVecs; ++v) dot[h][v] = _mm512_setzero_ps();
    for (int i = 0; i < pairs; ++i) {
      ahead.line();
      if (kHeads < 4) ahead.line();  // few heads are done with the tile soon
      __m512i key[kTileVecs];
      for (int v = 0; v < kTileVecs; ++v) key[v] = _mm512_load_si512(tile + i * kTileVecs + v);
      for (int h = 0; h < kHeads; ++h) {
        const __m512i x = _mm512_set1_epi32(q[static_cast<std::int64_t>(h) * pairs + i]);
        for (int v = 0; v < kTileVecs; ++v) dot[h][v] = dot2(dot[h][v], x, key[v]);
      }
    }
    for (int h = 0; h < kHeads; ++h)
      for (int v = 0; v < kTileVecs; ++v)
        sum[v] = _mm512_fmadd_ps(_mm512_set1_ps(w[h]),
                                 _mm512_max_ps(_mm512_setzero_ps(), dot[h][v]), sum[v]);
  }
  // Several scales a key: the blocks' dot products are scaled before they are summed.
  static void add_scaled_head(const std::int32_t* q,
                              int pairs,
                              const __m512i* tile,
                              const float* scale,
                              float w,
                              __m512 (&sum)[kTileVecs]) {
    __m512 total[kTileVecs] = {};
    for (int begin = 0; begin < pairs; begin += kQuantBlock / 2, scale += kTileKeys) {
      const int end = begin + kQuantBlock / 2 < pairs ? begin + kQuantBlock / 2 : pairs;
      __m512 dot[kTileVecs] = {};
      for (int i = begin; i < end; ++i)
        for (int v = 0; v < kTileVecs; ++v)
          dot[v] = dot2(dot[v], _mm512_set1_epi32(q[i]), tile[i * kTileVecs + v]);
      for (int v = 0; v < kTileVecs; ++v)
        total[v] = _mm512_fmadd_ps(dot[v], _mm512_loadu_ps(scale + 16 * v), total[v]);
    }
    for (int v = 0; v < kTileVecs; ++v)
      sum[v] =
          _mm512_fmadd_ps(_mm512_set1_ps(w), _mm512_max_ps(_mm512_setzero_ps(), total[v]), sum[v]);
  }

  static void score(const IndexJob& job,
                    const std::byte* q_of_row,
                    const float* w,
                    const std::byte* widened,
                    const float* scale,
                    Ahead& ahead,
                    float* out) {
    const int pairs = padded(job) / 2;
    const auto* q = reinterpret_cast<const std::int32_t*>(q_of_row);
    const auto* tile = reinterpret_cast<const __m512i*>(widened);
    const bool several = job.dtype == DType::f8 && job.dim > kQuantBlock;
    __m512 sum[kTileVecs] = {};
    for (int h = 0; h < job.heads;) {
      const std::int32_t* at = q + static_cast<std::int64_t>(h) * pairs;
      if (several) {
        add_scaled_head(at, pairs, tile, scale, w[h], sum);
        h += 1;
        continue;
      }
      switch (job.heads - h) {
        case 1:
          add_heads<1>(at, pairs, tile, w + h, ahead, sum);
          h += 1;
          break;
        case 2:
          add_heads<2>(at, pairs, tile, w + h, ahead, sum);
          h += 2;
          break;
        case 3:
          add_heads<3>(at, pairs, tile, w + h, ahead, sum);
          h += 3;
          break;
        case 4:
        case 8:
          add_heads<4>(at, pairs, tile, w + h, ahead, sum);
          h += 4;
          break;
        case 5:
        case 10:
          add_heads<5>(at, pairs, tile, w + h, ahead, sum);
          h += 5;
          break;
        default:
          add_heads<6>(at, pairs, tile, w + h, ahead, sum);
          h += 6;
      }
    }
    ahead.rest();
    const bool once = job.dtype == DType::f8 && !several;
    for (int v = 0; v < kTileVecs; ++v)
      _mm512_storeu_ps(out + 16 * v,
                       once ? _mm512_mul_ps(sum[v], _mm512_loadu_ps(scale + 16 * v)) : sum[v]);
  }
};

void run_job(const IndexJob& job) {
  if (job.dtype == DType::f32)
    run_index<F32Core>(job);
  else
    run_index<Bf16Core>(job);
}

}  // namespace

void index_logits(const IndexLogitsParams& p) {
  run_job(index_job(p));
}
void index_logits_paged(const IndexLogitsPagedParams& p) {
  run_job(index_job(p));
}

}  // namespace seedbed::kernels::SEEDBED_ISA
