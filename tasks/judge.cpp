#include "tasks/judge.h"

#include <algorithm>
#include <set>

#include "tasks/judge_check.h"
#include "tasks/judge_match.h"
#include "tasks/judge_state.h"

namespace seedbed::tasks {
namespace {

using schemas::RowChange;
using schemas::Scalar;
using schemas::Verdict;
using schemas::Verifier;

std::span<const RowChange> before_call(std::span<const RowChange> changes, int call) {
  const auto end = std::find_if(changes.begin(), changes.end(),
                                [call](const RowChange& c) { return c.call >= call; });
  return changes.first(static_cast<std::size_t>(end - changes.begin()));
}

}  // namespace

Judge::Judge(std::unique_ptr<State> state) : state_(std::move(state)) {}
Judge::~Judge() = default;

Result<std::unique_ptr<Judge>> Judge::open(const schemas::Environment& env,
                                           const std::string& image) {
  auto state = std::make_unique<State>();
  state->env = env;
  SEEDBED_TRY(state->db, JudgeDb::open(image));
  SEEDBED_TRY(state->facts, Facts::open(env, *state->db));
  for (const auto& table : env.bookkeeping)
    if (state->db->table(table) == nullptr || !state->facts->views_over(table).empty())
      return make_error(Where::verifier, "bookkeeping table", table, "is absent or read by a view",
                        "list tables of the state that no view reads");
  state->fill_columns();
  return std::unique_ptr<Judge>(new Judge(std::move(state)));
}

Step Judge::check(const Verifier& verifier) {
  if (auto e = check_not_empty(verifier)) return e;
  if (auto e = check_shape(verifier, state_->env)) return e;
  const auto prepares = [&](const std::string& sql, const std::string& at,
                            const std::vector<std::string>* names) -> Step {
    auto query = state_->query(sql, at);
    if (!query.ok()) return query.error();
    for (const auto& [index, name] : (*query)->parameters)
      if (name != "now" && names != nullptr &&
          std::find(names->begin(), names->end(), name) == names->end())
        return make_error(Where::verifier, "SQL", at,
                          "found parameter :" + name + ", which is not given here",
                          "use :now or the names of what is bound");
    return std::nullopt;
  };
  const std::vector<std::string> none;
  for (const auto& c : verifier.choose)
    if (auto e = prepares(c.sql, "choose " + c.name, nullptr)) return e;
  for (const auto& c : verifier.post)
    if (auto e = prepares(c.sql, "post " + c.name, &none)) return e;
  for (const auto& o : verifier.obligations) {
    const auto names = argument_names(state_->env, o.tool);
    if (auto e = prepares(o.sql, "obligation " + o.rule, &names)) return e;
  }
  return std::nullopt;
}

Result<Verdict> Judge::judge(const Verifier& verifier, const Episode& episode) {
  auto scored = state_->all_parts(verifier, episode);
  if (!scored.ok()) return scored.error();
  Verdict verdict;
  double all = 0, held = 0;
  for (auto* group : {&scored->cheap, &scored->asked, &scored->facts, &scored->rules})
    for (auto& part : *group) {
      all += part.weight;
      held += part.holds ? part.weight : 0;
      if (!part.holds && verdict.why.empty())
        for (const auto& [name, why] : scored->whys)
          if (name == part.name && verdict.why.empty()) verdict.why = name + ": " + why;
      verdict.parts.push_back(std::move(part));
    }
  verdict.solved = !scored->failed;
  // Who neither wrote nor finished has done nothing, whatever the frame says.
  const bool idle = episode.changes.empty() && episode.submitted.is_null();
  const double share = idle ? 0 : held / all * (verdict.parts.front().holds ? 1.0 : 0.1);
  verdict.score = verdict.solved ? 1.0 : std::min(0.99, share);
  return verdict;
}

Result<bool> Judge::solves(const Verifier& verifier, const Episode& episode) {
  auto scored = state_->score(verifier, episode, State::How::quick);
  if (auto e = state_->db->rollback()) return *std::move(e);
  if (!scored.ok()) return scored.error();
  return !scored->failed;
}

Result<LineDiff> Judge::difference(const std::vector<RowChange>& changes, int upto) {
  std::vector<RowChange> copy;
  SEEDBED_TRY(const auto found, state_->difference(before_call(in_order(changes, copy), upto)));
  return state_->lines(*found);
}

Result<std::vector<std::string>> Judge::facts(const std::vector<RowChange>& changes, int upto) {
  SEEDBED_TRY(const LineDiff diff, difference(changes, upto));
  std::vector<std::string> initial, kept, out;
  for (std::size_t v = 0; v < state_->env.views.size(); ++v) {
    const auto& rows = state_->facts->views()[v];
    for (int r = 0; r < rows.count(); ++r) {
      const Scalar* row = rows.row(r);
      initial.push_back(fact_line(state_->env.views[v], row[0], {row + 1, row + rows.width}));
    }
  }
  std::sort(initial.begin(), initial.end());
  std::set_difference(initial.begin(), initial.end(), diff.gone.begin(), diff.gone.end(),
                      std::back_inserter(kept));
  std::merge(kept.begin(), kept.end(), diff.come.begin(), diff.come.end(), std::back_inserter(out));
  return out;
}

std::vector<std::string> Judge::values() const {
  std::set<std::string> out;
  for (const auto& column : state_->columns)
    for (const auto& value : column.values) out.insert(scalar_text(value));
  return {out.begin(), out.end()};
}

const std::vector<FactColumn>& Judge::columns() const {
  return state_->columns;
}

std::string fact_line(const schemas::View& view,
                      const Scalar& key,
                      const std::vector<Scalar>& values) {
  std::string out = view.concept_name;
  const auto put = [&out](const Scalar& value) {
    if (std::holds_alternative<std::monostate>(value))
      out += "\\N";
    else if (const auto* i = std::get_if<std::int64_t>(&value))
      out += std::to_string(*i);
    else
      for (const char c : std::get<std::string>(value)) {
        if (c == '\\')
          out += "\\\\";
        else if (c == '|')
          out += "\\p";
        else if (c == '\n')
          out += "\\n";
        else
          out.push_back(c);
      }
  };
  out.push_back('|');
  put(key);
  for (std::size_t i = 0; i < values.size() && i < view.attributes.size(); ++i) {
    out.push_back('|');
    out += view.attributes[i];
    out.push_back('=');
    put(values[i]);
  }
  return out;
}

}  // namespace seedbed::tasks
