// From a goal to a draft: plan, knobs, prompt, and what drafter.h makes.
#include <algorithm>

#include "base/hash.h"
#include "envgen/general/drafter.h"
#include "envgen/text/text.h"
#include "tasks/solvers/level.h"

namespace seedbed::envgen {
namespace {

using schemas::GoldKind;
using schemas::GoldStep;
using schemas::Value;

Result<std::optional<tasks::Draft>> make_draft(const Lowered& l,
                                               const Goal& goal,
                                               const Rng& rng,
                                               std::int64_t number,
                                               std::string& reason,
                                               bool own_words) {
  reason = "plan";
  Plan plan = plan_goal(l, goal);
  if (!plan.ok) return std::optional<tasks::Draft>();
  const auto planned = std::count_if(plan.steps.begin(), plan.steps.end(),
                                     [](const GoldStep& s) { return s.kind == GoldKind::call; });
  if (planned < tasks::solvers::kMinCalls) {  // below the first level, whatever else it is
    reason = "level";
    return std::optional<tasks::Draft>();
  }
  Drafter d{l, goal, *l.world, l.facts};
  if (!goal.refusal)
    for (const auto& o : goal.operations)
      if (!apply(*l.world, o.transition, o.args, d.final_facts).ok)
        return std::optional<tasks::Draft>();
  tasks::Draft out;
  out.verifier = d.verifier();
  if (goal.refusal) {
    Value ids = Value::array();
    for (const auto& id : out.verifier.refuse_evidence) ids.push(id);
    plan.steps.back()
        .args.set("reason_code", goal.refusal->code)
        .set("evidence_ids", std::move(ids));
  } else {
    plan.steps.back().args = d.submission(d.final_facts);
    for (const auto& a : goal.answers)  // a sum is worked out, not read
      if (a.term &&
          (a.term->op == Op::sum || (l.surface.units && a.term->domain.type == Type::cents)))
        plan.steps.back().derived.push_back(a.field);
  }
  out.gold.steps = plan.steps;
  out.gold.variants = d.variants(plan.steps);
  out.gold.near_misses = d.near_misses(plan.steps, rng.fork("near"));
  out.gold.interactions = goal.interactions;
  out.gold.mechanisms = goal.mechanisms;
  schemas::TaskSpec& t = out.task;
  t.environment_id = l.id.empty() ? schemas::environment_id(l.environment) : l.id;
  t.kind = goal.kind;
  t.prompt = prompt_of(l, goal, rng.fork("prompt"));
  t.submit_schema = d.submit_schema();
  t.number = number;
  t.skeleton = content_hash(goal.expression);
  if (goal.hidden_param >= 0) {
    schemas::UserScript user;
    user.reveals.push_back(
        {{goal.hidden_keyword, "which", "what", "how much", "how many"}, goal.hidden_text});
    user.fallback = "I have nothing to add.";
    t.user = user;
  }
  if (!goal.turns.empty()) {
    schemas::UserScript user;
    for (std::size_t i = 0; i < goal.turns.size(); ++i)
      user.reveals.push_back({{"next", "else", "more", "further", "done", "what now", "anything"},
                              later_request(l, goal, i, rng.fork("later", i))});
    user.fallback = "That was all.";
    t.user = user;
  }
  // What is said must be what is meant: every constant once, every description of one fact.
  std::vector<std::string> later;
  if (!goal.turns.empty())
    for (const auto& r : t.user->reveals) later.push_back(r.text);
  if (own_words && (!says_all(content_of(l, goal), t.prompt, later) || !recovers(l, goal))) {
    reason = "words";
    return std::optional<tasks::Draft>();
  }
  const auto calls = static_cast<std::int64_t>(
      std::count_if(plan.steps.begin(), plan.steps.end(),
                    [](const GoldStep& s) { return s.kind == GoldKind::call; }));
  t.budget.max_turns = static_cast<int>(std::max<std::int64_t>(20, 3 * calls));
  t.budget.max_calls = static_cast<int>(std::max<std::int64_t>(40, 4 * calls));
  bool unique = std::all_of(goal.mentions.begin(), goal.mentions.end(),
                            [&](const Reference& r) { return fits_one(l, l.facts, r); });
  for (const auto* operations : {&goal.operations, &goal.other})
    for (const auto& o : *operations)
      for (const auto& r : o.refs) unique = unique && fits_one(l, l.facts, r);
  t.knobs = {{"plan_calls", calls},
             {"interactions", out.gold.interactions},
             {"mechanisms", out.gold.mechanisms},
             {"tools", static_cast<std::int64_t>(l.environment.tools.size())},
             {"references_unique", unique ? 1 : 0},
             {"writes", static_cast<std::int64_t>(goal.refusal ? 0 : goal.operations.size())},
             {"duties", std::count_if(goal.operations.begin(), goal.operations.end(),
                                      [](const Operation& o) { return o.duty >= 0; })},
             {"obstacles", static_cast<std::int64_t>(goal.blocked.size())},
             {"turns", static_cast<std::int64_t>(goal.turns.size()) + (goal.hidden_param >= 0)}};
  for (const auto& k : goal.knobs) t.knobs.push_back(k);
  return std::optional<tasks::Draft>(std::move(out));
}

}  // namespace

Result<std::optional<tasks::Draft>> draft_of(
    const Lowered& l, const Goal& goal, Rng rng, std::int64_t number, std::string* why) {
  std::string unheard;
  return make_draft(l, goal, rng, number, why == nullptr ? unheard : *why, true);
}

Result<std::optional<tasks::Draft>> draft_in_other_words(const Lowered& l,
                                                         const Goal& goal,
                                                         Rng rng) {
  std::string unheard;
  return make_draft(l, goal, rng, 0, unheard, false);
}

}  // namespace seedbed::envgen
