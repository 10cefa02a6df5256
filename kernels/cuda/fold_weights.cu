#include "kernels/cuda/device.h"
#include "kernels/cuda/ops_here.h"

namespace seedbed::kernels::KN_NS {

namespace {

// Floor: 12 * count bytes.
__global__ void __launch_bounds__(256) fold_weights_kernel(FoldWeightsParams p) {
  const std::int64_t i = std::int64_t{blockIdx.x} * 256 + threadIdx.x;
  if (i >= p.count) return;
  const float folded = __fmul_rn(p.w[i], p.fold);
  p.w[i] = p.scale != nullptr ? __fmul_rn(folded, p.scale[i]) : folded;
}

}  // namespace

void fold_weights(const FoldWeightsParams& p) {
  launch(fold_weights_kernel, dim3(static_cast<unsigned>(ceil_div(p.count, 256))), dim3(256), 0,
         here().stream, p);
}

}  // namespace seedbed::kernels::KN_NS
