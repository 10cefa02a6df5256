#include "agent/export_preference.h"

#include <algorithm>
#include <cmath>

#include "agent/export_line.h"
#include "agent/http_body.h"
#include "agent/prompt.h"
#include "base/hash.h"

namespace seedbed::agent {
namespace {

using schemas::GoldKind;
using schemas::GoldStep;
using schemas::Value;

// One step a turn, to the end: a failed call of a wrong plan is part of what is wrong with it.
class PlanClient final : public ModelClient {
 public:
  explicit PlanClient(const std::vector<GoldStep>& steps) : steps_(steps) {}

  void begin(const EpisodeStart& /*start*/) override { next_ = 0; }

  Result<Reply> reply(const View& /*view*/) override {
    Reply out;
    if (next_ == steps_.size()) {
      out.stop = schemas::Stop::stopped;
      out.stop_detail = "the plan is at its end";
      return out;
    }
    const GoldStep& step = steps_[next_++];
    if (step.kind == GoldKind::say) {
      out.what = Message{step.text, ""};
      return out;
    }
    const std::string_view tool = step.kind == GoldKind::call     ? std::string_view(step.tool)
                                  : step.kind == GoldKind::submit ? schemas::kSubmitTool
                                                                  : schemas::kRefuseTool;
    Calls calls;
    calls.calls.push_back(
        {"", std::string(tool), step.args.is_null() ? Value::object() : step.args});
    out.what = std::move(calls);
    return out;
  }

 private:
  const std::vector<GoldStep>& steps_;
  std::size_t next_ = 0;
};

bool acts(const Value& message) {
  return message.text("role") == "assistant";
}

// Messages that both begin with, cut back to the last place where an assistant speaks next in both.
std::size_t shared_part(const Value& a, const Value& b) {
  std::size_t same = 0;
  while (same < a.items().size() && same < b.items().size() && a.items()[same] == b.items()[same])
    ++same;
  while (same > 0 && !(same < a.items().size() && same < b.items().size() &&
                       acts(a.items()[same]) && acts(b.items()[same])))
    --same;
  return same;
}

Value part_of(const Value& messages, std::size_t begin, std::size_t end) {
  Value out = Value::array();
  for (std::size_t i = begin; i < end; ++i) out.push(messages.items()[i]);
  return out;
}

double six_digits(double score) {  // loaders re-encode numbers with ten digits
  return std::round(score * 1e6) / 1e6;
}

}  // namespace

const std::vector<TokenField>& preference_fields() {
  static const std::vector<TokenField> fields = {
      {"id", "dtype: string", "content hash of task and near miss"},
      {"group_id", "dtype: string", "content hash of the task: pairs of one task share it"},
      {"environment_id", "dtype: string", "content hash of the environment"},
      {"kind", "dtype: string", "kind of goal"},
      {"wrong", "dtype: string", "what is wrong with `rejected`: the near miss's name"},
      {"why", "dtype: string", "the first part of the verdict that `rejected` fails, in words"},
      {"chosen_score", "dtype: float64", "1, by the task's verifier"},
      {"rejected_score", "dtype: float64", "below 1, by the same"},
      {"prompt", "list: json", "system, request, and the turns that both share"},
      {"chosen", "list: json", "the rest of the gold plan, with results"},
      {"rejected", "list: json", "the rest of the wrong plan, with results"},
      {"tools", "list: json", "what was offered"},
  };
  return fields;
}

Result<std::unique_ptr<PreferencePlayer>> PreferencePlayer::open(
    tasks::StoredEnvironment environment,
    std::function<Result<std::unique_ptr<sandbox::ToolHost>>()> open) {
  std::unique_ptr<PreferencePlayer> out(new PreferencePlayer());
  SEEDBED_TRY(out->judge_, tasks::Judge::open(environment.environment, environment.image));
  out->system_ = system_text(environment.environment);
  out->environment_ = std::move(environment);
  out->open_ = std::move(open);
  return out;
}

Result<Rollout> PreferencePlayer::play(const tasks::StoredTask& task,
                                       const Offered& offered,
                                       const std::vector<GoldStep>& steps,
                                       const char* policy) {
  PlanClient client(steps);
  RolloutSpec spec{.environment = environment_.environment,
                   .task = task.task,
                   .offered = offered,
                   .task_id = task.id,
                   .policy = policy,
                   .policy_version = "1",
                   .budget = task.task.budget};
  const auto loaded = [this]() -> Result<std::unique_ptr<sandbox::ToolHost>> {
    SEEDBED_TRY(auto host, open_());
    if (auto e = host->load(environment_.environment, environment_.image)) return *std::move(e);
    return host;
  };
  SEEDBED_TRY(Rollout made, rollout(spec, client, host_, loaded, clock_));
  SEEDBED_TRY(made.trajectory.verdict, judge_->judge(task.verifier, made.evidence));
  return made;
}

Result<std::vector<PreferencePair>> PreferencePlayer::pairs(const tasks::StoredTask& task) {
  std::vector<PreferencePair> out;
  if (task.gold.near_misses.empty()) return out;
  const Offered offered(environment_.environment, task.task);
  SEEDBED_TRY(const Rollout gold, play(task, offered, task.gold.steps, "gold"));
  if (!gold.trajectory.verdict.solved)
    return make_error(
        Where::verifier, "task", task.id,
        "found gold unsolved in the jail (" + gold.trajectory.verdict.why + "), wanted score 1",
        "run verify-pack on the store");
  const Value right = export_messages(gold.trajectory, system_, ExportFormat::trl);
  const Value tools = chat_tools(offered_tools(environment_.environment, task.task));
  for (const auto& miss : task.gold.near_misses) {
    SEEDBED_TRY(const Rollout made, play(task, offered, miss.steps, "near miss"));
    const auto& verdict = made.trajectory.verdict;
    const Value wrong = export_messages(made.trajectory, system_, ExportFormat::trl);
    const std::size_t shared = shared_part(right, wrong);
    if (verdict.solved || shared < 2) continue;  // alike to the end: nothing to prefer
    PreferencePair pair{.id = content_hash(task.id + "\n" + miss.name + "\n" + dump(wrong)),
                        .wrong = miss.name,
                        .line = Value::object()};
    pair.line.set("id", pair.id)
        .set("group_id", task.id)
        .set("environment_id", environment_.id)
        .set("kind", task.task.kind)
        .set("wrong", miss.name)
        .set("why", verdict.why)
        .set("chosen_score", six_digits(gold.trajectory.verdict.score))
        .set("rejected_score", six_digits(verdict.score))
        .set("prompt", part_of(right, 0, shared))
        .set("chosen", part_of(right, shared, right.items().size()))
        .set("rejected", part_of(wrong, shared, wrong.items().size()))
        .set("tools", tools);
    out.push_back(std::move(pair));
  }
  return out;
}

std::string check_preference_line(std::string_view line) {
  if (line.find('\n') != std::string_view::npos) return "a line break";
  const auto parsed = schemas::parse_json(line);
  if (!parsed.ok()) return parsed.error().message;
  for (const char* key : {"id", "group_id", "environment_id", "kind", "wrong", "why"}) {
    const Value* text = parsed->find(key);
    if (text == nullptr || !text->is_string()) return std::string("no text '") + key + "'";
  }
  const auto score = [&](const char* key) {
    const Value* v = parsed->find(key);
    return v != nullptr && v->is_number() ? v->as_double() : -1;
  };
  if (score("chosen_score") != 1 || score("rejected_score") < 0 || score("rejected_score") >= 1)
    return "scores that prefer nothing";
  const Value* prompt = parsed->find("prompt");
  if (prompt == nullptr || !prompt->is_array()) return "no prompt";
  for (const char* key : {"chosen", "rejected"}) {
    const Value* rest = parsed->find(key);
    if (rest == nullptr || !rest->is_array() || rest->items().empty() || !acts(rest->items()[0]))
      return std::string("'") + key + "' does not begin with the assistant";
    Value whole = *prompt;
    for (const auto& message : rest->items()) whole.push(message);
    if (auto wrong = check_conversation(whole, parsed->find("tools"), ExportFormat::trl);
        !wrong.empty())
      return std::string(key) + ": " + wrong;
  }
  if (*parsed->find("chosen") == *parsed->find("rejected")) return "two conversations that are one";
  return "";
}

}  // namespace seedbed::agent
