// Learns byte-pair merges from text and writes them as a tokenizer.json that HF tokenizers loads
// too.
//
//   BpeTrainer trainer = ...make({.vocab_size = 4096, .added = deepseek_chat_tokens()});
//   trainer.add_text(text);
//   const auto json = trainer.train();
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "engine/text/added_tokens.h"
#include "engine/text/pretokenizer.h"
#include "engine/text/tokenizer_spec.h"
#include "schemas/value.h"

namespace seedbed::engine::text {

// What DeepSeek-V3.2's chat format needs: begin and end of sentence, padding, roles, thinking,
// DSML.
std::vector<AddedToken> deepseek_chat_tokens();
// DeepSeek's pre-tokenizers, the default.
std::vector<PreTokenizerStep> deepseek_steps();
// For small models: letters stand apart from all else, so that a word is the same tokens after a
// space, a quote, an underscore or nothing, and can be said again wherever it was read; so are the
// words of a name like listBallots. English function words alone keep the space before them. Signs
// and spaces between words are one word, and so are numbers of five digits.
//
// phrases: texts of several words and signs that are cut out whole, the longest first; where they
// begin or end in an ASCII letter or digit, no other stands beside it. An error where one is empty,
// no UTF-8 or where all together are too long for a pattern.
Result<std::vector<PreTokenizerStep>> bare_words_steps(
    const std::vector<std::string>& phrases = {});

struct TrainOptions {
  std::int32_t vocab_size = 32'000;    // added tokens and the 256 bytes included
  std::vector<AddedToken> added = {};  // their ids are given here, from 0 in this order
  std::vector<PreTokenizerStep> steps = deepseek_steps();
  // Words that are a token each, without merges that make them: what `steps` cut out whole. They
  // come after the bytes, and the file has "ignore_merges".
  std::vector<std::string> whole = {};
  std::int64_t min_count = 2;  // a pair that is rarer is not merged
  bool cut_at_added = false;   // words end where the text spells an added token: for rendered chats
};

// The same words give the same merges, in whatever order they came: the commonest pair is merged
// first, of equal ones that with the lowest left, then right id. The ids: added tokens, the bytes
// in the order of their spellings, whole words, then the merges. No merge makes the text of an
// added token.
class BpeTrainer {
 public:
  static Result<BpeTrainer> make(TrainOptions options);

  // Counts the words of one text; texts are apart from each other. Text of added tokens is counted
  // as plain text, or with `cut_at_added` not at all. Words of more than 4096 bytes are counted in
  // parts.
  void add_text(std::string_view text);

  // Called now and then with (tokens so far, tokens wanted); false ends the work.
  using Progress = std::function<bool(std::int64_t, std::int64_t)>;
  // The tokenizer.json. It has fewer tokens than wanted where the pairs ran out. An error only
  // where `progress` ended the work.
  Result<schemas::Value> train(const Progress& progress = {});

  [[nodiscard]] std::int64_t distinct_words() const {
    return static_cast<std::int64_t>(words_.size());
  }

 private:
  BpeTrainer(TrainOptions options, PreTokenizer pre_tokenizer);
  TrainOptions options_;
  PreTokenizer pre_tokenizer_;
  AddedTokens added_;
  std::unordered_set<std::string> whole_;
  std::unordered_map<std::string, std::int64_t> words_;
};

}  // namespace seedbed::engine::text
