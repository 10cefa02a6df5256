// Log probabilities as OpenAI's clients read them.
#pragma once
#include "engine/engine.h"
#include "engine/service/chat_vocabulary.h"
#include "schemas/value.h"

namespace seedbed::engine::service {

// {"token", "logprob", "bytes", "top_logprobs": [...]}. `processed`: under the distribution drawn
// from, which then holds for the token alone; else the model's own.
schemas::Value logprob_entry(const ChatVocabulary& vocabulary,
                             const TokenOut& token,
                             bool processed);
// The token's bytes as text; what is no character becomes U+FFFD.
std::string token_text(const ChatVocabulary& vocabulary, std::int32_t id);
// JSON has no infinities.
double finite(double logprob);

}  // namespace seedbed::engine::service
