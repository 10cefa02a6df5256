// What must be known is found by the cheapest reads, and only what is known is used.
#include <algorithm>

#include "envgen/general/planner.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}
using schemas::Value;

}  // namespace

bool Planner::find_by_name(int c, std::int64_t key) {
  const Speaker say{l};
  if (const ToolForm* find = form(ToolForm::Kind::find, c)) {
    Value args = Value::object();
    args.set("name", say.name(c, key));
    std::set<int> needs;
    int step = kPrompt;
    if (named.count({c, key}) == 0 && !know_name(c, key, step)) return false;
    needs.insert(step);
    const int s = emit(find->name, std::move(args), needs);
    show_row(c, key, find->shown, s);
    for (const int d : find->derived) derived_seen.try_emplace({d, key}, s);
    return true;
  }
  return list(c, {}, {});
}

bool Planner::know_name(int c, std::int64_t key, int& step) {
  step = kPrompt;
  if (named.count({c, key}) != 0) return true;
  const int a = w.concepts[at(c)].attr("name");
  const auto it = seen.find({c, key, a});
  if (it != seen.end()) {
    step = it->second;
    return true;
  }
  if (!attribute(c, key, a)) return false;
  step = seen[{c, key, a}];
  return true;
}

bool Planner::know_id(int c, std::int64_t key) {
  if (ids.count({c, key}) != 0) return true;
  if (w.concepts[at(c)].named()) {
    if (named.count({c, key}) != 0)
      return find_by_name(c, key) && (ids.count({c, key}) != 0 || fail("a name leads nowhere"));
    return list(c, {}, {}) && (ids.count({c, key}) != 0 || fail("a list does not show a fact"));
  }
  return list(c, {}, {}) && (ids.count({c, key}) != 0 || fail("a list does not show a fact"));
}

bool Planner::list(int c,
                   const std::vector<std::pair<int, std::int64_t>>& filters,
                   const std::vector<int>& attributes) {
  const ToolForm* tool = form(ToolForm::Kind::list, c);
  if (tool == nullptr) return fail("no list of " + w.concepts[at(c)].symbol);
  Value args = Value::object();
  std::set<int> needs;
  std::vector<std::pair<int, std::int64_t>> applied;
  for (const auto& [a, v] : filters)
    for (const auto& p : tool->params) {
      if (p.index != a || v == kNone) continue;
      if (p.domain.type == Type::ref) {
        if (!know_id(p.domain.target, v)) return false;
        needs.insert(ids[{p.domain.target, v}]);
      }
      args.set(p.name, l.renderer().value(p.domain, v));
      applied.emplace_back(a, v);
    }
  const auto rows = rows_where(w, facts, c, applied);
  const std::size_t page = tool->page_size > 0 ? static_cast<std::size_t>(tool->page_size)
                                               : std::max<std::size_t>(rows.size(), 1);
  const std::size_t pages = std::max<std::size_t>(1, (rows.size() + page - 1) / page);
  if (pages > kMaxPages) return fail("a list of too many pages");
  for (std::size_t i = 0; i < pages; ++i) {
    Value page_args = args;
    if (i > 0) page_args.set("offset", static_cast<std::int64_t>(i * page));
    const int s = emit(tool->name, std::move(page_args), needs);
    if (pages > 1) needs.insert(s);
    for (std::size_t r = i * page; r < std::min(rows.size(), (i + 1) * page); ++r)
      show_row(c, rows[r], tool->shown, s);
  }
  // What the list does not show of the rows that may be meant must be read one by one.
  std::vector<int> wanted = attributes;
  for (const auto& [a, v] : filters)
    if (std::find(applied.begin(), applied.end(), std::pair<int, std::int64_t>{a, v}) ==
        applied.end())
      wanted.push_back(a);
  std::size_t gets = 0;
  for (const auto key : rows) {
    for (const int a : wanted) {
      if (seen.count({c, key, a}) != 0) continue;
      if (++gets > kMaxGets) return fail("too many single reads");
      if (!attribute(c, key, a)) return false;
    }
  }
  return true;
}

bool Planner::reference(const Reference& r) {
  if (r.concept_id < 0) return true;
  if (r.by_name) return true;  // found by name when its id is needed
  if (ids.count({r.concept_id, r.key}) != 0 && r.extreme < 0) return true;
  return list(r.concept_id, r.filters,
              r.extreme >= 0 ? std::vector<int>{r.extreme} : std::vector<int>{});
}

// Reads the whole record whose id is known.
void Planner::read_one(const ToolForm& get, int c, std::int64_t key) {
  Value args = Value::object();
  args.set(get.params[0].name, l.renderer().id(c, key));
  const int s = emit(get.name, std::move(args), {ids[{c, key}]});
  std::vector<int> all;
  all_attributes(c, all);
  show_row(c, key, all, s);
  for (const int d : get.derived) derived_seen.try_emplace({d, key}, s);
}

bool Planner::attribute(int c, std::int64_t key, int a) {
  if (seen.count({c, key, a}) != 0) return true;
  if (const ToolForm* get = form(ToolForm::Kind::get, c)) {
    if (!know_id(c, key)) return false;
    if (seen.count({c, key, a}) != 0) return true;
    const ToolForm* all = form(ToolForm::Kind::list, c);
    const bool listed =
        all != nullptr && std::find(all->shown.begin(), all->shown.end(), a) != all->shown.end();
    if (listed && ++single_reads[c] > kSingleReads)  // many are wanted: a list costs less
      return list(c, {}, {}) && (seen.count({c, key, a}) != 0 || fail("a list hides a fact"));
    if (++reads > kMaxReads) return fail("too many single reads");
    read_one(*get, c, key);
    return true;
  }
  if (named.count({c, key}) != 0 && form(ToolForm::Kind::find, c) != nullptr)
    return find_by_name(c, key);
  if (form(ToolForm::Kind::list, c) == nullptr) {  // found by a name that some record shows
    const int name = w.concepts[at(c)].attr("name");
    if (a == name || seen.count({c, key, name}) == 0) return fail("nothing shows a name");
    return find_by_name(c, key);
  }
  std::vector<std::pair<int, std::int64_t>>
      narrow;  // the fact's own reference, where its owner is known
  const Row* row = facts.tables[at(c)].find(key);
  for (int i = 0; row != nullptr && i < static_cast<int>(row->values.size()); ++i) {
    const Domain& d = w.concepts[at(c)].attrs[at(i)].domain;
    if (d.type == Type::ref && row->values[at(i)] != kNone &&
        ids.count({d.target, row->values[at(i)]}) != 0 && narrow.empty())
      narrow.emplace_back(i, row->values[at(i)]);
  }
  return list(c, narrow, {}) &&
         (seen.count({c, key, a}) != 0 || fail("nothing shows an attribute"));
}

bool Planner::derived(int d, std::int64_t key) {
  if (derived_seen.count({d, key}) != 0) return true;
  const int c = w.derived[at(d)].over;
  const ToolForm* find = form(ToolForm::Kind::find, c);
  if (find != nullptr &&
      std::find(find->derived.begin(), find->derived.end(), d) != find->derived.end())
    return find_by_name(c, key) &&
           (derived_seen.count({d, key}) != 0 || fail("a find shows no derived term"));
  const ToolForm* get = form(ToolForm::Kind::get, c);
  if (get == nullptr ||
      std::find(get->derived.begin(), get->derived.end(), d) == get->derived.end())
    return fail("nothing shows a derived term");
  if (!know_id(c, key)) return false;
  read_one(*get, c, key);
  return true;
}

}  // namespace seedbed::envgen
