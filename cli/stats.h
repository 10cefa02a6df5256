// What a store holds, counted once for text, JSON and HTML.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/output.h"
#include "schemas/value.h"
#include "tasks/store.h"

namespace seedbed::cli {

struct Spread {
  std::int64_t min = 0, median = 0, max = 0;
};
Spread spread_of(std::vector<std::int64_t> values);  // zeros where empty

struct KindRow {
  std::int64_t tasks = 0;
  std::vector<std::int64_t> plan_calls;
};

// Mutants of verifiers (G13), summed over the tasks that have been through it.
struct Mutation {
  std::int64_t tasks = 0, made = 0, killed = 0, weaker = 0, weaker_killed = 0, implied = 0;
  std::map<std::string, std::int64_t> survivors;  // by part
};

struct Stats {
  schemas::Value counts;  // as the store counts
  std::string digest, runs_digest;
  std::string generator, seed;
  std::int64_t environments = 0, tasks = 0;
  std::map<std::string, std::int64_t> families, splits, lexicons, mechanisms, interactions,
      layout_passes, surface_passes;
  std::int64_t schema_classes = 0, core_schema_classes = 0;
  Spread tools, plan_calls, tasks_per_environment;
  std::map<std::string, KindRow> kinds;
  std::int64_t crossing = 0;  // tasks whose plan crosses two mechanisms and needs their interaction
  std::int64_t skeletons = 0;        // distinct masked prompts
  std::int64_t crowded_prompts = 0;  // tasks whose masked prompt is shared with more than 10 others
  std::vector<tasks::GateCount> rejections;
  std::vector<tasks::MechanismCount> rejections_by_mechanism;
  std::map<std::string, std::int64_t> tasks_of_mechanism;  // tasks of environments that have it
  Mutation mutation;
  std::vector<tasks::Issue> issues;
  std::vector<tasks::PolicyRow> policies;
};

Result<Stats> collect_stats(tasks::Store& store);
schemas::Value stats_json(const Stats& stats);
void print_stats(Output& out, const Stats& stats);
void print_diversity(Output& out, const Stats& stats);
std::string stats_html(const Stats& stats);  // one self-contained page

// Drafts rejected: a row a mechanism, its gates with most first.
Table rejection_table(const Stats& stats);
Table policy_table(const std::vector<tasks::PolicyRow>& policies);

}  // namespace seedbed::cli
