#include "kernels/pool.h"
#include "kernels/ref/load.h"
#include "kernels/ref/ops_here.h"

namespace seedbed::kernels::ref {

namespace {
// One element: row `a` times row `w`, scales of the row's blocks beside them for f8.
struct Dot {
  DType a_dtype, w_dtype;
  int inner;
  double operator()(const void* a,
                    std::int64_t a_at,
                    const float* a_scale,
                    const void* w,
                    std::int64_t w_at,
                    const float* w_scale) const {
    double total = 0;
    for (int begin = 0, block = 0; begin < inner; begin += kQuantBlock, ++block) {
      const int end = begin + kQuantBlock < inner ? begin + kQuantBlock : inner;
      double sum = 0;
      for (int k = begin; k < end; ++k)
        sum += double{load(a_dtype, a, a_at + k)} * double{load(w_dtype, w, w_at + k)};
      if (a_dtype == DType::f8) sum *= double{a_scale[block]} * double{w_scale[block]};
      total += sum;
    }
    return total;
  }
};

void check_dtypes(DType a, DType w) {
  KERNEL_CHECK((a == DType::f32 && w != DType::f8) || (a == w), a, w);
}
}  // namespace

void gemm(const GemmParams& p) {
  check_dtypes(p.a_dtype, p.w_dtype);
  KERNEL_CHECK(p.batch == 1 || p.a_dtype != DType::f8, p.batch, p.a_dtype);
  const Dot dot{p.a_dtype, p.w_dtype, p.inner};
  const std::int64_t lda = p.lda != 0 ? p.lda : p.inner, ldo = p.ldo != 0 ? p.ldo : p.cols;
  const std::int64_t blocks = quant_blocks(p.inner);
  const bool scaled = p.a_dtype == DType::f8;
  for (std::int64_t b = 0; b < p.batch; ++b)
    for (std::int64_t i = 0; i < p.rows; ++i)
      for (std::int64_t j = 0; j < p.cols; ++j) {
        const float* a_scale = scaled ? p.a_scale + i * blocks : nullptr;
        const float* w_scale = scaled ? p.w_scale + j / kQuantBlock * blocks : nullptr;
        const double value =
            dot(p.a, b * p.a_step + i * lda, a_scale, p.w, b * p.w_step + j * p.inner, w_scale);
        float& out = p.out[b * p.out_step + i * ldo + j];
        out = static_cast<float>(p.accumulate ? double{out} + value : value);
      }
}

void grouped_gemm(const GroupedGemmParams& p) {
  const std::int64_t blocks = quant_blocks(p.inner);
  for (int g = 0; g < p.groups; ++g) {
    const std::int64_t begin = p.offsets[g], end = p.offsets[g + 1];
    KERNEL_CHECK(begin <= end, begin, end);
    if (begin == end) continue;
    GemmParams one{.rows = static_cast<int>(end - begin), .cols = p.cols, .inner = p.inner};
    one.a_dtype = p.a_dtype;
    one.w_dtype = p.w_dtype;
    one.a = static_cast<const std::byte*>(p.a) + begin * p.inner * bytes_of(p.a_dtype);
    one.w = p.w[g];
    if (p.a_dtype == DType::f8) {
      one.a_scale = p.a_scale + begin * blocks;
      one.w_scale = p.w_scale[g];
    }
    one.out = p.out + begin * p.cols;
    gemm(one);
  }
}

void lm_head(const LmHeadParams& p) {
  check_dtypes(DType::f32, p.dtype);
  const Dot dot{DType::f32, p.dtype, p.dim};
  for (std::int64_t i = 0; i < p.rows; ++i) {
    const std::int64_t row = p.row_index == nullptr ? i : p.row_index[i];
    for (std::int64_t j = 0; j < p.vocab; ++j)
      p.out[i * p.vocab + j] =
          static_cast<float>(dot(p.x, row * p.dim, nullptr, p.w, j * p.dim, nullptr));
  }
}

}  // namespace seedbed::kernels::ref
