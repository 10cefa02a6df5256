// One choice of a plain completion while it is sampled: tokens in, text out.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "engine/service/chat_vocabulary.h"
#include "engine/service/service.h"
#include "engine/service/stop_finder.h"
#include "engine/text/detokenizer.h"
#include "schemas/value.h"

namespace seedbed::engine::service {

struct TextChoiceOptions {
  std::vector<std::string> stop;
  std::vector<std::int32_t> stop_ids;  // end an answer and are no part of it
  bool skip_special = true;
  int logprobs = -1;  // alternatives of each token; -1: none are listed
  bool processed_logprobs = false;
  std::size_t first_offset = 0;  // of the text that was echoed
};

class TextChoice {
 public:
  TextChoice(const ChatVocabulary& vocabulary, const TextChoiceOptions& options);
  // The text that became certain; false: a stop string ended it.
  bool on_token(const TokenOut& token, std::string& text);
  std::string on_end(const Generated& generated);

  // {"tokens", "token_logprobs", "top_logprobs", "text_offset"} since the last call; null where
  // none were wanted.
  schemas::Value take_logprobs();
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] std::string_view finish_reason() const { return ended_name(ended_); }
  [[nodiscard]] Ended ended() const { return ended_; }
  [[nodiscard]] const std::vector<std::int32_t>& ids() const { return ids_; }

 private:
  void note_logprob(const TokenOut& token);
  void reset_logprobs();

  const ChatVocabulary& vocabulary_;
  TextChoiceOptions options_;
  text::Detokenizer detokenizer_;
  StopFinder stop_;
  std::string text_;
  std::size_t offset_ = 0;
  std::vector<std::int32_t> ids_;
  schemas::Value tokens_, token_logprobs_, top_logprobs_, offsets_;
  Ended ended_ = Ended::stop;
};

// stop, length or abort: how a sequence of tokens ended, whatever it says.
Ended ended_of(Finish finish, bool by_string);

}  // namespace seedbed::engine::service
