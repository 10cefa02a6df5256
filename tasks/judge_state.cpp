#include "tasks/judge_state.h"

#include <algorithm>
#include <set>

namespace seedbed::tasks {
namespace {

using schemas::RowChange;
using schemas::Scalar;
using schemas::Value;

constexpr std::size_t kMaxQueries = 2'048;
constexpr std::size_t kMaxRemembered = 4'096;

void put_scalar(std::string& out, const Scalar& value) {
  if (const auto* i = std::get_if<std::int64_t>(&value)) {
    out.push_back('i');
    out.append(reinterpret_cast<const char*>(i), sizeof *i);
  } else if (const auto* s = std::get_if<std::string>(&value)) {
    const std::size_t n = s->size();
    out.push_back('t');
    out.append(reinterpret_cast<const char*>(&n), sizeof n);
    out.append(*s);
  } else {
    out.push_back('n');
  }
}

void put_row(std::string& out, const std::vector<Scalar>& row) {
  out.push_back(static_cast<char>(row.size()));
  for (const auto& value : row) put_scalar(out, value);
}

}  // namespace

std::string state_key(std::span<const RowChange> changes) {
  std::string out;
  for (const auto& change : changes) {
    out += change.table;
    out.push_back('\0');
    put_row(out, change.before);
    put_row(out, change.after);
  }
  return out;
}

std::span<const RowChange> in_order(const std::vector<RowChange>& changes,
                                    std::vector<RowChange>& copy) {
  const auto earlier = [](const RowChange& a, const RowChange& b) { return a.call < b.call; };
  if (std::is_sorted(changes.begin(), changes.end(), earlier)) return changes;
  copy = changes;
  std::stable_sort(copy.begin(), copy.end(), earlier);
  return copy;
}

Result<const Query*> Judge::State::query(const std::string& sql, const std::string& at) {
  if (const auto it = queries.find(sql); it != queries.end()) return &it->second;
  if (queries.size() >= kMaxQueries) queries.clear();
  SEEDBED_TRY(Query made, db->prepare(sql, at));
  return &queries.emplace(sql, std::move(made)).first->second;
}

Result<bool> Judge::State::holds(const std::string& sql, const std::string& at, const Value& args) {
  SEEDBED_TRY(const Query* made, query(sql, at));
  return db->holds(*made, at, [&](const std::string& name) {
    if (name == "now") return Value(env.now_minutes);
    const Value* value = args.find(name);
    return value == nullptr ? Value() : *value;
  });
}

// Net changes of tables that no view shows, do-then-undo left out.
std::string Judge::State::unseen_table(std::span<const RowChange> changes) const {
  std::unordered_map<std::string, std::pair<std::vector<Scalar>, std::vector<Scalar>>>
      net;  // table and key -> first, last
  for (const auto& change : changes) {
    const bool exempt = std::find(env.bookkeeping.begin(), env.bookkeeping.end(), change.table) !=
                        env.bookkeeping.end();
    const TableInfo* table = db->table(change.table);
    if (exempt || table == nullptr || !facts->views_over(change.table).empty()) continue;
    const auto place = [&](const std::vector<Scalar>& row) {
      std::string key = change.table + '\0';
      for (const int k : table->key) put_scalar(key, row[static_cast<std::size_t>(k)]);
      return key;
    };
    if (!change.before.empty())
      net.try_emplace(place(change.before), change.before, std::vector<Scalar>{})
          .first->second.second.clear();
    if (!change.after.empty())
      net.try_emplace(place(change.after), std::vector<Scalar>{}, change.after)
          .first->second.second = change.after;
  }
  std::string found;
  for (const auto& [key, rows] : net)
    if (rows.first != rows.second && (found.empty() || key < found)) found = key;
  return found.substr(0, found.find('\0'));
}

std::shared_ptr<const Difference> Judge::State::recall(const std::string& key) const {
  static const auto kNone = std::make_shared<const Difference>();
  if (key.empty()) return kNone;
  const auto it = remembered.find(key);
  return it == remembered.end() ? nullptr : it->second;
}

// The database must be in the state after `changes`.
Result<std::shared_ptr<const Difference>> Judge::State::learn(std::span<const RowChange> changes,
                                                              const std::string& key) {
  std::set<int> touched;
  for (const auto& change : changes) {
    const auto& views = facts->views_over(change.table);
    touched.insert(views.begin(), views.end());
  }
  auto made = std::make_shared<Difference>();
  SEEDBED_TRY(made->facts, facts->compare(*db, {touched.begin(), touched.end()}));
  made->unseen = unseen_table(changes);
  if (remembered.size() >= kMaxRemembered) remembered.clear();
  remembered.emplace(key, made);
  return std::shared_ptr<const Difference>(std::move(made));
}

Result<std::shared_ptr<const Difference>> Judge::State::difference(
    std::span<const RowChange> changes) {
  const std::string key = state_key(changes);
  if (auto known = recall(key)) return known;
  Step failed = Replay(*db, changes).to(kToTheEnd);
  auto made =
      failed ? Result<std::shared_ptr<const Difference>>(*std::move(failed)) : learn(changes, key);
  if (auto e = db->rollback()) return *std::move(e);
  return made;
}

LineDiff Judge::State::lines(const Difference& d) const {
  LineDiff out;
  for (const auto& fact : d.facts) {
    const auto& view = env.views[static_cast<std::size_t>(fact.view)];
    const auto& initial = facts->views()[static_cast<std::size_t>(fact.view)];
    if (fact.row >= 0) {
      const Scalar* row = initial.row(fact.row);
      out.gone.push_back(fact_line(view, row[0], {row + 1, row + initial.width}));
    }
    if (!fact.now.empty())
      out.come.push_back(fact_line(view, fact.now[0], {fact.now.begin() + 1, fact.now.end()}));
  }
  std::sort(out.gone.begin(), out.gone.end());
  std::sort(out.come.begin(), out.come.end());
  return out;
}

void Judge::State::fill_columns() {
  for (std::size_t v = 0; v < env.views.size(); ++v) {
    const auto& view = env.views[v];
    const auto& rows = facts->views()[v];
    for (std::size_t c = 0; c < rows.width; ++c) {
      FactColumn column{.concept_name = view.concept_name,
                        .attribute = c == 0 ? "" : view.attributes[c - 1],
                        .column = c == 0 ? view.key : view.columns[c - 1],
                        .values = {}};
      for (int r = 0; r < rows.count(); ++r)
        if (rows.row(r)[c].index() != 0) column.values.push_back(rows.row(r)[c]);
      std::sort(column.values.begin(), column.values.end());
      column.values.erase(std::unique(column.values.begin(), column.values.end()),
                          column.values.end());
      columns.push_back(std::move(column));
    }
  }
}

}  // namespace seedbed::tasks
