#include "kernels/cuda/table.h"

#include "kernels/cuda/ops_here.h"

namespace seedbed::kernels::KN_NS {

const Ops& table() {
#if defined(SEEDBED_SIMT)
  static constexpr Ops ops = table_here("simt");
#else
  static constexpr Ops ops = table_here("cuda");
#endif
  return ops;
}

}  // namespace seedbed::kernels::KN_NS
