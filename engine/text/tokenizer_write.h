// A tokenizer.json from its parts.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "engine/text/tokenizer_spec.h"
#include "schemas/value.h"

namespace seedbed::engine::text {

// `tokens` by id, as bytes; those of `added` are spelled as their content. Merges are pairs of ids.
// ignore_merges: what is a token as a whole needs no merges that make it.
schemas::Value write_tokenizer_json(
    const std::vector<std::string>& tokens,
    const std::vector<std::pair<std::int32_t, std::int32_t>>& merges,
    const std::vector<AddedToken>& added,
    const std::vector<PreTokenizerStep>& steps,
    bool ignore_merges);

}  // namespace seedbed::engine::text
