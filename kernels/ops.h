// The op table: one function an op, filled once a backend. The model is written over this table
// alone.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "kernels/cache_write.h"
#include "kernels/copy_rows.h"
#include "kernels/embed.h"
#include "kernels/gemm.h"
#include "kernels/index_logits.h"
#include "kernels/mla.h"
#include "kernels/moe.h"
#include "kernels/norm.h"
#include "kernels/quant.h"
#include "kernels/rope.h"
#include "kernels/sample.h"
#include "kernels/topk_select.h"

namespace seedbed::kernels {

struct Ops {
  const char* name = "";  // "ref", "cpu.avx512", ...
  void (*embed)(const EmbedParams&) = nullptr;
  void (*copy_rows)(const CopyRowsParams&) = nullptr;
  void (*gemm)(const GemmParams&) = nullptr;
  void (*grouped_gemm)(const GroupedGemmParams&) = nullptr;
  void (*lm_head)(const LmHeadParams&) = nullptr;
  void (*cast_bf16)(const CastBf16Params&) = nullptr;
  void (*act_quant)(const ActQuantParams&) = nullptr;
  void (*hadamard_quant)(const HadamardQuantParams&) = nullptr;
  void (*rms_norm)(const RmsNormParams&) = nullptr;
  void (*layer_norm)(const LayerNormParams&) = nullptr;
  void (*rope)(const RopeParams&) = nullptr;
  void (*kv_write)(const KvWriteParams&) = nullptr;
  void (*index_write)(const IndexWriteParams&) = nullptr;
  void (*fold_weights)(const FoldWeightsParams&) = nullptr;
  void (*index_logits)(const IndexLogitsParams&) = nullptr;
  void (*index_logits_paged)(const IndexLogitsPagedParams&) = nullptr;
  void (*topk_select)(const TopkSelectParams&) = nullptr;
  void (*map_slots)(const MapSlotsParams&) = nullptr;
  void (*sparse_mla)(const SparseMlaParams&) = nullptr;
  void (*dense_mla)(const DenseMlaParams&) = nullptr;
  void (*dense_mha)(const DenseMhaParams&) = nullptr;
  void (*moe_route)(const MoeRouteParams&) = nullptr;
  void (*moe_permute)(const MoePermuteParams&) = nullptr;
  void (*moe_unpermute)(const MoeUnpermuteParams&) = nullptr;
  void (*silu_mul)(const SiluMulParams&) = nullptr;
  void (*sample)(const SampleParams&) = nullptr;
};

// The oracle: plain loops, sums in double, one thread.
const Ops& ref_ops();

enum class Isa : std::uint8_t { scalar, avx2, avx512 };
std::string_view isa_name(Isa isa);
bool isa_supported(Isa isa);  // by this processor
// The best supported one, or what the environment variable SEEDBED_CPU (scalar, avx2, avx512)
// names; a name that is unknown or unsupported here falls back to the best, and isa_note() says so.
Isa chosen_isa();
std::string_view isa_note();
const Ops& cpu_ops(Isa isa);
inline const Ops& cpu_ops() {
  return cpu_ops(chosen_isa());
}

// Each op does nothing: for passes that are only to tell what memory they want.
const Ops& no_ops();

// NVIDIA GPUs: pointers are device pointers, work is queued on the stream of kernels/cuda/stream.h.
// Null in a build without CUDA. That there is a table does not mean that there is a device.
const Ops* cuda_ops();

}  // namespace seedbed::kernels
