#include "engine/service/text_choice.h"

#include <algorithm>

#include "base/text.h"
#include "engine/service/token_text.h"

namespace seedbed::engine::service {

using schemas::Value;

Ended ended_of(Finish finish, bool by_string) {
  if (by_string || finish == Finish::stop) return Ended::stop;
  if (finish == Finish::cancelled) return Ended::abort;
  return finish == Finish::no_token ? Ended::error : Ended::length;
}

TextChoice::TextChoice(const ChatVocabulary& vocabulary, const TextChoiceOptions& options)
    : vocabulary_(vocabulary),
      options_(options),
      detokenizer_(vocabulary.tokenizer(), {.skip_special = options.skip_special}),
      stop_(options.stop),
      offset_(options.first_offset) {
  reset_logprobs();
}

void TextChoice::reset_logprobs() {
  tokens_ = token_logprobs_ = top_logprobs_ = offsets_ = Value::array();
}

void TextChoice::note_logprob(const TokenOut& token) {
  if (options_.logprobs < 0) return;
  const std::string text = token_text(vocabulary_, token.id);
  tokens_.push(text);
  token_logprobs_.push(
      finite(static_cast<double>(options_.processed_logprobs ? token.logprob : token.raw_logprob)));
  Value top = Value::object();
  for (const auto& [id, logprob] : token.top) {
    const std::string one = token_text(vocabulary_, id);
    if (top.find(one) == nullptr) top.set(one, finite(static_cast<double>(logprob)));
  }
  top_logprobs_.push(std::move(top));
  offsets_.push(static_cast<std::int64_t>(offset_));
  offset_ += text.size();
}

bool TextChoice::on_token(const TokenOut& token, std::string& text) {
  if (stop_.found()) return false;
  ids_.push_back(token.id);
  if (std::find(options_.stop_ids.begin(), options_.stop_ids.end(), token.id) !=
      options_.stop_ids.end())
    return true;  // the engine ends it
  note_logprob(token);
  text = stop_.push(replace_invalid_utf8(detokenizer_.push(token.id)));
  text_ += text;
  return !stop_.found();
}

std::string TextChoice::on_end(const Generated& generated) {
  std::string rest = stop_.push(replace_invalid_utf8(detokenizer_.flush()));
  rest += stop_.flush();
  text_ += rest;
  ended_ = ended_of(generated.finish, stop_.found());
  return rest;
}

Value TextChoice::take_logprobs() {
  if (options_.logprobs < 0) return nullptr;
  Value out = Value::object();
  out.set("tokens", std::move(tokens_)).set("token_logprobs", std::move(token_logprobs_));
  out.set("top_logprobs", std::move(top_logprobs_)).set("text_offset", std::move(offsets_));
  reset_logprobs();
  return out;
}

}  // namespace seedbed::engine::service
