#include "cli/stats.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "tasks/selection.h"

namespace seedbed::cli {
namespace {

using schemas::Value;

constexpr std::int64_t kCrowd =
    10;  // others with the same masked prompt before it counts as crowded

void add_environment(Stats& stats,
                     const schemas::Environment& env,
                     std::set<std::string>& classes,
                     std::set<std::string>& core_classes) {
  ++stats.families[env.family];
  ++stats.splits[env.recipe.split];
  ++stats.lexicons[env.recipe.lexicon];
  for (const auto& name : env.recipe.mechanisms) ++stats.mechanisms[name];
  // "history:waitlist.entry.state" counts as history: where a pass was applied is no kind of pass.
  for (const auto& name : env.recipe.layout_passes)
    ++stats.layout_passes[name.substr(0, name.find(':'))];
  for (const auto& name : env.recipe.surface_passes)
    ++stats.surface_passes[name.substr(0, name.find(':'))];
  for (const auto& edge : env.recipe.interactions)
    ++stats.interactions[edge.substr(0, edge.find(' '))];
  classes.insert(env.recipe.schema_class);
  core_classes.insert(env.recipe.core_schema_class);
}

std::int64_t plan_calls(const schemas::Gold& gold) {
  return std::count_if(gold.steps.begin(), gold.steps.end(), [](const schemas::GoldStep& step) {
    return step.kind == schemas::GoldKind::call;
  });
}

// "delta:new booking with any fee" counts as delta: names of places are the task's own.
void add_mutation(Mutation& sum, const schemas::Certificate& certificate) {
  if (!certificate.mutation) return;
  const auto& score = *certificate.mutation;
  ++sum.tasks;
  sum.made += score.made;
  sum.killed += score.killed;
  sum.weaker += score.weaker;
  sum.weaker_killed += score.weaker_killed;
  sum.implied += static_cast<std::int64_t>(score.implied.size());
  for (const auto& name : score.survivors)
    ++sum.survivors[name.substr(0, name.find_first_of(": "))];
}

Value to_json(const Mutation& sum) {
  Value survivors = Value::object();
  for (const auto& [part, count] : sum.survivors) survivors.set(part, count);
  Value out = Value::object();
  out.set("tasks", sum.tasks).set("made", sum.made).set("killed", sum.killed);
  out.set("weaker", sum.weaker).set("weaker_killed", sum.weaker_killed);
  out.set("implied", sum.implied).set("survivors", std::move(survivors));
  return out;
}

std::int64_t open_issues(const Stats& stats) {
  return std::count_if(stats.issues.begin(), stats.issues.end(), [](const tasks::Issue& issue) {
    return issue.status == tasks::Issue::Status::open;
  });
}

Value to_json(const Spread& spread) {
  Value out = Value::object();
  out.set("min", spread.min).set("median", spread.median).set("max", spread.max);
  return out;
}
Value to_json(const std::map<std::string, std::int64_t>& counts) {
  Value out = Value::object();
  for (const auto& [name, count] : counts) out.set(name, count);
  return out;
}

std::string to_text(const Spread& spread) {
  return fmt::format("{} / {} / {}", spread.min, spread.median, spread.max);
}
std::string to_text(const std::map<std::string, std::int64_t>& counts) {
  std::string out;
  for (const auto& [name, count] : counts)
    out += (out.empty() ? "" : ", ") + name + " " + format_count(count);
  return out.empty() ? "none" : out;
}

}  // namespace

Spread spread_of(std::vector<std::int64_t> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  return {values.front(), values[values.size() / 2], values.back()};
}

Result<Stats> collect_stats(tasks::Store& store) {
  Stats stats;
  SEEDBED_TRY(stats.counts, store.counts());
  SEEDBED_TRY(stats.digest, store.content_digest());
  SEEDBED_TRY(stats.runs_digest, store.runs_digest());
  SEEDBED_TRY(auto request, store.request());
  if (request) {
    stats.generator = request->generator;
    stats.seed = request->seed;
  }
  SEEDBED_TRY(auto environment_ids, store.environment_ids());
  std::set<std::string> classes, core_classes;
  std::vector<std::int64_t> tools, calls, tasks_of;
  std::map<std::string, std::int64_t> prompts;
  for (const auto& id : environment_ids) {
    SEEDBED_TRY(auto stored, store.environment(id));
    add_environment(stats, stored.environment, classes, core_classes);
    tools.push_back(static_cast<std::int64_t>(stored.environment.tools.size()));
    SEEDBED_TRY(auto task_ids, store.task_ids_of(id));
    tasks_of.push_back(static_cast<std::int64_t>(task_ids.size()));
    for (const auto& name : stored.environment.recipe.mechanisms)
      stats.tasks_of_mechanism[name] += static_cast<std::int64_t>(task_ids.size());
    for (const auto& task_id : task_ids) {
      SEEDBED_TRY(auto task, store.task(task_id));
      auto& kind = stats.kinds[task.task.kind];
      ++kind.tasks;
      kind.plan_calls.push_back(plan_calls(task.gold));
      calls.push_back(kind.plan_calls.back());
      add_mutation(stats.mutation, task.certificate);
      if (task.gold.mechanisms >= 2 && task.gold.interactions >= 1) ++stats.crossing;
      ++prompts[tasks::masked_skeleton(task.task.prompt)];
      ++stats.tasks;
    }
  }
  stats.environments = static_cast<std::int64_t>(environment_ids.size());
  stats.schema_classes = static_cast<std::int64_t>(classes.size());
  stats.core_schema_classes = static_cast<std::int64_t>(core_classes.size());
  stats.tools = spread_of(std::move(tools));
  stats.plan_calls = spread_of(std::move(calls));
  stats.tasks_per_environment = spread_of(std::move(tasks_of));
  stats.skeletons = static_cast<std::int64_t>(prompts.size());
  for (const auto& [skeleton, count] : prompts)
    if (count > kCrowd + 1) stats.crowded_prompts += count;
  SEEDBED_TRY(stats.rejections, store.rejections());
  SEEDBED_TRY(stats.rejections_by_mechanism, store.rejections_by_mechanism());
  SEEDBED_TRY(stats.issues, store.issues());
  SEEDBED_TRY(stats.policies, store.policies());
  return stats;
}

Value stats_json(const Stats& stats) {
  Value kinds = Value::object();
  for (const auto& [name, row] : stats.kinds) {
    Value kind = Value::object();
    kind.set("tasks", row.tasks).set("plan_calls", to_json(spread_of(row.plan_calls)));
    kinds.set(name, std::move(kind));
  }
  Value gates = Value::object();
  for (const auto& row : stats.rejections) gates.set(row.gate, row.count);
  Value policies = Value::array();
  for (const auto& row : stats.policies) {
    Value policy = Value::object();
    policy.set("policy", row.policy).set("policy_version", row.policy_version).set("run", row.run);
    policy.set("episodes", row.episodes)
        .set("solved", row.solved)
        .set("infra_errors", row.infra_errors);
    policy.set("tool_calls", row.tool_calls);
    policy.set("score_mean",
               row.episodes > 0 ? row.score_sum / static_cast<double>(row.episodes) : 0.0);
    policies.push(std::move(policy));
  }
  Value out = Value::object();
  out.set("environments", stats.environments).set("tasks", stats.tasks).set("digest", stats.digest);
  out.set("runs_digest", stats.runs_digest).set("families", to_json(stats.families));
  out.set("generator", stats.generator).set("seed", stats.seed).set("counts", stats.counts);
  out.set("splits", to_json(stats.splits))
      .set("lexicons", to_json(stats.lexicons))
      .set("mechanisms", to_json(stats.mechanisms));
  out.set("interactions", to_json(stats.interactions))
      .set("layout_passes", to_json(stats.layout_passes));
  out.set("surface_passes", to_json(stats.surface_passes));
  out.set("schema_classes", stats.schema_classes)
      .set("core_schema_classes", stats.core_schema_classes);
  out.set("tools", to_json(stats.tools)).set("plan_calls", to_json(stats.plan_calls));
  out.set("tasks_per_environment", to_json(stats.tasks_per_environment))
      .set("kinds", std::move(kinds));
  out.set("crossing_tasks", stats.crossing)
      .set("masked_prompts", stats.skeletons)
      .set("crowded_prompts", stats.crowded_prompts);
  Value by_mechanism = Value::array();
  for (const auto& row : stats.rejections_by_mechanism) {
    Value item = Value::object();
    item.set("mechanism", row.mechanism).set("gate", row.gate).set("count", row.count);
    by_mechanism.push(std::move(item));
  }
  out.set("rejected", std::move(gates)).set("rejected_by_mechanism", std::move(by_mechanism));
  out.set("mutation", to_json(stats.mutation)).set("issues_open", open_issues(stats));
  out.set("issues", static_cast<std::int64_t>(stats.issues.size()));
  out.set("policies", std::move(policies));
  return out;
}

Table policy_table(const std::vector<tasks::PolicyRow>& policies) {
  Table table{{"policy", "run", "episodes", "solved", "solved %", "mean score", "infra errors",
               "tool calls"},
              {}};
  for (const auto& row : policies) {
    const auto episodes = static_cast<double>(row.episodes);
    table.rows.push_back({row.policy, row.run.substr(0, 8), format_count(row.episodes),
                          format_count(row.solved),
                          format_share(static_cast<double>(row.solved), episodes),
                          row.episodes > 0 ? fmt::format("{:.3f}", row.score_sum / episodes) : "-",
                          format_count(row.infra_errors), format_count(row.tool_calls)});
  }
  return table;
}

Table rejection_table(const Stats& stats) {
  std::map<std::string, std::vector<std::pair<std::int64_t, std::string>>> by_mechanism;
  for (const auto& row : stats.rejections_by_mechanism)
    by_mechanism[row.mechanism].emplace_back(-row.count, row.gate);
  Table table{{"mechanism", "drafts rejected", "tasks kept", "by gate"}, {}};
  for (auto& [mechanism, gates] : by_mechanism) {
    std::sort(gates.begin(), gates.end());
    std::int64_t sum = 0;
    std::string list;
    for (const auto& [less, gate] : gates) {
      sum -= less;
      list += (list.empty() ? "" : ", ") + gate + " " + format_count(-less);
    }
    const auto kept = stats.tasks_of_mechanism.find(mechanism);
    table.rows.push_back({mechanism, format_count(sum),
                          format_count(kept == stats.tasks_of_mechanism.end() ? 0 : kept->second),
                          list});
  }
  return table;
}

void print_diversity(Output& out, const Stats& stats) {
  const auto environments = static_cast<double>(stats.environments);
  const auto tasks = static_cast<double>(stats.tasks);
  Table table{{"diversity", "value"}, {}};
  const auto row = [&](const char* what, std::string value) {
    table.rows.push_back({what, std::move(value)});
  };
  const auto of_environments = [&](std::int64_t n) {
    return format_count(n) + " (" + format_share(static_cast<double>(n), environments) +
           " of environments)";
  };
  row("schema classes", of_environments(stats.schema_classes));
  row("core schema classes", of_environments(stats.core_schema_classes));
  row("lexicons", to_text(stats.lexicons));
  row("mechanisms", to_text(stats.mechanisms));
  row("interactions", to_text(stats.interactions));
  row("layout passes", to_text(stats.layout_passes));
  row("surface passes", to_text(stats.surface_passes));
  row("tools (min / median / max)", to_text(stats.tools));
  row("calls in a gold plan", to_text(stats.plan_calls));
  row("tasks that need an interaction", format_share(static_cast<double>(stats.crossing), tasks));
  row("masked prompts", format_count(stats.skeletons));
  row("shared with more than 10 others",
      format_share(static_cast<double>(stats.crowded_prompts), tasks));
  out.table(table);

  Table kinds{{"kind", "tasks", "share", "plan calls"}, {}};
  for (const auto& [name, kind] : stats.kinds)
    kinds.rows.push_back({name, format_count(kind.tasks),
                          format_share(static_cast<double>(kind.tasks), tasks),
                          to_text(spread_of(kind.plan_calls))});
  out.line("");
  out.table(kinds);
}

void print_stats(Output& out, const Stats& stats) {
  Table table{{"store", "value"}, {}};
  table.rows = {{"environments", format_count(stats.environments)},
                {"tasks", format_count(stats.tasks)},
                {"episodes", format_count(stats.counts.integer("episodes"))},
                {"digest", stats.digest},
                {"runs digest", stats.runs_digest},
                {"generator", stats.generator},
                {"families", to_text(stats.families)},
                {"splits", to_text(stats.splits)}};
  if (stats.mutation.tasks > 0)
    table.rows.push_back(
        {"verifier mutants killed",
         fmt::format("{} of {} ({}), of weaker ones {} of {} ({}); implied {}",
                     format_count(stats.mutation.killed), format_count(stats.mutation.made),
                     format_share(static_cast<double>(stats.mutation.killed),
                                  static_cast<double>(stats.mutation.made)),
                     format_count(stats.mutation.weaker_killed),
                     format_count(stats.mutation.weaker),
                     format_share(static_cast<double>(stats.mutation.weaker_killed),
                                  static_cast<double>(stats.mutation.weaker)),
                     format_count(stats.mutation.implied))});
  if (!stats.issues.empty())
    table.rows.push_back(
        {"issues", fmt::format("{} open of {}", open_issues(stats), stats.issues.size())});
  out.table(table);
  out.line("");
  print_diversity(out, stats);
  if (!stats.rejections.empty()) {
    Table gates{{"gate", "rejected"}, {}};
    for (const auto& gate : stats.rejections)
      gates.rows.push_back({gate.gate, format_count(gate.count)});
    out.line("");
    out.table(gates);
  }
  if (!stats.rejections_by_mechanism.empty()) {
    out.line("");
    out.table(rejection_table(stats));
  }
  if (stats.policies.empty()) return;
  out.line("");
  out.table(policy_table(stats.policies));
}

}  // namespace seedbed::cli
