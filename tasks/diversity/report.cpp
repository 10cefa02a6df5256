#include "tasks/diversity/report.h"

#include <algorithm>
#include <set>

#include "tasks/selection.h"

namespace seedbed::tasks::diversity {
namespace {

constexpr std::size_t kOpenings = 12;

bool among(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Classes of environments and of tasks, each collected by one member.
template <class F>
Richness of_environments(const Evidence& e, const F& f) {
  std::vector<std::uint64_t> classes;
  for (const auto& env : e.environments) classes.push_back(f(env));
  return richness_of(std::move(classes));
}
template <class F>
Richness of_tasks(const Evidence& e, const F& f) {
  std::vector<std::uint64_t> classes;
  for (const auto& env : e.environments)
    for (const auto& task : env.tasks) classes.push_back(f(task));
  return richness_of(std::move(classes));
}

void count_structure(const Evidence& e, Report& out) {
  using E = EnvironmentFacts;
  using T = TaskFacts;
  out.schema_classes = of_environments(e, [](const E& x) { return x.schema_class; });
  out.core_schema_classes = of_environments(e, [](const E& x) { return x.core_schema_class; });
  out.tool_signatures = of_environments(e, [](const E& x) { return x.tools_signature; });
  out.dependencies = of_environments(e, [](const E& x) { return x.dependencies; });
  out.policies = of_environments(e, [](const E& x) { return x.policy; });
  std::vector<std::uint64_t> rules;
  for (const auto& env : e.environments)
    rules.insert(rules.end(), env.rules.begin(), env.rules.end());
  out.rules = richness_of(std::move(rules));
  out.obligations = of_tasks(e, [](const T& x) { return x.obligations; });
  out.shapes = of_tasks(e, [](const T& x) { return x.shape; });
  out.skeletons = of_tasks(e, [](const T& x) { return x.skeleton; });
  out.masked_prompts = of_tasks(e, [](const T& x) { return x.masked; });
}

void count_histograms(const Evidence& e, Report& out) {
  for (const auto& env : e.environments) {
    ++out.dependency_depth[env.dependency_extent.depth];
    ++out.dependency_width[env.dependency_extent.width];
    ++out.tools[env.tools];
    ++out.lexicons[env.lexicon];
    for (const auto& name : env.mechanisms) ++out.mechanisms[name];
    for (const auto& task : env.tasks) {
      ++out.tasks;
      ++out.kinds[task.kind];
      ++out.levels[task.level];
      ++out.plan_calls[task.plan_calls];
      ++out.words[task.text.words];
      ++out.sentences[task.text.sentences];
      ++out.questions[task.text.questions];
      if (task.interactions > 0 && task.mechanisms > 1) ++out.crossing;
    }
  }
  out.environments = static_cast<std::int64_t>(e.environments.size());
}

template <class T>
std::int64_t in_both(const std::set<T>& a, const std::set<T>& b) {
  return std::count_if(a.begin(), a.end(), [&](const T& x) { return b.contains(x); });
}
std::vector<std::string> only_in(const std::set<std::string>& a, const std::set<std::string>& b) {
  std::vector<std::string> out;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
  return out;
}

Leakage leakage_of(const Evidence& e, const Options& options) {
  struct Side {
    std::set<std::string> mechanisms, lexicons;
    std::set<std::uint64_t> classes, skeletons, masked;
  } train, heldout;
  Leakage out;
  for (const auto& env : e.environments) {
    Side& side = env.heldout ? heldout : train;
    ++(env.heldout ? out.heldout : out.train);
    side.mechanisms.insert(env.mechanisms.begin(), env.mechanisms.end());
    side.lexicons.insert(env.lexicon);
    side.classes.insert(env.schema_class);
    for (const auto& task : env.tasks) {
      side.skeletons.insert(task.skeleton);
      side.masked.insert(task.masked);
    }
  }
  for (const auto& name : train.mechanisms)
    if (among(options.heldout_mechanisms, name)) out.mechanisms.push_back(name);
  for (const auto& name : train.lexicons)
    if (among(options.heldout_lexicons, name)) out.lexicons.push_back(name);
  out.only_heldout_mechanisms = only_in(heldout.mechanisms, train.mechanisms);
  out.only_heldout_lexicons = only_in(heldout.lexicons, train.lexicons);
  out.schema_classes = in_both(heldout.classes, train.classes);
  out.skeletons = in_both(heldout.skeletons, train.skeletons);
  out.masked_prompts = in_both(heldout.masked, train.masked);
  return out;
}

Step measure_prompts(const Evidence& e, Report& out) {
  std::vector<std::vector<std::string>> raw, masked;
  std::vector<std::string> raw_lines, masked_lines;
  Histogram openings;
  for (const auto& prompt : e.sample) {
    raw_lines.push_back(prompt.text);
    masked_lines.push_back(masked_text(prompt.text));
    raw.push_back(words_of(prompt.text));
    masked.push_back(masked_words_of(masked_lines.back()));
    ++openings[opening_of(prompt.text)];
  }
  SEEDBED_TRY(out.sample_raw, measure_sample(raw, raw_lines));
  SEEDBED_TRY(out.sample_masked, measure_sample(masked, masked_lines));
  out.different_openings = static_cast<std::int64_t>(openings.size());
  std::vector<std::pair<std::int64_t, std::string>> order;
  for (const auto& [opening, count] : openings) order.emplace_back(-count, opening);
  std::sort(order.begin(), order.end());
  if (order.size() > kOpenings) order.resize(kOpenings);
  for (const auto& [less, opening] : order) out.openings[opening] = -less;
  return std::nullopt;
}

Result<NearDuplicates> near_of(const Evidence& e, bool masked, const Options& options) {
  std::vector<NearText> texts;
  for (const auto& env : e.environments)
    for (const auto& task : env.tasks)
      texts.push_back({masked ? task.masked_grams : task.grams, env.heldout});
  const char* what = masked ? "comparing masked prompts" : "comparing prompts";
  const auto progress = [&](std::int64_t done, std::int64_t total) {
    options.progress({what, "bands", done, total});
  };
  return near_duplicates(texts, options.threads, progress, options.stop);
}

}  // namespace

Result<Report> report_of(const Evidence& evidence, const Options& options) {
  Report out;
  count_structure(evidence, out);
  count_histograms(evidence, out);
  out.leakage = leakage_of(evidence, options);
  out.coverage =
      coverage_of(knob_table(options.layout_passes, options.surface_passes), evidence.environments);
  SEEDBED_TRY(out.near_raw, near_of(evidence, false, options));
  SEEDBED_TRY(out.near_masked, near_of(evidence, true, options));
  if (auto error = measure_prompts(evidence, out)) return *std::move(error);
  out.rejections = evidence.rejections;
  return out;
}

}  // namespace seedbed::tasks::diversity
