// What is to be submitted, and the verifier of a goal.
#include "envgen/general/drafter.h"
#include "envgen/general/laws.h"
#include "tasks/normal.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}
using schemas::Value;

}  // namespace

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
  const auto domain = [&](int a) { return w.concepts[at(c.concept_id)].attrs[at(a)].domain; };
  for (int i = 1; c.each >= 0 && i <= c.count; ++i)
    v.choose.push_back({"bound_" + std::to_string(i),
                        "x" + std::to_string(i) + " is within the bound",
                        "SELECT " + column(c.each, i) + (c.least ? " >= " : " <= ") +
                            sql.literal(domain(c.each), c.bound)});
  if (c.some >= 0) {
    std::string any;
    for (int i = 1; i <= c.count; ++i)
      any += (i > 1 ? " OR " : "") + column(c.some, i) + " = " +
             sql.literal(domain(c.some), c.some_value);
    v.choose.push_back({"some", "one of them has the value", "SELECT " + any});
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

}  // namespace seedbed::envgen
