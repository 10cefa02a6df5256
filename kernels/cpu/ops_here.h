// What each instruction set defines; SEEDBED_ISA is the namespace that this file is built for.
#pragma once
#include "kernels/ops.h"

namespace seedbed::kernels::SEEDBED_ISA {

void embed(const EmbedParams& p);
void copy_rows(const CopyRowsParams& p);
void gemm(const GemmParams& p);
void grouped_gemm(const GroupedGemmParams& p);
void lm_head(const LmHeadParams& p);
void cast_bf16(const CastBf16Params& p);
void act_quant(const ActQuantParams& p);
void hadamard_quant(const HadamardQuantParams& p);
void rms_norm(const RmsNormParams& p);
void layer_norm(const LayerNormParams& p);
void rope(const RopeParams& p);
void kv_write(const KvWriteParams& p);
void index_write(const IndexWriteParams& p);
void fold_weights(const FoldWeightsParams& p);
void index_logits(const IndexLogitsParams& p);
void index_logits_paged(const IndexLogitsPagedParams& p);
void topk_select(const TopkSelectParams& p);
void map_slots(const MapSlotsParams& p);
void sparse_mla(const SparseMlaParams& p);
void dense_mla(const DenseMlaParams& p);
void dense_mha(const DenseMhaParams& p);
void moe_route(const MoeRouteParams& p);
void moe_permute(const MoePermuteParams& p);
void moe_unpermute(const MoeUnpermuteParams& p);
void silu_mul(const SiluMulParams& p);
void sample(const SampleParams& p);

// The table of them. Of internal linkage, as everything that is built for instructions that the
// machine may lack.
[[maybe_unused]] static constexpr Ops table_here(const char* name) {
  return {
      .name = name,
      .embed = embed,
      .copy_rows = copy_rows,
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
      .fold_weights = fold_weights,
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
}

}  // namespace seedbed::kernels::SEEDBED_ISA
