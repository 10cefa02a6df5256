#include "envgen/general/term.h"

#include <algorithm>

#include "base/check.h"

namespace seedbed::envgen {
namespace {

// Keys are mostly 1..n: try the direct place first.
template <class Rows>
auto* find_row(Rows& rows, std::int64_t key) {
  const auto at = static_cast<std::size_t>(key - 1);
  if (key > 0 && at < rows.size() && rows[at].key == key) return &rows[at];
  auto it = std::lower_bound(rows.begin(), rows.end(), key,
                             [](const Row& r, std::int64_t k) { return r.key < k; });
  return it != rows.end() && it->key == key ? &*it : nullptr;
}

bool compare(Op op, std::int64_t a, std::int64_t b) {
  if (op == Op::eq) return a == b;
  if (op == Op::ne) return a != b;
  if (a == kNone || b == kNone) return false;
  switch (op) {
    case Op::lt:
      return a < b;
    case Op::le:
      return a <= b;
    case Op::gt:
      return a > b;
    default:
      return a >= b;
  }
}

std::int64_t arithmetic(Op op, std::int64_t a, std::int64_t b) {
  if (a == kNone || b == kNone) return kNone;
  switch (op) {
    case Op::add:
      return a + b;
    case Op::sub:
      return a - b;
    case Op::mul:
      return a * b;
    default:
      return b == 0 ? kNone : a / b;
  }
}

std::int64_t quantify(const Term& t, const Scope& scope) {
  const auto& rows = scope.facts->tables[static_cast<std::size_t>(t.concept_id)].rows;
  auto& variables = *scope.variables;
  const auto slot = static_cast<std::size_t>(t.index);
  if (variables.size() <= slot) variables.resize(slot + 1, kNone);
  std::int64_t total = 0, best = kNone, best_key = kNone;
  for (const auto& row : rows) {
    variables[slot] = row.key;
    if (eval(*t.kids[0], scope) != 1) continue;
    if (t.op == Op::count) {
      ++total;
      continue;
    }
    const std::int64_t v = eval(*t.kids[1], scope);
    if (v == kNone) continue;
    if (t.op == Op::sum) {
      total += v;
      continue;
    }
    const bool smaller = t.op == Op::min || t.op == Op::argmin;
    if (best == kNone || (smaller ? v < best : v > best)) {
      best = v;
      best_key = row.key;
    }
  }
  variables[slot] = kNone;
  if (t.op == Op::count || t.op == Op::sum) return total;
  return t.op == Op::min || t.op == Op::max ? best : best_key;
}

constexpr int kReachSteps = 8;

// Breadth first over the facts that satisfy the condition, taken as edges.
std::int64_t reaches(const Term& t, const Scope& scope) {
  const std::int64_t start = eval(*t.kids[3], scope), goal = eval(*t.kids[4], scope);
  if (start == kNone || goal == kNone) return 0;
  if (start == goal) return 1;
  auto& variables = *scope.variables;
  const auto slot = static_cast<std::size_t>(t.index);
  if (variables.size() <= slot) variables.resize(slot + 1, kNone);
  std::vector<std::pair<std::int64_t, std::int64_t>> edges;
  for (const auto& row : scope.facts->tables[static_cast<std::size_t>(t.concept_id)].rows) {
    variables[slot] = row.key;
    if (eval(*t.kids[0], scope) == 1)
      edges.emplace_back(eval(*t.kids[1], scope), eval(*t.kids[2], scope));
  }
  variables[slot] = kNone;
  std::vector<std::int64_t> reached{start};
  std::size_t begin = 0;
  for (int step = 0; step < kReachSteps; ++step) {
    const std::size_t end = reached.size();
    for (const auto& [from, to] : edges) {
      if (to == kNone || std::find(reached.begin() + static_cast<std::ptrdiff_t>(begin),
                                   reached.begin() + static_cast<std::ptrdiff_t>(end),
                                   from) == reached.begin() + static_cast<std::ptrdiff_t>(end))
        continue;
      if (to == goal) return 1;
      if (std::find(reached.begin(), reached.end(), to) == reached.end()) reached.push_back(to);
    }
    if (reached.size() == end) return 0;
    begin = end;
  }
  return 0;
}

std::int64_t read_attribute(const Term& t, const Scope& scope) {
  if (scope.ablated >= 0 && scope.attribute_edges != nullptr &&
      (*scope.attribute_edges)[static_cast<std::size_t>(t.concept_id)]
                              [static_cast<std::size_t>(t.index)] == scope.ablated)
    return kNone;
  const std::int64_t key = eval(*t.kids[0], scope);
  if (key == kNone) return kNone;
  const Row* row = find_row(scope.facts->tables[static_cast<std::size_t>(t.concept_id)].rows, key);
  return row == nullptr ? kNone : row->values[static_cast<std::size_t>(t.index)];
}

}  // namespace

const Row* FactTable::find(std::int64_t key) const {
  return find_row(rows, key);
}
Row* FactTable::find(std::int64_t key) {
  return find_row(rows, key);
}

std::int64_t eval(const Term& t, const Scope& scope) {
  switch (t.op) {
    case Op::constant:
      return t.value;
    case Op::now:
      return scope.now;
    case Op::param:
      return (*scope.params)[static_cast<std::size_t>(t.index)];
    case Op::variable:
      return (*scope.variables)[static_cast<std::size_t>(t.index)];
    case Op::attribute:
      return read_attribute(t, scope);
    case Op::load:
      return scope.ablated == t.index ? 0 : eval(*t.kids[0], scope);
    case Op::reach:
      return reaches(t, scope);
    case Op::count:
    case Op::sum:
    case Op::min:
    case Op::max:
    case Op::argmin:
    case Op::argmax:
      return quantify(t, scope);
    case Op::eq:
    case Op::ne:
    case Op::lt:
    case Op::le:
    case Op::gt:
    case Op::ge:
      return compare(t.op, eval(*t.kids[0], scope), eval(*t.kids[1], scope)) ? 1 : 0;
    case Op::both:
      return eval(*t.kids[0], scope) == 1 && eval(*t.kids[1], scope) == 1 ? 1 : 0;
    case Op::either:
      return eval(*t.kids[0], scope) == 1 || eval(*t.kids[1], scope) == 1 ? 1 : 0;
    case Op::negate:
      return eval(*t.kids[0], scope) == 1 ? 0 : 1;
    case Op::add:
    case Op::sub:
    case Op::mul:
    case Op::div:
      return arithmetic(t.op, eval(*t.kids[0], scope), eval(*t.kids[1], scope));
  }
  return kNone;
}

std::int64_t eval_closed(const Term& term, const Facts& facts, std::int64_t now) {
  const std::vector<std::int64_t> params;
  std::vector<std::int64_t> variables;
  return eval(term, {&facts, now, &params, &variables, -1, nullptr});
}

TermPtr constant_of(std::int64_t value, const Domain& domain) {
  auto t = std::make_shared<Term>();
  t->op = Op::constant;
  t->domain = domain;
  t->value = value;
  return t;
}

TermPtr param_of(int index, const Domain& domain) {
  auto t = std::make_shared<Term>();
  t->op = Op::param;
  t->domain = domain;
  t->index = index;
  return t;
}

TermPtr attribute_of(TermPtr of, int concept_id, int attribute, const Domain& domain) {
  auto t = std::make_shared<Term>();
  t->op = Op::attribute;
  t->domain = domain;
  t->concept_id = concept_id;
  t->index = attribute;
  t->kids = {std::move(of)};
  return t;
}

TermPtr binary(Op op, TermPtr a, TermPtr b) {
  auto t = std::make_shared<Term>();
  t->op = op;
  const bool arithmetic_op = op >= Op::add;
  t->domain = arithmetic_op ? a->domain : Domain{Type::boolean, -1, -1, 0, 1, false};
  t->domain.nullable = arithmetic_op && (a->domain.nullable || b->domain.nullable);
  t->kids = {std::move(a), std::move(b)};
  return t;
}

TermPtr all_of(const std::vector<TermPtr>& terms) {
  TermPtr out;
  for (const auto& t : terms) out = out ? binary(Op::both, out, t) : t;
  return out;
}

TermPtr closed(const TermPtr& term, const std::vector<std::int64_t>& params) {
  if (term->op == Op::param) {
    const auto i = static_cast<std::size_t>(term->index);
    return i < params.size() ? constant_of(params[i], term->domain) : term;
  }
  if (term->kids.empty()) return term;
  std::vector<TermPtr> kids;
  bool same = true;
  for (const auto& k : term->kids) {
    kids.push_back(closed(k, params));
    same = same && kids.back() == k;
  }
  if (same) return term;
  auto out = std::make_shared<Term>(*term);
  out->kids = std::move(kids);
  return out;
}

void collect_reads(const Term& t, std::vector<std::pair<int, int>>& out) {
  if (t.op == Op::attribute) out.emplace_back(t.concept_id, t.index);
  if (t.op >= Op::reach && t.op <= Op::argmax) out.emplace_back(t.concept_id, -1);
  for (const auto& k : t.kids) collect_reads(*k, out);
}

void collect_loads(const Term& t, std::vector<int>& out) {
  if (t.op == Op::load) out.push_back(t.index);
  for (const auto& k : t.kids) collect_loads(*k, out);
}

}  // namespace seedbed::envgen
