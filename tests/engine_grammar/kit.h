// Vocabularies like those of real tokenizers, and an adversary who samples from them.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "engine/grammar/grammar.h"

namespace seedbed::engine::grammar::kit {

struct Words {
  TokenTable table;
  std::shared_ptr<const Vocabulary> vocabulary;
  std::int32_t end = -1, end_think = -1, dsml = -1;
};
// All bytes, pieces that cross the borders of JSON and DSML, pieces of text, white space, broken
// UTF-8, at last `more` random ones. Markers: </think> and DSML are tokens; else they are text.
Words make_words(std::size_t more, bool markers, std::uint64_t seed = 1);

struct Walk {
  bool ended = false;             // an end token was taken
  std::string text;               // of ordinary tokens; markers as their spelling
  std::vector<std::int32_t> ids;  // the end token included
  std::string broken;             // a law that did not hold
};
// Draws uniformly among what the mask allows, with at most `max_tokens`. With `prefer_end`, the end
// is taken as soon as it is allowed.
Walk walk(const std::shared_ptr<const Grammar>& grammar,
          const Words& words,
          Rng& rng,
          std::int64_t max_tokens,
          bool prefer_end = false);

bool allows(const std::uint32_t* mask, std::int32_t id);
// Whether a matcher takes the text byte by byte, and then the end.
bool takes(const std::shared_ptr<const Grammar>& grammar,
           const Words& words,
           std::string_view text);
// The text's bytes as tokens of one byte.
std::int32_t byte_id(unsigned char c);

schemas::Value parse(std::string_view json);  // must be JSON
// 50 schemas of many kinds, each with what it is about.
struct Case {
  const char* name;
  const char* schema;
};
const std::vector<Case>& schema_cases();

}  // namespace seedbed::engine::grammar::kit
