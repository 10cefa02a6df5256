// G13: mutants of the verifier are told apart by the plays of the admission, by wrong submissions,
// and, where that is not enough, by plays and submissions made for the mutant.
#include <algorithm>
#include <map>
#include <set>

#include "base/check.h"
#include "tasks/gates.h"
#include "tasks/judge_match.h"
#include "tasks/mutation.h"
#include "tasks/normal.h"

namespace seedbed::tasks {
namespace {

using schemas::ChangeKind;
using schemas::End;
using schemas::FactChange;
using schemas::Outcome;
using schemas::Scalar;
using schemas::Stop;
using schemas::ToolCall;
using schemas::Value;

// Of the weaker mutants of one task that plays must tell apart; a single one may be left.
constexpr int kKilledPercent = 75;
constexpr std::size_t kSwaps = 8;        // of one argument, where six swaps were not enough
constexpr std::size_t kProbes = 3;       // plays made for one surviving mutant
constexpr std::size_t kChoices = 800;  // submissions tried for a choice

Value value_of(const Scalar& scalar) {
  if (const auto* i = std::get_if<std::int64_t>(&scalar)) return *i;
  if (const auto* s = std::get_if<std::string>(&scalar)) return *s;
  return {};
}

std::string text_of(const Value& value) {
  return value.is_string() ? value.as_string() : dump(value);
}

class Battery {
 public:
  explicit Battery(Case& c) : c_(c), verifier_(c.draft.verifier), bits_(verifier_) {}

  Step run() {
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

  // Why a mutant that is left cannot be told apart; empty where it could be.
  std::string implied(const Mutant& m) const {
    if (m.name.rfind("obligation:", 0) == 0) return implied_rule(m);
    if (m.name.rfind("choose:", 0) == 0 && all_choices_)
      return "no submission of " + std::to_string(choices_tried_) + " tells it apart";
    if (m.kind == Mutant::Kind::free || m.kind == Mutant::Kind::free_attribute)
      return implied_change(m);
    return "";
  }

  Mutants mutants;
  [[nodiscard]] int parts() const { return bits_.count; }

 private:
  Judge::State& judge() const { return c_.kit.judge->state(); }

  Step fill(MutationHints& hints) {
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

  Step judge_one(const Script& script, const PlayedPlan& played, const std::string& name) {
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

  Step judge_trials() {
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

  // Gold's calls with another submission: what the calls did is judged already.
  Step add_submission(Stop stop, Value submitted) {
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

  Step judge_submissions() {
    if (auto e = add_submission(Stop::stopped, {})) return e;
    for (auto& args : mutated_submissions(c_))
      if (auto e = add_submission(c_.gold.stop, std::move(args))) return e;
    for (auto& args : larger_sets())
      if (auto e = add_submission(c_.gold.stop, std::move(args))) return e;
    return std::nullopt;
  }

  // Each set with one item more: a sibling of one that is in it.
  std::vector<Value> larger_sets() const {
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

  // ---- choices ----

  [[nodiscard]] std::uint64_t choose_mask() const {
    std::uint64_t out = 0;
    for (int i = bits_.choose; i < bits_.post; ++i)
      out |= std::uint64_t{1} << static_cast<unsigned>(i);
    return out;
  }

  // The database in gold's final state, for as long as submissions are judged on it.
  template <class F>
  auto after_gold(F&& f) -> decltype(f()) {
    if (auto e = Replay(*judge().db, c_.plays[0].changes).to(kToTheEnd)) return *std::move(e);
    auto out = f();
    if (auto e = judge().db->rollback()) return *std::move(e);
    return out;
  }

  Result<std::uint64_t> choices_now(const Value& submitted) {
    std::uint64_t out = 0;
    for (std::size_t i = 0; i < verifier_.choose.size(); ++i) {
      const auto held = judge().holds(verifier_.choose[i].sql, "choose", submitted);
      if (!held.ok() || !*held)
        out |= std::uint64_t{1} << static_cast<unsigned>(bits_.choose + static_cast<int>(i));
    }
    return out;
  }
  Result<std::uint64_t> failing_choices(const JudgedPlay& play) {
    if (play.stop != Stop::answered || !play.submitted.is_object()) return choose_mask();
    return after_gold([&] { return choices_now(play.submitted); });
  }

  // Submissions made of the ids that a choice can name, until every condition is failed alone.
  Step choices() {
    if (verifier_.choose.empty() || none_left("choose:")) return std::nullopt;
    const auto lists = choice_values();
    std::size_t all = lists.empty() ? 0 : 1;
    for (const auto& [name, values] : lists) all *= values.size();
    all_choices_ = all > 0 && all <= kChoices;
    std::vector<Value> wanted;
    auto found = after_gold([&]() -> Result<int> {
      std::set<std::uint64_t> seen;
      for (std::size_t n = 0; n < std::min(all, kChoices); ++n) {
        std::size_t code = all <= kChoices ? n : n * (all / kChoices) + n % (all / kChoices);
        Value args = c_.gold.submitted;
        for (const auto& [name, values] : lists) {
          args.set(name, values[code % values.size()]);
          code /= values.size();
        }
        ++choices_tried_;
        SEEDBED_TRY(const std::uint64_t fails, choices_now(args));
        if ((fails & (fails - 1)) != 0) continue;  // more than one
        const bool near = fails != 0 && is_near(fails, args);
        if (near || seen.insert(fails).second) wanted.push_back(std::move(args));
      }
      return 0;
    });
    if (!found.ok()) return found.error();
    for (auto& args : wanted)
      if (auto e = add_submission(Stop::answered, std::move(args))) return e;
    return decide();
  }
  // Whether the one condition that fails holds with its bound moved: such a submission tells the
  // wider condition apart. The database is in gold's final state.
  bool is_near(std::uint64_t fails, const Value& args) {
    for (auto& m : mutants.made) {
      if (m.kind != Mutant::Kind::widen || m.part != fails || m.killed) continue;
      const auto held = judge().holds(m.sql, "choose", args);
      if (!held.ok() || !*held) continue;
      return true;
    }
    return false;
  }

  std::vector<std::pair<std::string, std::vector<Value>>> choice_values() const {
    std::vector<std::pair<std::string, std::vector<Value>>> out;
    for (const auto& [name, value] : c_.gold.submitted.members()) {
      const auto bound = [&](const schemas::Condition& x) {
        return x.sql.find(":" + name) != std::string::npos;
      };
      if (std::none_of(verifier_.choose.begin(), verifier_.choose.end(), bound)) continue;
      const FactColumn* best = nullptr;  // the keys among which the value stands
      for (const auto& column : c_.kit.judge->columns())
        if (column.attribute.empty() && best == nullptr &&
            std::any_of(column.values.begin(), column.values.end(),
                        [&](const Scalar& s) { return same_value(s, value); }))
          best = &column;
      if (best == nullptr) continue;
      out.emplace_back(name, std::vector<Value>());
      for (const auto& s : best->values) out.back().second.push_back(value_of(s));
    }
    return out;
  }

  // ---- deciding ----

  bool none_left(const std::string& prefix) const {
    return std::all_of(mutants.made.begin(), mutants.made.end(),
                       [&](const Mutant& m) { return m.killed || m.name.rfind(prefix, 0) != 0; });
  }

  Step decide() {
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

  // ---- plays for what is left of the delta ----

  // The concept and the attribute that the mutant frees, where it frees one.
  std::pair<int, int> place(const Mutant& m) const {
    if (m.kind != Mutant::Kind::free && m.kind != Mutant::Kind::free_attribute) return {-1, -1};
    const FactChange& wanted = verifier_.delta[static_cast<std::size_t>(m.index)];
    const int view = judge().facts->view_of(wanted.concept_name);
    const std::string& name =
        m.kind == Mutant::Kind::free_attribute ? m.attribute : wanted.attribute;
    if (view < 0 || name.empty()) return {view, -1};
    const auto& attributes = judge().env.views[static_cast<std::size_t>(view)].attributes;
    const auto at = std::find(attributes.begin(), attributes.end(), name);
    return {view, at == attributes.end() ? -1 : static_cast<int>(at - attributes.begin())};
  }

  // The key of the changed fact; for a new one the key that gold's play gave it.
  std::optional<Value> key_of(const Mutant& m, int view) const {
    const FactChange& wanted = verifier_.delta[static_cast<std::size_t>(m.index)];
    if (wanted.kind != ChangeKind::add) return wanted.key;
    std::optional<Value> out;
    for (const auto& fact : gold_.state->facts)
      if (fact.view == view && fact.row < 0) {
        if (out) return std::nullopt;
        out = value_of(fact.now[0]);
      }
    return out;
  }

  // Known calls that change the same attribute of another fact, pointed at this one; of different
  // tools first.
  std::vector<ToolCall> overwriting(const Mutant& m) const {
    std::vector<ToolCall> out;
    std::map<std::string, int> tools;
    const auto [view, attribute] = place(m);
    const auto key = view < 0 ? std::nullopt : key_of(m, view);
    if (!key) return out;
    for (const auto& touch : *touches_) {
      if (out.size() == kProbes) break;
      if (touch.view != view || touch.kind == Touch::Kind::add ||
          (touch.kind == Touch::Kind::set && attribute >= 0 && touch.attribute != attribute))
        continue;
      ToolCall call = c_.kit.writes[static_cast<std::size_t>(touch.call)];
      bool pointed = false;
      for (auto& [name, value] : call.args.members())
        if (same_value(touch.key, value)) value = *key, pointed = true;
      const auto same = [&](const ToolCall& x) {
        return x.tool == call.tool && x.args == call.args;
      };
      if (pointed && std::none_of(out.begin(), out.end(), same) &&
          c_.kit.schemas.at(call.tool).validate(call.args).empty() && ++tools[call.tool] < 3)
        out.push_back(std::move(call));
    }
    return out;
  }

  // Known calls whose changes are all of the kind.
  std::vector<int> calls_of(Touch::Kind kind) const {
    std::vector<int> out;
    for (std::size_t i = 0; i < touches_->size();) {
      std::size_t end = i;
      bool all = true;
      for (; end < touches_->size() && (*touches_)[end].call == (*touches_)[i].call; ++end)
        all = all && (*touches_)[end].kind == kind;
      if (all) out.push_back((*touches_)[i].call);
      i = end;
    }
    return out;
  }

  // Calls after gold that may tell the mutant apart.
  std::vector<ToolCall> probes(const Mutant& m) const {
    const auto strays = [&](const std::vector<int>& calls) {
      std::vector<ToolCall> out;
      for (std::size_t n = 0; n < std::min(kProbes, calls.size()); ++n)
        out.push_back(c_.kit.writes[static_cast<std::size_t>(
            calls[n * calls.size() / std::min(kProbes, calls.size())])]);
      return out;
    };
    switch (m.kind) {
      case Mutant::Kind::thaw_set:
        return strays(calls_of(Touch::Kind::set));
      case Mutant::Kind::thaw_add:
        return strays(calls_of(Touch::Kind::add));
      case Mutant::Kind::thaw_removed:
        return strays(calls_of(Touch::Kind::remove));
      default:
        return overwriting(m);
    }
  }

  // Gold with the argument that gives the new fact its attribute replaced, as often as it takes.
  void probe_arguments(const Mutant& m) {
    const auto& row = verifier_.delta[static_cast<std::size_t>(m.index)].row;
    const Value* wanted = row.find(m.attribute);
    std::size_t made = 0;
    for (const int i : writing_calls(c_)) {
      const auto& call = c_.gold.calls[static_cast<std::size_t>(i)];
      for (const auto& [name, value] : call.args.members()) {
        if (wanted == nullptr || value != *wanted) continue;
        const Value* properties = c_.kit.tool(call.tool)->input.find("properties");
        const Value* schema = properties == nullptr ? nullptr : properties->find(name);
        for (auto& other :
             siblings(c_.kit, schema == nullptr ? Value::object() : *schema, name, value, kSwaps)) {
          Value args = call.args;
          args.set(name, std::move(other));
          if (made == kSwaps || !c_.kit.schemas.at(call.tool).validate(args).empty()) continue;
          ++made;
          Script script = c_.gold;
          script.calls[static_cast<std::size_t>(i)].args = std::move(args);
          add_probe(m, std::move(script));
        }
      }
    }
  }

  void add_probe(const Mutant& m, Script script) {
    probed_[m.name].push_back(c_.trials.size());
    c_.add({.kind = Trial::Kind::probe,
            .gate = "G13",
            .name = "for " + m.name,
            .script = std::move(script)});
  }

  // Gold's call that writes the mutant's place: a write that names the fact, else the last write.
  int writer_of(const Mutant& m) const {
    if (m.kind != Mutant::Kind::free) return -1;
    const auto writing = writing_calls(c_);
    const auto& key = verifier_.delta[static_cast<std::size_t>(m.index)].key;
    for (const int i : writing)
      for (const auto& [name, value] : c_.gold.calls[static_cast<std::size_t>(i)].args.members())
        if (value == key) return i;
    return writing.empty() ? -1 : writing.back();
  }

  // Whether a play made for the mutant left its place other than it is wanted.
  bool took_effect(const Mutant& m) const {
    const auto found = probed_.find(m.name);
    if (found == probed_.end()) return false;
    return std::any_of(found->second.begin(), found->second.end(), [&](std::size_t trial) {
      return trial < trial_play_.size() && (plays_[trial_play_[trial]].failing & bits_.facts) != 0;
    });
  }

  Step probe() {
    for (const auto& m : mutants.made) {
      if (m.killed || !m.weaker) continue;
      if (m.kind == Mutant::Kind::free_attribute) probe_arguments(m);
      const int instead = writer_of(m);
      for (const auto& call : probes(m)) {
        Script script = c_.gold;
        script.calls.push_back(call);
        add_probe(m, std::move(script));
        if (instead < 0) continue;
        script = c_.gold;
        script.calls[static_cast<std::size_t>(instead)] = call;
        add_probe(m, std::move(script));
      }
    }
    if (judged_ == c_.trials.size()) return std::nullopt;
    if (auto e = c_.play()) return e;
    if (auto e = judge_trials()) return e;
    return decide();
  }

  // ---- what cannot be told apart ----

  std::string implied_rule(const Mutant& m) const {
    const auto& rule = verifier_.obligations[static_cast<std::size_t>(m.index)];
    const auto known = c_.kit.broken_rules.find(rule.tool + "\n" + rule.sql);
    if (known == c_.kit.broken_rules.end()) return "";
    const auto& broken = known->second;
    if (!broken.call)
      return "no call of " + std::to_string(broken.tried) + " breaks it in this state";
    if (!broken.undo)
      return "what breaks it changes facts that the frame holds, and none of " +
             std::to_string(broken.undos_tried) + " calls takes it back";
    return "";
  }

  // Whether a known call changes nothing but that place: such a call could make it wrong alone.
  bool changes_alone(int view, int attribute, Touch::Kind kind) const {
    const auto here = [&](const Touch& t) {
      return t.view == view && t.kind == kind && (attribute < 0 || t.attribute == attribute);
    };
    for (std::size_t i = 0; i < touches_->size();) {
      std::size_t end = i;
      bool alone = true;
      for (; end < touches_->size() && (*touches_)[end].call == (*touches_)[i].call; ++end)
        alone = alone && here((*touches_)[end]);
      if (alone) return true;
      i = end;
    }
    return false;
  }

  // A place that no known call changes alone: what makes it wrong shows in another part as well.
  std::string implied_change(const Mutant& m) const {
    const auto [view, attribute] = place(m);
    if (view < 0) return "";
    const FactChange& wanted = verifier_.delta[static_cast<std::size_t>(m.index)];
    if (m.kind == Mutant::Kind::free_attribute) {
      const Value* value = wanted.row.find(m.attribute);
      const bool given =
          std::any_of(c_.gold.calls.begin(), c_.gold.calls.end(), [&](const ToolCall& call) {
            return std::any_of(call.args.members().begin(), call.args.members().end(),
                               [&](const auto& arg) { return value && arg.second == *value; });
          });
      if (given || changes_alone(view, attribute, Touch::Kind::set)) return "";
      return "the call that makes the fact sets it, and no known call sets it later";
    }
    const auto kind = wanted.kind == ChangeKind::add      ? Touch::Kind::add
                      : wanted.kind == ChangeKind::remove ? Touch::Kind::remove
                                                          : Touch::Kind::set;
    if (changes_alone(view, attribute, kind)) {
      if (took_effect(m) || probed_.count(m.name) == 0) return "";
      return "no known call that could change it does so here";
    }
    return "every known call that changes it changes more, which other parts hold";
  }

  Case& c_;
  const schemas::Verifier& verifier_;
  PartBits bits_;
  const std::vector<Touch>* touches_ = nullptr;
  std::vector<JudgedPlay> plays_;
  JudgedPlay gold_;
  std::size_t judged_ = 0;
  std::map<std::string, std::vector<std::size_t>> probed_;  // trials made for a mutant
  std::vector<std::size_t> trial_play_;                     // trial -> index into plays_
  std::size_t choices_tried_ = 0;
  bool all_choices_ = false;
};

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
