#include "kernels/cuda/table.h"
#include "kernels/ops.h"

namespace seedbed::kernels {

const Ops* cuda_ops() {
#if defined(SEEDBED_WITH_CUDA)
  return &cuda::table();
#else
  return nullptr;
#endif
}

}  // namespace seedbed::kernels
