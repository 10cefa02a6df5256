// Reading what a term hangs on: the term is evaluated as the World does it, and every fact on the
// way is read first. A condition's equalities become filters of the list where the list offers
// them.
#include <algorithm>

#include "envgen/general/planner.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

bool uses_any_variable(const Term& t) {
  return t.op == Op::variable || std::any_of(t.kids.begin(), t.kids.end(), [](const TermPtr& k) {
           return uses_any_variable(*k);
         });
}

bool uses_variable(const Term& t, int slot) {
  if (t.op == Op::variable && t.index == slot) return true;
  return std::any_of(t.kids.begin(), t.kids.end(),
                     [&](const TermPtr& k) { return uses_variable(*k, slot); });
}

void conjuncts(const Term& t, std::vector<const Term*>& out) {
  if (t.op == Op::both) {
    conjuncts(*t.kids[0], out);
    conjuncts(*t.kids[1], out);
  } else {
    out.push_back(&t);
  }
}

// x.attribute of the bound variable itself, or -1.
int own_attribute(const Term& t, int slot) {
  const bool own =
      t.op == Op::attribute && t.kids[0]->op == Op::variable && t.kids[0]->index == slot;
  return own ? t.index : -1;
}

}  // namespace

std::int64_t Planner::value(const Term& term) {
  static const std::vector<std::int64_t> kNoParams;
  return eval(term, scope_of(w, facts, kNoParams, variables));
}

bool Planner::touch_rows(int c, int slot, const Term& condition, const std::vector<TermPtr>& rest) {
  std::vector<const Term*> parts;
  conjuncts(condition, parts);
  // Inside a loop a filter by the loop's own fact would cost a call for each: one list for all of
  // them is what a person would ask for.
  std::vector<std::pair<int, std::int64_t>> filters, asked;
  for (const auto* part : parts) {
    if (part->op != Op::eq) continue;
    for (const std::size_t side : {0U, 1U}) {
      const int a = own_attribute(*part->kids[side], slot);
      if (a < 0 || uses_variable(*part->kids[1 - side], slot)) continue;
      if (!touch(*part->kids[1 - side])) return false;
      const std::int64_t v = value(*part->kids[1 - side]);
      if (v == kNone) break;
      filters.emplace_back(a, v);
      if (loops == 0 || !uses_any_variable(*part->kids[1 - side])) asked.emplace_back(a, v);
      break;
    }
  }
  if (!list(c, asked, {})) return false;
  ++loops;
  if (variables.size() <= at(slot)) variables.resize(at(slot) + 1, kNone);
  const std::int64_t outer = variables[at(slot)];
  const auto rows = rows_where(w, facts, c, filters);
  for (const auto key : rows) {
    variables[at(slot)] = key;
    bool holds = true;
    for (std::size_t i = 0; i < parts.size() && holds; ++i) {
      if (!touch(*parts[i])) return false;
      holds = value(*parts[i]) == 1;
    }
    for (std::size_t i = 0; i < rest.size() && holds; ++i)
      if (!touch(*rest[i])) return false;
  }
  --loops;
  variables[at(slot)] = outer;
  return true;
}

bool Planner::touch(const Term& t) {
  switch (t.op) {
    case Op::constant:
    case Op::now:
    case Op::param:
    case Op::variable:
      return true;
    case Op::attribute: {
      if (!touch(*t.kids[0])) return false;
      const std::int64_t key = value(*t.kids[0]);
      return key == kNone || attribute(t.concept_id, key, t.index);
    }
    case Op::both:
    case Op::either:
      return touch(*t.kids[0]) &&
             ((value(*t.kids[0]) == 1) == (t.op == Op::either) || touch(*t.kids[1]));
    case Op::count:
    case Op::sum:
    case Op::min:
    case Op::max:
    case Op::argmin:
    case Op::argmax:
      return touch_rows(t.concept_id, t.index, *t.kids[0], {t.kids.begin() + 1, t.kids.end()});
    case Op::reach:
      return touch(*t.kids[3]) && touch(*t.kids[4]) &&
             touch_rows(t.concept_id, t.index, *t.kids[0], {t.kids[1], t.kids[2]});
    default:
      return std::all_of(t.kids.begin(), t.kids.end(), [&](const TermPtr& k) { return touch(*k); });
  }
}

}  // namespace seedbed::envgen
