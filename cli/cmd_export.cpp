#include <algorithm>

#include "agent/export.h"
#include "cli/common.h"
#include "schemas/value.h"

namespace seedbed::cli {
namespace {

using schemas::Value;

template <class E>
std::vector<std::string> names_of(E e) {
  const auto names = enum_names(e);
  return {names.begin(), names.end()};
}
template <class E>
E value_of(const std::string& name) {
  const auto names = names_of(E{});
  return static_cast<E>(std::find(names.begin(), names.end(), name) - names.begin());
}

Step settle(const Options& options, agent::ExportOptions& wanted) {
  const bool tokens = wanted.format == agent::ExportFormat::tokens;
  const bool renders =
      (tokens && !wanted.render.tokenizer.empty()) || wanted.format == agent::ExportFormat::prompts;
  const auto needless = [&](const char* name, const char* todo) {
    return make_error(Where::usage, "seedbed export", name,
                      "given, and nothing that is written depends on it", todo);
  };
  for (const char* name : {"--tokenizer", "--context"})
    if (!tokens && options.given(name))
      return needless(name, "leave it out, or name --format tokens");
  if (wanted.format != agent::ExportFormat::preference && options.given("--mount"))
    return needless("--mount", "leave it out, or name --format preference");
  for (const char* name : {"--thinking", "--tool-order", "--seed"})
    if (!renders && options.given(name))
      return needless(name, "leave it out, or name --format tokens and --tokenizer FILE");
  return std::nullopt;
}

Value to_json(const agent::ExportSummary& summary, const std::string& out) {
  Value policies = Value::object();
  for (const auto& [name, score] : summary.policies) {
    Value row = Value::object();
    row.set("episodes", score.episodes).set("solved", score.solved);
    policies.set(name, std::move(row));
  }
  Value wrongs = Value::object();
  for (const auto& [name, count] : summary.wrongs) wrongs.set(name, count);
  Value json = Value::object();
  json.set("out", out).set("episodes", summary.train + summary.heldout);
  json.set("train", summary.train).set("heldout", summary.heldout);
  json.set("left_out", summary.left_out).set("tasks", summary.tasks);
  json.set("without_tokens", summary.without_tokens)
      .set("other_tokenizer", summary.other_tokenizer)
      .set("over_context", summary.over_context)
      .set("tokens", summary.tokens)
      .set("tokens_sampled", summary.tokens_sampled);
  json.set("environments", summary.environments).set("policies", std::move(policies));
  json.set("wrong_plans", std::move(wrongs));
  return json;
}

}  // namespace

Result<int> cmd_export(Context& context, const Words& words) {
  std::string path, format, thinking = "both", tool_order = "kept";
  std::int64_t seed = 1;
  agent::ExportOptions wanted;
  Common common;
  Options options("export",
                  "write trajectories as a dataset folder for training, whole or not at all",
                  "seedbed export a.db --format trl --out dataset --min-score 1");
  options.operand("STORE", path, "the store");
  options.choice(
      "--format", format, names_of(agent::ExportFormat::trl),
      "trl: arguments as objects; openai: arguments as strings; tokens: flat sequences of the "
      "policy engine, with --tokenizer of every policy; preference: gold plans against near "
      "misses, "
      "played in a jail; prompts: rendered text for engine train-tokenizer");
  options.text("--out", wanted.out, "DIR", "the folder; an earlier export there is replaced");
  options.number("--min-score", wanted.min_score, 0, 1, "leave out episodes that scored less");
  options.text("--policy", wanted.policy, "NAME", "episodes of this policy only");
  options.text(
      "--tokenizer", wanted.render.tokenizer, "FILE",
      "tokens: a tokenizer.json; episodes that no model here sampled are rendered with it as "
      "the policy engine would have seen them");
  options.choice(
      "--thinking", thinking, names_of(agent::ThinkingModes::both),
      "tokens with --tokenizer: a sequence with reasoning, one without, or each; prompts: "
      "off leaves the reasoning out");
  options.choice(
      "--tool-order", tool_order, names_of(agent::ToolOrder::kept),
      "tokens with --tokenizer, prompts: as offered, or in an order of each environment's "
      "own");
  options.integer("--seed", seed, 0, INT64_MAX, "of the shuffled order of tools");
  options.integer("--context", wanted.context, 0, INT64_MAX,
                  "tokens: leave out longer sequences; 0 is none");
  options.flag("--no-issues", wanted.no_issues, "leave out tasks with an open issue");
  options.text("--without", wanted.without, "TEXT",
               "leave out episodes whose reasoning has this text");
  mount_option(options, common);
  isolation_option(options, common);
  store_options(options, common);
  json_option(options, common);
  options.require("--format");
  options.require("--out");
  if (auto error = options.parse(words)) return *std::move(error);
  if (options.wants_help()) return context.out.raw(options.help()), 0;
  context.out.set_json(common.json);
  wanted.format = value_of<agent::ExportFormat>(format);
  wanted.render.thinking = value_of<agent::ThinkingModes>(thinking);
  wanted.render.tool_order = value_of<agent::ToolOrder>(tool_order);
  wanted.render.tool_seed = static_cast<std::uint64_t>(seed);
  if (auto error = settle(options, wanted)) return *std::move(error);
  wanted.interrupted = &context.stop;

  std::shared_ptr<Jails> jails;
  if (wanted.format == agent::ExportFormat::preference) {
    SEEDBED_TRY(jails, start_jails(common.isolation, common.mounts));
    wanted.open_host = [jails] { return open_host(*jails, -1); };
  }
  SEEDBED_TRY(auto store, open_reader(path, common));
  Progress progress(context.out, "exporting", "episodes");
  wanted.progress = [&](std::int64_t done, std::int64_t total) { progress.at(done, total); };
  SEEDBED_TRY(const auto summary, agent::export_dataset(*store, wanted));
  const bool pairs = wanted.format == agent::ExportFormat::preference;
  Table table{{"policy", "episodes", "solved"}, {}};
  if (pairs) table.header = {"wrong plan", "pairs"};
  for (const auto& [name, count] : summary.wrongs)
    table.rows.push_back({name, format_count(count)});
  for (const auto& [name, score] : summary.policies)
    table.rows.push_back({name, format_count(score.episodes), format_count(score.solved)});
  context.out.table(table);
  context.out.line(format_count(summary.train) + " lines for training, " +
                   format_count(summary.heldout) + " held out, " + format_count(summary.left_out) +
                   " left out; written: " + wanted.out);
  if (wanted.format == agent::ExportFormat::tokens)
    context.out.line(format_count(summary.tokens) + " tokens, " +
                     format_count(summary.tokens_sampled) + " of them under loss; left out: " +
                     format_count(summary.without_tokens) + " episodes without tokens, " +
                     format_count(summary.other_tokenizer) + " of another tokenizer, " +
                     format_count(summary.over_context) + " sequences over the context");
  context.out.object(to_json(summary, wanted.out));
  return 0;
}

}  // namespace seedbed::cli
