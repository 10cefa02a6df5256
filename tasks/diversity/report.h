// How different the environments and tasks of a set are: measured once, for text, JSON and HTML. A
// function of the set: ids, order and the number of threads do not matter.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "schemas/value.h"
#include "tasks/diversity/facts.h"
#include "tasks/diversity/knobs.h"
#include "tasks/diversity/near.h"
#include "tasks/diversity/ngrams.h"
#include "tasks/diversity/richness.h"
#include "tasks/store.h"

namespace seedbed::tasks::diversity {

struct Prompt {
  std::uint64_t key = 0;  // hash of the text: the sample is the prompts with the lowest keys
  std::string text;
};

struct Progress {
  const char* what = "";
  const char* unit = "";
  std::int64_t done = 0, total = 0;
};

struct Options {
  std::vector<std::string> layout_passes, surface_passes;         // that the generator knows
  std::vector<std::string> heldout_mechanisms, heldout_lexicons;  // of its packs
  int threads = 1;
  std::size_t sample = 10'000;                                             // prompts
  std::function<void(const Progress&)> progress = [](const Progress&) {};  // from any thread
  std::function<bool()> stop = [] { return false; };
};

struct Evidence {
  std::vector<EnvironmentFacts> environments;
  std::vector<Prompt> sample;  // by key
  std::vector<GateCount> rejections;
};
// Reads the selected environments and tasks of a store, on `threads` lanes with a reader each.
Result<Evidence> read_evidence(const std::string& path, const Options& options);

using Histogram = std::map<std::string, std::int64_t>;

struct Leakage {
  std::int64_t train = 0, heldout = 0;  // environments
  // Held-out by the packs, and yet in an environment of the train split: must be empty.
  std::vector<std::string> mechanisms, lexicons;
  std::vector<std::string> only_heldout_mechanisms,
      only_heldout_lexicons;                                           // seen in that split alone
  std::int64_t schema_classes = 0, skeletons = 0, masked_prompts = 0;  // in both splits
};

struct Report {
  std::int64_t environments = 0, tasks = 0;
  Richness schema_classes, core_schema_classes, tool_signatures, dependencies, policies, rules;
  Richness obligations, shapes, skeletons, masked_prompts;
  std::map<std::int64_t, std::int64_t> dependency_depth, dependency_width;
  NearDuplicates near_raw, near_masked;
  SampleText sample_raw, sample_masked;
  std::map<std::int64_t, std::int64_t> words, sentences, questions;  // prompts by how many
  Histogram openings;                                                // the 12 most frequent
  std::int64_t different_openings = 0;                               // both of the sample
  Coverage coverage;
  std::int64_t crossing = 0;  // tasks with interactions > 0 whose plan touches > 1 mechanisms
  Leakage leakage;
  Histogram kinds, mechanisms, lexicons;
  std::map<std::int64_t, std::int64_t> levels, tools, plan_calls;
  std::vector<GateCount> rejections;
};
Result<Report> report_of(const Evidence& evidence, const Options& options);

schemas::Value to_json(const Report& report);

}  // namespace seedbed::tasks::diversity
