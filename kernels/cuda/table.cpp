#include "kernels/cuda/table.h"

#include "kernels/cuda/ops_here.h"

namespace seedbed::kernels::KN_NS {

const Ops& table() {
  static constexpr Ops ops = {
#if defined(SEEDBED_SIMT)
    .name = "simt",
#else
    .name = "cuda",
#endif
    .embed = embed,
    .gemm = gemm,
    .grouped_gemm = grouped_gemm,
    .lm_head = lm_head,
    .cast_bf16 = cast_bf16,
    .act_quant = act_quant,
    .hadamard_quant = hadamard_quant,
    .rms_norm = rms_norm,
    .layer_norm = layer_norm,
    .rope = rope,
    .kv_write = kv_write,
    .index_write = index_write,
    .index_logits = index_logits,
    .index_logits_paged = index_logits_paged,
    .topk_select = topk_select,
    .map_slots = map_slots,
    .sparse_mla = sparse_mla,
    .dense_mla = dense_mla,
    .dense_mha = dense_mha,
    .moe_route = moe_route,
    .moe_permute = moe_permute,
    .moe_unpermute = moe_unpermute,
    .silu_mul = silu_mul,
    .sample = sample,
  };
  return ops;
}

}  // namespace seedbed::kernels::KN_NS
