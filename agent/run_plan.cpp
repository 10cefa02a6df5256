#include "agent/run_plan.h"

#include "agent/episode_seed.h"
#include "agent/prompt.h"
#include "agent/scripted.h"
#include "base/text.h"
#include "schemas/reflect.h"

namespace seedbed::agent {

Step check_options(const RunOptions& o) {
  const auto usage = [](std::string_view what, const std::string& found, std::string_view todo) {
    return make_error(Where::usage, "run", what, found, todo);
  };
  if (o.policy != "http" && o.policy != "engine" && scripted_client(o.policy) == nullptr)
    return usage(
        "--policy",
        "found '" + o.policy + "', wanted " + join(scripted_policies(), ", ") + ", http or engine",
        "name one of them");
  if (o.samples < 1)
    return usage("--samples", "found " + std::to_string(o.samples) + ", wanted at least 1",
                 "raise it");
  if (o.limit < 0)
    return usage("--limit", "found " + std::to_string(o.limit) + ", wanted 0 (all) or more",
                 "raise it");
  if (o.jobs < 1)
    return usage("--jobs", "found " + std::to_string(o.jobs) + ", wanted at least 1", "raise it");
  if (o.concurrency < 1)
    return usage("--concurrency", "found " + std::to_string(o.concurrency) + ", wanted at least 1",
                 "raise it");
  if (o.shards < 1 || o.shard < 0 || o.shard >= o.shards)
    return usage("--shard",
                 "found " + std::to_string(o.shard) + "/" + std::to_string(o.shards) +
                     ", wanted i/N with 0 <= i < N",
                 "correct it");
  return std::nullopt;
}

tasks::RunInfo run_info(const RunOptions& o) {
  tasks::RunInfo info;
  info.policy = o.policy;
  info.policy_version = o.policy.ends_with("teacher") ? kTeacherVersion : kScriptedVersion;
  info.seed = std::to_string(o.seed);
  info.settings = schemas::Value::object();
  if (o.budget) info.settings.set("budget", schemas::to_value(*o.budget));
  if (o.policy != "http") return info;
  // Where the model is served is no part of what it is: the same run may go on elsewhere.
  info.policy = "http:" + o.http.model;
  info.policy_version = o.http.model;
  info.settings.set("prompt", kPromptVersion);
  if (o.http.send_seed) info.settings.set("draws", kDrawsVersion);
  if (o.http.temperature) info.settings.set("temperature", *o.http.temperature);
  if (o.http.top_p) info.settings.set("top_p", *o.http.top_p);
  if (o.http.top_k) info.settings.set("top_k", *o.http.top_k);
  if (o.http.min_p) info.settings.set("min_p", *o.http.min_p);
  if (o.http.max_tokens) info.settings.set("max_tokens", *o.http.max_tokens);
  if (o.http.extra.is_object()) info.settings.set("extra", o.http.extra);
  return info;
}

Error interrupted_error(std::int64_t stored) {
  return make_error(Where::interrupted, "run", "interrupted",
                    std::to_string(stored) + " episodes stored by it",
                    "give the same command again to go on");
}

Result<RunPlan> plan_run(tasks::Store& store, const RunOptions& options, tasks::RunInfo info) {
  RunPlan plan;
  plan.info = std::move(info);
  SEEDBED_TRY(plan.run, store.begin_run(plan.info));
  SEEDBED_TRY(const auto finished, store.finished_episodes(plan.run));
  SEEDBED_TRY(const auto environments, store.environment_ids());
  std::set<std::string> left_out;
  if (options.no_issues) {
    SEEDBED_TRY(left_out, store.tasks_with_open_issues());
  }
  std::int64_t index = 0;
  for (const auto& environment : environments) {
    if (options.limit > 0 && index >= options.limit) break;
    SEEDBED_TRY(const auto ids, store.task_ids_of(environment));
    PlannedEnvironment planned{environment, {}};
    for (const auto& id : ids) {
      if (options.limit > 0 && index >= options.limit) break;
      if (!options.only.empty() && options.only.count(id) == 0) continue;
      if (index++ % options.shards != options.shard || left_out.count(id) != 0) continue;
      PlannedTask task{id, {}};
      for (std::int64_t sample = 0; sample < options.samples; ++sample) {
        if (finished.count({id, sample}) == 0)
          task.samples.push_back(sample);
        else
          ++plan.skipped;
      }
      plan.total += static_cast<std::int64_t>(task.samples.size());
      if (!task.samples.empty()) planned.tasks.push_back(std::move(task));
    }
    if (!planned.tasks.empty()) plan.environments.push_back(std::move(planned));
  }
  return plan;
}

Result<RunSummary> run_policy(tasks::Store& store,
                              const RunOptions& options,
                              const HostFactory& hosts,
                              const OnProgress& progress) {
  if (auto wrong = check_options(options)) return *std::move(wrong);
  if (options.policy == "engine") return run_engine(store, options, hosts, progress);
  SEEDBED_TRY(const RunPlan plan, plan_run(store, options, run_info(options)));
  if (options.policy == "http") return run_http(store, plan, options, hosts, progress);
  const LaneClients clients{[&options] { return scripted_client(options.policy); }};
  return run_lanes(store, plan, options, hosts, clients, progress);
}

}  // namespace seedbed::agent
