#include "engine/text/tokenizer_write.h"

#include "engine/text/byte_alphabet.h"

namespace seedbed::engine::text {
namespace {

using schemas::Value;

Value byte_level(bool add_prefix_space, bool use_regex) {
  return Value::object()
      .set("type", "ByteLevel")
      .set("add_prefix_space", add_prefix_space)
      .set("trim_offsets", true)
      .set("use_regex", use_regex);
}

Value pre_tokenizer(const PreTokenizerStep& step) {
  constexpr const char* kBehaviors[] = {"Removed", "Isolated", "MergedWithPrevious",
                                        "MergedWithNext", "Contiguous"};
  switch (step.kind) {
    case PreTokenizerStep::Kind::digits:
      return Value::object().set("type", "Digits").set("individual_digits", step.individual_digits);
    case PreTokenizerStep::Kind::byte_level:
      return byte_level(step.add_prefix_space, step.use_regex);
    case PreTokenizerStep::Kind::split:
      break;
  }
  return Value::object()
      .set("type", "Split")
      .set("pattern", Value::object().set(step.literal ? "String" : "Regex", step.pattern))
      .set("behavior", kBehaviors[static_cast<std::size_t>(step.behavior)])
      .set("invert", step.invert);
}

Value added_token(const AddedToken& token) {
  return Value::object()
      .set("id", std::int64_t{token.id})
      .set("content", token.content)
      .set("single_word", token.single_word)
      .set("lstrip", token.lstrip)
      .set("rstrip", token.rstrip)
      .set("normalized", token.normalized)
      .set("special", token.special);
}

}  // namespace

Value write_tokenizer_json(const std::vector<std::string>& tokens,
                           const std::vector<std::pair<std::int32_t, std::int32_t>>& merges,
                           const std::vector<AddedToken>& added,
                           const std::vector<PreTokenizerStep>& steps,
                           bool ignore_merges) {
  std::vector<std::string> spelled;
  spelled.reserve(tokens.size());
  for (const auto& token : tokens) spelled.push_back(spell_bytes(token));
  auto list = Value::array();
  for (const auto& token : added) {
    spelled[static_cast<std::size_t>(token.id)] = token.content;
    list.push(added_token(token));
  }
  Value::Object vocab;
  vocab.reserve(spelled.size());
  for (std::size_t id = 0; id < spelled.size(); ++id)
    vocab.emplace_back(spelled[id], static_cast<std::int64_t>(id));
  Value::Array pairs;
  pairs.reserve(merges.size());
  for (const auto& [left, right] : merges)
    pairs.emplace_back(spelled[static_cast<std::size_t>(left)] + " " +
                       spelled[static_cast<std::size_t>(right)]);
  auto sequence = Value::array();
  for (const auto& step : steps) sequence.push(pre_tokenizer(step));
  return Value::object()
      .set("version", "1.0")
      .set("truncation", nullptr)
      .set("padding", nullptr)
      .set("added_tokens", std::move(list))
      .set("normalizer", nullptr)
      .set("pre_tokenizer",
           Value::object().set("type", "Sequence").set("pretokenizers", std::move(sequence)))
      .set("post_processor", byte_level(false, false))
      .set("decoder", byte_level(false, false))
      .set("model", Value::object()
                        .set("type", "BPE")
                        .set("dropout", nullptr)
                        .set("unk_token", nullptr)
                        .set("continuing_subword_prefix", nullptr)
                        .set("end_of_word_suffix", nullptr)
                        .set("fuse_unk", false)
                        .set("byte_fallback", false)
                        .set("ignore_merges", ignore_merges)
                        .set("vocab", Value(std::move(vocab)))
                        .set("merges", Value(std::move(pairs))));
}

}  // namespace seedbed::engine::text
