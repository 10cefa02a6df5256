#include "kernels/cuda/table.h"

#include "kernels/cuda/fused.h"
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

const Chains& chains() {
  static constexpr Chains all = {topk_select_slots, silu_mul_quant, index_query, index_key,
                                 latent_key};
  return all;
}

}  // namespace seedbed::kernels::KN_NS
