#include "engine/text/tokenizer_spec.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "base/text.h"
#include "engine/text/byte_alphabet.h"

namespace seedbed::engine::text {
namespace {

using schemas::Value;
using Ids = std::unordered_map<std::string_view, std::int32_t>;

class Reader {
 public:
  Reader(const Value& json, std::string_view at) : json_(json), at_(at) {}
  Result<TokenizerSpec> read();

 private:
  Error wrong(const std::string& where, const std::string& found_and_wanted) const {
    return make_error(Where::config, "tokenizer", std::string(at_) + "#/" + where, found_and_wanted,
                      "give a byte-level BPE tokenizer.json as HF tokenizers writes it");
  }
  Error unsupported(const std::string& where, const std::string& what) const {
    return make_error(Where::config, "tokenizer", std::string(at_) + "#/" + where,
                      what + " is not computed here", "use a byte-level BPE tokenizer without it");
  }
  Step keys(const Value& object, const std::string& where, const std::vector<std::string>& known);
  Result<bool> boolean(const Value& object,
                       const std::string& where,
                       const char* key,
                       bool fallback);
  Step top();
  Step model(const Value& model);
  Step vocab(const Value& vocab);
  Step merges(const Value& merges);
  Step merge(const Value& merge, std::size_t rank);
  Step byte_tokens();
  Step added(const Value& list);
  Step added_token(const Value& token, const std::string& where);
  Step normalizer(const Value& value, const std::string& where);
  Step pre_tokenizer(const Value& value, const std::string& where, int depth);
  Step split(const Value& value, const std::string& where);
  Step decoder(const Value& value, const std::string& where, bool& byte_level, int depth);
  Step post_processor(const Value& value, const std::string& where, int depth);
  Step post_template(const Value& value, const std::string& where);

  const Value& json_;
  std::string_view at_;
  std::int64_t highest_ = kMaxTokenId;  // ids: a small file must not ask for much memory
  TokenizerSpec spec_;
  Ids ids_;  // by spelling; views into json_
};

Step Reader::keys(const Value& object,
                  const std::string& where,
                  const std::vector<std::string>& known) {
  if (!object.is_object())
    return wrong(where, std::string("found ") + kind_name(object.kind()) + ", wanted an object");
  for (const auto& member : object.members()) {
    if (std::find(known.begin(), known.end(), member.first) != known.end()) continue;
    const auto near = nearest(member.first, known);
    return wrong(where, "unknown key '" + member.first.substr(0, 80) + "'; known are " +
                            join(known, ", ") + (near.empty() ? "" : "; nearest: " + near));
  }
  return std::nullopt;
}

Result<bool> Reader::boolean(const Value& object,
                             const std::string& where,
                             const char* key,
                             bool fallback) {
  const auto* value = object.find(key);
  if (value == nullptr) return fallback;
  if (value->is_bool()) return value->as_bool();
  return wrong(where + "/" + key,
               std::string("found ") + kind_name(value->kind()) + ", wanted a boolean");
}

Step Reader::vocab(const Value& vocab) {
  if (!vocab.is_object()) return wrong("model/vocab", "wanted an object of token: id");
  std::int64_t most = -1;
  for (const auto& [spelling, id] : vocab.members()) {
    if (!id.is_int() || id.as_int() < 0 || id.as_int() > highest_)
      return wrong("model/vocab", "an id that is no integer of 0 to " + std::to_string(highest_) +
                                      " (token '" + spelling.substr(0, 80) + "')");
    if (spelling.size() > kMaxTokenBytes)
      return wrong("model/vocab", "a token of " + std::to_string(spelling.size()) +
                                      " bytes; at most " + std::to_string(kMaxTokenBytes));
    most = std::max(most, id.as_int());
  }
  spec_.tokens.resize(static_cast<std::size_t>(most + 1));
  ids_.reserve(vocab.members().size());
  for (const auto& [spelling, id] : vocab.members()) {
    auto& token = spec_.tokens[static_cast<std::size_t>(id.as_int())];
    if (token.present)
      return wrong("model/vocab", "the id " + std::to_string(id.as_int()) + " has two tokens");
    auto bytes = read_spelling(spelling);
    token = {bytes ? *std::move(bytes) : spelling, true, bytes.has_value()};
    ids_.emplace(spelling, static_cast<std::int32_t>(id.as_int()));
  }
  return std::nullopt;
}

Step Reader::byte_tokens() {
  for (unsigned b = 0; b < 256; ++b) {
    const auto it = ids_.find(spell_bytes(std::string(1, static_cast<char>(b))));
    if (it == ids_.end())
      return wrong("model/vocab", "the byte " + std::to_string(b) +
                                      " has no token; wanted all 256 of the byte alphabet");
    spec_.byte_ids[b] = it->second;
  }
  return std::nullopt;
}

Step Reader::merge(const Value& merge, std::size_t rank) {
  const auto where = "model/merges/" + std::to_string(rank);
  std::string_view left, right;
  if (merge.is_string()) {
    const std::string_view text = merge.as_string();
    const auto space = text.find(' ');
    if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos)
      return wrong(where, "wanted two tokens with one space between");
    left = text.substr(0, space);
    right = text.substr(space + 1);
  } else if (merge.is_array() && merge.items().size() == 2 && merge.items()[0].is_string() &&
             merge.items()[1].is_string()) {
    left = merge.items()[0].as_string();
    right = merge.items()[1].as_string();
  } else {
    return wrong(where, "wanted \"left right\" or [left, right]");
  }
  const auto merged = std::string(left) + std::string(right);
  Merge out;
  for (const auto& [text, id] : {std::pair<std::string_view, std::int32_t*>{left, &out.left},
                                 {right, &out.right},
                                 {merged, &out.merged}}) {
    const auto it = ids_.find(text);
    if (it == ids_.end() || text.empty())
      return wrong(where,
                   "'" + std::string(text.substr(0, 80)) + "' is no token of the vocabulary");
    *id = it->second;
  }
  spec_.merges.push_back(out);
  return std::nullopt;
}

Step Reader::merges(const Value& merges) {
  if (!merges.is_array() || merges.items().size() > kMaxMerges)
    return wrong("model/merges",
                 "wanted an array of at most " + std::to_string(kMaxMerges) + " merges");
  spec_.merges.reserve(merges.items().size());
  for (std::size_t i = 0; i < merges.items().size(); ++i)
    if (auto error = merge(merges.items()[i], i)) return error;
  return std::nullopt;
}

Step Reader::model(const Value& model) {
  if (!model.is_object()) return wrong("model", "wanted an object");
  // Files of long ago have no type; they are BPE where they have merges.
  const auto type = model.text("type", model.find("merges") != nullptr ? "BPE" : "");
  if (type != "BPE")
    return unsupported("model/type", "the model type '" + type.substr(0, 40) + "'");
  if (auto error =
          keys(model, "model",
               {"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
                "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges"}))
    return error;
  const auto* dropout = model.find("dropout");
  if (dropout != nullptr && !dropout->is_null() &&
      !(dropout->is_number() && dropout->as_double() == 0.0))
    return unsupported("model/dropout", "dropout");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const auto* value = model.find(key);
    if (value != nullptr && !value->is_null() &&
        !(value->is_string() && value->as_string().empty()))
      return unsupported(std::string("model/") + key, std::string("'") + key + "'");
  }
  SEEDBED_TRY(const bool fallback, boolean(model, "model", "byte_fallback", false));
  if (fallback) return unsupported("model/byte_fallback", "byte_fallback");
  SEEDBED_TRY(spec_.ignore_merges, boolean(model, "model", "ignore_merges", false));
  // unk_token and fuse_unk never matter: every byte has a token.
  const auto* tokens = model.find("vocab");
  const auto* pairs = model.find("merges");
  if (tokens == nullptr || pairs == nullptr) return wrong("model", "wanted 'vocab' and 'merges'");
  if (auto error = vocab(*tokens)) return error;
  if (auto error = byte_tokens()) return error;
  return merges(*pairs);
}

Step Reader::added_token(const Value& value, const std::string& where) {
  if (auto error =
          keys(value, where,
               {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"}))
    return error;
  const auto* id = value.find("id");
  const auto* content = value.find("content");
  if (id == nullptr || !id->is_int() || id->as_int() < 0 || id->as_int() > highest_)
    return wrong(where + "/id", "wanted an integer of 0 to " + std::to_string(highest_));
  if (content == nullptr || !content->is_string() || content->as_string().empty() ||
      content->as_string().size() > kMaxAddedTokenBytes)
    return wrong(where + "/content",
                 "wanted a string of 1 to " + std::to_string(kMaxAddedTokenBytes) + " bytes");
  AddedToken token;
  token.id = static_cast<std::int32_t>(id->as_int());
  token.content = content->as_string();
  for (const auto& [key, out] : {std::pair<const char*, bool*>{"single_word", &token.single_word},
                                 {"lstrip", &token.lstrip},
                                 {"rstrip", &token.rstrip},
                                 {"normalized", &token.normalized},
                                 {"special", &token.special}}) {
    SEEDBED_TRY(*out, boolean(value, where, key, false));
  }
  const auto known = ids_.find(token.content);
  if (known != ids_.end() && known->second != token.id)
    return wrong(where, "'" + token.content + "' has the id " + std::to_string(known->second) +
                            " in the vocabulary and " + std::to_string(token.id) + " here");
  const auto index = static_cast<std::size_t>(token.id);
  if (index >= spec_.tokens.size()) spec_.tokens.resize(index + 1);
  auto& place = spec_.tokens[index];
  if (place.present && known == ids_.end())
    return wrong(where, "the id " + std::to_string(token.id) + " has another token already");
  // What HF decodes through the byte alphabet is here the token's own text.
  const bool byte_level = place.byte_level;
  place = {token.content, true, byte_level && place.bytes == token.content};
  spec_.added.push_back(std::move(token));
  return std::nullopt;
}

Step Reader::added(const Value& list) {
  if (!list.is_array() || list.items().size() > kMaxAddedTokens)
    return wrong("added_tokens",
                 "wanted an array of at most " + std::to_string(kMaxAddedTokens) + " tokens");
  std::unordered_set<std::string> contents;
  for (std::size_t i = 0; i < list.items().size(); ++i) {
    const auto where = "added_tokens/" + std::to_string(i);
    if (auto error = added_token(list.items()[i], where)) return error;
    if (!contents.insert(spec_.added.back().content).second)
      return wrong(where, "a content that an earlier token has");
  }
  return std::nullopt;
}

Step Reader::normalizer(const Value& value, const std::string& where) {
  if (value.is_null()) return std::nullopt;
  const auto type = value.text("type");
  const auto* list = value.find("normalizers");
  if (type == "Sequence" && list != nullptr && list->is_array()) {
    for (std::size_t i = 0; i < list->items().size(); ++i) {
      // An empty sequence within is allowed, anything else is refused by its name.
      const auto& inner = list->items()[i];
      const auto* deeper = inner.find("normalizers");
      if (inner.text("type") == "Sequence" && deeper != nullptr && deeper->is_array() &&
          deeper->items().empty())
        continue;
      return unsupported(where + "/normalizers/" + std::to_string(i),
                         "the normalizer '" + inner.text("type").substr(0, 40) + "'");
    }
    return std::nullopt;
  }
  return unsupported(where, "the normalizer '" + type.substr(0, 40) + "'");
}

Step Reader::split(const Value& value, const std::string& where) {
  if (auto error = keys(value, where, {"type", "pattern", "behavior", "invert"})) return error;
  PreTokenizerStep step;
  const auto* pattern = value.find("pattern");
  if (pattern == nullptr || !pattern->is_object() || pattern->members().size() != 1 ||
      !pattern->members()[0].second.is_string() ||
      (pattern->members()[0].first != "Regex" && pattern->members()[0].first != "String"))
    return wrong(where + "/pattern", "wanted {\"Regex\": text} or {\"String\": text}");
  step.literal = pattern->members()[0].first == "String";
  step.pattern = pattern->members()[0].second.as_string();
  const auto name = value.text("behavior");
  constexpr std::pair<const char*, Behavior> kBehaviors[] = {
      {"Removed", Behavior::removed},
      {"Isolated", Behavior::isolated},
      {"MergedWithPrevious", Behavior::merged_with_previous},
      {"MergedWithNext", Behavior::merged_with_next},
      {"Contiguous", Behavior::contiguous}};
  const auto* found = std::find_if(std::begin(kBehaviors), std::end(kBehaviors),
                                   [&name](const auto& b) { return name == b.first; });
  if (found == std::end(kBehaviors))
    return wrong(where + "/behavior", "unknown behavior '" + name.substr(0, 40) + "'");
  step.behavior = found->second;
  SEEDBED_TRY(step.invert, boolean(value, where, "invert", false));
  spec_.steps.push_back(std::move(step));
  return std::nullopt;
}

Step Reader::pre_tokenizer(const Value& value, const std::string& where, int depth) {
  if (spec_.steps.size() >= kMaxPreTokenizerSteps || depth > 4)
    return wrong(where, "more than " + std::to_string(kMaxPreTokenizerSteps) +
                            " pre-tokenizers or 4 levels of them");
  const auto type = value.text("type");
  PreTokenizerStep step;
  if (type == "Sequence") {
    if (auto error = keys(value, where, {"type", "pretokenizers"})) return error;
    const auto* list = value.find("pretokenizers");
    if (list == nullptr || !list->is_array())
      return wrong(where + "/pretokenizers", "wanted an array");
    for (std::size_t i = 0; i < list->items().size(); ++i)
      if (auto error = pre_tokenizer(list->items()[i],
                                     where + "/pretokenizers/" + std::to_string(i), depth + 1))
        return error;
    return std::nullopt;
  }
  if (!spec_.steps.empty() && spec_.steps.back().kind == PreTokenizerStep::Kind::byte_level)
    return unsupported(where, "a pre-tokenizer after ByteLevel");
  if (type == "Split") return split(value, where);
  if (type == "Digits") {
    if (auto error = keys(value, where, {"type", "individual_digits"})) return error;
    step.kind = PreTokenizerStep::Kind::digits;
    SEEDBED_TRY(step.individual_digits, boolean(value, where, "individual_digits", false));
  } else if (type == "ByteLevel") {
    if (auto error = keys(value, where, {"type", "add_prefix_space", "trim_offsets", "use_regex"}))
      return error;
    step.kind = PreTokenizerStep::Kind::byte_level;
    SEEDBED_TRY(step.add_prefix_space, boolean(value, where, "add_prefix_space", true));
    SEEDBED_TRY(step.use_regex, boolean(value, where, "use_regex", true));
  } else {
    return unsupported(where, "the pre-tokenizer '" + type.substr(0, 40) + "'");
  }
  spec_.steps.push_back(std::move(step));
  return std::nullopt;
}

Step Reader::decoder(const Value& value, const std::string& where, bool& byte_level, int depth) {
  const auto type = value.text("type");
  if (type == "ByteLevel") {
    if (byte_level) return unsupported(where, "a second decoder 'ByteLevel'");
    byte_level = true;
    return std::nullopt;
  }
  const auto* list = value.find("decoders");
  if (type == "Sequence" && list != nullptr && list->is_array() && depth < 4) {
    for (std::size_t i = 0; i < list->items().size(); ++i)
      if (auto error = decoder(list->items()[i], where + "/decoders/" + std::to_string(i),
                               byte_level, depth + 1))
        return error;
    return std::nullopt;
  }
  if (type == "Fuse") return std::nullopt;  // the text is one anyway
  return unsupported(where, value.is_null() ? "text joined with spaces (no decoder)"
                                            : "the decoder '" + type.substr(0, 40) + "'");
}

Step Reader::post_template(const Value& value, const std::string& where) {
  if (auto error = keys(value, where, {"type", "single", "pair", "special_tokens"})) return error;
  const auto* single = value.find("single");
  const auto* specials = value.find("special_tokens");
  if (single == nullptr || !single->is_array() || single->items().size() > 64 ||
      specials == nullptr || !specials->is_object())
    return wrong(where, "wanted 'single' (an array of at most 64) and 'special_tokens'");
  bool text_seen = false;
  for (const auto& piece : single->items()) {
    if (piece.find("Sequence") != nullptr) {
      if (text_seen) return unsupported(where + "/single", "a template with its text twice");
      text_seen = true;
      continue;
    }
    const auto* special = piece.find("SpecialToken");
    const auto* named = special == nullptr ? nullptr : specials->find(special->text("id", "\n"));
    const auto* ids = named == nullptr ? nullptr : named->find("ids");
    if (ids == nullptr || !ids->is_array() || ids->items().size() > 64)
      return wrong(where + "/single", "a piece that is neither Sequence nor a known SpecialToken");
    for (const auto& id : ids->items()) {
      if (!id.is_int() || id.as_int() < 0 ||
          id.as_int() >= static_cast<std::int64_t>(spec_.tokens.size()) ||
          !spec_.tokens[static_cast<std::size_t>(id.as_int())].present)
        return wrong(where + "/special_tokens", "an id that has no token");
      (text_seen ? spec_.suffix : spec_.prefix).push_back(static_cast<std::int32_t>(id.as_int()));
    }
  }
  if (!text_seen) return wrong(where + "/single", "a template without its text");
  return std::nullopt;
}

Step Reader::post_processor(const Value& value, const std::string& where, int depth) {
  if (value.is_null()) return std::nullopt;
  const auto type = value.text("type");
  if (type == "ByteLevel") return std::nullopt;  // moves offsets alone
  if (type == "TemplateProcessing") {
    if (!spec_.prefix.empty() || !spec_.suffix.empty())
      return unsupported(where, "a second TemplateProcessing");
    return post_template(value, where);
  }
  const auto* list = value.find("processors");
  if (type == "Sequence" && list != nullptr && list->is_array() && list->items().size() <= 16 &&
      depth < 4) {
    for (std::size_t i = 0; i < list->items().size(); ++i)
      if (auto error = post_processor(list->items()[i], where + "/processors/" + std::to_string(i),
                                      depth + 1))
        return error;
    return std::nullopt;
  }
  return unsupported(where, "the post-processor '" + type.substr(0, 40) + "'");
}

Step Reader::top() {
  if (auto error = keys(json_, "",
                        {"version", "truncation", "padding", "added_tokens", "normalizer",
                         "pre_tokenizer", "post_processor", "decoder", "model"}))
    return error;
  const auto get = [this](const char* key) {
    const auto* value = json_.find(key);
    return value == nullptr ? Value() : *value;
  };
  for (const char* key : {"truncation", "padding"})
    if (!get(key).is_null()) return unsupported(key, std::string("'") + key + "'");
  if (auto error = normalizer(get("normalizer"), "normalizer")) return error;
  if (auto error = pre_tokenizer(get("pre_tokenizer"), "pre_tokenizer", 0)) return error;
  if (spec_.steps.empty() || spec_.steps.back().kind != PreTokenizerStep::Kind::byte_level)
    return unsupported("pre_tokenizer", "a tokenizer whose last pre-tokenizer is not ByteLevel");
  bool byte_level = false;
  if (auto error = decoder(get("decoder"), "decoder", byte_level, 0)) return error;
  if (!byte_level) return unsupported("decoder", "a tokenizer without the decoder ByteLevel");
  const auto* body = json_.find("model");
  if (body == nullptr) return wrong("model", "absent");
  const auto* list = json_.find("added_tokens");
  const auto* tokens = body->find("vocab");
  const auto members = [](const Value* value) -> std::size_t {
    return value == nullptr     ? 0
           : value->is_object() ? value->members().size()
           : value->is_array()  ? value->items().size()
                                : 0;
  };
  // Ids may have holes, but not many more than there are tokens.
  highest_ = std::min<std::int64_t>(
      kMaxTokenId, 65'536 + 4 * static_cast<std::int64_t>(members(tokens) + members(list)));
  if (auto error = model(*body)) return error;
  if (list != nullptr && !list->is_null())
    if (auto error = added(*list)) return error;
  return post_processor(get("post_processor"), "post_processor", 0);
}

Result<TokenizerSpec> Reader::read() {
  if (auto error = top()) return *std::move(error);
  return std::move(spec_);
}

}  // namespace

Result<TokenizerSpec> read_tokenizer_spec(const Value& json, std::string_view at) {
  return Reader(json, at).read();
}

}  // namespace seedbed::engine::text
