// The second oracle: what a tool call means in the World, and what the facts then are.
#include <algorithm>

#include "envgen/general/tool_args.h"
#include "schemas/json_schema.h"
#include "tasks/judge.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

// Keys of the facts that a name may mean: those of that very name, else those whose name it is a
// part of.
std::vector<std::int64_t> named(
    const Lowered& l, const Facts& facts, int c, const std::string& name, bool by_part) {
  const int a = l.world->concepts[at(c)].attr("name");
  std::vector<std::int64_t> exact, part;
  if (a < 0) return exact;
  for (const auto& row : facts.tables[at(c)].rows) {
    const schemas::Value known = l.renderer().attribute(c, a, row.values[at(a)]);
    if (!known.is_string()) continue;
    if (known.as_string() == name) exact.push_back(row.key);
    if (known.as_string().find(name) != std::string::npos) part.push_back(row.key);
  }
  return exact.empty() && by_part ? part : exact;
}

std::int64_t entity_of(const Lowered& l,
                       const Facts& facts,
                       const ToolParam& p,
                       const schemas::Value& v) {
  if (p.by_name) {
    if (!v.is_string()) return kNone;
    const auto keys = named(l, facts, p.domain.target, v.as_string(), p.by_part);
    return keys.size() == 1 ? keys[0] : kNone;
  }
  const std::int64_t key = l.renderer().key_of(p.domain.target, v);
  return key != kNone && facts.tables[at(p.domain.target)].find(key) != nullptr ? key : kNone;
}

// The World value of one argument of a well-formed call; kNone where it means nothing.
std::int64_t argument_of(const Lowered& l,
                         const Facts& facts,
                         const ToolParam& p,
                         const schemas::Value& args) {
  if (p.money == ToolParam::Money::pair) {
    const auto *whole = args.find(p.name + "_whole"), *rest = args.find(p.name + "_cents");
    if (whole == nullptr || rest == nullptr || !whole->is_int() || !rest->is_int()) return kNone;
    return 100 * whole->as_int() + rest->as_int();
  }
  const schemas::Value* v = args.find(p.name);
  if (v == nullptr) return p.fallback;
  if (p.domain.type == Type::ref) return entity_of(l, facts, p, *v);
  if (p.money == ToolParam::Money::decimal) {
    const std::int64_t cents = v->is_string() ? cents_of_text(v->as_string()) : kNone;
    return cents != kNone && decimal_text(cents) == v->as_string() ? cents : kNone;
  }
  return l.renderer().value_of(p.domain, *v);
}

bool in_range(const ToolParam& p, std::int64_t v) {
  if (p.money == ToolParam::Money::cents) return true;  // its schema has seen to it
  return v >= p.domain.lo && (p.domain.hi <= p.domain.lo || v <= p.domain.hi);
}

std::string line_of(const Lowered& l, const schemas::View& view, int concept_id, const Row& row) {
  const Renderer r = l.renderer();
  const schemas::Value id = r.id(concept_id, row.key);
  std::vector<schemas::Scalar> values;
  for (int a = 0; a < static_cast<int>(row.values.size()); ++a)
    values.push_back(r.scalar(concept_id, a, row.values[at(a)]));
  return tasks::fact_line(
      view, id.is_int() ? schemas::Scalar(id.as_int()) : schemas::Scalar(id.as_string()), values);
}

}  // namespace

Meaning Session::meaning(const schemas::ToolCall& call) const {
  const ToolForm* form = l.surface.form_of(call);
  Meaning m;
  if (form == nullptr) return m;
  if (form->kind == ToolForm::Kind::find) {
    const schemas::Value* v = call.args.find("name");
    m.ok = v != nullptr && v->is_string();
    if (!m.ok) return m;
    const auto keys = named(l, facts, form->concept_id, v->as_string(), form->params[0].by_part);
    m.ok = !keys.empty();
    return m;
  }
  if (form->kind == ToolForm::Kind::get || form->kind == ToolForm::Kind::query) {
    m.ok = std::all_of(form->params.begin(), form->params.end(), [&](const ToolParam& p) {
      return argument_of(l, facts, p, call.args) != kNone;
    });
    return m;
  }
  m.ok = true;
  if (form->kind != ToolForm::Kind::transition || busy_now(*form, calls)) return m;
  if (form->batch) {
    const schemas::Value* ids = call.args.find(form->params[0].name);
    if (ids == nullptr || !ids->is_array()) return {};
    for (const auto& id : ids->items()) {
      const std::int64_t key = l.renderer().key_of(form->params[0].domain.target, id);
      if (key == kNone) return {};
      m.moves.push_back({form->transition, {key}});
    }
    return m;
  }
  Move move{form->transition, std::vector<std::int64_t>(form->params.size(), kNone)};
  for (const auto& p : form->params) {
    const std::int64_t v = argument_of(l, facts, p, call.args);
    if (v == kNone || !in_range(p, v)) return {};
    move.args[at(p.index)] = v;
  }
  m.moves.push_back(std::move(move));
  return m;
}

bool busy_now(const ToolForm& form, const std::map<std::string, std::int64_t>& calls) {
  if (form.busy_every == 0) return false;
  const auto made = calls.find(form.name);
  const std::int64_t before = form.busy_from + (made == calls.end() ? 0 : made->second);
  return (before + 1) % form.busy_every == 0;
}

bool Session::play(const schemas::ToolCall& call, std::vector<Move>* moved) {
  Meaning m = meaning(call);
  if (moved != nullptr) moved->clear();
  if (!m.ok) return false;
  if (m.moves.size() == 1) {
    if (!apply(*l.world, m.moves[0].transition, m.moves[0].args, facts).ok) return false;
  } else if (!m.moves.empty()) {
    Facts trial = facts;
    for (const auto& move : m.moves)
      if (!apply(*l.world, move.transition, move.args, trial).ok) return false;
    facts = std::move(trial);
  }
  if (const ToolForm* form = l.surface.form_of(call); form != nullptr && form->busy_every > 0)
    ++calls[form->name];
  if (moved != nullptr) *moved = std::move(m.moves);
  return true;
}

std::vector<std::string> fact_lines(const Lowered& l, const Facts& facts) {
  std::vector<std::string> out;
  for (int c = 0; c < static_cast<int>(facts.tables.size()); ++c)
    for (const auto& row : facts.tables[at(c)].rows)
      out.push_back(line_of(l, l.environment.views[at(c)], c, row));
  std::sort(out.begin(), out.end());
  return out;
}

namespace {

// Rows that differ, as lines; both tables are sorted by key.
void difference(const Lowered& l,
                int c,
                const FactTable& before,
                const FactTable& after,
                tasks::OracleStep& out) {
  const schemas::View& view = l.environment.views[at(c)];
  std::size_t i = 0, j = 0;
  while (i < before.rows.size() || j < after.rows.size()) {
    if (j == after.rows.size() ||
        (i < before.rows.size() && before.rows[i].key < after.rows[j].key)) {
      out.gone.push_back(line_of(l, view, c, before.rows[i++]));
    } else if (i == before.rows.size() || after.rows[j].key < before.rows[i].key) {
      out.come.push_back(line_of(l, view, c, after.rows[j++]));
    } else {
      if (!(before.rows[i] == after.rows[j])) {
        out.gone.push_back(line_of(l, view, c, before.rows[i]));
        out.come.push_back(line_of(l, view, c, after.rows[j]));
      }
      ++i;
      ++j;
    }
  }
}

}  // namespace

tasks::Oracle make_oracle(std::shared_ptr<const Lowered> lowered) {
  tasks::Oracle oracle;
  std::map<std::string, schemas::JsonSchema> inputs;
  for (const auto& tool : lowered->environment.tools)
    if (auto compiled = schemas::JsonSchema::compile(tool.input); compiled.ok())
      inputs.emplace(tool.name, *std::move(compiled));
  oracle.initial = [lowered]() -> Result<std::vector<std::string>> {
    return fact_lines(*lowered, lowered->facts);
  };
  oracle.run =
      [lowered, inputs = std::move(inputs)](
          const std::vector<schemas::ToolCall>& calls) -> Result<std::vector<tasks::OracleStep>> {
    std::vector<tasks::OracleStep> out;
    Session session(*lowered);
    std::vector<Move> moved;
    for (const auto& call : calls) {
      tasks::OracleStep step;
      const auto input = inputs.find(call.tool);
      const bool well_formed = input != inputs.end() && input->second.validate(call.args).empty();
      step.ok = well_formed && session.play(call, &moved);
      if (step.ok && !moved.empty()) {
        step.changed = true;
        const Facts& facts = session.facts;
        for (int c = 0; c < static_cast<int>(facts.tables.size()); ++c)
          difference(*lowered, c, lowered->facts.tables[at(c)], facts.tables[at(c)], step);
        std::sort(step.gone.begin(), step.gone.end());
        std::sort(step.come.begin(), step.come.end());
      }
      out.push_back(std::move(step));
    }
    return out;
  };
  return oracle;
}

}  // namespace seedbed::envgen
