#include "engine/text/detokenizer.h"

#include <utility>

#include "engine/text/unicode.h"

namespace seedbed::engine::text {

std::string Detokenizer::push(std::int32_t id) {
  if (options_.skip_special && tokenizer_.is_special(id)) return {};
  const auto bytes = tokenizer_.token_bytes(id);
  if (!bytes) return {};
  std::string text = std::exchange(held_, {});
  text += *bytes;
  const auto rest = unfinished_suffix(text);
  held_ = text.substr(text.size() - rest);
  text.resize(text.size() - rest);
  return text;
}

std::string Detokenizer::flush() {
  return std::exchange(held_, {});
}

}  // namespace seedbed::engine::text
