// The second oracle: what a tool call means in the World, and what the facts then are.
#include <algorithm>

#include "envgen/general/surface.h"
#include "schemas/json_schema.h"
#include "tasks/judge.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

std::int64_t entity_of(const Lowered& l,
                       const Facts& facts,
                       const ToolParam& p,
                       const schemas::Value& v) {
  if (p.by_name)
    return v.is_string() ? l.renderer().key_of_name(p.domain.target, facts, v.as_string()) : kNone;
  const std::int64_t key = l.renderer().key_of(p.domain.target, v);
  return key != kNone && facts.tables[at(p.domain.target)].find(key) != nullptr ? key : kNone;
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

Meaning meaning_of(const Lowered& l, const Facts& facts, const schemas::ToolCall& call) {
  const ToolForm* form = l.surface.tool(call.tool);
  Meaning m;
  if (form == nullptr) return m;
  if (form->kind == ToolForm::Kind::get) {
    const schemas::Value* v = call.args.find(form->params[0].name);
    m.ok = v != nullptr && entity_of(l, facts, form->params[0], *v) != kNone;
    return m;
  }
  if (form->kind == ToolForm::Kind::find) {
    const schemas::Value* v = call.args.find("name");
    m.ok = v != nullptr && v->is_string() &&
           l.renderer().key_of_name(form->concept_id, facts, v->as_string()) != kNone;
    return m;
  }
  if (form->kind != ToolForm::Kind::transition) {
    m.ok = true;
    return m;
  }
  const Transition& t = l.world->transitions[at(form->transition)];
  m.args.assign(t.params.size(), kNone);
  for (const auto& p : form->params) {
    const schemas::Value* v = call.args.find(p.name);
    if (v == nullptr) return m;
    m.args[at(p.index)] = p.domain.type == Type::ref ? entity_of(l, facts, p, *v)
                                                     : l.renderer().value_of(p.domain, *v);
    if (m.args[at(p.index)] == kNone) return m;
  }
  m.transition = form->transition;
  m.ok = true;
  return m;
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
    Facts facts = lowered->facts;
    for (const auto& call : calls) {
      tasks::OracleStep step;
      const auto input = inputs.find(call.tool);
      const bool well_formed = input != inputs.end() && input->second.validate(call.args).empty();
      const Meaning m = well_formed ? meaning_of(*lowered, facts, call) : Meaning{};
      step.ok = m.ok;
      if (m.ok && m.transition >= 0) {
        const Applied applied = apply(*lowered->world, m.transition, m.args, facts);
        step.ok = applied.ok;
        step.changed = applied.ok;
        if (!applied.ok) {
          out.push_back(std::move(step));
          continue;
        }
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
