#include "engine/service/chat_vocabulary.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "base/hash.h"
#include "engine/chat/markers.h"

namespace seedbed::engine::service {
namespace {

Error foreign(const std::string& path, const std::string& found, const std::string& wanted) {
  return make_error(Where::model, "tokenizer", path, "found " + found + ", wanted " + wanted,
                    "use the tokenizer of this model");
}

Result<std::string> read_tokenizer(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file)
    return make_error(Where::model, "tokenizer", path, "found no such file, wanted to read it",
                      "name one that exists, or make one with 'seedbed engine train-tokenizer'");
  return std::move(text).str();
}

}  // namespace

Result<ChatVocabulary> ChatVocabulary::read(const std::string& path) {
  SEEDBED_TRY(const std::string json, read_tokenizer(path));
  auto tokenizer = text::Tokenizer::from_text(json, path);
  if (!tokenizer.ok()) return Error{Where::model, tokenizer.error().message};
  ChatVocabulary vocabulary(*std::move(tokenizer));
  vocabulary.hash_ = content_hash(json);
  return vocabulary;
}

Result<ChatVocabulary> ChatVocabulary::open(const std::string& model_dir,
                                            const ModelConfig& config) {
  const std::string path = model_dir + "/tokenizer.json";
  SEEDBED_TRY(auto vocabulary, read(path));
  if (auto wrong = vocabulary.check(path, config)) return *std::move(wrong);
  return vocabulary;
}

Result<ChatVocabulary> ChatVocabulary::open_file(const std::string& path) {
  SEEDBED_TRY(auto vocabulary, read(path));
  vocabulary.rows_ = vocabulary.tokenizer_.vocab_size();
  if (auto wrong = vocabulary.find_markers(path)) return *std::move(wrong);
  vocabulary.end_ids_ = {vocabulary.end_id_};
  return vocabulary;
}

Step ChatVocabulary::find_markers(const std::string& path) {
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
          path, "no token '" + std::string(marker) + "'",
          "the markers of the chat format, each as one added token (train-tokenizer --chat)");
  }
  end_id_ = *marker(chat::kEos);
  return std::nullopt;
}

Step ChatVocabulary::check(const std::string& path, const ModelConfig& config) {
  // A model may have rows that no token uses, but not many.
  rows_ = config.vocab_size;
  end_ids_.assign(config.eos_token_ids.begin(), config.eos_token_ids.end());
  const std::int32_t size = tokenizer_.vocab_size();
  if (size > config.vocab_size || size < config.vocab_size - config.vocab_size / 8)
    return foreign(path, std::to_string(size) + " tokens",
                   "a vocabulary of the model's " + std::to_string(config.vocab_size) + " rows");
  if (auto wrong = find_markers(path)) return wrong;
  const std::int32_t begin = *marker(chat::kBos);
  if (begin != config.bos_token_id)
    return foreign(path, "id " + std::to_string(begin) + " for the beginning of a sentence",
                   "the model's bos_token_id " + std::to_string(config.bos_token_id));
  if (std::find(config.eos_token_ids.begin(), config.eos_token_ids.end(), end_id_) ==
      config.eos_token_ids.end())
    return foreign(path, "id " + std::to_string(end_id_) + " for the end of a sentence",
                   "one of the model's eos_token_id");
  return std::nullopt;
}

std::optional<std::int32_t> ChatVocabulary::marker(std::string_view text) const {
  const auto at = markers_.find(text);
  if (at == markers_.end()) return std::nullopt;
  return at->second;
}

std::vector<std::int32_t> ChatVocabulary::encode(const chat::Segments& segments) const {
  std::vector<std::int32_t> out;
  const auto settled =
      chat::settle(segments, [this](std::string_view text) { return marker(text).has_value(); });
  for (const auto& segment : settled) {
    if (segment.special)
      out.push_back(*marker(segment.text));
    else
      tokenizer_.encode_to(segment.text, {.added = text::AddedText::none}, out);
  }
  return out;
}

chat::ParseOptions ChatVocabulary::parse_options(bool thinking) const {
  return {.thinking = thinking,
          .eos_is_token = true,
          .end_think_is_token = true,
          .dsml_is_token = marker(chat::kDsml).has_value()};
}

chat::Piece ChatVocabulary::piece(std::int32_t id) const {
  const auto bytes = tokenizer_.token_bytes(id);
  return {bytes.value_or(std::string_view()),
          marker_ids_.count(id) != 0 || tokenizer_.is_special(id)};
}

std::shared_ptr<const grammar::Vocabulary> ChatVocabulary::grammar_vocabulary() const {
  std::call_once(masks_->once, [this] {
    grammar::TokenTable table;
    table.bytes.resize(static_cast<std::size_t>(rows_));
    table.special.resize(static_cast<std::size_t>(rows_), 0);
    for (std::int32_t id = 0; id < rows_; ++id) {
      const auto token = piece(id);
      table.bytes[static_cast<std::size_t>(id)] = token.bytes;
      table.special[static_cast<std::size_t>(id)] = token.special ? 1 : 0;
    }
    table.end_ids = end_ids_;
    table.end_think = marker(chat::kEndThink).value_or(-1);
    table.dsml = marker(chat::kDsml).value_or(-1);
    masks_->vocabulary = grammar::Vocabulary::make(std::move(table));
  });
  return masks_->vocabulary;
}

}  // namespace seedbed::engine::service
