#include "engine/model.h"

#include <algorithm>
#include <cmath>
#include <thread>

#include "base/check.h"
#include "engine/cache.h"
#include "engine/checkpoint.h"
#include "engine/forward.h"
#include "engine/recordings.h"
#include "engine/step_inputs.h"

namespace seedbed::engine {

namespace {
constexpr int kMostRecordedRows = 256;
}

struct Model::Impl {
  explicit Impl(std::shared_ptr<kernels::Device> d) : device(std::move(d)) {}

  ModelConfig config;
  std::shared_ptr<kernels::Device> device;
  Weights weights;
  std::unique_ptr<kernels::Pool> pool;
  AttentionForm form = AttentionForm::absorbed;
  std::string version;
  std::vector<int> moe_index;  // [layers]: which of the MoE layers, or -1
  int moe_layers = 0;
  std::vector<float> frequencies;  // [rope/2]

  // Buffers of the pass, kept between calls.
  Arena arena{*device};
  AttentionBuffers attention{arena};
  FeedForwardBuffers feed_forward{arena};
  Activation joined{arena};
  Buffer<float> hidden{arena}, normed{arena}, merged{arena}, embedded{arena}, hidden_in{arena},
      final_normed{arena}, logits{arena};
  Buffer<std::int32_t> routing{arena};
  Buffer<std::byte> inputs_there{arena};
  StepInputs inputs;
  Recordings recordings{arena};

  static Result<std::unique_ptr<Impl>> begin(const ModelOptions& options);
  void end(Weights w);
  Pass prepare(const Batch& batch, PageCache& cache, Outputs& out, int depth);
  void run(Pass& pass, int depth, std::span<const float> hidden_given);
  void compute(Pass& pass, int depth, const kernels::Ops& ops);
  const float* begin_prediction(Pass& pass, const Prediction& w);
  void fetch(const Pass& pass, int depth);
};

Model::Model(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Model::~Model() = default;

// What there is before there are weights.
Result<std::unique_ptr<Model::Impl>> Model::Impl::begin(const ModelOptions& options) {
  auto device = options.device != nullptr ? options.device : kernels::host_device(options.ops);
  device->bind();
  if (options.attention == AttentionForm::mha && !device->is_host())
    return make_error(Where::usage, "attention", "form mha", "it is computed on the host alone",
                      "use the CPU, or the absorbed form");
  auto impl = std::make_unique<Impl>(std::move(device));
  const int threads = options.threads > 0
                          ? options.threads
                          : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  impl->pool = std::make_unique<kernels::Pool>(threads);
  impl->form = options.attention;
  return impl;
}

void Model::Impl::end(Weights w) {
  weights = std::move(w);
  for (const Layer& layer : weights.layers) moe_index.push_back(layer.experts ? moe_layers++ : -1);
  for (const double f : config.inverse_frequencies()) frequencies.push_back(static_cast<float>(f));
}

Result<std::unique_ptr<Model>> Model::load(const std::string& dir, const ModelOptions& options) {
  SEEDBED_TRY(auto impl, Impl::begin(options));
  SEEDBED_TRY(auto opened, Checkpoint::open(dir));
  auto checkpoint = std::make_shared<const Checkpoint>(std::move(opened));
  if (options.check_finite)
    if (auto error = checkpoint->check_finite(impl->pool->threads())) return *std::move(error);
  impl->config = checkpoint->config();
  impl->version = weights_version(*checkpoint);
  SEEDBED_TRY(auto weights, load_weights(checkpoint, *impl->pool, impl->device));
  impl->end(std::move(weights));
  return std::unique_ptr<Model>(new Model(std::move(impl)));
}

Result<std::unique_ptr<Model>> Model::with_random_weights(const ModelConfig& config,
                                                          std::uint64_t seed,
                                                          const ModelOptions& options) {
  SEEDBED_TRY(auto impl, Impl::begin(options));
  impl->config = config;
  impl->version = "random-" + std::to_string(seed);
  SEEDBED_TRY(auto weights, random_weights(config, seed, impl->device));
  impl->end(std::move(weights));
  return std::unique_ptr<Model>(new Model(std::move(impl)));
}

const ModelConfig& Model::config() const {
  return impl_->config;
}
const std::shared_ptr<kernels::Device>& Model::device() const {
  return impl_->device;
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
std::int64_t Model::buffer_bytes() const {
  return impl_->arena.bytes();
}

// Everything that all layers share: where tokens lie, what they see, the angles of their positions.
// depth: of the prediction layer, or -1.
Pass Model::Impl::prepare(const Batch& batch, PageCache& cache, Outputs& out, int depth) {
  Pass pass{.config = config,
            .device = *device,
            .ops = device->ops(),
            .chains = device->chains(),
            .pool = pool.get(),
            .form = form,
            .cache = cache,
            .batch = batch,
            .out = out,
            .attention = attention,
            .feed_forward = feed_forward,
            .rows = static_cast<int>(batch.tokens.size()),
            .logit_count = static_cast<int>(batch.logit_rows.size()),
            .table_stride = batch.table_stride};
  SEEDBED_CHECK(batch.positions.size() == batch.tokens.size());
  SEEDBED_CHECK(batch.sequence.size() == batch.tokens.size());
  bool whole = false, sparse = false;
  for (std::size_t i = 0; i < batch.tokens.size(); ++i) {
    const std::int32_t position = batch.positions[i];
    const auto t = static_cast<int>(i);
    SEEDBED_CHECK(batch.tokens[i] >= 0 && batch.tokens[i] < config.vocab_size, batch.tokens[i]);
    SEEDBED_CHECK(position >= 0 && position < config.max_position_embeddings, position);
    SEEDBED_CHECK(position / kernels::kPageTokens < batch.table_stride, position,
                  batch.table_stride);
    // By position alone, never by the batch: contexts up to index_topk attend to everything.
    const bool all = batch.attend_to_all || position + 1 <= config.index_topk;
    (all ? whole : sparse) = true;
    const bool goes_on = t > 0 && batch.sequence[i] == batch.sequence[i - 1];
    SEEDBED_CHECK(!goes_on || position == batch.positions[i - 1] + 1, position,
                  batch.positions[i - 1]);
    if (goes_on && pass.runs.back().whole == all)
      ++pass.runs.back().rows;
    else
      pass.runs.push_back({t, 1, all});
    if (t > 0 && pass.stretches.back().whole == all)
      ++pass.stretches.back().rows;
    else
      pass.stretches.push_back({t, 1, all});
  }
  // A step that may come again is filled up to a size that is recorded.
  const bool shown = batch.want_selection || batch.on_selection;
  if (device->can_record() && !shown && pass.rows > 0 && whole != sparse &&
      pass.rows <= kMostRecordedRows) {
    pass.recordable = true;
    pass.rows = static_cast<int>(recorded_size(pass.rows));
    pass.logit_count =
        pass.logit_count == 0 ? 0 : static_cast<int>(recorded_size(pass.logit_count));
    pass.table_stride = recorded_size(pass.table_stride);
    pass.columns = static_cast<std::int32_t>(pass.table_stride * kernels::kPageTokens);
    pass.stretches.back().rows += pass.rows - static_cast<int>(batch.tokens.size());
  }
  inputs.fill(config, frequencies, batch, cache.pages(), pass.rows, pass.logit_count,
              pass.table_stride);
  pass.key_end = inputs.key_end();
  std::byte* there = nullptr;
  if (!device->is_host()) {
    there = inputs_there.get(inputs.bytes());
    device->upload(there, inputs.data(), inputs.bytes());
  }
  pass.in = inputs.at(there != nullptr ? there : inputs.data());
  if (batch.want_routing && depth < 0 && moe_layers > 0)
    pass.routing_ids =
        routing.get(std::int64_t{moe_layers} * pass.rows * config.num_experts_per_tok);
  return pass;
}

void Pass::layer(const Layer& w, int cache_layer, int moe_layer, float* hidden, float* normed) {
  const auto norm = [&](const float* weight) {
    // `added` joins the residual stream in the norm that follows it.
    ops.rms_norm({.rows = rows,
                  .dim = config.hidden_size,
                  .x = added,
                  .residual = hidden,
                  .weight = weight,
                  .eps = static_cast<float>(config.rms_norm_eps),
                  .out = normed,
                  .pool = pool});
  };
  norm(w.input_norm);
  added = self_attention(w, cache_layer, normed);
  norm(w.post_norm);
  added = feed(w, moe_layer, normed);
}

// [norm of the token's embedding | norm of the hidden state], embedding first, projected.
const float* Model::Impl::begin_prediction(Pass& pass, const Prediction& w) {
  const int rows = pass.rows, dim = config.hidden_size;
  float* both = merged.get(std::int64_t{rows} * 2 * dim);
  float* token = embedded.get(std::int64_t{rows} * dim);
  pass.ops.embed({.tokens = rows,
                  .vocab = config.vocab_size,
                  .dim = dim,
                  .ids = pass.in.tokens,
                  .dtype = w.embed.dtype,
                  .table = w.embed.w,
                  .out = token,
                  .pool = pool.get()});
  const auto norm_into = [&](const float* x, const float* weight, float* y) {
    pass.ops.rms_norm({.rows = rows,
                       .dim = dim,
                       .x = x,
                       .weight = weight,
                       .eps = static_cast<float>(config.rms_norm_eps),
                       .out = y,
                       .ldo = 2 * std::int64_t{dim},
                       .pool = pool.get()});
  };
  norm_into(token, w.token_norm, both);
  norm_into(hidden_in.get(std::int64_t{rows} * dim), w.hidden_norm, both + dim);
  joined.set(both, rows, 2 * dim);
  float* stream = hidden.get(std::int64_t{rows} * dim);
  pass.linear(joined, w.project, stream);
  return stream;
}

// Ops alone: nothing here asks the device for anything.
void Model::Impl::compute(Pass& pass, int depth, const kernels::Ops& ops) {
  const int rows = pass.rows, dim = config.hidden_size;
  float* stream = hidden.get(std::int64_t{rows} * dim);
  float* between = normed.get(std::int64_t{rows} * dim);
  const Prediction* w = depth < 0 ? nullptr : &weights.predictions[static_cast<std::size_t>(depth)];
  if (w != nullptr) {
    begin_prediction(pass, *w);
    pass.layer(w->layer, config.num_hidden_layers + depth, -1, stream, between);
  } else {
    ops.embed({.tokens = rows,
               .vocab = config.vocab_size,
               .dim = dim,
               .ids = pass.in.tokens,
               .dtype = weights.embed.dtype,
               .table = weights.embed.w,
               .out = stream,
               .pool = pool.get()});
    for (int i = 0; i < config.num_hidden_layers; ++i)
      pass.layer(weights.layers[static_cast<std::size_t>(i)], i,
                 moe_index[static_cast<std::size_t>(i)], stream, between);
  }
  float* last = final_normed.get(std::int64_t{rows} * dim);
  ops.rms_norm({.rows = rows,
                .dim = dim,
                .x = pass.added,
                .residual = stream,
                .weight = w != nullptr ? w->head_norm : weights.norm,
                .eps = static_cast<float>(config.rms_norm_eps),
                .out = last,
                .pool = pool.get()});
  if (pass.logit_count == 0) return;
  const Linear& head = w != nullptr ? w->head : weights.head;
  ops.lm_head({.rows = pass.logit_count,
               .vocab = config.vocab_size,
               .dim = dim,
               .x = last,
               .row_index = pass.in.logit_rows,
               .dtype = head.dtype,
               .w = head.w,
               .out = logits.get(std::int64_t{pass.logit_count} * config.vocab_size),
               .pool = pool.get()});
}

void Model::Impl::run(Pass& pass, int depth, std::span<const float> hidden_given) {
  const std::int64_t dim = config.hidden_size;
  if (depth >= 0) {
    float* there = hidden_in.get(pass.rows * dim);
    std::vector<float> filled;  // no rows of chance behind the batch's own
    if (pass.rows * dim > static_cast<std::int64_t>(hidden_given.size())) {
      filled.assign(hidden_given.begin(), hidden_given.end());
      filled.resize(static_cast<std::size_t>(pass.rows * dim));
      hidden_given = filled;
    }
    device->upload(there, hidden_given.data(),
                   static_cast<std::int64_t>(hidden_given.size_bytes()));
  }
  const StepShape shape{.depth = depth,
                        .rows = pass.rows,
                        .logits = pass.logit_count,
                        .whole = pass.stretches.empty() || pass.stretches.front().whole,
                        .table_stride = pass.table_stride,
                        .routing = pass.routing_ids != nullptr,
                        .pages = &pass.cache};
  if (!pass.recordable) {
    compute(pass, depth, pass.ops);
  } else if (auto* recording = recordings.find(shape); recording != nullptr) {
    device->play(*recording);
  } else if (recordings.worth_it(shape)) {
    device->record_begin();
    compute(pass, depth, pass.ops);
    auto made = device->record_end();
    device->play(*made);
    recordings.keep(shape, std::move(made));
  } else {
    compute(pass, depth, pass.ops);
  }
  fetch(pass, depth);
}

// What was asked for, to the host.
void Model::Impl::fetch(const Pass& pass, int depth) {
  const Batch& batch = pass.batch;
  Outputs& out = pass.out;
  const std::size_t rows = batch.tokens.size(), dim = static_cast<std::size_t>(config.hidden_size),
                    vocab = static_cast<std::size_t>(config.vocab_size);
  const auto bytes = [](std::size_t n) { return static_cast<std::int64_t>(n * 4); };
  out.hidden.resize(batch.want_hidden ? rows * dim : 0);
  if (batch.want_hidden)
    device->download(out.hidden.data(), final_normed.get(0), bytes(out.hidden.size()));
  out.device_logits = logits.get(0);
  out.logits.resize(batch.host_logits ? batch.logit_rows.size() * vocab : 0);
  if (!out.logits.empty())
    device->download(out.logits.data(), out.device_logits, bytes(out.logits.size()));
  const auto topk = static_cast<std::size_t>(config.num_experts_per_tok),
             layers = static_cast<std::size_t>(moe_layers);
  out.routing.resize(batch.want_routing && depth < 0 ? rows * layers * topk : 0);
  if (out.routing.empty()) return;
  const auto wide = static_cast<std::size_t>(pass.rows) * topk;  // of a layer
  std::vector<std::int32_t> ids(layers * wide);
  device->download(ids.data(), pass.routing_ids, bytes(ids.size()));
  for (std::size_t layer = 0; layer < layers; ++layer)
    for (std::size_t row = 0; row < rows; ++row)
      for (std::size_t j = 0; j < topk; ++j)
        out.routing[(row * layers + layer) * topk + j] =
            static_cast<std::uint16_t>(ids[layer * wide + row * topk + j]);
}

void Model::forward(const Batch& batch, PageCache& cache, Outputs& out) {
  out.selections.clear();
  impl_->device->bind();
  Pass pass = impl_->prepare(batch, cache, out, -1);
  impl_->run(pass, -1, {});
}

void Model::forward_mtp(
    int depth, std::span<const float> hidden, const Batch& batch, PageCache& cache, Outputs& out) {
  SEEDBED_CHECK(depth >= 0 && depth < static_cast<int>(impl_->weights.predictions.size()), depth);
  SEEDBED_CHECK(
      hidden.size() == batch.tokens.size() * static_cast<std::size_t>(impl_->config.hidden_size),
      hidden.size(), batch.tokens.size());
  out.selections.clear();
  impl_->device->bind();
  Pass pass = impl_->prepare(batch, cache, out, depth);
  impl_->run(pass, depth, hidden);
}

// The passes themselves, with ops that do nothing, tell what they need: contexts all long, all
// short, and by turns.
Step Model::reserve(DType kv_dtype, int rows, int logits, std::int64_t context) {
  Impl& m = *impl_;
  m.device->bind();
  const std::int64_t stride = recorded_size(context / kernels::kPageTokens + 1);
  const auto sized =
      std::max(rows, static_cast<int>(recorded_size(std::min(rows, kMostRecordedRows))));
  const auto some_logits = static_cast<int>(recorded_size(logits));
  SEEDBED_TRY(const auto one, PageCache::make(m.config, kv_dtype, 1, 0, m.device));
  const std::vector<std::int32_t> ends(static_cast<std::size_t>(sized),
                                       static_cast<std::int32_t>(stride * kernels::kPageTokens));
  const int half = m.config.qk_rope_head_dim / 2, third = sized / 3;
  const std::vector<Pass::Run> mixed = {
      {0, third, true}, {third, third, false}, {2 * third, sized - 2 * third, true}};
  Batch batch;
  Outputs out;
  m.arena.plan();
  m.inputs_there.get(StepInputs::bytes_for(sized, some_logits, half, logits, stride));
  for (const auto& stretches :
       {std::vector<Pass::Run>{{0, sized, false}}, std::vector<Pass::Run>{{0, sized, true}}, mixed})
    for (int depth = -1; depth < static_cast<int>(m.weights.predictions.size()); ++depth) {
      Pass pass{.config = m.config,
                .device = *m.device,
                .ops = kernels::no_ops(),
                .chains = nullptr,
                .pool = nullptr,
                .form = m.form,
                .cache = *one,
                .batch = batch,
                .out = out,
                .attention = m.attention,
                .feed_forward = m.feed_forward,
                .rows = sized,
                .logit_count = some_logits,
                .table_stride = stride,
                .columns = ends[0],
                .key_end = ends.data(),
                .routing_ids = m.routing.get(std::int64_t{m.moe_layers} * sized *
                                             m.config.num_experts_per_tok),
                .runs = stretches,
                .stretches = stretches};
      m.compute(pass, depth, pass.ops);
    }
  if (m.arena.place()) return std::nullopt;
  return make_error(Where::config, "device memory", m.device->describe(),
                    "no room for the buffers of passes of " + std::to_string(sized) + " tokens",
                    "ask for smaller ones (--chunk, --max-batch), or use the CPU (--device cpu)");
}

}  // namespace seedbed::engine
