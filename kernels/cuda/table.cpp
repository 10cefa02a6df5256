#include "kernels/cuda/table.h"

#include "kernels/cuda/ops_here.h"

namespace seedbed::kernels::KN_NS {

// An op whose source is not there stays null.
#define KN_OPTIONAL(op, Params) __attribute__((weak)) void op(const Params& p)
KN_OPTIONAL(embed, EmbedParams);
KN_OPTIONAL(gemm, GemmParams);
KN_OPTIONAL(grouped_gemm, GroupedGemmParams);
KN_OPTIONAL(lm_head, LmHeadParams);
KN_OPTIONAL(cast_bf16, CastBf16Params);
KN_OPTIONAL(act_quant, ActQuantParams);
KN_OPTIONAL(hadamard_quant, HadamardQuantParams);
KN_OPTIONAL(rms_norm, RmsNormParams);
KN_OPTIONAL(layer_norm, LayerNormParams);
KN_OPTIONAL(rope, RopeParams);
KN_OPTIONAL(kv_write, KvWriteParams);
KN_OPTIONAL(index_write, IndexWriteParams);
KN_OPTIONAL(index_logits, IndexLogitsParams);
KN_OPTIONAL(index_logits_paged, IndexLogitsPagedParams);
KN_OPTIONAL(topk_select, TopkSelectParams);
KN_OPTIONAL(map_slots, MapSlotsParams);
KN_OPTIONAL(sparse_mla, SparseMlaParams);
KN_OPTIONAL(dense_mla, DenseMlaParams);
KN_OPTIONAL(dense_mha, DenseMhaParams);
KN_OPTIONAL(moe_route, MoeRouteParams);
KN_OPTIONAL(moe_permute, MoePermuteParams);
KN_OPTIONAL(moe_unpermute, MoeUnpermuteParams);
KN_OPTIONAL(silu_mul, SiluMulParams);
KN_OPTIONAL(sample, SampleParams);

const Ops& table() {
  static const Ops ops = {
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
