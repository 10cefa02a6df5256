// Matrix products for scalar and AVX2: f32 lanes along k, narrow numbers widened on the way. Few
// rows read w as it is stored; many rows widen a block of it once.
#if !defined(SEEDBED_ISA_avx512)  // cpu/avx512/gemm.cpp
#include <cstring>

#include "kernels/cpu/gemm_drive.h"
#include "kernels/cpu/ops_here.h"
#if defined(SEEDBED_ISA_avx2)
#include <immintrin.h>
#endif

namespace seedbed::kernels::SEEDBED_ISA {
namespace {

enum class Stored : std::uint8_t { f32, bf16, f8 };

#if defined(SEEDBED_ISA_avx2)
using Lanes = __m256;
constexpr int kLanes = 8;

inline Lanes zero() {
  return _mm256_setzero_ps();
}
inline Lanes all(float x) {
  return _mm256_set1_ps(x);
}
inline Lanes add_product(Lanes a, Lanes b, Lanes sum) {
  return _mm256_fmadd_ps(a, b, sum);
}
inline float sum_of(Lanes x) {
  const __m128 half = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  const __m128 two = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
template <Stored stored>
inline Lanes load(const std::byte* p) {
  if constexpr (stored == Stored::f32) {
    return _mm256_loadu_ps(reinterpret_cast<const float*>(p));
  } else if constexpr (stored == Stored::bf16) {
    const __m128i x = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16));
  } else {  // as e4m3_to_f32
    const __m256i x = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
    const __m256i seven = _mm256_set1_epi32(0x7f);
    const __m256i code = _mm256_and_si256(x, seven);
    const __m256i sign = _mm256_slli_epi32(_mm256_andnot_si256(seven, x), 24);
    const __m256 value =
        _mm256_mul_ps(_mm256_castsi256_ps(_mm256_slli_epi32(code, 20)), all(0x1p120F));
    const __m256i nan =
        _mm256_and_si256(_mm256_cmpeq_epi32(code, seven), _mm256_set1_epi32(0x7fc00000));
    return _mm256_or_ps(value, _mm256_castsi256_ps(_mm256_or_si256(sign, nan)));
  }
}
#else
// The compiler's own vectors: four lanes wherever there are such registers, plain floats elsewhere.
typedef float Lanes __attribute__((vector_size(16)));
constexpr int kLanes = 4;

inline Lanes all(float x) {
  return Lanes{x, x, x, x};
}
inline Lanes zero() {
  return all(0.0F);
}
inline Lanes add_product(Lanes a, Lanes b, Lanes sum) {
  return a * b + sum;
}
inline float sum_of(Lanes x) {
  return (x[0] + x[2]) + (x[1] + x[3]);
}
template <Stored stored>
inline Lanes load(const std::byte* p) {
  if constexpr (stored == Stored::f32) {
    Lanes x;
    std::memcpy(&x, p, sizeof x);
    return x;
  } else if constexpr (stored == Stored::bf16) {
    std::uint16_t x[kLanes];
    std::memcpy(x, p, sizeof x);
    return Lanes{bf16_to_f32(x[0]), bf16_to_f32(x[1]), bf16_to_f32(x[2]), bf16_to_f32(x[3])};
  } else {
    std::uint8_t x[kLanes];
    std::memcpy(x, p, sizeof x);
    return Lanes{e4m3_to_f32(x[0]), e4m3_to_f32(x[1]), e4m3_to_f32(x[2]), e4m3_to_f32(x[3])};
  }
}
#endif

constexpr int size_of(Stored stored) {
  return stored == Stored::f32 ? 4 : stored == Stored::bf16 ? 2 : 1;
}

// w of one tile: rows at `stride` bytes.
struct Columns {
  const std::byte* w = nullptr;
  std::int64_t stride = 0;
};

// sum += a . w over k in [begin, end) elements.
template <Stored stored, int R, int C>
inline void dot(const GemmBlock& b,
                const float* const (&a)[R],
                Columns w,
                int begin,
                int end,
                Lanes (&sum)[R][C]) {
  constexpr int size = size_of(stored);
  int k = begin;
  for (; k + kLanes <= end; k += kLanes) {
    Lanes x[C];
    for (int c = 0; c < C; ++c)
      x[c] = load<stored>(w.w + c * w.stride + static_cast<std::int64_t>(k) * size);
    for (int r = 0; r < R; ++r) {
      Lanes y;
      std::memcpy(&y, a[r] + k, sizeof y);
      for (int c = 0; c < C; ++c) sum[r][c] = add_product(y, x[c], sum[r][c]);
    }
  }
  if (k == end) return;
  for (int c = 0; c < C; ++c) {  // a is padded with zeros, w is not
    alignas(32) std::byte rest[kLanes * 4] = {};
    std::memcpy(rest, w.w + c * w.stride + static_cast<std::int64_t>(k) * size,
                static_cast<std::size_t>((end - k) * size));
    const Lanes x = load<stored>(rest);
    for (int r = 0; r < R; ++r) {
      Lanes y;
      std::memcpy(&y, a[r] + k, sizeof y);
      sum[r][c] = add_product(y, x, sum[r][c]);
    }
  }
  (void)b;
}

template <Stored stored, bool scaled, int R, int C>
void tile(const GemmBlock& b, int row, int col, Columns w) {
  const float* a[R];
  for (int r = 0; r < R; ++r) a[r] = reinterpret_cast<const float*>(b.a + (row + r) * b.a_stride);
  Lanes sum[R][C];
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) sum[r][c] = zero();
  if constexpr (scaled) {
    const int blocks = quant_blocks(b.inner);
    const float* w_scale =
        b.w_scale + static_cast<std::int64_t>((b.first_col + col) / kQuantBlock) * blocks;
    for (int q = 0; q < blocks; ++q) {
      Lanes part[R][C];
      for (int r = 0; r < R; ++r)
        for (int c = 0; c < C; ++c) part[r][c] = zero();
      dot<stored, R, C>(b, a, w, q * kQuantBlock, small_of(b.inner, (q + 1) * kQuantBlock), part);
      for (int r = 0; r < R; ++r) {
        const Lanes scale =
            all(b.a_scale[static_cast<std::int64_t>(row + r) * blocks + q] * w_scale[q]);
        for (int c = 0; c < C; ++c) sum[r][c] = add_product(part[r][c], scale, sum[r][c]);
      }
    }
  } else {
    dot<stored, R, C>(b, a, w, 0, b.inner, sum);
  }
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) {
      float* out = b.out + (row + r) * b.ldo + col + c;
      const float x = sum_of(sum[r][c]);
      *out = b.accumulate ? *out + x : x;
    }
}

template <Stored stored, bool scaled, int R>
void columns(const GemmBlock& b, int row, const std::byte* w, std::int64_t stride) {
  constexpr int C = R == 1 ? 4 : 2;
  int col = 0;
  for (; col + C <= b.cols; col += C)
    tile<stored, scaled, R, C>(b, row, col, {w + col * stride, stride});
  for (; col < b.cols; ++col) tile<stored, scaled, R, 1>(b, row, col, {w + col * stride, stride});
}

template <Stored stored, bool scaled>
void all_rows(const GemmBlock& b, const std::byte* w, std::int64_t stride) {
  int row = 0;
  for (; row + 6 <= b.rows; row += 6) columns<stored, scaled, 6>(b, row, w, stride);
  for (; row + 2 <= b.rows; row += 2) columns<stored, scaled, 2>(b, row, w, stride);
  for (; row < b.rows; ++row) columns<stored, scaled, 1>(b, row, w, stride);
}

template <Stored stored>
void widen(float* out, const std::byte* in, int count) {
  int k = 0;
  for (; k + kLanes <= count; k += kLanes) {
    const Lanes x = load<stored>(in + static_cast<std::int64_t>(k) * size_of(stored));
    std::memcpy(out + k, &x, sizeof x);
  }
  if (k == count) return;
  alignas(32) std::byte rest[kLanes * 4] = {};
  std::memcpy(rest, in + static_cast<std::int64_t>(k) * size_of(stored),
              static_cast<std::size_t>((count - k) * size_of(stored)));
  const Lanes x = load<stored>(rest);
  std::memcpy(out + k, &x, sizeof x);
}

// Many rows: the block's columns as f32, once for all of them.
template <Stored stored, bool scaled>
void by_block(const GemmBlock& b) {
  constexpr int kFewRows = 2;
  const std::int64_t bytes = static_cast<std::int64_t>(b.inner) * size_of(stored);
  if (stored == Stored::f32 || b.rows <= kFewRows) return all_rows<stored, scaled>(b, b.w, bytes);
  const std::int64_t stride = ((static_cast<std::int64_t>(b.inner) * 4 + 63) / 64 | 1) * 64;
  auto* wide = static_cast<std::byte*>(scratch(1, static_cast<std::size_t>(stride * b.cols)));
  for (int c = 0; c < b.cols; ++c)
    widen<stored>(reinterpret_cast<float*>(wide + c * stride), b.w + c * bytes, b.inner);
  all_rows<Stored::f32, scaled>(b, wide, stride);
}

struct Kernels {
  static std::int64_t packed_bytes(Math, int inner) {
    return (static_cast<std::int64_t>(inner) * 4 + 63) / 64 * 64;
  }
  static constexpr bool kFoldsScales = false;
  static void pack_row(
      Math math, std::byte* dst, const std::byte* src, int inner, const float* /*fold*/) {
    auto* out = reinterpret_cast<float*>(dst);
    const int padded = (inner + 15) / 16 * 16;
    if (inner < padded) std::memset(out + inner, 0, static_cast<std::size_t>(padded - inner) * 4);
    switch (math) {
      case Math::f32:
      case Math::f32_bf16:
        return widen<Stored::f32>(out, src, inner);
      case Math::bf16:
        return widen<Stored::bf16>(out, src, inner);
      case Math::f8:
        return widen<Stored::f8>(out, src, inner);
    }
  }
  static int column_block(Math, int inner, int) {
    constexpr int kBlockBytes = 384 << 10;
    const int cols = kBlockBytes / 4 / large_of(inner, 1) / 8 * 8;
    return cols < 8 ? 8 : cols > 128 ? 128 : cols;
  }
  static void multiply(Math math, const GemmBlock& b) {
    switch (math) {
      case Math::f32:
        return by_block<Stored::f32, false>(b);
      case Math::f32_bf16:
      case Math::bf16:
        return by_block<Stored::bf16, false>(b);
      case Math::f8:
        return by_block<Stored::f8, true>(b);
    }
  }
};

}  // namespace

void gemm(const GemmParams& p) {
  gemm_with<Kernels>(p);
}
void grouped_gemm(const GroupedGemmParams& p) {
  grouped_gemm_with<Kernels>(p);
}
void lm_head(const LmHeadParams& p) {
  lm_head_with<Kernels>(p);
}

}  // namespace seedbed::kernels::SEEDBED_ISA
#endif
