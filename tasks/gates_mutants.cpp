// G13: mutants of the verifier are told apart by the plays of the admission, by wrong submissions,
// and, where that is not enough, by plays and submissions made for the mutant.
#include <algorithm>

#include "base/check.h"
#include "tasks/battery.h"
#include "tasks/normal.h"

namespace seedbed::tasks {
namespace {

using schemas::End;
using schemas::Scalar;
using schemas::Stop;
using schemas::Value;

// Of the weaker mutants of one task that plays must tell apart; a single one may be left.
constexpr int kKilledPercent = 75;

std::string text_of(const Value& value) {
  return value.is_string() ? value.as_string() : dump(value);
}

void add_touches(const Judge::State& judge,
                 const Difference& difference,
                 int call,
                 std::vector<Touch>& out) {
  for (const auto& fact : difference.facts) {
    const auto& rows = judge.facts->views()[static_cast<std::size_t>(fact.view)];
    Touch touch{.call = call, .view = fact.view, .attribute = -1, .key = {}};
    if (fact.row < 0) {
      touch.kind = Touch::Kind::add;
      touch.key = fact.now[0];
      out.push_back(touch);
      continue;
    }
    const Scalar* before = rows.row(fact.row);
    touch.key = before[0];
    if (fact.now.empty()) {
      touch.kind = Touch::Kind::remove;
      out.push_back(touch);
      continue;
    }
    for (std::size_t c = 1; c < fact.now.size(); ++c)
      if (fact.now[c] != before[c]) {
        touch.attribute = static_cast<int>(c) - 1;
        out.push_back(touch);
      }
  }
}

}  // namespace

Step Battery::run() {
  if (bits_.count > 64) return std::nullopt;  // gate_g13 refuses it
  MutationHints hints;
  if (auto e = fill(hints)) return e;
  mutants = make_mutants(verifier_, hints);
  if (auto e = judge_trials()) return e;
  if (auto e = judge_submissions()) return e;
  if (auto e = decide()) return e;
  if (auto e = probe()) return e;
  return choices();
}

Step Battery::fill(MutationHints& hints) {
  auto touches = kit_touches(c_.kit);
  if (!touches.ok()) return touches.error();
  touches_ = *touches;
  hints.writes = !touches_->empty();
  hints.sets = !calls_of(Touch::Kind::set).empty();
  hints.adds = !calls_of(Touch::Kind::add).empty();
  hints.removals = !calls_of(Touch::Kind::remove).empty();
  hints.siblings = [this](const std::string& name, const Value& value) {
    const Value* properties = c_.draft.task.submit_schema.find("properties");
    const Value* schema = properties == nullptr ? nullptr : properties->find(name);
    return siblings(c_.kit, schema == nullptr ? Value::object() : *schema, name, value, 4);
  };
  for (const auto& reason : c_.kit.env.policy.reasons)
    if (std::find(verifier_.refuse_codes.begin(), verifier_.refuse_codes.end(), reason.code) ==
        verifier_.refuse_codes.end())
      hints.other_codes.push_back(reason.code);
  return std::nullopt;
}

Step Battery::judge_one(const Script& script, const PlayedPlan& played, const std::string& name) {
  const std::size_t n = script.calls.size();
  Episode episode{.calls = script.calls,
                  .results = played.results,
                  .changes = played.changes,
                  .stop = script.stop,
                  .submitted = script.submitted};
  SEEDBED_CHECK(episode.results.size() == n, n);
  auto parts = judge().all_parts(
      verifier_, episode,
      verifier_.delta.empty() ? Judge::State::How::whole : Judge::State::How::without_posts);
  if (!parts.ok()) return parts.error();
  plays_.push_back({.stop = script.stop,
                    .submitted = script.submitted,
                    .failing = failing(*parts),
                    .state = parts->state,
                    .name = name});
  return std::nullopt;
}

Step Battery::judge_trials() {
  for (; judged_ < c_.trials.size(); ++judged_) {
    const auto& trial = c_.trials[judged_];
    if (auto e =
            judge_one(trial.script, c_.plays[static_cast<std::size_t>(trial.plan)], trial.name))
      return e;
    trial_play_.push_back(plays_.size() - 1);
    if (judged_ == 0) gold_ = plays_[0];
  }
  return std::nullopt;
}

Step Battery::add_submission(Stop stop, Value submitted) {
  Parts parts;
  score_submission(verifier_, stop, submitted, parts);
  JudgedPlay play = gold_;
  const std::uint64_t cheap = (std::uint64_t{1} << static_cast<unsigned>(bits_.choose)) - 1;
  play.failing = (play.failing & ~cheap) | failing(parts);
  play.stop = stop;
  play.submitted = std::move(submitted);
  play.name = "another submission";
  if (!verifier_.choose.empty()) {
    auto chosen = failing_choices(play);
    if (!chosen.ok()) return chosen.error();
    play.failing = (play.failing & ~choose_mask()) | *chosen;
  }
  plays_.push_back(std::move(play));
  return std::nullopt;
}

Step Battery::judge_submissions() {
  if (auto e = add_submission(Stop::stopped, {})) return e;
  for (auto& args : mutated_submissions(c_))
    if (auto e = add_submission(c_.gold.stop, std::move(args))) return e;
  for (auto& args : larger_sets())
    if (auto e = add_submission(c_.gold.stop, std::move(args))) return e;
  return std::nullopt;
}

std::vector<Value> Battery::larger_sets() const {
  std::vector<Value> out;
  for (const auto& [name, value] : c_.gold.submitted.members()) {
    if (!value.is_array() || value.items().empty()) continue;
    const Value& first = value.items()[0];
    auto others = siblings(c_.kit, Value::object(), "", first, 4);
    others.push_back(first.is_int() ? Value(first.as_int() + 1) : Value(text_of(first) + "1"));
    for (auto& other : others) {
      if (std::find(value.items().begin(), value.items().end(), other) != value.items().end())
        continue;
      Value more = value;
      more.push(std::move(other));
      out.push_back(c_.gold.submitted);
      out.back().set(name, std::move(more));
      break;
    }
  }
  return out;
}

Step Battery::decide() {
  const auto holds = [this](const std::string& sql, const JudgedPlay& play) -> Result<bool> {
    if (play.stop != Stop::answered || !play.submitted.is_object()) return false;
    return after_gold([&]() -> Result<bool> {
      const auto held = judge().holds(sql, "choose", play.submitted);
      return held.ok() && *held;
    });
  };
  for (auto& m : mutants.made)
    for (std::size_t i = 0; i < plays_.size() && !m.killed; ++i) {
      auto killed = kills(verifier_, bits_, m, plays_[i], judge(), holds);
      if (!killed.ok()) return killed.error();
      m.killed = *killed;
    }
  return std::nullopt;
}

bool Battery::none_left(const std::string& prefix) const {
  return std::all_of(mutants.made.begin(), mutants.made.end(),
                     [&](const Mutant& m) { return m.killed || m.name.rfind(prefix, 0) != 0; });
}

Result<const std::vector<Touch>*> kit_touches(Kit& kit) {
  if (kit.touches) return &*kit.touches;
  Plans plans;
  for (const auto& call : kit.writes) plans.push_back({call});
  std::vector<PlayedPlan> played;
  if (!plans.empty()) {
    SEEDBED_TRY(played, kit.player.play(plans));
  }
  if (played.size() != plans.size())
    return make_error(Where::sandbox, "play", "admission",
                      "found another number of plays than of plans", "replace the host");
  std::vector<Touch> out;
  for (std::size_t i = 0; i < played.size(); ++i) {
    if (played[i].results.empty() || played[i].results[0].end != End::ok) continue;
    SEEDBED_TRY(const auto difference, kit.judge->state().difference(played[i].changes));
    add_touches(kit.judge->state(), *difference, static_cast<int>(i), out);
  }
  kit.touches = std::move(out);
  return &*kit.touches;
}

Result<GateOutcome> gate_g13_mutation(Case& c) {
  Battery battery(c);
  if (battery.parts() > 64)
    return GateOutcome(Rejected{
        "G13", std::to_string(battery.parts()) + " parts of the verifier, wanted at most 64"});
  if (auto e = battery.run()) return *std::move(e);
  schemas::MutationScore score;
  for (const auto& implied : battery.mutants.implied)
    score.implied.push_back(implied.part + ": " + implied.reason);
  for (const auto& m : battery.mutants.made) {
    if (!m.killed)
      if (const auto reason = battery.implied(m); !reason.empty()) {
        score.implied.push_back(m.name + ": " + reason);
        continue;
      }
    ++score.made;
    score.killed += m.killed ? 1 : 0;
    score.weaker += m.weaker ? 1 : 0;
    score.weaker_killed += m.weaker && m.killed ? 1 : 0;
    if (!m.killed) score.survivors.push_back(m.name);
  }
  const std::string note = std::to_string(score.killed) + " of " + std::to_string(score.made) +
                           " mutants killed, " + std::to_string(score.weaker_killed) + " of " +
                           std::to_string(score.weaker) + " weaker ones";
  if (100 * score.weaker_killed < kKilledPercent * score.weaker && score.survivors.size() > 1)
    return GateOutcome(Rejected{
        "G13", note + ", wanted " + std::to_string(kKilledPercent) + " percent of these; left: " +
                   (score.survivors.empty() ? "none" : score.survivors.front())});
  c.mutation = std::move(score);
  return GateOutcome(Passed{"G13", c.mutation->made, note});
}

}  // namespace seedbed::tasks
