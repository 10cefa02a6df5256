// The whole way, with the commands' own functions: generate, verify, run the scripted policies
// and the shipped model, show, export. Ends with 1 where anything is not as it must be: a task that
// does not verify, an oracle below 100 %, a nop above 0 %, a jail that failed.
#include <fmt/core.h>

#include <filesystem>

#include "agent/export.h"
#include "agent/show.h"
#include "base/clock.h"
#include "cli/demo_model.h"
#include "cli/generation.h"
#include "cli/rollouts.h"
#include "cli/shipped_model.h"
#include "cli/stats.h"

namespace seedbed::cli {
namespace {

constexpr double kRandomMax = 0.02;  // what chance may solve

struct Demo {
  std::string dir;
  std::int64_t envs = 100, tasks_per_env = 10, seed = 1, sample = 20;
  [[nodiscard]] std::string file(const std::string& name) const { return dir + "/" + name; }
};

// What is not as it must be, in words.
std::vector<std::string> shortfalls(const std::vector<PolicyResult>& results,
                                    const envgen::VerifySummary& verified) {
  std::vector<std::string> out;
  if (!verified.failed.empty())
    out.push_back(format_count(static_cast<std::int64_t>(verified.failed.size())) +
                  " tasks do not verify");
  for (const auto& [policy, summary] : results) {
    if (summary.infra_errors > 0)
      out.push_back(policy + ": " + format_count(summary.infra_errors) + " infrastructure errors");
    if (policy == "oracle" && summary.solved != summary.episodes)
      out.push_back("oracle does not solve every task");
    if (policy == "nop" && summary.solved != 0) out.push_back("nop solves a task");
    if (policy == "random" &&
        static_cast<double>(summary.solved) > kRandomMax * static_cast<double>(summary.episodes))
      out.push_back("random solves more than 2 % of the tasks");
  }
  return out;
}

// An oracle episode that is worth reading: a plan of 4 to 8 calls, a choice under constraints
// before anything else.
Result<std::string> episode_to_show(tasks::Store& store) {
  std::string best;
  int best_rank = -1;
  const auto look = [&](const tasks::StoredEpisode& episode) -> Step {
    if (episode.trajectory.policy != "oracle") return std::nullopt;
    const auto calls = static_cast<int>(episode.evidence.calls.size());
    int rank = calls >= 4 && calls <= 8 ? 8 : calls < 4 ? calls : 1;
    if (rank <= best_rank) return std::nullopt;  // before the task is read for no use
    auto task = store.task(episode.trajectory.task_id);
    if (!task.ok()) return std::move(task).error();
    if (task->task.kind == "choose") rank += 10;
    if (rank <= best_rank) return std::nullopt;
    best_rank = rank;
    best = episode.id;
    return std::nullopt;
  };
  if (auto error = store.for_each_episode(look)) return *std::move(error);
  if (best.empty())
    return make_error(Where::store, "demo", "", "no episode of the oracle is stored",
                      "run it again with --out to another folder");
  return best;
}

Result<std::vector<std::string>> write_pages(tasks::Store& store,
                                             const Demo& demo,
                                             const std::string& episode) {
  SEEDBED_TRY(const auto stored, store.episode(episode));
  SEEDBED_TRY(const auto trajectory, agent::show(store, episode, agent::ShowForm::html));
  SEEDBED_TRY(const auto environment,
              agent::show(store, stored.trajectory.environment_id, agent::ShowForm::html));
  SEEDBED_TRY(const auto stats, collect_stats(store));
  const std::vector<std::pair<std::string, const std::string&>> pages = {
      {"trajectory.html", trajectory}, {"environment.html", environment}};
  std::vector<std::string> paths;
  for (const auto& [name, text] : pages) {
    if (auto error = write_file(demo.file(name), text)) return *std::move(error);
    paths.push_back(demo.file(name));
  }
  if (auto error = write_file(demo.file("stats.html"), stats_html(stats))) return *std::move(error);
  paths.push_back(demo.file("stats.html"));
  return paths;
}

Result<int> play(Context& context, const Demo& demo, const std::shared_ptr<Jails>& jails) {
  auto& out = context.out;
  const auto begin = monotonic_us();
  const auto path = demo.file("store.db");
  GenArguments arguments;
  arguments.out = path;
  arguments.envs = demo.envs;
  arguments.tasks_per_env = demo.tasks_per_env;
  arguments.seed = std::to_string(demo.seed);
  arguments.jobs = core_count();
  arguments.fresh = true;
  SEEDBED_TRY(const auto generated, generate_into(context, arguments, jails));
  out.line(format_count(generated.summary.environments) + " environments, " +
           format_count(generated.summary.tasks) + " certified tasks in " +
           format_seconds(generated.summary.seconds) + "; digest " + generated.digest + "\n");
  print_rejections(out, generated.rejections);

  SEEDBED_TRY(auto store, open_store(path, {}));
  SEEDBED_TRY(const auto verified, verify_store(context, *store, {}, demo.sample, jails));
  if (context.stop) return interrupted("demo");
  out.line("\n" + format_count(verified.checked) +
           " tasks made again from their seeds and verified, " +
           format_count(static_cast<std::int64_t>(verified.failed.size())) + " failed\n");
  print_failures(out, verified);

  std::vector<PolicyResult> results;
  for (const char* policy : {"oracle", "nop", "random"}) {
    agent::RunOptions run;
    run.policy = policy;
    run.seed = static_cast<std::uint64_t>(demo.seed);
    run.jobs = core_count();
    SEEDBED_TRY(auto summary, run_store(context, *store, run, jails));
    results.push_back({policy, std::move(summary)});
  }
  out.table(result_table(results));

  out.line(
      "\nthe model that comes with the program, on small environments that it has never seen (" +
      demo.file("small.db") + ", level 1):\n");
  std::vector<PolicyResult> with_model;
  if (const auto model = model_or_shipped(""); model.ok()) {
    SEEDBED_TRY(with_model, play_model(context, *model, demo.dir, demo.seed, jails));
    out.table(result_table(with_model));
  } else {
    out.line("none: " + model.error().message);
  }

  SEEDBED_TRY(const auto episode, episode_to_show(*store));
  SEEDBED_TRY(const auto text, agent::show(*store, episode, agent::ShowForm::text));
  out.line("\none whole trajectory (seedbed show " + path + " " + episode.substr(0, 12) + "):\n\n" +
           text);
  std::vector<std::string> paths = {path};
  if (!with_model.empty()) paths.push_back(demo.file("small.db"));
  for (const auto format : {agent::ExportFormat::trl, agent::ExportFormat::openai}) {
    agent::ExportOptions wanted;
    wanted.format = format;
    wanted.out =
        demo.file(std::string(agent::enum_names(format)[static_cast<std::size_t>(format)]));
    wanted.policy = "oracle";
    wanted.interrupted = &context.stop;
    SEEDBED_TRY(const auto exported, agent::export_dataset(*store, wanted));
    paths.push_back(wanted.out + "/ (" + format_count(exported.train + exported.heldout) +
                    " episodes)");
  }
  SEEDBED_TRY(const auto pages, write_pages(*store, demo, episode));
  paths.insert(paths.end(), pages.begin(), pages.end());
  if (auto error = close_store(std::move(store))) return *std::move(error);

  for (const auto& each : paths) out.line(each);
  out.line("all of it in " + format_seconds(static_cast<double>(monotonic_us() - begin) / 1e6));
  results.insert(results.end(), with_model.begin(), with_model.end());
  const auto wrong = shortfalls(results, verified);
  for (const auto& what : wrong) out.status("seedbed: demo: " + what);
  return wrong.empty() ? 0 : 1;
}

}  // namespace

Result<int> cmd_demo(Context& context, const Words& words) {
  Demo demo{.dir = "demo"};
  Common common;
  Options options("demo",
                  "the whole way: generate, verify, run agents and the shipped model, show one "
                  "trajectory, export",
                  "seedbed demo --out demo");
  options.text("--out", demo.dir, "DIR",
               "folder for everything it makes; a store from an earlier demo is replaced");
  options.integer("--envs", demo.envs, 1, 100'000, "environments");
  options.integer("--tasks-per-env", demo.tasks_per_env, 1, 1'000, "tasks for each");
  options.integer("--seed", demo.seed, 0, INT64_MAX, "seed of it all");
  options.integer("--sample", demo.sample, 1, INT64_MAX, "environments to make again and verify");
  isolation_option(options, common);
  if (auto error = options.parse(words)) return *std::move(error);
  if (options.wants_help()) return context.out.raw(options.help()), 0;

  std::error_code failed;
  std::filesystem::create_directories(demo.dir, failed);
  if (failed)
    return make_error(Where::usage, "folder", demo.dir, "cannot be made: " + failed.message(),
                      "give another one with --out");
  SEEDBED_TRY(const auto jails, start_jails(common.isolation));
  return play(context, demo, jails);
}

}  // namespace seedbed::cli
