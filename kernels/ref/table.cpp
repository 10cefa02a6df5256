#include "kernels/ref/ops_here.h"

namespace seedbed::kernels {
const Ops& ref_ops() {
  static constexpr Ops ops = ref::table_here("ref");
  return ops;
}
}  // namespace seedbed::kernels
