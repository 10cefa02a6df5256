#include "agent/engine_client_model.h"

#include <algorithm>
#include <string>

#include "engine/choose_device.h"

namespace seedbed::agent {
namespace {

constexpr std::int64_t kDefaultContext = 32'768;
constexpr std::int64_t kMostTokens = 1 << 24;
constexpr std::int64_t kPage = kernels::kPageTokens;

Step check_counts(const EngineOptions& o) {
  if (o.max_tokens < 1 || o.max_tokens > kMostTokens || o.context < 0 || o.context > kMostTokens)
    return make_error(Where::usage, "run", "--max-tokens, --context",
                      "found " + std::to_string(o.max_tokens) + " and " +
                          std::to_string(o.context) + ", wanted numbers to 16777216",
                      "correct them");
  if (o.chunk < 0 || o.max_batch < 1 || o.cache_tokens < 0)
    return make_error(Where::usage, "run", "--chunk, --max-batch, --cache-tokens",
                      "found " + std::to_string(o.chunk) + ", " + std::to_string(o.max_batch) +
                          " and " + std::to_string(o.cache_tokens) + ", wanted at least 1, 1 and 0",
                      "correct them");
  if (o.host_cache_tokens < 0)
    return make_error(Where::usage, "run", "--host-cache-tokens",
                      "found " + std::to_string(o.host_cache_tokens) + ", wanted 0 or more",
                      "correct it");
  return std::nullopt;
}

// Sampling parameters that the engine would refuse with every request are refused once.
Step check_parameters(const EngineOptions& o, int vocab) {
  engine::SamplingParams sampling;
  sampling.temperature = o.temperature;
  sampling.top_p = o.top_p;
  sampling.min_p = o.min_p;
  sampling.top_k = static_cast<int>(std::min<std::int64_t>(o.top_k, vocab));
  return check_sampling(sampling, vocab);
}

Error of_model(const Error& error) {
  return Error{Where::model, error.message};
}

}  // namespace

Result<std::unique_ptr<EngineModel>> EngineModel::open(const EngineOptions& options) {
  if (auto wrong = check_counts(options)) return *std::move(wrong);
  const auto config = engine::read_model_config(options.model_dir);
  if (!config.ok()) return of_model(config.error());
  if (auto wrong = check_parameters(options, config->vocab_size)) return *std::move(wrong);
  auto vocabulary = engine::service::ChatVocabulary::open(options.model_dir, *config);
  if (!vocabulary.ok()) return of_model(vocabulary.error());
  std::unique_ptr<EngineModel> model(new EngineModel(options, *std::move(vocabulary)));
  model->window_ = std::min<std::int64_t>(config->max_position_embeddings,
                                          options.context > 0 ? options.context : kDefaultContext);

  engine::EngineOptions engine_options;
  engine_options.model_dir = options.model_dir;
  engine_options.model.device = options.on;
  if (options.on == nullptr) {
    SEEDBED_TRY(auto chosen, engine::choose_device(options.device));
    engine_options.model.device = std::move(chosen.device);
  }
  engine_options.model.threads = options.threads;
  engine_options.kv_dtype = options.kv_dtype;
  // A whole episode must fit alone; what does not fit beside others waits.
  const std::int64_t least = (model->window_ + kPage - 1) / kPage * kPage + kPage;
  engine_options.cache_tokens =
      options.cache_tokens == 0 ? 0 : std::max(options.cache_tokens, least);
  engine_options.host_cache_tokens = options.host_cache_tokens;
  engine_options.chunk = options.chunk;
  engine_options.max_batch = options.max_batch;
  engine_options.speculative = options.speculative;
  engine_options.prefix_cache = options.prefix_cache;
  auto opened = engine::Engine::open(engine_options);
  if (!opened.ok()) return of_model(opened.error());
  model->engine_ = *std::move(opened);
  if (model->engine_->cache_tokens() < least)
    return make_error(Where::usage, "key-value cache", "--context",
                      "found memory for " + std::to_string(model->engine_->cache_tokens()) +
                          " tokens, wanted " + std::to_string(least) + " for one whole episode",
                      "lower --context, or insist with --cache-tokens " + std::to_string(least));
  return model;
}

}  // namespace seedbed::agent
