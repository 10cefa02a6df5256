// Vocabularies like those of real tokenizers, and an adversary who samples from them.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/rng.h"
#include "engine/chat/markers.h"
#include "engine/grammar/grammar.h"

namespace seedbed::engine::grammar::kit {

struct Words {
  TokenTable table;
  std::shared_ptr<const Vocabulary> vocabulary;
  std::int32_t end = -1, end_think = -1, dsml = -1;
};
struct Walk {
  bool ended = false;             // an end token was taken
  std::string text;               // of ordinary tokens; markers as their spelling
  std::vector<std::int32_t> ids;  // the end token included
  std::string broken;             // a law that did not hold
};

inline constexpr const char* kPieces[] = {"{\"",
                                          "\"}",
                                          "\":",
                                          "\":\"",
                                          "\",\"",
                                          "\":{\"",
                                          "},{\"",
                                          "},",
                                          "\"},{\"",
                                          "[{\"",
                                          "}]",
                                          "}}",
                                          "]}",
                                          "[]",
                                          "{}",
                                          "[[",
                                          "]]",
                                          "[[[[",
                                          "]]]]",
                                          ",\"",
                                          "\"],\"",
                                          "\":[",
                                          "\":[\"",
                                          "\":-",
                                          "\":1",
                                          "true",
                                          "false",
                                          "null",
                                          "true,",
                                          "false}",
                                          ":true",
                                          ":null,",
                                          "nu",
                                          "ll",
                                          "tr",
                                          "ue",
                                          "00",
                                          "123",
                                          "12",
                                          "0.",
                                          ".5",
                                          "e+",
                                          "E-1",
                                          "-1",
                                          "\\\"",
                                          "\\\\",
                                          "\\n",
                                          "\\u",
                                          "\\u00",
                                          "\\ud83d",
                                          "\\ude00",
                                          "\\ud83d\\ude00",
                                          " ",
                                          "  ",
                                          "    ",
                                          "\n",
                                          "\n\n",
                                          "\t",
                                          " {",
                                          ": ",
                                          ", ",
                                          "the",
                                          " the",
                                          "a",
                                          "name",
                                          "id",
                                          "value",
                                          "kind",
                                          " of",
                                          "item",
                                          "items",
                                          "count",
                                          "tags",
                                          "hello",
                                          " world",
                                          "\"a\":",
                                          "\"a\"",
                                          "{\"a\":1",
                                          ",\"a\":",
                                          "{\"b\":{\"a\":",
                                          "\"a\":1,\"b\":2",
                                          "{\"a\":1,\"a\":",
                                          "\"a\":1}}",
                                          "a\"",
                                          "aa\"",
                                          "b\":",
                                          "ab",
                                          "abc",
                                          "2024-",
                                          "-02-29",
                                          "T12:",
                                          ":00Z",
                                          "\xe2\x82",
                                          "\xac",
                                          "\xe2\x82\xac",
                                          "\xf0\x9f",
                                          "\x98\x80",
                                          "\xf0\x9f\x98\x80",
                                          "\xc3",
                                          "\xa9",
                                          "\xc3\xa9",
                                          "\xc3\xa9\xc3",
                                          "\xff\xfe",
                                          "\x80\x80",
                                          "\xed\xa0",
                                          "x\xe2",
                                          "\xac\"",
                                          "\xac\"}",
                                          "<",
                                          "</",
                                          ">",
                                          "\">",
                                          "\">\n",
                                          "</think>",
                                          "think>",
                                          "</th",
                                          "ink>x",
                                          "<\xef\xbd\x9c",
                                          "\xef\xbd\x9c",
                                          "DSML",
                                          "\xef\xbd\x9c"
                                          "DSML\xef\xbd\x9c",
                                          "<\xef\xbd\x9c"
                                          "DSML",
                                          "function_calls>",
                                          "function",
                                          "_calls",
                                          "invoke",
                                          " name=\"",
                                          "invoke name=\"",
                                          "parameter",
                                          " string=\"",
                                          "true\">",
                                          "false\">",
                                          "\" string=\"true\">",
                                          "parameter name=\"",
                                          "></",
                                          ">\n<",
                                          "\n</",
                                          "\n\n<",
                                          "a</",
                                          "x <",
                                          "\n\n</"};

inline void add(TokenTable& table, std::string bytes, bool special = false) {
  table.bytes.push_back(std::move(bytes));
  table.special.push_back(special ? 1 : 0);
}

// All bytes, pieces that cross the borders of JSON and DSML, pieces of text, white space, broken
// UTF-8, at last `more` random ones. Markers: </think> and DSML are tokens; else they are text.
inline Words make_words(std::size_t more, bool markers, std::uint64_t seed = 1) {
  Words out;
  auto& t = out.table;
  for (int c = 0; c < 256; ++c) add(t, std::string(1, static_cast<char>(c)));
  for (const char* piece : kPieces) add(t, piece);
  const auto special = [&](std::string_view text) {
    add(t, std::string(text), true);
    return static_cast<std::int32_t>(t.bytes.size()) - 1;
  };
  special(chat::kBos);
  out.end = special(chat::kEos);
  t.end_ids = {out.end};
  add(t, "");
  if (markers) {
    out.end_think = t.end_think = special(chat::kEndThink);
    out.dsml = t.dsml = special(chat::kDsml);
  }
  auto rng = rng_for(seed, "words", 0, "more");
  const auto known = t.bytes.size();
  for (std::size_t i = 0; i < more; ++i) {
    std::string piece;
    for (auto n = rng.between(1, 3); n > 0; --n) piece += t.bytes[rng.below(known - 5)];
    add(t, piece.substr(0, 24));
  }
  out.vocabulary = Vocabulary::make(t);
  return out;
}

inline bool allows(const std::uint32_t* mask, std::int32_t id) {
  return (mask[static_cast<std::size_t>(id) / 32] >> (static_cast<unsigned>(id) % 32) & 1U) != 0;
}

inline std::int32_t byte_id(unsigned char c) {
  return c;
}

// Draws uniformly among what the mask allows, with at most `max_tokens`. With `prefer_end`, the end
// is taken as soon as it is allowed.
inline Walk walk(const std::shared_ptr<const Grammar>& grammar,
                 const Words& words,
                 Rng& rng,
                 std::int64_t max_tokens,
                 bool prefer_end = false) {
  Walk out;
  Matcher matcher(grammar);
  std::vector<std::int32_t> open;
  for (std::int64_t left = max_tokens; left > 0 && !out.ended; --left) {
    const auto* mask = matcher.mask(left);
    open.clear();
    const auto size = words.table.bytes.size();
    for (std::size_t word = 0; word < (size + 31) / 32; ++word)
      for (auto bits = mask[word]; bits != 0; bits &= bits - 1)
        open.push_back(static_cast<std::int32_t>(word * 32) + __builtin_ctz(bits));
    if (open.empty()) {
      out.broken = "nothing is allowed after: " + out.text;
      return out;
    }
    auto id = rng.pick(open);
    if (prefer_end && allows(mask, words.end)) id = words.end;
    if (static_cast<std::size_t>(id) >= size) {
      out.broken = "a bit beyond the vocabulary";
      return out;
    }
    if (!matcher.accept(id)) {
      out.broken = "a token that the mask allows is refused: '" +
                   words.table.bytes[static_cast<std::size_t>(id)] + "' after: " + out.text;
      return out;
    }
    out.ids.push_back(id);
    out.ended = matcher.finished();
    if (out.ended != (id == words.end)) out.broken = "finished() is not told by the end token";
    if (!out.ended) out.text += words.table.bytes[static_cast<std::size_t>(id)];
  }
  if (!out.ended && max_tokens >= grammar->shortest())
    out.broken = "no end within " + std::to_string(max_tokens) + " tokens: " + out.text;
  return out;
}

// Whether a matcher takes the text byte by byte, and then the end.
inline bool takes(const std::shared_ptr<const Grammar>& grammar,
                  const Words& words,
                  std::string_view text) {
  Matcher matcher(grammar);
  for (const char c : text)
    if (!matcher.accept(byte_id(static_cast<unsigned char>(c)))) return false;
  return matcher.accept(words.end);
}

inline schemas::Value parse(std::string_view json) {
  auto value = schemas::parse_json(json);
  SEEDBED_CHECK(value.ok(), json, value.error().message);
  return *std::move(value);
}

}  // namespace seedbed::engine::grammar::kit
