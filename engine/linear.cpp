// Products with weights, activations rounded once for each kind of weight.
#include "base/check.h"
#include "engine/forward.h"

namespace seedbed::engine {

void Activation::set(const float* x, int rows, int dim, std::int64_t step) {
  x_ = x;
  rows_ = rows;
  dim_ = dim;
  step_ = step == 0 ? dim : step;
  has_bf16_ = has_f8_ = false;
}

Activation::Codes Activation::take_codes() {
  has_f8_ = true;
  return {f8_.get(std::int64_t{rows_} * dim_),
          scale_.get(std::int64_t{rows_} * kernels::quant_blocks(dim_))};
}

// to = silu(gate) * up, in gate's place, for a product with weights of this type.
void Pass::gated(Activation& to, float* gate, const float* up, int count, int dim, DType weights) {
  const kernels::SiluMulParams silu{
      .count = std::int64_t{count} * dim, .gate = gate, .up = up, .out = gate, .pool = pool};
  to.set(gate, count, dim);
  if (chains == nullptr || weights != DType::f8) return ops.silu_mul(silu);
  const auto [codes, scale] = to.take_codes();
  chains->silu_mul_quant(silu, {.rows = count,
                                .dim = dim,
                                .x = gate,
                                .ue8m0 = config.quant.ue8m0,
                                .out = codes,
                                .scale = scale,
                                .pool = pool});
}

Pass::Operand Pass::operand(Activation& x, DType weights) {
  const std::int64_t count = std::int64_t{x.rows_} * x.dim_;
  switch (weights) {
    case DType::f32:
      return {DType::f32, x.x_, nullptr, x.step_};
    case DType::bf16: {
      std::uint16_t* rounded = x.bf16_.get(count);
      if (!x.has_bf16_)
        ops.cast_bf16({.rows = x.rows_,
                       .dim = x.dim_,
                       .x = x.x_,
                       .ldx = x.step_,
                       .out = rounded,
                       .pool = pool});
      x.has_bf16_ = true;
      return {DType::bf16, rounded, nullptr, x.dim_};
    }
    case DType::f8: {
      std::uint8_t* codes = x.f8_.get(count);
      float* scale = x.scale_.get(std::int64_t{x.rows_} * kernels::quant_blocks(x.dim_));
      if (!x.has_f8_)
        ops.act_quant({.rows = x.rows_,
                       .dim = x.dim_,
                       .x = x.x_,
                       .ldx = x.step_,
                       .ue8m0 = config.quant.ue8m0,
                       .out = codes,
                       .scale = scale,
                       .pool = pool});
      x.has_f8_ = true;
      return {DType::f8, codes, scale, x.dim_};
    }
  }
  return {};
}

void Pass::linear(Activation& x, const Linear& w, float* y) {
  SEEDBED_CHECK(x.dim_ == w.inner, x.dim_, w.inner);
  const Operand a = operand(x, w.dtype);
  ops.gemm({.rows = x.rows_,
            .cols = w.cols,
            .inner = w.inner,
            .a_dtype = a.dtype,
            .w_dtype = w.dtype,
            .a = a.a,
            .lda = a.lda,
            .a_scale = a.scale,
            .w = w.w,
            .w_scale = w.scale,
            .out = y,
            .pool = pool});
}

void Pass::linear_f32(const float* x, int rows_of_x, const Linear& w, float* y) {
  ops.gemm({.rows = rows_of_x,
            .cols = w.cols,
            .inner = w.inner,
            .a_dtype = DType::f32,
            .w_dtype = w.dtype,
            .a = x,
            .w = w.w,
            .out = y,
            .pool = pool});
}

}  // namespace seedbed::engine
