// What is fuzzed: everything that reads bytes from outside. A target returns "" or what law the
// input broke; sanitizers see the rest. Each must be safe and quick on any input.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace seedbed::fuzz {

struct Target {
  const char* name;
  std::string (*run)(std::string_view input);
  std::vector<std::string> seeds;  // valid inputs to start from, besides the corpus
};
const std::vector<Target>& targets();
std::vector<Target> chat_targets();        // target_chat.cc: completions, conversations
std::vector<Target> checkpoint_targets();  // target_checkpoint.cc: models' files
std::vector<Target> grammar_targets();     // target_grammar.cc: schemas to masks
std::vector<Target> http_targets();        // target_http.cc: requests and their answers
std::vector<Target> sandbox_targets();     // target_sandbox.cc: MCP messages, mounts
std::vector<Target> tokenizer_targets();   // target_tokenizer.cc: tokenizer.json, texts

}  // namespace seedbed::fuzz
