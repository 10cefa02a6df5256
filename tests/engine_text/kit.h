// What the tokenizer's tests share: a small tokenizer learned from a text that stands here, and
// strings that are likely to be cut or merged wrongly.
#pragma once
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/rng.h"
#include "engine/text/tokenizer.h"

namespace seedbed::engine::text {

// What the small tokenizer was learned from: English, code, Russian, Chinese, Japanese, emoji.
const std::string& training_text();
// 500 tokens, DeepSeek's pre-tokenizers and chat tokens.
const schemas::Value& small_json();
const Tokenizer& small_tokenizer();

// From pieces of all scripts, controls, spaces, digits, signs and random code points.
std::string random_text(Rng& rng, int parts);
// Bytes without any order.
std::string random_bytes(Rng& rng, std::size_t size);

// The message, or "" where it is a value.
template <class T>
std::string message_of(const Result<T>& result) {
  return result.ok() ? "" : result.error().message;
}

}  // namespace seedbed::engine::text
