#include "cli/eval_run.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "cli/rollouts.h"
#include "tasks/eval/rows.h"

namespace seedbed::cli {
namespace {

namespace eval = tasks::eval;
using schemas::EvalPolicy;
using schemas::EvalTask;
using schemas::Value;

bool is_seen(const std::vector<TrainingStore>& training,
             const std::string& environment,
             const std::string& triple) {
  return std::any_of(training.begin(), training.end(), [&](const TrainingStore& t) {
    return t.seen.environments.count(environment) != 0 || t.seen.triples.count(triple) != 0;
  });
}

std::int64_t level_of(const schemas::TaskSpec& task) {
  for (const auto& knob : task.knobs)
    if (knob.name == "level") return knob.value;
  return 0;
}

Result<PreparedSuite> choose(tasks::Store& store,
                             const Suite& suite,
                             const std::string& path,
                             const envgen::Packs& packs,
                             const SuiteOptions& options,
                             const std::vector<TrainingStore>& training) {
  PreparedSuite out;
  out.path = path;
  out.record.name = suite.name;
  SEEDBED_TRY(out.record.digest, store.content_digest());
  SEEDBED_TRY(const auto environments, store.environment_ids());
  out.record.environments = static_cast<std::int64_t>(environments.size());
  std::vector<std::vector<std::string>> ids_of;
  std::map<std::string, std::pair<EvalTask, std::string>> known;
  for (const auto& id : environments) {
    SEEDBED_TRY(const auto env, store.environment(id));
    SEEDBED_TRY(const auto ids, store.task_ids_of(id));
    const auto& recipe = env.environment.recipe;
    ids_of.emplace_back();
    for (const auto& task_id : ids) {
      SEEDBED_TRY(const auto task, store.task(task_id));
      ++out.record.tasks;
      const auto triple = eval::triple_of(env.environment, task.task);
      if (options.unseen_only && is_seen(training, id, triple)) {
        ++out.record.seen;
        continue;
      }
      ids_of.back().push_back(task_id);
      EvalTask t;
      t.task = task_id;
      t.environment = id;
      t.suite = suite.name;
      t.kind = task.task.kind;
      t.lexicon = recipe.lexicon;
      t.heldout = held_out(packs, recipe);
      t.level = level_of(task.task);
      t.mechanisms = recipe.mechanisms;
      known.emplace(task_id, std::pair(std::move(t), triple));
    }
  }
  const auto chosen = eval::spread(ids_of, options.tasks);
  for (const auto& ids : ids_of)
    for (const auto& id : ids)
      if (chosen.count(id) != 0) {
        out.tasks.push_back(known.at(id).first);
        out.triples.push_back(known.at(id).second);
      }
  out.record.chosen = static_cast<std::int64_t>(out.tasks.size());
  if (out.tasks.empty())
    return make_error(Where::store, "suite '" + suite.name + "'", path,
                      "no task is left of " + format_count(out.record.tasks) + ", " +
                          format_count(out.record.seen) + " of them are in a training store",
                      "train on less of the generator, or leave out --unseen-only");
  return out;
}

// Episodes and seconds of earlier calls, by run: how long episodes took is in no store.
class Times {
 public:
  explicit Times(const std::string& store) : path_(store + ".times.json") {
    auto read = schemas::read_json_file(path_, 1U << 20);
    if (read.ok() && read->is_object()) runs_ = *std::move(read);
  }
  // The sums with this call's; kept. What was kept and cannot be read counts as nothing.
  Result<std::pair<std::int64_t, double>> add(const agent::RunSummary& summary) {
    std::int64_t episodes = summary.episodes;
    double seconds = summary.episodes > 0 ? summary.seconds : 0;
    if (const auto* before = runs_.find(summary.run); before != nullptr) {
      const auto* took = before->find("seconds");
      const auto made = before->integer("episodes");
      if (made > 0 && took != nullptr && took->is_number() && took->as_double() >= 0) {
        episodes += made;
        seconds += took->as_double();
      }
    }
    if (summary.episodes > 0) {
      Value now = Value::object();
      now.set("episodes", episodes).set("seconds", seconds);
      runs_.set(summary.run, std::move(now));
      if (auto error = write_file(path_, dump(runs_) + "\n")) return *std::move(error);
    }
    return std::pair(episodes, seconds);
  }

 private:
  std::string path_;
  Value runs_ = Value::object();
};

// Scores the stored episodes of the run that are asked for.
Step score(tasks::Store& store,
           const PreparedSuite& suite,
           const std::string& run,
           std::int64_t samples,
           EvalPolicy& policy,
           eval::Spent& spent) {
  const std::size_t first = policy.tasks.size();
  policy.tasks.insert(policy.tasks.end(), suite.tasks.begin(), suite.tasks.end());
  std::map<std::string, std::size_t> index;
  for (std::size_t i = first; i < policy.tasks.size(); ++i) index[policy.tasks[i].task] = i;
  tasks::StoredEnvironment env;
  tasks::StoredTask task;
  const auto look = [&](const tasks::StoredEpisode& episode) -> Step {
    const auto& t = episode.trajectory;
    const auto found = index.find(t.task_id);
    if (found == index.end() || t.sample >= samples) return std::nullopt;
    policy.version = t.policy_version;
    eval::add(spent, t);
    auto error = eval::ErrorClass::wrong_answer;
    if (!t.verdict.solved) {
      if (env.id != t.environment_id) {
        SEEDBED_TRY(env, store.environment(t.environment_id));
      }
      if (task.id != t.task_id) {
        SEEDBED_TRY(task, store.task(t.task_id));
      }
      error = eval::error_class(env.environment, task.verifier, task.gold, t, episode.evidence);
    }
    eval::count_try(policy.tasks[found->second], t.verdict.solved, error);
    return std::nullopt;
  };
  return store.for_each_episode(look, run);
}

std::string label_of(const agent::RunOptions& run) {
  if (run.policy == "http") return "http:" + run.http.model;
  if (run.policy != "engine") return run.policy;
  const auto path = std::filesystem::path(run.engine.model_dir).lexically_normal();
  return "engine:" + (path.has_filename() ? path : path.parent_path()).filename().string();
}

}  // namespace

Result<std::vector<TrainingStore>> read_training_stores(Context& context,
                                                        const std::vector<std::string>& paths) {
  std::vector<TrainingStore> out;
  for (const auto& path : paths) {
    SEEDBED_TRY(auto store, open_reader(path, {}));
    Progress progress(context.out, "reading " + path, "tasks");
    SEEDBED_TRY(auto seen, eval::read_seen(*store, [&](std::int64_t done, std::int64_t total) {
                  progress.at(done, total);
                  return !context.stop;
                }));
    out.push_back({path, std::move(seen)});
  }
  return out;
}

Result<PreparedSuite> prepare_suite(Context& context,
                                    const Suite& suite,
                                    const SuiteOptions& options,
                                    const std::vector<TrainingStore>& training,
                                    const std::shared_ptr<Jails>& jails) {
  SEEDBED_TRY(const auto packs, load_source({}, ""));
  GenArguments request = suite.request;
  request.out = suite_path(options.folder, suite, *packs);
  request.jobs = options.jobs;
  request.fresh = options.fresh;
  request.upgrade = options.upgrade;
  if (!std::filesystem::exists(request.out))
    context.out.status(suite.name + ": generating " + format_count(request.envs) +
                       " environments into " + request.out);
  SEEDBED_TRY(const auto report, generate_into(context, request, jails));
  if (report.summary.environments < request.envs)
    context.out.status(suite.name + ": " + format_count(request.envs) +
                       " environments were wanted, " + format_count(report.summary.environments) +
                       " passed gates and selection");
  SEEDBED_TRY(auto store, open_reader(request.out, {}));
  return choose(*store, suite, request.out, *packs, options, training);
}

std::vector<schemas::EvalLeak> leaks_of(const std::vector<PreparedSuite>& suites,
                                        const std::vector<TrainingStore>& training) {
  std::vector<schemas::EvalLeak> out;
  for (const auto& t : training) {
    schemas::EvalLeak leak;
    leak.store = t.path;
    leak.environments = static_cast<std::int64_t>(t.seen.environments.size());
    leak.tasks = t.seen.tasks;
    std::set<std::string> shared;
    for (const auto& suite : suites)
      for (std::size_t i = 0; i < suite.tasks.size(); ++i) {
        const auto& environment = suite.tasks[i].environment;
        if (t.seen.environments.count(environment) != 0) shared.insert(environment);
        leak.shared_triples += t.seen.triples.count(suite.triples[i]) != 0 ? 1 : 0;
      }
    leak.shared_environments = static_cast<std::int64_t>(shared.size());
    out.push_back(std::move(leak));
  }
  return out;
}

Result<EvalPolicy> evaluate(Context& context,
                            const std::vector<PreparedSuite>& suites,
                            const agent::RunOptions& run,
                            const std::shared_ptr<Jails>& jails) {
  EvalPolicy out;
  out.name = run.policy;
  out.label = label_of(run);
  out.samples = run.samples;
  eval::Spent spent;
  std::int64_t timed = 0;
  double seconds = 0;
  for (const auto& suite : suites) {
    agent::RunOptions options = run;
    options.only.clear();
    for (const auto& task : suite.tasks) options.only.insert(task.task);
    SEEDBED_TRY(auto store, open_store(suite.path, {}));
    auto summary = run_store(context, *store, options, jails);
    if (!summary.ok()) {
      if (auto error = close_store(std::move(store))) context.out.error(*error);
      return summary.error();
    }
    out.infra_errors += summary->infra_errors;
    SEEDBED_TRY(const auto took, Times(suite.path).add(*summary));
    timed += took.first;
    seconds += took.second;
    if (auto error = score(*store, suite, summary->run, run.samples, out, spent))
      return *std::move(error);
    if (auto error = close_store(std::move(store))) return *std::move(error);
  }
  out.cost = eval::cost_of(spent, timed, seconds);
  out.rows = eval::rows_of(out.tasks, run.samples);
  return out;
}

}  // namespace seedbed::cli
