#include "agent/engine_client_model.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "base/hash.h"
#include "engine/chat/markers.h"

namespace seedbed::agent {
namespace {

namespace chat = engine::chat;

constexpr std::int64_t kDefaultContext = 32'768;
constexpr std::int64_t kPage = kernels::kPageTokens;

Error foreign(const std::string& dir, const std::string& found, const std::string& wanted) {
  return make_error(Where::model, "tokenizer", dir + "/tokenizer.json",
                    "found " + found + ", wanted " + wanted, "use the tokenizer of this model");
}

Result<std::string> read_tokenizer(const std::string& dir) {
  const std::string path = dir + "/tokenizer.json";
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file)
    return make_error(Where::model, "tokenizer", path, "found no such file, wanted to read it",
                      "name a --model that holds one, or make one with 'seedbed engine "
                      "train-tokenizer'");
  return std::move(text).str();
}

}  // namespace

Result<std::unique_ptr<EngineModel>> EngineModel::open(const EngineOptions& options, int lanes) {
  if (options.max_tokens < 1 || options.context < 0 || options.max_tokens > (1 << 24) ||
      options.context > (1 << 24))
    return make_error(Where::usage, "run", "--max-tokens, --context",
                      "found " + std::to_string(options.max_tokens) + " and " +
                          std::to_string(options.context) + ", wanted numbers to 16777216",
                      "correct them");
  SEEDBED_TRY(const std::string json, read_tokenizer(options.model_dir));
  auto tokenizer = engine::text::Tokenizer::from_text(json, options.model_dir + "/tokenizer.json");
  if (!tokenizer.ok()) return Error{Where::model, tokenizer.error().message};
  std::unique_ptr<EngineModel> model(new EngineModel(*std::move(tokenizer)));
  model->options_ = options;
  model->tokenizer_hash_ = content_hash(json);

  auto config = engine::read_model_config(options.model_dir);
  if (!config.ok()) return Error{Where::model, config.error().message};
  const std::int64_t positions = config->max_position_embeddings;
  model->window_ = std::min(positions, options.context > 0 ? options.context : kDefaultContext);
  engine::EngineOptions engine_options;
  engine_options.model_dir = options.model_dir;
  engine_options.model.threads = options.threads;
  engine_options.kv_dtype = options.kv_dtype;
  // Each lane's episode fits whatever the others do, so that a result never depends on them.
  engine_options.cache_tokens = lanes * ((model->window_ + kPage) / kPage * kPage + kPage);
  auto opened = engine::Engine::open(engine_options);
  if (!opened.ok()) return Error{Where::model, opened.error().message};
  model->engine_ = *std::move(opened);

  engine::SamplingParams sampling;
  sampling.temperature = options.temperature;
  sampling.top_p = options.top_p;
  sampling.min_p = options.min_p;
  sampling.top_k = static_cast<int>(std::min<std::int64_t>(options.top_k, config->vocab_size));
  if (auto wrong = check_sampling(sampling, config->vocab_size)) return *std::move(wrong);
  if (auto wrong = model->check_vocabulary()) return *std::move(wrong);
  return model;
}

Step EngineModel::check_vocabulary() {
  const engine::ModelConfig& config = engine_->config();
  const std::string& dir = options_.model_dir;
  // A model may have rows that no token uses, but not many.
  const std::int32_t size = tokenizer_.vocab_size();
  if (size > config.vocab_size || size < config.vocab_size - config.vocab_size / 8)
    return foreign(dir, std::to_string(size) + " tokens",
                   "a vocabulary of the model's " + std::to_string(config.vocab_size) + " rows");
  for (const std::string_view marker : chat::kSpecials) {
    const auto& added = tokenizer_.added_tokens();
    const auto at = std::find_if(added.begin(), added.end(),
                                 [&](const auto& token) { return token.content == marker; });
    if (at != added.end()) {
      markers_.emplace(marker, at->id);
      marker_ids_.insert(at->id);
      continue;
    }
    // Without a token of its own a marker could be written by anybody. The tags of calls may be
    // text: what they hold is checked by the tools.
    if (marker != chat::kDsml)
      return foreign(
          dir, "no token '" + std::string(marker) + "'",
          "the markers of the chat format, each as one added token (train-tokenizer --chat)");
  }
  const std::int32_t begin = *marker(chat::kBos);
  end_id_ = *marker(chat::kEos);
  if (begin != config.bos_token_id)
    return foreign(dir, "id " + std::to_string(begin) + " for the beginning of a sentence",
                   "the model's bos_token_id " + std::to_string(config.bos_token_id));
  if (std::find(config.eos_token_ids.begin(), config.eos_token_ids.end(), end_id_) ==
      config.eos_token_ids.end())
    return foreign(dir, "id " + std::to_string(end_id_) + " for the end of a sentence",
                   "one of the model's eos_token_id");
  return std::nullopt;
}

std::optional<std::int32_t> EngineModel::marker(std::string_view text) const {
  const auto at = markers_.find(text);
  if (at == markers_.end()) return std::nullopt;
  return at->second;
}

std::vector<std::int32_t> EngineModel::encode(const chat::Segments& segments) const {
  std::vector<std::int32_t> out;
  const auto settled =
      chat::settle(segments, [this](std::string_view text) { return marker(text).has_value(); });
  for (const auto& segment : settled) {
    if (segment.special)
      out.push_back(*marker(segment.text));
    else
      tokenizer_.encode_to(segment.text, {.added = engine::text::AddedText::none}, out);
  }
  return out;
}

chat::ParseOptions EngineModel::parse_options(bool thinking) const {
  return {.thinking = thinking,
          .eos_is_token = true,
          .end_think_is_token = true,
          .dsml_is_token = marker(chat::kDsml).has_value()};
}

chat::Piece EngineModel::piece(std::int32_t id) const {
  const auto bytes = tokenizer_.token_bytes(id);
  return {bytes.value_or(std::string_view()),
          marker_ids_.count(id) != 0 || tokenizer_.is_special(id)};
}

}  // namespace seedbed::agent
