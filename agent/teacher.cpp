// Episodes worth learning from. The teacher plays a task's gold plan, or one of its variants, and
// says before each call where its values come from. In some episodes it first makes a call that is
// wrong and changes nothing, sees what comes of it, and goes on rightly; that turn is marked as one
// that nobody should imitate. All draws depend on (seed, task, sample) alone.
#include <algorithm>

#include "agent/prompt.h"
#include "agent/scripted.h"
#include "agent/teacher_mistake.h"
#include "agent/teacher_plain.h"
#include "agent/teacher_plan.h"
#include "agent/teacher_reason.h"
#include "base/check.h"
#include "base/text.h"

namespace seedbed::agent {
namespace {

using schemas::GoldKind;
using schemas::GoldStep;

// One episode of so many has one. The plain teacher is for small models, which make many, and each
// costs them the task unless they have learnt what to do then; after each there is another in one
// of so many.
constexpr std::uint64_t kMistakesIn = 4, kPlainMistakesIn = 2, kPlainMistakesAgainIn = 3;

// Arguments as the tool's schema lists them, so that their order is nobody's choice.
void put_in_order(GoldStep& step, const std::vector<schemas::Tool>& tools) {
  if (!step.args.is_object()) return;
  const auto tool = std::find_if(tools.begin(), tools.end(),
                                 [&](const auto& one) { return one.name == name_of(step); });
  const schemas::Value* listed = tool == tools.end() ? nullptr : tool->input.find("properties");
  if (listed == nullptr) return;
  schemas::Value args = schemas::Value::object();
  for (const auto& [name, schema] : listed->members())
    if (const auto* value = step.args.find(name); value != nullptr) args.set(name, *value);
  if (args.members().size() == step.args.members().size()) step.args = std::move(args);
}

class Teacher final : public ModelClient {
 public:
  explicit Teacher(bool plain) : plain_(plain) {}
  bool needs_gold() const override { return true; }

  void begin(const EpisodeStart& start) override {
    SEEDBED_CHECK(start.gold != nullptr, start.task_id);
    const auto sample = static_cast<std::uint64_t>(start.sample);
    const auto plans = static_cast<std::uint64_t>(start.gold->variants.size()) + 1;
    const std::uint64_t plan = sample % plans;
    steps_ =
        plan == 0 ? start.gold->steps : start.gold->variants[static_cast<std::size_t>(plan - 1)];
    words_ = {rng_for(start.seed, start.task_id, sample, "teacher words"), plain_};
    mistakes_ = rng_for(start.seed, start.task_id, sample, "teacher mistakes");
    facts_.clear();
    next_ = 0;
    call_of_step_.clear();
    mistake_.reset();
    const std::size_t turns = static_cast<std::size_t>(std::max(1, start.task.budget.max_turns));
    const std::size_t calls = static_cast<std::size_t>(std::max(1, start.task.budget.max_calls));
    per_turn_ = std::max<std::size_t>(1, (steps_.size() + turns - 1) / turns);
    room_ = std::min(turns, calls) - std::min({turns, calls, steps_.size()});
    mistake_at_ = SIZE_MAX;
    planned_wrong_.reset();
    if (mistakes_.chance(1, plain_ ? kPlainMistakesIn : kMistakesIn) && room_ > 0 &&
        !steps_.empty())
      mistake_at_ = static_cast<std::size_t>(mistakes_.below(steps_.size()));
  }

  Result<Reply> reply(const View& view) override {
    facts_.read(view.turns);
    if (plain_ && next_ == 0 && facts_.calls().empty()) {
      for (auto& step : steps_) put_in_order(step, view.offered.tools());
      if (mistake_at_ != SIZE_MAX) plan_wrong(view);
    }
    const schemas::Turn& last = view.turns.back();
    if (!mistake_) {
      for (const auto& call : last.calls)
        if (call.result.end != schemas::End::ok)
          return stopped("a step of the plan failed: " + call.tool);
    }
    if (next_ >= steps_.size()) return stopped("the plan is at its end");
    const std::optional<Mistake> before = std::exchange(mistake_, std::nullopt);
    const Outlook outlook{steps_, next_, call_of_step_};
    // A plan that was said before a mistake stands; it would be said again as it was.
    const bool planned = before && before->kind != MistakeKind::needless;
    std::string why = reason_of(view, outlook, planned);
    if (before)
      why = reason_after(*before, why, last.calls.back(), words_,
                         plain_ ? kMostPlainWords : kMostReasonWords);
    if (steps_[next_].kind == GoldKind::say) {
      Reply out;
      out.what = Message{steps_[next_].text, std::move(why)};
      ++next_;
      call_of_step_.push_back(SIZE_MAX);
      return out;
    }
    if (next_ == mistake_at_) {
      mistake_at_ = SIZE_MAX;
      mistake_ = planned_wrong_ ? std::exchange(planned_wrong_, std::nullopt)
                                : make_mistake(view, call_of(steps_[next_]), facts_, mistakes_);
      if (mistake_) {
        if (plain_ && --room_ > 0 && mistakes_.chance(1, kPlainMistakesAgainIn))
          mistake_at_ = next_ + static_cast<std::size_t>(mistakes_.below(2));
        return wrong(std::move(why));
      }
    }
    if (!planned_wrong_ || next_ != 0) return right(std::move(why));
    // The call is right, but the plan names a tool that will be found to be wrong.
    Reply out = right(replace_all(std::move(why), planned_wrong_->right, planned_wrong_->wrong));
    out.learn = false;
    return out;
  }

 private:
  std::string reason_of(const View& view, const Outlook& outlook, bool planned) {
    const GoldKind kind = outlook.steps[outlook.next].kind;
    if (!plain_ || kind == GoldKind::say || kind == GoldKind::refuse)
      return reason(facts_, outlook, words_);
    const std::string today = date_time(view.environment.now_minutes).substr(0, 10);
    return plain_reason(facts_, outlook, planned, today);
  }

  // Most often a name is sought among records of another kind.
  void plan_wrong(const View& view) {
    const std::uint64_t drawn = mistakes_.below(8);
    if (drawn > 4) return;  // a mistake that is not planned
    std::vector<std::size_t> order(steps_.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    mistakes_.shuffle(order);
    for (const std::size_t i : order) {
      if (steps_[i].kind != GoldKind::call) continue;
      planned_wrong_ = make_wrong_tool(view, call_of(steps_[i]), facts_, drawn < 4, mistakes_);
      if (!planned_wrong_) continue;
      mistake_at_ = i;
      return;
    }
  }

  static Reply stopped(std::string why) {
    Reply out;
    out.stop = schemas::Stop::stopped;
    out.stop_detail = std::move(why);
    return out;
  }

  Reply wrong(std::string why) {
    const Mistake& m = *mistake_;
    if (m.kind == MistakeKind::needless) why = reason_needless(m, words_);
    // What is called was planned so.
    if (plain_ && (m.kind == MistakeKind::tool_name || m.kind == MistakeKind::other_finder))
      why = replace_all(std::move(why), m.right, m.wrong);
    Reply out;
    out.learn = false;
    out.what = Calls{"", std::move(why), {mistake_->call}};
    return out;
  }

  Reply right(std::string why) {
    Calls calls{"", std::move(why), {}};
    std::size_t made = facts_.calls().size();
    while (next_ < steps_.size() && calls.calls.size() < per_turn_ &&
           steps_[next_].kind != GoldKind::say) {
      call_of_step_.push_back(steps_[next_].kind == GoldKind::call ? made++ : SIZE_MAX);
      calls.calls.push_back(call_of(steps_[next_++]));
    }
    Reply out;
    out.what = std::move(calls);
    return out;
  }

  std::vector<GoldStep> steps_;
  Facts facts_;
  bool plain_;
  Wording words_{Rng{0}, false};
  Rng mistakes_{0};
  std::size_t next_ = 0, per_turn_ = 1, mistake_at_ = SIZE_MAX;
  std::size_t room_ = 0;                  // mistakes that the task's budget leaves room for
  std::optional<Mistake> planned_wrong_;  // at mistake_at_, and in the plan from the first turn on
  std::vector<std::size_t> call_of_step_;
  std::optional<Mistake> mistake_;  // the last turn made it
};

}  // namespace

std::unique_ptr<ModelClient> teacher_client(bool plain) {
  return std::make_unique<Teacher>(plain);
}

}  // namespace seedbed::agent
