#include "engine/engine.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>

#include "base/check.h"
#include "engine/sampling.h"

namespace seedbed::engine {

namespace {

constexpr std::int64_t kMostCacheTokens = 1 << 20;
constexpr int kPage = kernels::kPageTokens;

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// What the machine can spare: a quarter of its memory.
std::int64_t default_cache_tokens(const ModelConfig& config, DType dtype) {
  const auto memory = static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) *
                      static_cast<std::int64_t>(sysconf(_SC_PAGESIZE));
  const std::int64_t pages = memory / 4 / cache_bytes_per_page(config, dtype);
  return std::clamp<std::int64_t>(pages * kPage, kPage, kMostCacheTokens);
}

struct Sequence {
  std::uint64_t key = 0;
  std::vector<std::int32_t> tokens;
  std::vector<bool> sampled;           // [tokens]
  std::vector<std::int32_t> pages;     // page i holds positions 64 i ..
  std::int64_t computed = 0;           // tokens [0, computed) are in the pages
  std::vector<std::uint16_t> routing;  // [computed, moe layers, experts a token]
  // Prediction layer: rows [0, predicted) are in the pages; hidden states from `predicted` to
  // `computed` wait for the token that follows them.
  std::int64_t predicted = 0;
  std::vector<float> waiting;  // [computed - predicted, hidden]
};

}  // namespace

struct Engine::Impl {
  EngineOptions options;
  std::unique_ptr<Model> model;
  std::unique_ptr<PageCache> cache;
  mutable std::mutex mutex;
  std::map<SequenceId, Sequence> sequences;
  SequenceId next_id = 1;
  Outputs out, draft_out;
  Sampler sampler;
  std::vector<std::int32_t> tokens, positions, sequence_of;
  std::vector<TokenSelection>* selections = nullptr;  // of the call at hand, where wanted

  [[nodiscard]] bool speculative() const {
    return options.speculative && model->config().num_nextn_predict_layers > 0;
  }
  bool make_room(Sequence& s, std::int64_t length);
  void trim(Sequence& s, std::int64_t length);
  void forward(Sequence& s, std::span<const std::int32_t> ids, bool want_logits, int logit_rows);
  void accept(Sequence& s, int rows, int first_row = 0);
  void keep_selections(const Sequence& s, int first_row, int rows);
  std::int32_t draft(Sequence& s, const SamplingParams& params, const SeenTokens& seen);
  Result<Generated> generate(Sequence& s, const GenerateParams& params);
  bool prefill(Sequence& s, Generated& result);
};

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::open(const EngineOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  SEEDBED_TRY(impl->model, Model::load(options.model_dir, options.model));
  const ModelConfig& config = impl->model->config();
  const std::int64_t wanted = options.cache_tokens > 0
                                  ? options.cache_tokens
                                  : default_cache_tokens(config, options.kv_dtype);
  const std::int64_t pages = (wanted + kPage - 1) / kPage;
  if (pages > (1 << 24))
    return make_error(Where::usage, "key-value cache", "cache_tokens",
                      std::to_string(wanted) + ", wanted at most " +
                          std::to_string(std::int64_t{1 << 24} * kPage),
                      "ask for less");
  SEEDBED_TRY(impl->cache, PageCache::make(config, options.kv_dtype, static_cast<int>(pages)));
  return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

const ModelConfig& Engine::config() const {
  return impl_->model->config();
}
const std::string& Engine::policy_version() const {
  return impl_->model->version();
}
std::int64_t Engine::cache_tokens() const {
  return std::int64_t{impl_->cache->pages()} * kPage;
}

Engine::SequenceId Engine::open_sequence(std::uint64_t key) {
  const std::lock_guard lock(impl_->mutex);
  const SequenceId id = impl_->next_id++;
  impl_->sequences[id].key = key;
  return id;
}

void Engine::close_sequence(SequenceId id) {
  const std::lock_guard lock(impl_->mutex);
  const auto at = impl_->sequences.find(id);
  if (at == impl_->sequences.end()) return;
  for (const std::int32_t page : at->second.pages) impl_->cache->give(page);
  impl_->sequences.erase(at);
}

namespace {
template <class Map>
Sequence& the_sequence(Map& sequences, Engine::SequenceId id) {
  const auto at = sequences.find(id);
  SEEDBED_CHECK(at != sequences.end(), id);
  return at->second;
}
}  // namespace

Step Engine::append(SequenceId id, std::span<const std::int32_t> tokens) {
  const std::lock_guard lock(impl_->mutex);
  Sequence& s = the_sequence(impl_->sequences, id);
  const ModelConfig& config = impl_->model->config();
  for (const std::int32_t token : tokens)
    if (token < 0 || token >= config.vocab_size)
      return make_error(Where::model, "token id", std::to_string(token),
                        "wanted 0 to " + std::to_string(config.vocab_size - 1),
                        "use the tokenizer of this model");
  const auto length = static_cast<std::int64_t>(s.tokens.size() + tokens.size());
  if (length > config.max_position_embeddings)
    return make_error(
        Where::model, "sequence", std::to_string(length) + " tokens",
        "the model has " + std::to_string(config.max_position_embeddings) + " positions",
        "shorten the prompt");
  s.tokens.insert(s.tokens.end(), tokens.begin(), tokens.end());
  s.sampled.resize(s.tokens.size(), false);
  return std::nullopt;
}

void Engine::Impl::trim(Sequence& s, std::int64_t length) {
  const auto per_token =
      static_cast<std::int64_t>(model->moe_layers()) * model->config().num_experts_per_tok;
  s.computed = std::min(s.computed, length);
  s.routing.resize(static_cast<std::size_t>(s.computed * per_token));
  // Prediction rows that met a token that is gone are done again with the token that takes its
  // place; their hidden states are no longer at hand, so the main rows are computed again too.
  const std::int64_t kept = std::max<std::int64_t>(0, std::min(s.predicted, length - 1));
  if (kept < s.predicted) {
    s.predicted = kept;
    s.waiting.clear();
    if (speculative() && s.computed > s.predicted) {
      s.computed = s.predicted;
      s.routing.resize(static_cast<std::size_t>(s.computed * per_token));
    }
  }
  s.waiting.resize(
      static_cast<std::size_t>((s.computed - s.predicted) * model->config().hidden_size));
}

void Engine::truncate(SequenceId id, std::int64_t length) {
  const std::lock_guard lock(impl_->mutex);
  Sequence& s = the_sequence(impl_->sequences, id);
  if (length < 0 || length >= static_cast<std::int64_t>(s.tokens.size())) return;
  s.tokens.resize(static_cast<std::size_t>(length));
  s.sampled.resize(static_cast<std::size_t>(length));
  impl_->trim(s, length);
  const auto pages = static_cast<std::size_t>((length + kPage - 1) / kPage);
  while (s.pages.size() > pages) {
    impl_->cache->give(s.pages.back());
    s.pages.pop_back();
  }
}

std::vector<std::int32_t> Engine::tokens(SequenceId id) const {
  const std::lock_guard lock(impl_->mutex);
  return the_sequence(impl_->sequences, id).tokens;
}

Routing Engine::routing(SequenceId id) const {
  const std::lock_guard lock(impl_->mutex);
  return {impl_->model->moe_layers(), impl_->model->config().num_experts_per_tok,
          the_sequence(impl_->sequences, id).routing};
}

Result<Generated> Engine::generate(SequenceId id, const GenerateParams& params) {
  const std::lock_guard lock(impl_->mutex);
  Sequence& s = the_sequence(impl_->sequences, id);
  if (auto error = check_sampling(params.sampling, impl_->model->config().vocab_size))
    return *std::move(error);
  if (params.max_tokens < 1)
    return make_error(Where::usage, "generation", "max_tokens",
                      std::to_string(params.max_tokens) + ", wanted 1 or more", "change the value");
  if (s.tokens.empty())
    return make_error(Where::model, "generation", "sequence",
                      "it holds no token, wanted at least one", "append a prompt first");
  return impl_->generate(s, params);
}

// Pages for positions below `length`.
bool Engine::Impl::make_room(Sequence& s, std::int64_t length) {
  while (static_cast<std::int64_t>(s.pages.size()) * kPage < length) {
    const std::int32_t page = cache->take();
    if (page < 0) return false;
    s.pages.push_back(page);
  }
  return true;
}

// Computes `ids` at the positions from s.computed on; `out` holds the results, s stays as it is
// until accept().
void Engine::Impl::forward(Sequence& s,
                           std::span<const std::int32_t> ids,
                           bool want_logits,
                           int logit_rows) {
  const auto rows = static_cast<int>(ids.size());
  positions.resize(ids.size());
  sequence_of.assign(ids.size(), 0);
  std::vector<std::int32_t> wanted;
  for (int i = 0; i < rows; ++i) {
    positions[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(s.computed) + i;
    if (want_logits && i >= rows - logit_rows) wanted.push_back(i);
  }
  Batch batch;
  batch.tokens = ids;
  batch.positions = positions;
  batch.sequence = sequence_of;
  batch.page_table = s.pages;
  batch.table_stride = static_cast<std::int64_t>(s.pages.size());
  batch.logit_rows = wanted;
  batch.want_hidden = speculative();
  batch.want_routing = model->moe_layers() > 0;
  batch.want_selection = selections != nullptr;
  model->forward(batch, *cache, out);
}

// Rows [first_row, first_row + rows) of the last forward pass are part of the sequence now.
void Engine::Impl::accept(Sequence& s, int rows, int first_row) {
  auto take_rows = [&](auto& to, const auto& from, std::ptrdiff_t width) {
    to.insert(to.end(), from.begin() + first_row * width,
              from.begin() + (first_row + rows) * width);
  };
  take_rows(s.routing, out.routing,
            std::ptrdiff_t{model->moe_layers()} * model->config().num_experts_per_tok);
  if (speculative()) take_rows(s.waiting, out.hidden, model->config().hidden_size);
  if (selections != nullptr) keep_selections(s, first_row, rows);
  s.computed += rows;
}

// Of the rows [first_row, first_row + rows) of the last forward pass; the first of them is at
// s.computed.
void Engine::Impl::keep_selections(const Sequence& s, int first_row, int rows) {
  const std::int64_t k = model->config().index_topk;
  for (const Selection& run : out.selections)
    for (int r = 0; r < run.rows; ++r) {
      const int row = run.first_row + r - first_row;
      if (row < 0 || row >= rows) continue;
      const auto begin = run.positions.begin() + r * k;
      selections->push_back(
          {s.computed + row, run.layer, {begin, std::find(begin, begin + k, -1)}});
    }
}

// Brings the prediction layer up to the last token and gives its guess of the one after, or -1.
std::int32_t Engine::Impl::draft(Sequence& s,
                                 const SamplingParams& params,
                                 const SeenTokens& seen) {
  const int dim = model->config().hidden_size;
  const std::int64_t known = std::min(s.computed, static_cast<std::int64_t>(s.tokens.size()) - 1);
  const std::int64_t rows = known - s.predicted;
  if (rows <= 0) return -1;
  positions.resize(static_cast<std::size_t>(rows));
  sequence_of.assign(static_cast<std::size_t>(rows), 0);
  for (std::int64_t i = 0; i < rows; ++i)
    positions[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(s.predicted + i);
  const auto last = static_cast<std::int32_t>(rows - 1);
  Batch batch;
  batch.tokens = std::span(s.tokens).subspan(static_cast<std::size_t>(s.predicted + 1),
                                             static_cast<std::size_t>(rows));
  batch.positions = positions;
  batch.sequence = sequence_of;
  batch.page_table = s.pages;
  batch.table_stride = static_cast<std::int64_t>(s.pages.size());
  // A guess is of use only for the token after the last one.
  const bool guess = known == static_cast<std::int64_t>(s.tokens.size()) - 1;
  if (guess) batch.logit_rows = std::span(&last, 1);
  const auto taken = static_cast<std::ptrdiff_t>(rows) * dim;
  model->forward_mtp(0, std::span(s.waiting).first(static_cast<std::size_t>(taken)), batch, *cache,
                     draft_out);
  s.waiting.erase(s.waiting.begin(), s.waiting.begin() + taken);
  s.predicted += rows;
  if (!guess) return -1;
  // With the key of the position that it guesses, so that a likely guess is the very token that
  // will be sampled.
  return sampler
      .draw(model->ops(), &model->pool(), draft_out.logits.data(), model->config().vocab_size,
            params, s.key, static_cast<std::int64_t>(s.tokens.size()), seen)
      .id;
}

// Computes all tokens of the sequence; the logits of the last one are in `out`. False: no page is
// left.
bool Engine::Impl::prefill(Sequence& s, Generated& result) {
  const auto length = static_cast<std::int64_t>(s.tokens.size());
  if (s.computed == length) trim(s, length - 1);  // the last token's logits are gone: once more
  result.cached_tokens = s.computed;
  result.prompt_tokens = length - s.computed;
  if (!make_room(s, length)) return false;
  const int chunk = std::max(1, options.chunk);
  while (s.computed < length) {
    const std::int64_t rows = std::min<std::int64_t>(chunk, length - s.computed);
    const bool last = s.computed + rows == length;
    forward(s,
            std::span(s.tokens).subspan(static_cast<std::size_t>(s.computed),
                                        static_cast<std::size_t>(rows)),
            last, 1);
    accept(s, static_cast<int>(rows));
    if (speculative() && !last) draft(s, {}, {});
  }
  return true;
}

Result<Generated> Engine::Impl::generate(Sequence& s, const GenerateParams& params) {
  const ModelConfig& config = model->config();
  Generated result;
  selections = params.want_selection ? &result.selections : nullptr;
  const std::unique_ptr<std::vector<TokenSelection>*, void (*)(std::vector<TokenSelection>**)>
      forget(&selections, [](std::vector<TokenSelection>** kept) { *kept = nullptr; });
  auto begin = std::chrono::steady_clock::now();
  if (!prefill(s, result))
    return make_error(Where::model, "key-value cache", std::to_string(s.tokens.size()) + " tokens",
                      std::to_string(cache->free_pages() * kPage) + " tokens of " +
                          std::to_string(std::int64_t{cache->pages()} * kPage) + " are free",
                      "run fewer sequences at once, or give the cache more room");
  result.prefill_seconds = seconds_since(begin);
  begin = std::chrono::steady_clock::now();

  SeenTokens seen;
  const SamplingParams& sampling = params.sampling;
  const bool penalised = sampling.repetition_penalty != 1.0 || sampling.presence_penalty != 0.0 ||
                         sampling.frequency_penalty != 0.0;
  if (penalised)
    for (std::size_t i = 0; i < s.tokens.size(); ++i) seen.add(s.tokens[i], s.sampled[i]);

  // Takes the token that the logits of one row give; false: the call is over.
  auto take = [&](const float* logits) -> bool {
    TokenOut token = sampler.draw(model->ops(), &model->pool(), logits, config.vocab_size, sampling,
                                  s.key, static_cast<std::int64_t>(s.tokens.size()), seen);
    if (token.id < 0) {  // every id was ruled out, or the logits are no numbers
      result.finish = Finish::cancelled;
      return false;
    }
    s.tokens.push_back(token.id);
    s.sampled.push_back(true);
    if (penalised) seen.add(token.id, true);
    const bool go_on = !params.on_token || params.on_token(token);
    result.tokens.push_back(std::move(token));
    const std::int32_t id = s.tokens.back();
    const bool stop =
        std::find(params.stop_ids.begin(), params.stop_ids.end(), id) != params.stop_ids.end() ||
        (!params.ignore_eos && std::find(config.eos_token_ids.begin(), config.eos_token_ids.end(),
                                         id) != config.eos_token_ids.end());
    if (stop)
      result.finish = Finish::stop;
    else if (!go_on)
      result.finish = Finish::cancelled;
    else if (static_cast<int>(result.tokens.size()) >= params.max_tokens ||
             static_cast<std::int64_t>(s.tokens.size()) >= config.max_position_embeddings)
      result.finish = Finish::length;
    else
      return true;
    return false;
  };

  bool more = take(out.logits.data());
  while (more) {
    const auto length = static_cast<std::int64_t>(s.tokens.size());
    if (!make_room(s, length)) {
      result.finish = Finish::cache_full;
      break;
    }
    std::int32_t guess = -1;
    if (speculative() && length < config.max_position_embeddings && make_room(s, length + 1))
      guess = draft(s, sampling, seen);
    const std::int32_t ids[2] = {s.tokens.back(), guess};
    const int rows = guess >= 0 ? 2 : 1;
    forward(s, std::span(ids, static_cast<std::size_t>(rows)), true, rows);
    accept(s, 1);
    more = take(out.logits.data());
    if (rows == 2) {
      ++result.drafted;
      if (s.tokens.back() == guess) {
        ++result.accepted;
        if (more) {
          // The second row is the sequence's own next token: it is computed already.
          accept(s, 1, 1);
          more = take(out.logits.data() + config.vocab_size);
        }
      }
    }
  }
  result.decode_seconds = seconds_since(begin);
  return result;
}

}  // namespace seedbed::engine
