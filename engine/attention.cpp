// Multi-head latent attention over the pages, in its absorbed form, on the positions that the
// indexer selects.
#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "engine/forward.h"

namespace seedbed::engine {

using kernels::Pages;

namespace {

// Scores of one call at most so many bytes: the rows of a run are cut accordingly. A GPU is filled
// by more of them.
constexpr std::int64_t kScoreBytes = 32LL << 20, kDeviceScoreBytes = 256LL << 20;

}  // namespace

// Keys go into the cache even where everything is selected: later tokens will score them.
void Pass::write_key(const Indexer& w, int cache_layer, Activation& x) {
  AttentionBuffers& b = attention;
  const int dim = config.index_head_dim;
  const Pages pages = cache.index_keys(cache_layer);
  float* key = b.index_k.get(std::int64_t{rows} * dim);
  linear(x, w.wk, key);
  const kernels::LayerNormParams norm{.rows = rows,
                                      .dim = dim,
                                      .x = key,
                                      .weight = w.norm_weight,
                                      .bias = w.norm_bias,
                                      .eps = 1e-6F,
                                      .out = key,
                                      .pool = pool};
  const kernels::RopeParams turn{.tokens = rows,
                                 .heads = 1,
                                 .half = config.qk_rope_head_dim / 2,
                                 .interleaved = config.indexer_rope_interleave,
                                 .x = key,
                                 .token_step = dim,
                                 .head_step = dim,
                                 .cos = in.cos,
                                 .sin = in.sin,
                                 .pool = pool};
  kernels::IndexWriteParams write{
      .tokens = rows, .d = dim, .k = key, .slots = in.slots, .pages = pages, .pool = pool};
  if (cache.dtype() != DType::f8) {
    ops.layer_norm(norm);
    ops.rope(turn);
    return ops.index_write(write);
  }
  std::uint8_t* codes = b.index_k8.get(std::int64_t{rows} * dim);
  float* scale = b.index_k_scale.get(std::int64_t{rows} * kernels::quant_blocks(dim));
  const kernels::HadamardQuantParams quant{.rows = rows,
                                           .dim = dim,
                                           .x = key,
                                           .ue8m0 = true,
                                           .out = codes,
                                           .scale = scale,
                                           .pool = pool};
  write.k = codes;
  write.scale = scale;
  if (chains != nullptr) return chains->index_key(norm, turn, quant, write);
  ops.layer_norm(norm);
  ops.rope(turn);
  ops.hadamard_quant(quant);
  ops.index_write(write);
}

void Pass::select(const Indexer& w, int cache_layer, Activation& x, Activation& q_latent) {
  AttentionBuffers& b = attention;
  const int heads = config.index_n_heads, dim = config.index_head_dim;
  const int half = config.qk_rope_head_dim / 2;
  const DType stored = cache.dtype();

  write_key(w, cache_layer, x);
  bool scoring = false;
  for (const Run& run : runs) scoring |= !run.whole;
  if (!scoring) return;

  float* q = b.index_q.get(std::int64_t{rows} * heads * dim);
  linear(q_latent, w.wq_b, q);
  const kernels::RopeParams turn{.tokens = rows,
                                 .heads = heads,
                                 .half = half,
                                 .interleaved = config.indexer_rope_interleave,
                                 .x = q,
                                 .token_step = std::int64_t{heads} * dim,
                                 .head_step = dim,
                                 .cos = in.cos,
                                 .sin = in.sin,
                                 .pool = pool};
  float* weight = b.index_w.get(std::int64_t{rows} * heads);
  linear_f32(x.f32(), rows, w.weights_proj, weight);
  const auto fold = static_cast<float>(1.0 / std::sqrt(static_cast<double>(heads)) /
                                       std::sqrt(static_cast<double>(dim)));
  const std::int64_t all = std::int64_t{rows} * heads;
  const void* query = q;
  if (stored == DType::f8) {
    std::uint8_t* codes = b.index_q8.get(all * dim);
    float* scale = b.index_q_scale.get(all);
    const kernels::HadamardQuantParams quant{.rows = rows * heads,
                                             .dim = dim,
                                             .x = q,
                                             .ue8m0 = true,
                                             .out = codes,
                                             .scale = scale,
                                             .pool = pool};
    if (chains != nullptr) {
      chains->index_query(turn, quant, weight, fold);
    } else {
      ops.rope(turn);
      ops.hadamard_quant(quant);
      ops.fold_weights({.count = all, .w = weight, .fold = fold, .scale = scale, .pool = pool});
    }
    query = codes;
  } else {
    ops.rope(turn);
    ops.fold_weights({.count = all, .w = weight, .fold = fold, .pool = pool});
    if (stored == DType::bf16) {
      std::uint16_t* rounded = b.index_q16.get(all * dim);
      ops.cast_bf16({.rows = rows * heads, .dim = dim, .x = q, .out = rounded, .pool = pool});
      query = rounded;
    }
  }

  score_and_choose(query, weight, cache_layer);
}

// Rows of many sequences go through one call, as many as the memory for scores allows.
void Pass::score_and_choose(const void* query, const float* weight, int cache_layer) {
  AttentionBuffers& b = attention;
  const int heads = config.index_n_heads, dim = config.index_head_dim, k = config.index_topk;
  const std::int64_t row_bytes = std::int64_t{heads} * dim * kernels::bytes_of(cache.dtype());
  const std::int64_t score_bytes = device.is_host() ? kScoreBytes : kDeviceScoreBytes;
  for (const Run& stretch : stretches) {
    if (stretch.whole) continue;
    const int end = stretch.first + stretch.rows;
    for (int first = stretch.first, piece = 0; first < end; first += piece) {
      std::int32_t most = std::max(columns, key_end[first]);
      for (piece = 1; first + piece < end; ++piece) {
        const std::int32_t more = std::max(most, key_end[first + piece]);
        if (std::int64_t{more} * (piece + 1) * 4 > score_bytes) break;
        most = more;
      }
      const std::int64_t ld = (std::int64_t{most} + 15) / 16 * 16;
      float* scores = b.index_scores.get(ld * piece);
      ops.index_logits_paged({.tokens = piece,
                              .heads = heads,
                              .dim = dim,
                              .columns = most,
                              .q = static_cast<const std::byte*>(query) + first * row_bytes,
                              .w = weight + std::int64_t{first} * heads,
                              .pages = cache.index_keys(cache_layer),
                              .table = table_from(first),
                              .key_end = in.key_end + first,
                              .out = scores,
                              .ldo = ld,
                              .pool = pool});
      choose(first, piece, scores, ld);
    }
  }
  if (stretches.size() <= 2) return;
  // Short and long contexts by turns: the whole ones become lists too (the same bits), so that one
  // call attends for all. Of a context that is selected whole the scores do not matter.
  for (const Run& stretch : stretches)
    if (stretch.whole)
      choose(stretch.first, stretch.rows, b.index_scores.get(std::int64_t{stretch.rows} * k), k);
}

// The best of the rows' scores, as positions and as slots.
void Pass::choose(int first, int count, const float* scores, std::int64_t lds) {
  const int k = config.index_topk;
  const std::int64_t at = std::int64_t{first} * k;
  const kernels::TopkSelectParams select{
      .rows = count,
      .k = k,
      .scores = scores,
      .lds = lds,
      .length = in.key_end + first,
      .out = attention.positions.get(std::int64_t{rows} * k) + at,
      .pool = pool};
  std::int32_t* slots = attention.slots.get(std::int64_t{rows} * k) + at;
  if (chains != nullptr) return chains->topk_select_slots(select, table_from(first), slots);
  ops.topk_select(select);
  ops.map_slots({.rows = count,
                 .k = k,
                 .positions = select.out,
                 .table = table_from(first),
                 .slots = slots,
                 .pool = pool});
}

// query: f32 [rows, heads, c + r]; result: f32 [rows, heads, c].
void Pass::attend_latents(const float* query, int cache_layer, float* result) {
  AttentionBuffers& b = attention;
  const int heads = config.num_attention_heads, c = config.kv_lora_rank,
            r = config.qk_rope_head_dim, k = config.index_topk;
  const Pages pages = cache.latents(cache_layer);
  const auto scale = static_cast<float>(config.softmax_scale());
  auto dense = [&](int first, int count) {
    ops.dense_mla({.tokens = count,
                   .heads = heads,
                   .c = c,
                   .r = r,
                   .q = query + std::int64_t{first} * heads * (c + r),
                   .scale = scale,
                   .pages = pages,
                   .table = table_from(first),
                   .key_end = in.key_end + first,
                   .out = result + std::int64_t{first} * heads * c,
                   .pool = pool});
  };
  auto sparse = [&](int first, int count, const std::int32_t* lengths) {
    ops.sparse_mla({.tokens = count,
                    .heads = heads,
                    .c = c,
                    .r = r,
                    .k = k,
                    .q = query + std::int64_t{first} * heads * (c + r),
                    .scale = scale,
                    .pages = pages,
                    .slots = b.slots.get(0) + std::int64_t{first} * k,
                    .length = lengths,
                    .out = result + std::int64_t{first} * heads * c,
                    .pool = pool});
  };
  if (stretches.size() <= 2) {
    for (const Run& stretch : stretches) {
      if (stretch.whole)
        dense(stretch.first, stretch.rows);
      else
        sparse(stretch.first, stretch.rows, nullptr);
    }
    return;
  }
  // By turns: all of them are lists.
  sparse(0, rows, in.list_length);
}

void Pass::attend(const Layer& w, int cache_layer) {
  AttentionBuffers& b = attention;
  const int heads = config.num_attention_heads, c = config.kv_lora_rank,
            r = config.qk_rope_head_dim;
  const int nope = config.qk_nope_head_dim, qk = config.qk_head_dim(), v = config.v_head_dim;
  const float* q = b.q.get(0);
  float* full = b.q_full.get(std::int64_t{rows} * heads * (c + r));

  // A query's part without position moves into latent space: q_nope W_UK, one small product a head.
  ops.gemm({.rows = rows,
            .cols = c,
            .inner = nope,
            .a_dtype = DType::f32,
            .w_dtype = w.absorbed_dtype,
            .a = q,
            .lda = std::int64_t{heads} * qk,
            .w = w.w_uk,
            .out = full,
            .ldo = std::int64_t{heads} * (c + r),
            .batch = heads,
            .a_step = qk,
            .w_step = std::int64_t{c} * nope,
            .out_step = c + r,
            .pool = pool});
  ops.copy_rows({.rows = std::int64_t{rows} * heads,
                 .dim = r,
                 .x = q + nope,
                 .ldx = qk,
                 .out = full + c,
                 .ldo = c + r,
                 .pool = pool});

  float* out_latent = b.out_latent.get(std::int64_t{rows} * heads * c);
  attend_latents(full, cache_layer, out_latent);

  // And the sum of latents comes back to each head's values: W_UV.
  ops.gemm({.rows = rows,
            .cols = v,
            .inner = c,
            .a_dtype = DType::f32,
            .w_dtype = w.absorbed_dtype,
            .a = out_latent,
            .lda = std::int64_t{heads} * c,
            .w = w.w_uv,
            .out = b.out_heads.get(std::int64_t{rows} * heads * v),
            .ldo = std::int64_t{heads} * v,
            .batch = heads,
            .a_step = c,
            .w_step = std::int64_t{v} * c,
            .out_step = v,
            .pool = pool});
}

void Pass::show_selections(int cache_layer) {
  const std::int64_t k = config.index_topk;
  for (const Run& run : runs) {
    if (run.whole) continue;
    std::int32_t* there = attention.positions.get(0) + std::int64_t{run.first} * k;
    std::vector<std::int32_t> positions(static_cast<std::size_t>(run.rows * k));
    const auto bytes = static_cast<std::int64_t>(positions.size() * sizeof(std::int32_t));
    device.download(positions.data(), there, bytes);
    if (batch.on_selection) {
      batch.on_selection(cache_layer, run.first, run.rows, positions.data());
      device.upload(there, positions.data(), bytes);
      ops.map_slots({.rows = run.rows,
                     .k = config.index_topk,
                     .positions = there,
                     .table = table_from(run.first),
                     .slots = attention.slots.get(0) + std::int64_t{run.first} * k,
                     .pool = pool});
    }
    if (batch.want_selection)
      out.selections.push_back({cache_layer, run.first, run.rows, std::move(positions)});
  }
}

const float* Pass::self_attention(const Layer& w, int cache_layer, const float* normed) {
  AttentionBuffers& b = attention;
  const int heads = config.num_attention_heads, c = config.kv_lora_rank,
            r = config.qk_rope_head_dim;
  const int qk = config.qk_head_dim(), q_rank = config.q_lora_rank;
  // The published classes norm both latents with this eps, whatever rms_norm_eps says.
  constexpr float kLatentEps = 1e-6F;

  b.normed.set(normed, rows, config.hidden_size);
  float* q_a = b.q_a.get(std::int64_t{rows} * q_rank);
  linear(b.normed, w.q_a, q_a);
  ops.rms_norm({.rows = rows,
                .dim = q_rank,
                .x = q_a,
                .weight = w.q_a_norm,
                .eps = kLatentEps,
                .out = q_a,
                .pool = pool});
  b.q_latent.set(q_a, rows, q_rank);
  float* q = b.q.get(std::int64_t{rows} * heads * qk);
  linear(b.q_latent, w.q_b, q);
  ops.rope({.tokens = rows,
            .heads = heads,
            .half = r / 2,
            .interleaved = true,
            .x = q + config.qk_nope_head_dim,
            .token_step = std::int64_t{heads} * qk,
            .head_step = qk,
            .cos = in.cos,
            .sin = in.sin,
            .pool = pool});

  float* kv = b.kv_a.get(std::int64_t{rows} * (c + r));
  linear(b.normed, w.kv_a, kv);
  float* latent = b.latent.get(std::int64_t{rows} * c);
  const kernels::RmsNormParams norm{.rows = rows,
                                    .dim = c,
                                    .x = kv,
                                    .ldx = c + r,
                                    .weight = w.kv_a_norm,
                                    .eps = kLatentEps,
                                    .out = latent,
                                    .ldo = c,
                                    .pool = pool};
  const kernels::RopeParams turn{.tokens = rows,
                                 .heads = 1,
                                 .half = r / 2,
                                 .interleaved = true,
                                 .x = kv + c,
                                 .token_step = c + r,
                                 .head_step = c + r,
                                 .cos = in.cos,
                                 .sin = in.sin,
                                 .pool = pool};
  const kernels::KvWriteParams write{.tokens = rows,
                                     .c = c,
                                     .r = r,
                                     .latent = latent,
                                     .latent_step = c,
                                     .key = kv + c,
                                     .key_step = c + r,
                                     .slots = in.slots,
                                     .pages = cache.latents(cache_layer),
                                     .pool = pool};
  if (chains != nullptr) {
    chains->latent_key(norm, turn, write);
  } else {
    ops.rms_norm(norm);
    ops.rope(turn);
    ops.kv_write(write);
  }

  if (w.indexer) select(*w.indexer, cache_layer, b.normed, b.q_latent);
  if (batch.want_selection || batch.on_selection) show_selections(cache_layer);
  if (form == AttentionForm::mha)
    attend_mha(w, cache_layer);
  else
    attend(w, cache_layer);
  const float* heads_out = b.out_heads.get(0);
  b.values.set(heads_out, rows, heads * config.v_head_dim);
  float* result = b.q_a.get(std::int64_t{rows} * config.hidden_size);  // q_a is done with
  linear(b.values, w.o, result);
  return result;
}

}  // namespace seedbed::engine
