#include "engine/text/tokenizer_spec.h"

#include "tests/engine_text/kit.h"

namespace seedbed::engine::text {
namespace {

using schemas::Value;

Value parsed(const std::string& text) {
  auto value = schemas::parse_json(text);
  EXPECT_TRUE(value.ok()) << text;
  return value.ok() ? *value : Value();
}

// The small file with the value at "a/b" replaced by JSON text; "" takes the member away.
Value changed(const std::string& path, const std::string& json) {
  auto out = small_json();
  const auto slash = path.find('/');
  const auto head = path.substr(0, slash);
  auto value = json.empty() ? Value() : parsed(json);
  const auto put = [&json](Value& object, const std::string& key, Value with) {
    if (!json.empty()) {
      object.set(key, std::move(with));
      return;
    }
    std::erase_if(object.members(), [&key](const auto& member) { return member.first == key; });
  };
  if (slash == std::string::npos) {
    put(out, head, value);
  } else {
    auto inner = *out.find(head);
    put(inner, path.substr(slash + 1), value);
    out.set(head, inner);
  }
  return out;
}

struct Refused {
  const char* path;
  const char* json;
  const char* why;
};
const Refused kRefused[] = {
    {"model/type", R"("WordPiece")", "the model type 'WordPiece' is not computed here"},
    {"model/type", R"("Unigram")", "'Unigram'"},
    {"model/dropout", "0.1", "dropout is not computed"},
    {"model/byte_fallback", "true", "byte_fallback is not computed"},
    {"model/continuing_subword_prefix", R"("##")", "'continuing_subword_prefix'"},
    {"model/end_of_word_suffix", R"("</w>")", "'end_of_word_suffix'"},
    {"model/vocab", R"({"a": 0})", "the byte 0 has no token"},
    {"model/vocab", R"({"a": 0, "b": 0})", "the id 0 has two tokens"},
    {"model/vocab", R"({"a": -1})", "an id that is no integer"},
    {"model/vocab", R"({"a": 99999999})", "an id that is no integer"},
    {"model/vocab", R"([])", "wanted an object"},
    {"model/merges", R"(["t h", "q\u0120z"])", "model/merges/1"},
    {"model/merges", R"(["t h e"])", "one space between"},
    {"model/merges", R"([["t", "Z9Z"]])", "'Z9Z' is no token"},
    {"model/merges", R"([["t"]])", "wanted \"left right\""},
    {"model/merges", "", "wanted 'vocab' and 'merges'"},
    {"model/surprise", "1", "unknown key 'surprise'"},
    {"model", "", "absent"},
    {"normalizer", R"({"type": "NFC"})", "the normalizer 'NFC' is not computed"},
    {"normalizer", R"({"type": "Sequence", "normalizers": [{"type": "Lowercase"}]})",
     "'Lowercase'"},
    {"pre_tokenizer", R"({"type": "Metaspace"})", "the pre-tokenizer 'Metaspace'"},
    {"pre_tokenizer", "null", "the pre-tokenizer ''"},
    {"pre_tokenizer", R"({"type": "Digits"})", "last pre-tokenizer is not ByteLevel"},
    {"pre_tokenizer",
     R"({"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}, {"type": "Digits"}]})",
     "a pre-tokenizer after ByteLevel"},
    {"pre_tokenizer",
     R"({"type": "Split", "pattern": {"Regex": "a"}, "behavior": "Elsewhere", "invert": false})",
     "unknown behavior 'Elsewhere'"},
    {"pre_tokenizer", R"({"type": "Split", "pattern": "a", "behavior": "Isolated"})",
     "{\"Regex\": text}"},
    {"pre_tokenizer",
     R"({"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "\\w"}, "behavior": "Isolated", "invert": false}, {"type": "ByteLevel"}]})",
     "an escape '\\w'"},
    {"pre_tokenizer", R"({"type": "ByteLevel", "use_regexp": true})", "nearest: use_regex"},
    {"decoder", "null", "no decoder"},
    {"decoder", R"({"type": "WordPiece"})", "the decoder 'WordPiece'"},
    {"post_processor", R"({"type": "BertProcessing"})", "the post-processor 'BertProcessing'"},
    {"truncation", R"({"max_length": 5})", "'truncation' is not computed"},
    {"padding", R"({"pad_id": 5})", "'padding' is not computed"},
    {"added_tokens", R"([{"id": 3, "content": ""}])", "added_tokens/0/content"},
    {"added_tokens", R"([{"id": 300, "content": "new"}])", "the id 300 has another token"},
    {"added_tokens", R"([{"id": 300, "content": "<think>"}])", "has the id 5 in the vocabulary"},
    {"added_tokens", R"([{"id": 700, "content": "x1"}, {"id": 701, "content": "x1"}])",
     "has the id"},
    {"added_tokens", R"([{"id": 700, "content": "x1", "special": 1}])", "wanted a boolean"},
    {"added_tokens", R"([{"id": 9999999, "content": "x1"}])", "wanted an integer"},
    {"extra", "1", "unknown key 'extra'"},
};

TEST(TokenizerSpec, RefusesByNameWhatItDoesNotCompute) {
  for (const auto& row : kRefused) {
    const auto made = Tokenizer::from_value(changed(row.path, row.json), "t.json");
    if (std::string(row.why) == "has the id") {
      EXPECT_FALSE(made.ok());
      continue;
    }
    ASSERT_FALSE(made.ok()) << row.path << " " << row.json;
    EXPECT_NE(made.error().message.find(row.why), std::string::npos)
        << row.path << ": " << made.error().message;
    EXPECT_NE(made.error().message.find("t.json"), std::string::npos) << made.error().message;
  }
}

TEST(TokenizerSpec, TakesTheFormsThatByteLevelTokenizersHave) {
  const std::pair<const char*, const char*> taken[] = {
      {"normalizer", R"({"type": "Sequence", "normalizers": []})"},
      {"decoder", R"({"type": "Sequence", "decoders": [{"type": "ByteLevel"}, {"type": "Fuse"}]})"},
      {"model/merges", R"([["t", "h"]])"},
      {"model/dropout", "0.0"},
      {"model/type", ""},
      {"post_processor", ""},
      {"pre_tokenizer",
       R"({"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": true}, {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}]})"},
      {"pre_tokenizer",
       R"({"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithNext", "invert": false}, {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}]})"},
      {"added_tokens", R"([{"id": 900, "content": "beyond a hole"}])"},
  };
  for (const auto& [path, json] : taken) {
    const auto made = Tokenizer::from_value(changed(path, json), "t.json");
    ASSERT_TRUE(made.ok()) << path << ": " << message_of(made);
    const std::string text = "the order 12, then beyond\n";
    EXPECT_EQ(made->decode(made->encode(text)), text) << path << " " << json;
  }
}

}  // namespace
}  // namespace seedbed::engine::text
