#include "agent/scripted.h"

#include <algorithm>

#include "base/check.h"
#include "tasks/solvers/solve.h"

namespace seedbed::agent {

ReplyCall call_of(const schemas::GoldStep& step) {
  std::string tool = step.kind == schemas::GoldKind::call     ? step.tool
                     : step.kind == schemas::GoldKind::submit ? std::string(schemas::kSubmitTool)
                                                              : std::string(schemas::kRefuseTool);
  schemas::Value args = step.args;
  if (args.is_null()) args = schemas::Value::object();
  return {"", std::move(tool), std::move(args)};
}

namespace {

using schemas::GoldKind;

class Oracle final : public ModelClient {
 public:
  bool needs_gold() const override { return true; }

  void begin(const EpisodeStart& start) override {
    SEEDBED_CHECK(start.gold != nullptr, start.task_id);
    gold_ = start.gold;
    next_ = 0;
    // One call a turn, more only where the turns would not suffice.
    const std::size_t turns = static_cast<std::size_t>(std::max(1, start.task.budget.max_turns));
    per_turn_ = std::max<std::size_t>(1, (gold_->steps.size() + turns - 1) / turns);
  }

  Result<Reply> reply(const View& view) override {
    Reply out;
    for (const auto& call : view.turns.back().calls) {
      if (call.result.end == schemas::End::ok) continue;
      out.stop = schemas::Stop::stopped;
      out.stop_detail = "gold step failed: " + call.tool;
      return out;
    }
    if (next_ >= gold_->steps.size()) {
      out.stop = schemas::Stop::stopped;
      out.stop_detail = "the gold plan is at its end";
      return out;
    }
    if (gold_->steps[next_].kind == GoldKind::say) {
      out.what = Message{gold_->steps[next_++].text, ""};
      return out;
    }
    Calls calls;
    while (next_ < gold_->steps.size() && calls.calls.size() < per_turn_ &&
           gold_->steps[next_].kind != GoldKind::say)
      calls.calls.push_back(call_of(gold_->steps[next_++]));
    out.what = std::move(calls);
    return out;
  }

 private:
  const schemas::Gold* gold_ = nullptr;
  std::size_t next_ = 0, per_turn_ = 1;
};

class Nop final : public ModelClient {
 public:
  Result<Reply> reply(const View& /*view*/) override {
    Reply out;
    out.what = Message{"done", ""};
    return out;
  }
};

}  // namespace

std::unique_ptr<ModelClient> scripted_client(std::string_view policy) {
  if (policy == "oracle") return std::make_unique<Oracle>();
  if (policy == "teacher" || policy == "plain-teacher")
    return teacher_client(policy == "plain-teacher");
  if (policy == "nop") return std::make_unique<Nop>();
  if (policy == "random") return random_client();
  return solver_client(policy);
}

std::vector<std::string> scripted_policies() {
  std::vector<std::string> out = {"oracle", "teacher", "plain-teacher", "nop", "random"};
  for (const auto name : tasks::solvers::kSolvers) out.emplace_back(name);
  return out;
}

}  // namespace seedbed::agent
