// Ids to text as they come: no piece ends in the middle of a character.
#pragma once
#include <cstdint>
#include <string>

#include "engine/text/tokenizer.h"

namespace seedbed::engine::text {

// All pieces together, flush() included, are decode() of all ids. Bytes that no further byte can
// make a character of are passed on as they are; at most three bytes are held back.
class Detokenizer {
 public:
  explicit Detokenizer(Tokenizer tokenizer, const DecodeOptions& options = {})
      : tokenizer_(std::move(tokenizer)), options_(options) {}

  // The text that is complete with this id; may be empty.
  [[nodiscard]] std::string push(std::int32_t id);
  // What is held back; afterwards a new text begins.
  [[nodiscard]] std::string flush();
  [[nodiscard]] std::size_t held_bytes() const { return held_.size(); }

 private:
  Tokenizer tokenizer_;
  DecodeOptions options_;
  std::string held_;
};

}  // namespace seedbed::engine::text
