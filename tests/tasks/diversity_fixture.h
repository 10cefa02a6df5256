// Small sets of facts made by hand, to be measured.
#pragma once
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/hash.h"
#include "base/rng.h"
#include "tasks/diversity/report.h"
#include "tasks/selection.h"

namespace seedbed::tasks::diversity {

inline schemas::GoldStep call(const std::string& tool,
                              std::vector<int> needs = {},
                              schemas::Value args = schemas::Value::object()) {
  return {.kind = schemas::GoldKind::call,
          .tool = tool,
          .args = std::move(args),
          .text = "",
          .needs = std::move(needs),
          .derived = {}};
}
inline schemas::GoldStep submit(std::vector<int> needs) {
  auto out = call("", std::move(needs));
  out.kind = schemas::GoldKind::submit;
  return out;
}
inline schemas::Value args(const std::string& name, schemas::Value value) {
  schemas::Value out = schemas::Value::object();
  out.set(name, std::move(value));
  return out;
}

inline TaskFacts task_with(const std::string& prompt, const std::string& kind = "lookup") {
  const std::string masked = masked_text(prompt);
  TaskFacts out;
  out.kind = kind;
  out.level = 3;
  out.plan_calls = 4;
  out.mechanisms = 1;
  out.shape = hash64(kind);
  out.skeleton = hash64(masked, 1);
  out.masked = hash64(masked);
  out.text = text_facts(prompt);
  out.grams = shingles_of(words_of(prompt));
  out.masked_grams = shingles_of(masked_words_of(masked));
  return out;
}

// Twelve words of a vocabulary of their own: prompts of different numbers share no 5-gram.
inline std::string strange_prompt(int number) {
  std::string out;
  for (int i = 0; i < 12; ++i)
    out += (i == 0 ? "" : " ") + std::string("word") + static_cast<char>('a' + number % 26) +
           static_cast<char>('a' + number / 26) + static_cast<char>('a' + i);
  return out + ".";
}

inline EnvironmentFacts environment_with(int number, const std::vector<std::string>& prompts) {
  EnvironmentFacts out;
  out.heldout = number % 4 == 3;
  out.schema_class = hash64(std::to_string(number));
  out.core_schema_class = hash64(std::to_string(number / 2));
  out.tools_signature = hash64(std::to_string(number), 3);
  out.tools = 8 + number % 10;
  out.lexicon = "lexicon" + std::to_string(number % 3);
  out.mechanisms = {"a", "b", "c" + std::to_string(number % 2)};
  out.layout_passes =
      number % 2 == 0 ? std::vector<std::string>{"history"} : std::vector<std::string>{};
  for (const auto& prompt : prompts) out.tasks.push_back(task_with(prompt));
  return out;
}

inline Evidence evidence_with(const std::vector<std::vector<std::string>>& prompts) {
  Evidence out;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    out.environments.push_back(environment_with(static_cast<int>(i), prompts[i]));
    for (const auto& prompt : prompts[i]) out.sample.push_back({hash64(prompt, 11), prompt});
  }
  std::sort(out.sample.begin(), out.sample.end(), [](const Prompt& a, const Prompt& b) {
    return a.key != b.key ? a.key < b.key : a.text < b.text;
  });
  return out;
}

inline Options options_with(int threads = 1) {
  Options out;
  out.layout_passes = {"history", "split"};
  out.surface_passes = {"pages"};
  out.threads = threads;
  return out;
}

inline Report report(const Evidence& evidence, const Options& options = options_with()) {
  auto out = report_of(evidence, options);
  EXPECT_TRUE(out.ok());
  return out.ok() ? *std::move(out) : Report{};
}

}  // namespace seedbed::tasks::diversity
