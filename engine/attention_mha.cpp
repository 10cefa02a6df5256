// The multi-head form, from the same pages: every latent is expanded into keys and values of all
// heads. Slow; it exists so that the absorbed form can be held to it.
#include <cstring>

#include "base/check.h"
#include "engine/forward.h"

namespace seedbed::engine {

namespace {

float absorbed_at(const std::byte* w, DType dtype, std::int64_t i) {
  if (dtype == DType::f32) {
    float x = 0;
    std::memcpy(&x, w + i * 4, 4);
    return x;
  }
  std::uint16_t x = 0;
  std::memcpy(&x, w + i * 2, 2);
  return kernels::bf16_to_f32(x);
}

// What a page stores for one token, widened: c numbers of the latent, then r of the rotated key.
void read_record(const std::byte* record, DType dtype, int c, int r, float* out) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(record);
  auto f32_at = [&](std::int64_t offset) {
    float x = 0;
    std::memcpy(&x, bytes + offset, 4);
    return x;
  };
  auto bf16_at = [&](std::int64_t offset) {
    std::uint16_t x = 0;
    std::memcpy(&x, bytes + offset, 2);
    return kernels::bf16_to_f32(x);
  };
  if (dtype == DType::f8) {
    const std::int64_t scales = c, key = c + 4 * kernels::quant_blocks(c);
    for (int i = 0; i < c; ++i)
      out[i] = kernels::e4m3_to_f32(bytes[i]) * f32_at(scales + 4 * (i / kernels::kQuantBlock));
    for (int i = 0; i < r; ++i) out[c + i] = bf16_at(key + 2 * i);
    return;
  }
  for (int i = 0; i < c + r; ++i) out[i] = dtype == DType::f32 ? f32_at(4 * i) : bf16_at(2 * i);
}

}  // namespace

void Pass::attend_mha(const Layer& w, int cache_layer) {
  AttentionBuffers& b = attention;
  SEEDBED_CHECK(device.is_host());  // Model::load refuses it elsewhere
  const int heads = config.num_attention_heads, c = config.kv_lora_rank,
            r = config.qk_rope_head_dim;
  const int nope = config.qk_nope_head_dim, qk = config.qk_head_dim(), v = config.v_head_dim;
  const kernels::Pages pages = cache.latents(cache_layer);
  const int record_bytes = kernels::kv_record_bytes(pages.dtype, c, r);
  float* result = b.out_heads.get(std::int64_t{rows} * heads * v);
  for (const Run& run : runs) {
    const int keys = key_end[run.first + run.rows - 1];
    std::vector<float> k(static_cast<std::size_t>(std::int64_t{keys} * heads * qk));
    std::vector<float> values(static_cast<std::size_t>(std::int64_t{keys} * heads * v));
    std::vector<float> record(static_cast<std::size_t>(c + r));
    const std::int32_t* table =
        batch.page_table.data() +
        batch.sequence[static_cast<std::size_t>(run.first)] * batch.table_stride;
    for (int s = 0; s < keys; ++s) {
      const std::int64_t page = table[s / kernels::kPageTokens];
      read_record(
          pages.base + page * pages.stride + std::int64_t{s % kernels::kPageTokens} * record_bytes,
          pages.dtype, c, r, record.data());
      for (int h = 0; h < heads; ++h) {
        float* key = k.data() + (std::int64_t{s} * heads + h) * qk;
        for (int n = 0; n < nope; ++n) {
          double sum = 0;
          for (int i = 0; i < c; ++i)
            sum += static_cast<double>(record[static_cast<std::size_t>(i)]) *
                   absorbed_at(w.w_uk, w.absorbed_dtype, (std::int64_t{h} * c + i) * nope + n);
          key[n] = static_cast<float>(sum);
        }
        std::memcpy(key + nope, record.data() + c, sizeof(float) * static_cast<std::size_t>(r));
        float* value = values.data() + (std::int64_t{s} * heads + h) * v;
        for (int j = 0; j < v; ++j) {
          double sum = 0;
          for (int i = 0; i < c; ++i)
            sum += static_cast<double>(record[static_cast<std::size_t>(i)]) *
                   absorbed_at(w.w_uv, w.absorbed_dtype, (std::int64_t{h} * v + j) * c + i);
          value[j] = static_cast<float>(sum);
        }
      }
    }
    ops.dense_mha(
        {.tokens = run.rows,
         .heads = heads,
         .qk_dim = qk,
         .v_dim = v,
         .keys = keys,
         .q = b.q.get(0) + std::int64_t{run.first} * heads * qk,
         .scale = static_cast<float>(config.softmax_scale()),
         .k = k.data(),
         .v = values.data(),
         .key_end = key_end + run.first,
         .selected =
             run.whole ? nullptr : b.positions.get(0) + std::int64_t{run.first} * config.index_topk,
         .selected_count = run.whole ? 0 : config.index_topk,
         .out = result + std::int64_t{run.first} * heads * v,
         .pool = pool});
  }
}

}  // namespace seedbed::engine
