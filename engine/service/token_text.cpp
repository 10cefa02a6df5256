#include "engine/service/token_text.h"

#include <algorithm>

#include "base/text.h"

namespace seedbed::engine::service {

using schemas::Value;

namespace {

Value one(const ChatVocabulary& vocabulary, std::int32_t id, double logprob) {
  Value bytes = Value::array();
  for (const char c : vocabulary.piece(id).bytes)
    bytes.push(static_cast<int>(static_cast<unsigned char>(c)));
  Value out = Value::object();
  out.set("token", token_text(vocabulary, id)).set("logprob", finite(logprob));
  out.set("bytes", std::move(bytes));
  return out;
}

}  // namespace

double finite(double logprob) {
  return std::max(logprob, -9999.0);  // what OpenAI's own answers say for "never"
}

std::string token_text(const ChatVocabulary& vocabulary, std::int32_t id) {
  return replace_invalid_utf8(vocabulary.piece(id).bytes);
}

Value logprob_entry(const ChatVocabulary& vocabulary, const TokenOut& token, bool processed) {
  Value out =
      one(vocabulary, token.id, static_cast<double>(processed ? token.logprob : token.raw_logprob));
  Value top = Value::array();
  for (const auto& [id, logprob] : token.top)
    top.push(one(vocabulary, id, static_cast<double>(logprob)));
  out.set("top_logprobs", std::move(top));
  return out;
}

}  // namespace seedbed::engine::service
