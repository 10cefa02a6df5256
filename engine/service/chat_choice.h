// One choice of a chat answer while it is sampled: tokens in, deltas out. The whole message is what
// its deltas come to, so that an answer is the same streamed and at once.
//
// Stop strings are looked for in the content alone: neither what the model thinks nor the markup of
// its calls ends an answer. What is no well-formed call is kept: bytes without a call go to the end
// of the content, a call that is not whole keeps what was read of it, and `malformed` tells why.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/chat/message.h"
#include "engine/chat/parse.h"
#include "engine/service/chat_vocabulary.h"
#include "engine/service/service.h"
#include "engine/service/stop_finder.h"
#include "schemas/value.h"

namespace seedbed::engine::service {

struct ChoiceOptions {
  bool thinking = false;  // the prompt opened <think>
  bool logprobs = false, processed_logprobs = false;
  std::vector<std::string> stop;
  std::vector<std::int32_t> stop_ids;  // end an answer and are no part of it
  std::string call_key;                // call ids are a function of it
};

class ChatChoice {
 public:
  ChatChoice(const ChatVocabulary& vocabulary, const ChoiceOptions& options);

  // The delta objects that became certain; none may have. False: a stop string ended it.
  bool on_token(const TokenOut& token, std::vector<schemas::Value>& deltas);
  void on_end(const Generated& generated, std::vector<schemas::Value>& deltas);

  // Entries since the last call: {"content": [...], "reasoning_content": [...]}, null where there
  // are none or none were wanted.
  schemas::Value take_logprobs();

  // After on_end.
  [[nodiscard]] schemas::Value message() const;
  [[nodiscard]] std::string_view finish_reason() const { return finish_; }
  [[nodiscard]] Ended ended() const { return ended_; }
  [[nodiscard]] const schemas::Value& malformed() const { return malformed_; }
  [[nodiscard]] std::int64_t reasoning_tokens() const { return reasoning_tokens_; }
  [[nodiscard]] bool stopped_by_string() const { return stop_.found(); }
  [[nodiscard]] const std::vector<std::int32_t>& ids() const { return ids_; }
  // What a client sends back of it.
  [[nodiscard]] chat::Message as_sent_back() const;

 private:
  struct Call {
    std::string id, name, arguments;
  };
  void take(const chat::Delta& delta, std::vector<schemas::Value>& deltas);
  void add_content(std::string_view text, std::vector<schemas::Value>& deltas);
  void keep_malformed(const chat::Completion& completion, std::vector<schemas::Value>& deltas);
  void note_logprob(const TokenOut& token);

  const ChatVocabulary& vocabulary_;
  ChoiceOptions options_;
  chat::Parser parser_;
  StopFinder stop_;
  std::string content_, reasoning_;
  std::vector<Call> calls_;
  std::vector<std::int32_t> ids_;
  schemas::Value content_logprobs_, reasoning_logprobs_, malformed_;
  std::int32_t end_think_ = -1;
  bool reasoning_now_ = false;
  std::int64_t reasoning_tokens_ = 0;
  std::string_view finish_;
  Ended ended_ = Ended::stop;
};

}  // namespace seedbed::engine::service
