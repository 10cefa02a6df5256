// Episodes as flat token sequences for trainers; the fields are those of agent/README.md.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "agent/token_arrays.h"
#include "base/result.h"
#include "tasks/store.h"

namespace seedbed::agent {

// One line a branch of the episode's token record. Error{store}: the record's arrays do not fit
// together. `family` is the environment's.
Result<std::vector<schemas::Value>> token_lines(const tasks::StoredEpisode& episode,
                                                const std::string& kind,
                                                const std::string& family);
// The same of sequences that nobody sampled (rendered_tokens.h). `tokenizer` is its content hash;
// `bare` the ids that the sequences of all tasks of the environment begin with, at least in part.
std::vector<schemas::Value> rendered_lines(const tasks::StoredEpisode& episode,
                                           const std::string& kind,
                                           const std::string& family,
                                           const std::string& tokenizer,
                                           bool thinking,
                                           const std::vector<std::int32_t>& bare,
                                           const std::vector<TokenArrays>& branches);
// Parses the line back and checks lengths, mask, spans, kept sets and routing. What is wrong, or
// "".
std::string check_token_line(std::string_view line);

struct TokenField {
  const char* name;
  const char* type;  // as Hugging Face's card writes it
  const char* about;
};
const std::vector<TokenField>& token_fields();

}  // namespace seedbed::agent
