// Chains of ops that a backend computes in one launch each. Beside the op table, whose contracts
// they keep: each gives what its ops give one after another, the same bits. Buffers between the
// steps must be given, but what they hold afterwards is promised to nobody.
#pragma once
#include "kernels/ops.h"

namespace seedbed::kernels {

struct Chains {
  // topk_select, then map_slots: slots i32 [rows, k]. select.out may be null.
  void (*topk_select_slots)(const TopkSelectParams& select,
                            const PageTable& table,
                            std::int32_t* slots) = nullptr;
  // silu_mul, then act_quant of its result: silu.count = quant.rows * quant.dim.
  void (*silu_mul_quant)(const SiluMulParams& silu, const ActQuantParams& quant) = nullptr;
  // rope, then hadamard_quant of all heads: quant.rows = rope.tokens * rope.heads, contiguous, and
  // quant.x = rope.x. Then fold_weights with its scales, if weight is given.
  void (*index_query)(const RopeParams& rope,
                      const HadamardQuantParams& quant,
                      float* weight,
                      float fold) = nullptr;
  // layer_norm, rope of its result in place, hadamard_quant, index_write: f8 pages, one head.
  void (*index_key)(const LayerNormParams& norm,
                    const RopeParams& rope,
                    const HadamardQuantParams& quant,
                    const IndexWriteParams& write) = nullptr;
  // rms_norm without residual, rope of write.key (one head), kv_write of both.
  void (*latent_key)(const RmsNormParams& norm,
                     const RopeParams& rope,
                     const KvWriteParams& write) = nullptr;
};

}  // namespace seedbed::kernels
