#include <algorithm>

#include "agent/export.h"
#include "cli/common.h"
#include "schemas/value.h"

namespace seedbed::cli {
namespace {

using schemas::Value;

std::vector<std::string> format_names() {
  const auto names = agent::enum_names(agent::ExportFormat::trl);
  return {names.begin(), names.end()};
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
      .set("tokens", summary.tokens)
      .set("tokens_sampled", summary.tokens_sampled);
  json.set("environments", summary.environments).set("policies", std::move(policies));
  json.set("wrong_plans", std::move(wrongs));
  return json;
}

}  // namespace

Result<int> cmd_export(Context& context, const Words& words) {
  std::string path, format;
  agent::ExportOptions wanted;
  Common common;
  Options options("export",
                  "write trajectories as a dataset folder for training, whole or not at all",
                  "seedbed export a.db --format trl --out dataset --min-score 1");
  options.operand("STORE", path, "the store");
  options.choice(
      "--format", format, format_names(),
      "trl: arguments as objects; openai: arguments as strings; tokens: flat sequences of the "
      "policy engine; preference: gold plans against near misses, played in a jail");
  options.text("--out", wanted.out, "DIR", "the folder; an earlier export there is replaced");
  options.number("--min-score", wanted.min_score, 0, 1, "leave out episodes that scored less");
  options.text("--policy", wanted.policy, "NAME", "episodes of this policy only");
  options.flag("--no-issues", wanted.no_issues, "leave out tasks with an open issue");
  isolation_option(options, common);
  store_options(options, common);
  json_option(options, common);
  options.require("--format");
  options.require("--out");
  if (auto error = options.parse(words)) return *std::move(error);
  if (options.wants_help()) return context.out.raw(options.help()), 0;
  context.out.set_json(common.json);
  const auto names = format_names();
  wanted.format = static_cast<agent::ExportFormat>(std::find(names.begin(), names.end(), format) -
                                                   names.begin());
  wanted.interrupted = &context.stop;

  std::shared_ptr<sandbox::Broker> broker;
  if (wanted.format == agent::ExportFormat::preference) {
    SEEDBED_TRY(broker, start_broker(common.isolation));
    wanted.open_host = [broker] { return open_host(*broker, -1); };
  }
  SEEDBED_TRY(auto store, open_reader(path, common));
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
                     format_count(summary.tokens_sampled) + " of them under loss; " +
                     format_count(summary.without_tokens) + " episodes without tokens left out");
  context.out.object(to_json(summary, wanted.out));
  return 0;
}

}  // namespace seedbed::cli
