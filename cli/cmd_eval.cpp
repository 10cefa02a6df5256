// Evaluation: suites generated under reserved seeds, a policy and baselines through them, what they
// scored with intervals, beside earlier evaluations.
#include <algorithm>
#include <filesystem>

#include "agent/scripted.h"
#include "base/text.h"
#include "cli/eval_print.h"
#include "cli/eval_run.h"
#include "cli/run_arguments.h"
#include "engine/choose_device.h"
#include "tasks/eval/rows.h"

namespace seedbed::cli {
namespace {

using schemas::Evaluation;

constexpr std::size_t kMaxFile = 256U << 20;

struct EvalArguments {
  std::string suites, store, html, baselines, out;
  std::vector<std::string> compare, against;
  std::int64_t tasks = 200;
  bool unseen_only = false;
};

void declare(Options& options, EvalArguments& e, RunArguments& arguments, agent::RunOptions& run) {
  options.text("--suite", e.suites, "NAME,...",
               "general-l1 ... general-l10, compact-l1 ... compact-l10 (8 to 12 tools), heldout, "
               "compact-heldout; general and compact are their ten levels");
  options.integer("--tasks", e.tasks, 0, 1'000'000,
                  "tasks of each suite, spread over its environments; 0 is all");
  options.text("--store", e.store, "DIR",
               "where suites and episodes are kept; absent: the user's cache");
  options.text("--baseline", e.baselines, "P,...", "scripted policies to try the same tasks");
  options.texts("--against", e.against, "STORE",
                "a store that was trained on: nothing evaluated may occur in it");
  options.flag("--unseen-only", e.unseen_only,
               "leave out what occurs in a store of --against, before tasks are counted");
  options.texts("--compare", e.compare, "FILE", "an earlier evaluation to put beside");
  options.text("--out", e.out, "FILE", "also write the evaluation as JSON, for --compare");
  options.text("--html", e.html, "FILE", "also write one self-contained page");
  declare_run(options, arguments, run);
}

Result<std::vector<std::string>> baselines_of(const std::string& list) {
  std::vector<std::string> out;
  if (list.empty()) return out;
  const auto known = agent::scripted_policies();
  for (const auto& name : split(list, ',')) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      const auto near = nearest(name, known);
      return make_error(
          Where::usage, "seedbed eval", "--baseline",
          "found '" + name + "', wanted scripted policies: " + join(known, ", "),
          near.empty() ? "separate names with commas" : "did you mean '" + near + "'?");
    }
    if (std::find(out.begin(), out.end(), name) == out.end()) out.push_back(name);
  }
  return out;
}

// Policies of earlier files; their labels say the file where they would be taken for another's.
Result<std::vector<schemas::EvalPolicy>> read_earlier(const std::vector<std::string>& files) {
  std::vector<schemas::EvalPolicy> out;
  for (const auto& file : files) {
    SEEDBED_TRY(const auto value, schemas::read_json_file(file, kMaxFile));
    SEEDBED_TRY(auto read, schemas::read_record<Evaluation>(value, file));
    if (read.policies.empty())
      return make_error(Where::usage, "evaluation", file, "holds no policy, wanted one or more",
                        "give a file that `seedbed eval --out` wrote");
    auto policy = std::move(read.policies.front());
    policy.label = std::filesystem::path(file).stem().string() + ": " + policy.label;
    out.push_back(std::move(policy));
  }
  return out;
}

Step check(const Options& options, const EvalArguments& e) {
  const bool runs = options.given("--policy") || options.given("--suite");
  if (!runs && e.compare.size() >= 2) return std::nullopt;
  for (const char* name : {"--policy", "--suite"})
    if (!options.given(name))
      return make_error(Where::usage, "seedbed eval", name,
                        "absent, wanted it or two files with --compare",
                        "for instance: seedbed eval --policy greedy --suite general-l1");
  if (e.unseen_only && e.against.empty())
    return make_error(Where::usage, "seedbed eval", "--unseen-only",
                      "given without --against, which says what was seen",
                      "name the training stores with --against STORE");
  return std::nullopt;
}

// Files first, then the terminal: what was found is kept even where the reader of stdout has gone.
Step say(Context& context,
         const EvalArguments& e,
         const Evaluation& evaluation,
         const std::vector<schemas::EvalPolicy>& earlier) {
  if (!e.out.empty()) {
    if (auto error = write_file(e.out, schemas::dump_record(evaluation) + "\n")) return error;
    context.out.status("written: " + e.out);
  }
  if (!e.html.empty()) {
    if (auto error = write_file(e.html, eval_html(evaluation, earlier))) return error;
    context.out.status("written: " + e.html);
  }
  print_evaluation(context.out, evaluation, earlier);
  context.out.object(schemas::to_value(evaluation));
  return std::nullopt;
}

// The evaluated policy against each of the others.
void compare_with(Context& context,
                  const std::vector<schemas::EvalPolicy>& others,
                  Evaluation& evaluation) {
  for (const auto& before : others) {
    auto found = tasks::eval::compare(before, evaluation.policies.front());
    if (found.empty())
      context.out.status("seedbed: " + before.label +
                         " tried none of these tasks; nothing is paired with it");
    for (auto& c : found) evaluation.comparisons.push_back(std::move(c));
  }
}

// Earlier evaluations alone, the last of them against each of the others.
Result<int> compare_files(Context& context, const EvalArguments& e) {
  SEEDBED_TRY(auto earlier, read_earlier(e.compare));
  Evaluation evaluation;
  evaluation.generator = envgen::kGeneratorVersion;
  evaluation.policies.push_back(std::move(earlier.back()));
  earlier.pop_back();
  compare_with(context, earlier, evaluation);
  if (auto error = say(context, e, evaluation, earlier)) return *std::move(error);
  return 0;
}

// The verdict of the whole: what leaked, what could not be scored.
int ending(Context& context, const Evaluation& evaluation) {
  int code = 0;
  for (const auto& leak : evaluation.leakage) {
    if (leak.shared_environments == 0 && leak.shared_triples == 0) continue;
    context.out.status("seedbed: " + leak.store + " holds " +
                       format_count(leak.shared_environments) + " of the evaluated environments, " +
                       "and the like of " + format_count(leak.shared_triples) +
                       " of the evaluated tasks; --unseen-only leaves them out");
    code = 1;
  }
  std::int64_t infra = 0;
  for (const auto& p : evaluation.policies) infra += p.infra_errors;
  if (infra > 0) {
    context.out.status("seedbed: " + format_count(infra) +
                       " episodes met infrastructure errors and were not scored; the same command "
                       "tries them again");
    code = 1;
  }
  if (!evaluation.leakage.empty() && code == 0)
    context.out.status(
        "no evaluated environment, and no (level, skeleton, lexicon) of an "
        "evaluated task, occurs in the training stores");
  return code;
}

}  // namespace

Result<int> cmd_eval(Context& context, const Words& words) {
  EvalArguments e;
  RunArguments arguments;
  agent::RunOptions run;
  Common common;
  Options options("eval",
                  "score a policy on suites of fresh tasks, with intervals and kinds of error; the "
                  "same command continues it",
                  "seedbed eval --policy engine --model DIR --suite compact-l1,compact-heldout "
                  "--baseline greedy,random --html eval.html");
  declare(options, e, arguments, run);
  isolation_option(options, common);
  options.flag("--fresh", common.fresh, "start over: remove the suites' stores and episodes");
  options.flag("--dry-run", common.dry_run, "say what would be tried, and end");
  store_options(options, common);
  json_option(options, common);
  if (auto error = options.parse(words)) return *std::move(error);
  if (options.wants_help()) return context.out.raw(options.help()), 0;
  context.out.set_json(common.json);
  if (auto wrong = check(options, e)) return *std::move(wrong);
  if (!options.given("--policy")) return compare_files(context, e);
  if (auto error = settle_run("eval", options, arguments, run)) return *std::move(error);
  // One try is the model's best guess; several are to differ.
  if (!options.given("--temperature") && run.samples == 1) run.engine.temperature = 0;
  SEEDBED_TRY(const auto suites, suites_of(e.suites));
  SEEDBED_TRY(const auto baselines, baselines_of(e.baselines));
  SEEDBED_TRY(auto earlier, read_earlier(e.compare));
  SuiteOptions wanted{.folder = {},
                      .tasks = e.tasks,
                      .unseen_only = e.unseen_only,
                      .fresh = common.fresh,
                      .upgrade = common.upgrade,
                      .jobs = arguments.jobs};
  if (common.dry_run) {
    for (const auto& suite : suites)
      context.out.line(
          suite.name + ": " + format_count(suite.request.envs) + " environments, seed " +
          suite.request.seed + ", at most " +
          format_count(e.tasks == 0 ? suite.request.envs * suite.request.tasks_per_env : e.tasks) +
          " tasks, " + std::to_string(run.samples) + " tries each");
    schemas::Value plan = schemas::Value::object();
    plan.set("dry_run", true).set("suites", std::int64_t{std::ssize(suites)});
    context.out.object(plan);
    return 0;
  }
  SEEDBED_TRY(wanted.folder, suite_folder(e.store));
  if (run.policy == "engine") {
    SEEDBED_TRY(auto chosen, engine::choose_device(run.engine.device));
    if (!chosen.note.empty()) context.out.status(chosen.note + "; computing on the CPU");
    run.engine.on = std::move(chosen.device);
  }
  SEEDBED_TRY(auto jails, start_jails(common.isolation));
  SEEDBED_TRY(const auto training, read_training_stores(context, e.against));

  Evaluation evaluation;
  evaluation.generator = envgen::kGeneratorVersion;
  std::vector<PreparedSuite> prepared;
  for (const auto& suite : suites) {
    SEEDBED_TRY(auto one, prepare_suite(context, suite, wanted, training, jails));
    evaluation.suites.push_back(one.record);
    prepared.push_back(std::move(one));
  }
  evaluation.leakage = leaks_of(prepared, training);
  std::vector<agent::RunOptions> tried = {run};
  for (const auto& name : baselines) {
    if (name == run.policy) continue;
    tried.push_back(run);
    tried.back().policy = name;
  }
  for (const auto& each : tried) {
    SEEDBED_TRY(auto policy, evaluate(context, prepared, each, jails));
    evaluation.policies.push_back(std::move(policy));
  }
  compare_with(context, earlier, evaluation);
  compare_with(context, {evaluation.policies.begin() + 1, evaluation.policies.end()}, evaluation);
  if (auto error = say(context, e, evaluation, earlier)) return *std::move(error);
  return ending(context, evaluation);
}

}  // namespace seedbed::cli
