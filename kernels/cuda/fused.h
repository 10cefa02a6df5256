// The chains of kernels/chains.h. Where a size or an alignment does not suit, they are their ops
// one after another.
#pragma once
#include "kernels/chains.h"
#include "kernels/cuda/stream.h"

namespace seedbed::kernels::KN_NS {

void topk_select_slots(const TopkSelectParams& select, const PageTable& table, std::int32_t* slots);
void silu_mul_quant(const SiluMulParams& silu, const ActQuantParams& quant);
void index_query(const RopeParams& rope,
                 const HadamardQuantParams& quant,
                 float* weight,
                 float fold);
void index_key(const LayerNormParams& norm,
               const RopeParams& rope,
               const HadamardQuantParams& quant,
               const IndexWriteParams& write);
void latent_key(const RmsNormParams& norm, const RopeParams& rope, const KvWriteParams& write);

}  // namespace seedbed::kernels::KN_NS
