#include "engine/model.h"

#include <cmath>
#include <cstring>
#include <thread>

#include "base/check.h"
#include "engine/checkpoint.h"
#include "engine/forward.h"
#include "engine/weights.h"

namespace seedbed::engine {

struct Model::Impl {
  ModelConfig config;
  Weights weights;
  const kernels::Ops* ops = nullptr;
  std::unique_ptr<kernels::Pool> pool;
  AttentionForm form = AttentionForm::absorbed;
  std::string version;
  std::vector<int> moe_index;  // [layers]: which of the MoE layers, or -1
  int moe_layers = 0;
  std::vector<float> frequencies;  // [rope/2]

  // Buffers of the pass, kept between calls.
  AttentionBuffers attention;
  FeedForwardBuffers feed_forward;
  Buffer<float> hidden, normed, cos, sin, merged, hidden_normed, final_normed;
  Buffer<std::int32_t> slots, key_end;

  void prepare(Pass& pass);
  void forward_logits(Pass& pass, const float* normed_rows, const Linear& head);
};

namespace {

Pass make_pass(const ModelConfig& config,
               const kernels::Ops& ops,
               kernels::Pool* pool,
               AttentionForm form,
               PageCache& cache,
               const Batch& batch,
               Outputs& out,
               AttentionBuffers& attention,
               FeedForwardBuffers& feed_forward) {
  return Pass{.config = config,
              .ops = ops,
              .pool = pool,
              .form = form,
              .cache = cache,
              .batch = batch,
              .out = out,
              .attention = attention,
              .feed_forward = feed_forward,
              .rows = static_cast<int>(batch.tokens.size())};
}

}  // namespace

Model::Model(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Model::~Model() = default;

Result<std::unique_ptr<Model>> Model::load(const std::string& dir, const ModelOptions& options) {
  auto impl = std::make_unique<Impl>();
  const int threads = options.threads > 0
                          ? options.threads
                          : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  impl->pool = std::make_unique<kernels::Pool>(threads);
  impl->ops = options.ops != nullptr ? options.ops : &kernels::cpu_ops();
  impl->form = options.attention;
  SEEDBED_TRY(auto opened, Checkpoint::open(dir));
  auto checkpoint = std::make_shared<const Checkpoint>(std::move(opened));
  if (options.check_finite)
    if (auto error = checkpoint->check_finite(threads)) return *std::move(error);
  impl->config = checkpoint->config();
  impl->version = weights_version(*checkpoint);
  SEEDBED_TRY(impl->weights, load_weights(checkpoint, *impl->pool));
  for (const Layer& layer : impl->weights.layers)
    impl->moe_index.push_back(layer.experts ? impl->moe_layers++ : -1);
  for (const double f : impl->config.inverse_frequencies())
    impl->frequencies.push_back(static_cast<float>(f));
  return std::unique_ptr<Model>(new Model(std::move(impl)));
}

const ModelConfig& Model::config() const {
  return impl_->config;
}
const kernels::Ops& Model::ops() const {
  return *impl_->ops;
}
kernels::Pool& Model::pool() const {
  return *impl_->pool;
}
const std::string& Model::version() const {
  return impl_->version;
}
int Model::moe_layers() const {
  return impl_->moe_layers;
}

// Everything that all layers share: where tokens lie, what they see, the angles of their positions.
void Model::Impl::prepare(Pass& pass) {
  const Batch& batch = pass.batch;
  const int rows = pass.rows, half = config.qk_rope_head_dim / 2;
  SEEDBED_CHECK(batch.positions.size() == batch.tokens.size());
  SEEDBED_CHECK(batch.sequence.size() == batch.tokens.size());
  std::int32_t* where = slots.get(rows);
  std::int32_t* end = key_end.get(rows);
  float* c = cos.get(std::int64_t{rows} * half);
  float* s = sin.get(std::int64_t{rows} * half);
  for (int t = 0; t < rows; ++t) {
    const auto i = static_cast<std::size_t>(t);
    const std::int32_t position = batch.positions[i];
    SEEDBED_CHECK(batch.tokens[i] >= 0 && batch.tokens[i] < config.vocab_size, batch.tokens[i]);
    SEEDBED_CHECK(position >= 0 && position < config.max_position_embeddings, position);
    SEEDBED_CHECK(position / kernels::kPageTokens < batch.table_stride, position,
                  batch.table_stride);
    const std::int32_t page = batch.page_table[static_cast<std::size_t>(
        batch.sequence[i] * batch.table_stride + position / kernels::kPageTokens)];
    SEEDBED_CHECK(page >= 0 && page < pass.cache.pages(), page);
    where[t] = page * kernels::kPageTokens + position % kernels::kPageTokens;
    end[t] = position + 1;
    // The angle is rounded to f32 first, as in the published code; its cosine and sine then are
    // exact.
    for (int f = 0; f < half; ++f) {
      const auto angle = static_cast<double>(static_cast<float>(position) *
                                             frequencies[static_cast<std::size_t>(f)]);
      c[t * half + f] = static_cast<float>(std::cos(angle));
      s[t * half + f] = static_cast<float>(std::sin(angle));
    }
    // By position alone, never by the batch: contexts up to index_topk attend to everything.
    const bool whole = end[t] <= config.index_topk;
    const bool goes_on = t > 0 && batch.sequence[i] == batch.sequence[i - 1];
    SEEDBED_CHECK(!goes_on || position == batch.positions[i - 1] + 1, position,
                  batch.positions[i - 1]);
    if (goes_on && pass.runs.back().whole == whole)
      ++pass.runs.back().rows;
    else
      pass.runs.push_back({t, 1, whole});
    if (t > 0 && pass.stretches.back().whole == whole)
      ++pass.stretches.back().rows;
    else
      pass.stretches.push_back({t, 1, whole});
  }
  pass.slots = where;
  pass.key_end = end;
  pass.cos = c;
  pass.sin = s;
}

void Model::Impl::forward_logits(Pass& pass, const float* normed_rows, const Linear& head) {
  const auto& wanted = pass.batch.logit_rows;
  pass.out.logits.resize(wanted.size() * static_cast<std::size_t>(config.vocab_size));
  if (wanted.empty()) return;
  ops->lm_head({.rows = static_cast<int>(wanted.size()),
                .vocab = config.vocab_size,
                .dim = config.hidden_size,
                .x = normed_rows,
                .row_index = wanted.data(),
                .dtype = head.dtype,
                .w = head.w,
                .out = pass.out.logits.data(),
                .pool = pool.get()});
}

void Pass::layer(const Layer& w, int cache_layer, int moe_layer, float* hidden) {
  const int dim = config.hidden_size;
  const auto eps = static_cast<float>(config.rms_norm_eps);
  normed_rows.resize(static_cast<std::size_t>(std::int64_t{rows} * dim));
  float* normed = normed_rows.data();
  // `added` joins the residual stream in the norm that follows it.
  ops.rms_norm({.rows = rows,
                .dim = dim,
                .x = added,
                .residual = hidden,
                .weight = w.input_norm.data(),
                .eps = eps,
                .out = normed,
                .pool = pool});
  added = self_attention(w, cache_layer, normed);
  ops.rms_norm({.rows = rows,
                .dim = dim,
                .x = added,
                .residual = hidden,
                .weight = w.post_norm.data(),
                .eps = eps,
                .out = normed,
                .pool = pool});
  added = feed(w, moe_layer, normed);
}

void Model::forward(const Batch& batch, PageCache& cache, Outputs& out) {
  Impl& m = *impl_;
  const ModelConfig& config = m.config;
  out.selections.clear();
  out.routing.assign(batch.want_routing
                         ? batch.tokens.size() * static_cast<std::size_t>(m.moe_layers) *
                               static_cast<std::size_t>(config.num_experts_per_tok)
                         : 0,
                     0);
  Pass pass = make_pass(config, *m.ops, m.pool.get(), m.form, cache, batch, out, m.attention,
                        m.feed_forward);
  m.prepare(pass);
  const int rows = pass.rows, dim = config.hidden_size;
  float* hidden = m.hidden.get(std::int64_t{rows} * dim);
  m.ops->embed({.tokens = rows,
                .vocab = config.vocab_size,
                .dim = dim,
                .ids = batch.tokens.data(),
                .dtype = m.weights.embed.dtype,
                .table = m.weights.embed.w,
                .out = hidden,
                .pool = m.pool.get()});
  for (int i = 0; i < config.num_hidden_layers; ++i)
    pass.layer(m.weights.layers[static_cast<std::size_t>(i)], i,
               m.moe_index[static_cast<std::size_t>(i)], hidden);
  float* normed = m.final_normed.get(std::int64_t{rows} * dim);
  m.ops->rms_norm({.rows = rows,
                   .dim = dim,
                   .x = pass.added,
                   .residual = hidden,
                   .weight = m.weights.norm.data(),
                   .eps = static_cast<float>(config.rms_norm_eps),
                   .out = normed,
                   .pool = m.pool.get()});
  if (batch.want_hidden)
    out.hidden.assign(normed, normed + std::int64_t{rows} * dim);
  else
    out.hidden.clear();
  m.forward_logits(pass, normed, m.weights.head);
}

void Model::forward_mtp(int depth,
                        std::span<const float> hidden_in,
                        const Batch& batch,
                        PageCache& cache,
                        Outputs& out) {
  Impl& m = *impl_;
  const ModelConfig& config = m.config;
  SEEDBED_CHECK(depth >= 0 && depth < static_cast<int>(m.weights.predictions.size()), depth);
  const Prediction& w = m.weights.predictions[static_cast<std::size_t>(depth)];
  out.selections.clear();
  out.routing.clear();
  Batch quiet = batch;
  quiet.want_routing = false;
  Pass pass = make_pass(config, *m.ops, m.pool.get(), m.form, cache, quiet, out, m.attention,
                        m.feed_forward);
  m.prepare(pass);
  const int rows = pass.rows, dim = config.hidden_size;
  const auto eps = static_cast<float>(config.rms_norm_eps);
  SEEDBED_CHECK(hidden_in.size() == static_cast<std::size_t>(std::int64_t{rows} * dim),
                hidden_in.size(), rows);

  // [norm of the token's embedding | norm of the hidden state], embedding first.
  float* merged = m.merged.get(std::int64_t{rows} * 2 * dim);
  float* embedded = m.hidden_normed.get(std::int64_t{rows} * dim);
  m.ops->embed({.tokens = rows,
                .vocab = config.vocab_size,
                .dim = dim,
                .ids = batch.tokens.data(),
                .dtype = w.embed.dtype,
                .table = w.embed.w,
                .out = embedded,
                .pool = m.pool.get()});
  auto norm_into = [&](const float* x, const std::vector<float>& weight, float* y) {
    m.ops->rms_norm({.rows = rows,
                     .dim = dim,
                     .x = x,
                     .weight = weight.data(),
                     .eps = eps,
                     .out = y,
                     .ldo = 2 * std::int64_t{dim},
                     .pool = m.pool.get()});
  };
  norm_into(embedded, w.token_norm, merged);
  norm_into(hidden_in.data(), w.hidden_norm, merged + dim);
  Activation joined;
  joined.set(merged, rows, 2 * dim);
  float* hidden = m.hidden.get(std::int64_t{rows} * dim);
  pass.linear(joined, w.project, hidden);
  pass.layer(w.layer, config.num_hidden_layers + depth, -1, hidden);
  float* normed = m.final_normed.get(std::int64_t{rows} * dim);
  m.ops->rms_norm({.rows = rows,
                   .dim = dim,
                   .x = pass.added,
                   .residual = hidden,
                   .weight = w.head_norm.data(),
                   .eps = eps,
                   .out = normed,
                   .pool = m.pool.get()});
  if (batch.want_hidden)
    out.hidden.assign(normed, normed + std::int64_t{rows} * dim);
  else
    out.hidden.clear();
  m.forward_logits(pass, normed, w.head);
}

}  // namespace seedbed::engine
