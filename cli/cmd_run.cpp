#include <fmt/core.h>

#include <algorithm>

#include "cli/rollouts.h"
#include "cli/run_arguments.h"
#include "engine/choose_device.h"
#include "schemas/value.h"

namespace seedbed::cli {
namespace {

using schemas::Value;

void declare(Options& options,
             RunArguments& arguments,
             agent::RunOptions& run,
             std::string& store) {
  options.operand("STORE", store, "the store; episodes are added to it");
  declare_run(options, arguments, run);
  options.integer("--limit", run.limit, 0, INT64_MAX, "the first N tasks only; 0 is all");
  options.flag("--no-issues", run.no_issues, "leave out tasks with an open issue");
  options.require("--policy");
}

double per_second(std::int64_t count, double seconds) {
  return static_cast<double>(count) / std::max(seconds, 1e-9);
}

Value to_json(const agent::RunSummary& summary) {
  Value out = Value::object();
  out.set("episodes", summary.episodes)
      .set("solved", summary.solved)
      .set("score_mean", summary.score_mean());
  out.set("infra_errors", summary.infra_errors)
      .set("seconds", summary.seconds)
      .set("tool_calls", summary.tool_calls);
  out.set("skipped", summary.skipped).set("run", summary.run);
  if (summary.tokens.prompt == 0) return out;
  out.set("generated_tokens", summary.tokens.generated)
      .set("generated_tokens_per_second", per_second(summary.tokens.generated, summary.seconds))
      .set("prompt_tokens", summary.tokens.prompt)
      .set("cached_tokens", summary.tokens.cached)
      .set("cached_share", summary.tokens.cached_share());
  return out;
}

void print(Output& out, const std::string& policy, const agent::RunSummary& summary) {
  const auto rate = [&](std::int64_t count) {
    return format_count(static_cast<std::int64_t>(per_second(count, summary.seconds)));
  };
  out.line(fmt::format(
      "{}: {} episodes, {} solved, mean score {:.3f}, {} infrastructure errors in {}", policy,
      format_count(summary.episodes),
      format_share(static_cast<double>(summary.solved), static_cast<double>(summary.episodes)),
      summary.score_mean(), format_count(summary.infra_errors), format_seconds(summary.seconds)));
  out.line(fmt::format("{} episodes/s, {} tool calls/s; {} episodes were stored before; run {}",
                       rate(summary.episodes), rate(summary.tool_calls),
                       format_count(summary.skipped), summary.run));
  if (summary.tokens.prompt == 0) return;
  out.line(fmt::format("{} tokens generated, {}/s; {} prompt tokens, {} of them from the cache",
                       format_count(summary.tokens.generated), rate(summary.tokens.generated),
                       format_count(summary.tokens.prompt),
                       format_share(static_cast<double>(summary.tokens.cached),
                                    static_cast<double>(summary.tokens.prompt))));
}

}  // namespace

Result<int> cmd_run(Context& context, const Words& words) {
  RunArguments arguments;
  agent::RunOptions run;
  std::string path;
  Common common;
  Options options(
      "run",
      "drive an agent through tasks and record trajectories; the same command continues the run",
      "seedbed run a.db --policy random --limit 100");
  declare(options, arguments, run, path);
  shard_option(options, common);
  mount_option(options, common);
  isolation_option(options, common);
  options.flag("--dry-run", common.dry_run, "say how many episodes would be made, and end");
  store_options(options, common);
  json_option(options, common);
  if (auto error = options.parse(words)) return *std::move(error);
  if (options.wants_help()) return context.out.raw(options.help()), 0;
  context.out.set_json(common.json);
  SEEDBED_TRY(const auto shard, shard_of(common.shard, environment_variable));
  if (auto error = settle_run("run", options, arguments, run)) return *std::move(error);
  run.shard = static_cast<int>(shard.index);
  run.shards = static_cast<int>(shard.count);

  if (run.policy == "engine" && !common.dry_run) {
    SEEDBED_TRY(auto chosen, engine::choose_device(run.engine.device));
    if (!chosen.note.empty()) context.out.status(chosen.note + "; computing on the CPU");
    run.engine.on = std::move(chosen.device);
  }
  if (common.dry_run) {
    SEEDBED_TRY(auto store, open_reader(path, common));
    SEEDBED_TRY(const auto ids, store->task_ids());
    auto tasks = static_cast<std::int64_t>(ids.size());
    if (run.limit > 0) tasks = std::min(tasks, run.limit);
    tasks = (tasks - shard.index + shard.count - 1) / shard.count;
    context.out.line("would make " + format_count(tasks * run.samples) +
                     " episodes less those that are stored: " + format_count(tasks) + " tasks, " +
                     std::to_string(run.samples) + " samples each, policy " + run.policy);
    Value plan = Value::object();
    plan.set("dry_run", true)
        .set("tasks", tasks)
        .set("samples", std::int64_t{run.samples})
        .set("policy", run.policy);
    context.out.object(plan);
    return 0;
  }
  SEEDBED_TRY(auto jails, start_jails(common.isolation, common.mounts));
  SEEDBED_TRY(auto store, open_store(path, common));
  auto summary = run_store(context, *store, run, jails);
  if (auto error = close_store(std::move(store)); error && summary.ok()) return *std::move(error);
  if (!summary.ok()) return summary.error();
  print(context.out, run.policy, *summary);
  context.out.object(to_json(*summary));
  if (summary->infra_errors == 0) return 0;
  context.out.status(
      "seedbed: " + format_count(summary->infra_errors) +
      " episodes met infrastructure errors and were not scored; the same command tries them again");
  return 1;
}

}  // namespace seedbed::cli
