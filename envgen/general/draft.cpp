// From a goal to a draft: plan, answers, verifier, near misses, variants, prompt.
#include <algorithm>
#include <map>
#include <set>

#include "base/hash.h"
#include "envgen/general/goal.h"
#include "envgen/general/laws.h"
#include "envgen/text/text.h"
#include "tasks/normal.h"
#include "tasks/solvers/level.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}
using schemas::GoldKind;
using schemas::GoldStep;
using schemas::Value;

std::string id_text(const Value& id) {
  return id.is_int() ? std::to_string(id.as_int()) : id.as_string();
}

struct Drafter {
  const Lowered& l;
  const Goal& goal;
  const World& w;
  Facts final_facts;
  Value answer_value(const Answer& a, const Facts& facts) const;
  schemas::AnswerType answer_type(const Answer& a) const;
  Value submission(const Facts& facts) const;
  Value submit_schema() const;
  schemas::Verifier verifier() const;
  void add_delta(schemas::Verifier& v) const;
  void add_post(schemas::Verifier& v) const;
  void add_obligations(schemas::Verifier& v) const;
  void add_choice(schemas::Verifier& v) const;
  std::vector<schemas::NearMiss> near_misses(const std::vector<GoldStep>& gold, Rng rng) const;
  std::vector<std::vector<GoldStep>> variants(const std::vector<GoldStep>& gold) const;
  bool replay(const std::vector<GoldStep>& steps, Facts& facts) const;
};

Value Drafter::answer_value(const Answer& a, const Facts& facts) const {
  const std::vector<std::int64_t> none;
  std::vector<std::int64_t> variables;
  if (!a.term) {
    Value ids = Value::array();
    for (const auto& row : facts.tables[at(a.concept_id)].rows) {
      variables.assign(1, row.key);
      if (eval(*a.condition, scope_of(w, facts, none, variables)) == 1)
        ids.push(l.renderer().id(a.concept_id, row.key));
    }
    return ids;
  }
  const std::int64_t v = eval(*a.term, scope_of(w, facts, none, variables));
  if (a.attribute >= 0) return l.renderer().attribute(a.concept_id, a.attribute, v);
  return l.renderer().value(a.term->domain, v);
}

// What an id looks like is the layout's business, so the type of an answer is known only here.
schemas::AnswerType Drafter::answer_type(const Answer& a) const {
  if (!a.term) return schemas::AnswerType::set;
  switch (a.term->domain.type) {
    case Type::date:
      return schemas::AnswerType::date;
    case Type::word:
    case Type::text:
      return schemas::AnswerType::text;
    case Type::ref:
      return l.layout.ids[at(a.term->domain.target)] == IdStyle::code
                 ? schemas::AnswerType::text
                 : schemas::AnswerType::integer;
    default:
      return schemas::AnswerType::integer;
  }
}

Value Drafter::submission(const Facts& facts) const {
  Value out = Value::object();
  if (goal.choice)
    for (std::size_t i = 0; i < goal.choice->best.size(); ++i)
      out.set("choice_" + std::to_string(i + 1),
              l.renderer().id(goal.choice->concept_id, goal.choice->best[i]));
  for (const auto& a : goal.answers) out.set(a.field, answer_value(a, facts));
  return out;
}

Value Drafter::submit_schema() const {
  Value properties = Value::object(), required = Value::array();
  const auto id_type = [&](int c) {
    return l.layout.ids[at(c)] == IdStyle::code ? "string" : "integer";
  };
  if (goal.choice)
    for (int i = 1; i <= goal.choice->count; ++i) {
      Value p = Value::object();
      p.set("type", id_type(goal.choice->concept_id))
          .set("description",
               "id of a chosen " + l.skin.concepts[at(goal.choice->concept_id)].singular);
      properties.set("choice_" + std::to_string(i), std::move(p));
      required.push("choice_" + std::to_string(i));
    }
  for (const auto& a : goal.answers) {
    Value p = Value::object();
    if (answer_type(a) == schemas::AnswerType::set) {
      Value items = Value::object();
      items.set("type", id_type(a.concept_id));
      p.set("type", "array").set("items", std::move(items)).set("uniqueItems", true);
    } else {
      p.set("type", answer_type(a) == schemas::AnswerType::integer ? "integer" : "string");
      if (answer_type(a) == schemas::AnswerType::date) p.set("format", "date");
    }
    p.set("description", a.about);
    properties.set(a.field, std::move(p));
    required.push(a.field);
  }
  if (properties.members().empty()) {
    Value p = Value::object();
    p.set("type", "string")
        .set("maxLength", 400)
        .set("description", "what was done, in a sentence");
    properties.set("summary", std::move(p));
  }
  Value out = Value::object();
  out.set("type", "object")
      .set("properties", std::move(properties))
      .set("required", std::move(required))
      .set("additionalProperties", false);
  return out;
}

// Facts that the operations change in the World, reactions included; new keys stay open.
void Drafter::add_delta(schemas::Verifier& v) const {
  const Renderer r = l.renderer();
  for (int c = 0; c < static_cast<int>(final_facts.tables.size()); ++c) {
    const auto& concept_ = w.concepts[at(c)];
    for (const auto& row : final_facts.tables[at(c)].rows) {
      const Row* old = l.facts.tables[at(c)].find(row.key);
      if (old != nullptr && *old == row) continue;
      if (old == nullptr) {
        schemas::FactChange change;
        change.kind = schemas::ChangeKind::add;
        change.concept_name = concept_.symbol;
        change.row = Value::object();
        for (int a = 0; a < static_cast<int>(row.values.size()); ++a) {
          const Domain& d = concept_.attrs[at(a)].domain;
          const bool to_new = d.type == Type::ref && row.values[at(a)] != kNone &&
                              l.facts.tables[at(d.target)].find(row.values[at(a)]) == nullptr;
          change.row.set(concept_.attrs[at(a)].name,
                         to_new ? Value() : r.attribute(c, a, row.values[at(a)]));
        }
        v.delta.push_back(std::move(change));
        continue;
      }
      for (int a = 0; a < static_cast<int>(row.values.size()); ++a) {
        if (row.values[at(a)] == old->values[at(a)]) continue;
        schemas::FactChange change;
        change.concept_name = concept_.symbol;
        change.key = r.id(c, row.key);
        change.attribute = concept_.attrs[at(a)].name;
        change.value = r.attribute(c, a, row.values[at(a)]);
        v.delta.push_back(std::move(change));
      }
    }
    for (const auto& row : l.facts.tables[at(c)].rows) {
      if (final_facts.tables[at(c)].find(row.key) != nullptr) continue;
      schemas::FactChange change;
      change.kind = schemas::ChangeKind::remove;
      change.concept_name = concept_.symbol;
      change.key = r.id(c, row.key);
      v.delta.push_back(std::move(change));
    }
  }
}

// The goal itself as a condition on the final state: for every fact set by the operations' own
// effects, its value.
void Drafter::add_post(schemas::Verifier& v) const {
  const SqlPrinter sql = l.printer();
  std::vector<TermPtr> parts;
  std::string symbol;
  for (const auto& o : goal.operations) {
    for (const auto& e : w.transitions[at(o.transition)].effects) {
      if (e.kind != Effect::Kind::set || e.target->op != Op::param ||
          at(e.target->index) >= o.args.size())
        continue;
      const std::int64_t key = o.args[at(e.target->index)];
      const Row* row = final_facts.tables[at(e.concept_id)].find(key);
      const Row* old = l.facts.tables[at(e.concept_id)].find(key);
      if (row == nullptr || old == nullptr ||
          row->values[at(e.attribute)] == old->values[at(e.attribute)])
        continue;
      const Domain& d = w.concepts[at(e.concept_id)].attrs[at(e.attribute)].domain;
      if (d.type == Type::text) continue;
      parts.push_back(binary(Op::eq, fact_attribute(w, e.concept_id, key, e.attribute),
                             constant_of(row->values[at(e.attribute)], d)));
      symbol += (symbol.empty() ? "" : " and ") + w.concepts[at(e.concept_id)].symbol + "#" +
                std::to_string(key) + "." +
                w.concepts[at(e.concept_id)].attrs[at(e.attribute)].name + " = " +
                std::to_string(row->values[at(e.attribute)]);
    }
  }
  if (parts.empty()) return;
  v.post.push_back({"goal", symbol, "SELECT " + sql.term(*all_of(parts), {})});
}

void Drafter::add_obligations(schemas::Verifier& v) const {
  for (const auto& rule : w.rules) {
    if (rule.enforced) continue;
    if (const ToolForm* form = l.surface.offer(rule.transition))
      v.obligations.push_back({rule.symbol, form->name, "not (" + rule.symbol + ")",
                               never_sql(l, *form, *rule.never_if)});
  }
}

void Drafter::add_choice(schemas::Verifier& v) const {
  const Choice& c = *goal.choice;
  const SqlPrinter sql = l.printer();
  const ConceptSkin& s = l.skin.concepts[at(c.concept_id)];
  const auto column = [&](int a, int i) {
    return "(SELECT " + s.columns[at(a)] + " FROM " + s.view + " WHERE id = :choice_" +
           std::to_string(i) + ")";
  };
  for (int i = 1; i <= c.count; ++i) {
    std::string where = "id = :choice_" + std::to_string(i);
    for (const auto& [a, value] : c.filters)
      where += " AND " + s.columns[at(a)] + " = " +
               sql.literal(w.concepts[at(c.concept_id)].attrs[at(a)].domain, value);
    v.choose.push_back({"choice_" + std::to_string(i),
                        "x" + std::to_string(i) + " fits the filters",
                        "SELECT EXISTS(SELECT 1 FROM " + s.view + " WHERE " + where + ")"});
    for (int j = 1; j < i; ++j)
      v.choose.push_back({"differ_" + std::to_string(j) + "_" + std::to_string(i),
                          "x" + std::to_string(j) + " and x" + std::to_string(i) + " differ",
                          "SELECT :choice_" + std::to_string(j) + " <> :choice_" +
                              std::to_string(i) + " AND " + column(c.differ, j) + " IS NOT " +
                              column(c.differ, i)});
  }
  std::string total;
  for (int i = 1; i <= c.count; ++i) total += (i > 1 ? " + " : "") + column(c.number, i);
  v.choose.push_back({"total", c.optimum ? "the total is minimal" : "the total is within the limit",
                      "SELECT " + total + " <= " + std::to_string(c.optimum ? c.total : c.limit)});
}

schemas::Verifier Drafter::verifier() const {
  schemas::Verifier v;
  add_obligations(v);
  if (goal.refusal) {
    v.outcome = schemas::Outcome::refuse;
    v.refuse_codes = {goal.refusal->code};
    for (const auto& [c, key] : goal.refusal->evidence) {
      v.refuse_evidence.push_back(id_text(l.renderer().id(c, key)));
    }
    return v;
  }
  for (const auto& a : goal.answers) {
    schemas::AnswerField f;
    f.name = a.field;
    f.type = answer_type(a);
    const Value x = answer_value(a, final_facts);
    if (x.is_array())
      for (const auto& item : x.items())
        f.accept.push_back(item.is_int() ? std::to_string(item.as_int())
                                         : tasks::normal_text(item.as_string()));
    else if (auto form = tasks::normal_form(answer_type(a), x))
      f.accept.push_back(*form);
    v.answer.push_back(std::move(f));
  }
  if (goal.choice) add_choice(v);
  add_post(v);
  add_delta(v);
  return v;
}

bool Drafter::replay(const std::vector<GoldStep>& steps, Facts& facts) const {
  Session session(l);
  for (const auto& s : steps)
    if (s.kind == GoldKind::call && !session.play({s.tool, s.args})) return false;
  facts = std::move(session.facts);
  return true;
}

// Neighbouring steps without a path between them, swapped; kept where the World says that the facts
// come out the same.
std::vector<std::vector<GoldStep>> Drafter::variants(const std::vector<GoldStep>& gold) const {
  std::vector<std::vector<GoldStep>> out;
  for (std::size_t i = 0; i + 2 < gold.size() && out.size() < 3; ++i) {
    const auto& b = gold[i + 1];
    if (gold[i].kind != GoldKind::call || b.kind != GoldKind::call) continue;
    if (std::find(b.needs.begin(), b.needs.end(), static_cast<int>(i)) != b.needs.end()) continue;
    std::vector<GoldStep> steps = gold;
    std::swap(steps[i], steps[i + 1]);
    for (auto& s : steps)
      for (auto& n : s.needs)
        if (n == static_cast<int>(i))
          n = static_cast<int>(i) + 1;
        else if (n == static_cast<int>(i) + 1)
          n = static_cast<int>(i);
    Facts facts;
    if (!replay(steps, facts)) continue;
    bool same = true;
    for (std::size_t c = 0; c < facts.tables.size(); ++c)
      same = same && facts.tables[c].rows == final_facts.tables[c].rows;
    if (same) out.push_back(std::move(steps));
  }
  return out;
}

std::vector<schemas::NearMiss> Drafter::near_misses(const std::vector<GoldStep>& gold,
                                                    Rng rng) const {
  std::vector<schemas::NearMiss> out;
  const auto last_call = [&](int transition) {
    for (std::size_t i = gold.size(); i-- > 0;) {
      const ToolForm* f = gold[i].kind == GoldKind::call
                              ? l.surface.form_of({gold[i].tool, gold[i].args})
                              : nullptr;
      if (f != nullptr && f->kind == ToolForm::Kind::transition && f->transition == transition)
        return static_cast<int>(i);
    }
    return -1;
  };
  if (goal.refusal) {  // the rule ignored
    const Operation& o = goal.operations[0];
    std::vector<GoldStep> steps(gold.begin(), gold.end() - 1);
    if (const ToolForm* f = l.surface.offer(o.transition)) {
      GoldStep call;
      call.tool = f->name;
      call.args = call_args(l, *f, o.args);
      steps.push_back(call);
      if (f->busy_every > 0) steps.push_back(call);
    }
    GoldStep submit;
    submit.kind = GoldKind::submit;
    submit.args = Value::object();
    steps.push_back(submit);
    out.push_back({"rule_ignored", steps});
    if (goal.refusal->evidence.size() == 1) {  // the right reason, a sibling as evidence
      const auto [c, key] = goal.refusal->evidence[0];
      for (const auto& row : l.facts.tables[at(c)].rows) {
        if (row.key == key) continue;
        std::vector<GoldStep> sibling = gold;
        Value ids = Value::array();
        ids.push(id_text(l.renderer().id(c, row.key)));
        sibling.back().args.set("evidence_ids", std::move(ids));
        out.push_back({"sibling_evidence", sibling});
        break;
      }
    }
    return out;
  }
  for (const auto& o : goal.operations) {
    const int call = last_call(o.transition);
    if (call < 0) continue;
    const ToolForm* f = l.surface.offer(o.transition);
    for (const auto& p : f->params) {
      if (p.domain.type != Type::ref || out.size() >= 3) continue;
      std::vector<std::int64_t> keys;
      for (const auto& row : l.facts.tables[at(p.domain.target)].rows)
        if (row.key != o.args[at(p.index)]) keys.push_back(row.key);
      rng.shuffle(keys);
      const bool extreme = o.refs.size() > at(p.index) && o.refs[at(p.index)].extreme >= 0;
      for (const auto key : keys) {
        std::vector<GoldStep> steps = gold;
        std::vector<std::int64_t> args = o.args;
        args[at(p.index)] = key;
        steps[at(call)].args = call_args(l, *f, args);
        Facts facts;
        if (!replay(steps, facts)) continue;
        bool same = true;
        for (std::size_t c = 0; c < facts.tables.size(); ++c)
          same = same && facts.tables[c].rows == final_facts.tables[c].rows;
        if (same) continue;
        out.push_back({extreme ? "second_best" : "sibling_row", steps});
        break;
      }
    }
  }
  if (!goal.operations.empty() &&
      !goal.answers.empty()) {  // what would be true without the operation's consequences
    std::vector<GoldStep> steps = gold;
    bool differs = false;
    for (const auto& a : goal.answers) {
      const Value before = answer_value(a, l.facts);
      if (before != answer_value(a, final_facts) && !before.is_null()) {
        steps.back().args.set(a.field, before);
        differs = true;
      }
    }
    if (differs) out.push_back({"interaction_forgotten", steps});
  }
  if (goal.choice && !goal.choice->wrong.empty()) {
    std::vector<GoldStep> steps = gold;
    for (std::size_t i = 0; i < goal.choice->wrong.size(); ++i)
      steps.back().args.set("choice_" + std::to_string(i + 1),
                            l.renderer().id(goal.choice->concept_id, goal.choice->wrong[i]));
    out.push_back({"constraint_violated", steps});
  }
  if (std::any_of(goal.operations.begin(), goal.operations.end(),
                  [](const Operation& o) { return o.duty >= 0; })) {
    Goal without = goal;
    without.operations.clear();
    for (const auto& o : goal.operations)
      if (o.duty < 0) without.operations.push_back(o);
    for (auto& n : without.needs) n.after = std::min(n.after, without.operations.size());
    for (auto& turn : without.turns) turn.begin = std::min(turn.begin, without.operations.size());
    Plan plan = plan_goal(l, without);
    if (plan.ok) {
      plan.steps.back().args = gold.back().args;
      out.push_back({"duty_omitted", plan.steps});
    }
  }
  if (goal.excused) {  // the rule read without its exception
    std::vector<GoldStep> steps;
    for (const auto& s : gold) {
      const ToolForm* f = s.kind == GoldKind::call ? l.surface.form_of({s.tool, s.args}) : nullptr;
      if (f != nullptr && f->kind != ToolForm::Kind::transition) steps.push_back(s);
    }
    GoldStep refuse;
    refuse.kind = GoldKind::refuse;
    refuse.args = Value::object();
    Value ids = Value::array();
    for (const auto& [c, key] : goal.excused->evidence) ids.push(id_text(l.renderer().id(c, key)));
    refuse.args.set("reason_code", goal.excused->code).set("evidence_ids", std::move(ids));
    steps.push_back(std::move(refuse));
    out.push_back({"exception_refused", steps});
  }
  if (goal.condition && !goal.other.empty()) {
    Goal other = goal;
    other.operations = goal.other;
    Plan plan = plan_goal(l, other);
    if (plan.ok) out.push_back({"other_branch", plan.steps});
  }
  return out;
}

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
