#include "cli/demo_model.h"

#include <fmt/core.h>

#include "cli/generation.h"
#include "cli/rollouts.h"
#include "cli/shipped_model.h"
#include "engine/choose_device.h"

namespace seedbed::cli {
namespace {

constexpr std::int64_t kTasks = 64, kTasksPerEnvironment = 4;
// The seeds of the demo's other store are small ones, those of training large.
constexpr std::int64_t kSeedStep = 1'000;

Result<std::string> small_store(Context& context,
                                const std::string& dir,
                                std::int64_t seed,
                                const std::shared_ptr<Jails>& jails) {
  GenArguments arguments;
  arguments.out = dir + "/small.db";
  arguments.tasks_per_env = kTasksPerEnvironment;
  arguments.envs = 2 * kTasks / kTasksPerEnvironment;  // some of them fall short
  arguments.seed = std::to_string(seed + kSeedStep);
  arguments.jobs = core_count();
  arguments.fresh = true;
  arguments.tools = schemas::ToolRange{8, 12};
  SEEDBED_TRY(arguments.mix, schemas::mix_of_levels("1"));
  SEEDBED_TRY(const auto made, generate_into(context, arguments, jails));
  if (made.summary.tasks < kTasks)
    return make_error(Where::store, "demo", arguments.out,
                      format_count(made.summary.tasks) + " tasks, wanted " + format_count(kTasks),
                      "take another --seed");
  return arguments.out;
}

}  // namespace

Table result_table(const std::vector<PolicyResult>& results) {
  Table table{{"policy", "episodes", "solved %", "mean score", "infra errors", "episodes/s",
               "tool calls/s"},
              {}};
  for (const auto& [policy, summary] : results) {
    const double seconds = summary.seconds > 0 ? summary.seconds : 1e-9;
    const auto rate = [&](std::int64_t count) {
      return fmt::format("{:.3g}", static_cast<double>(count) / seconds);
    };
    table.rows.push_back(
        {policy, format_count(summary.episodes),
         format_share(static_cast<double>(summary.solved), static_cast<double>(summary.episodes)),
         fmt::format("{:.3f}", summary.score_mean()), format_count(summary.infra_errors),
         rate(summary.episodes), rate(summary.tool_calls)});
  }
  return table;
}

Result<std::vector<PolicyResult>> play_model(Context& context,
                                             const std::string& model,
                                             const std::string& dir,
                                             std::int64_t seed,
                                             const std::shared_ptr<Jails>& jails) {
  SEEDBED_TRY(const auto path, small_store(context, dir, seed, jails));
  SEEDBED_TRY(auto store, open_store(path, {}));
  SEEDBED_TRY(auto device, engine::choose_device("auto"));
  std::vector<PolicyResult> results;
  for (const char* policy : {"oracle", "random", "greedy", "engine"}) {
    agent::RunOptions run;
    run.policy = policy;
    run.seed = static_cast<std::uint64_t>(seed);
    run.jobs = core_count();
    run.engine.model_dir = model;
    run.engine.on = device.device;
    run.engine.temperature = 0;
    run.engine.max_tokens = 512;
    SEEDBED_TRY(run.engine.thinking, thinks(model));
    SEEDBED_TRY(auto summary, run_store(context, *store, run, jails));
    results.push_back({policy, std::move(summary)});
    if (context.stop) return interrupted("demo");
  }
  results.back().policy = "shipped model";
  if (auto error = close_store(std::move(store))) return *std::move(error);
  return results;
}

}  // namespace seedbed::cli
