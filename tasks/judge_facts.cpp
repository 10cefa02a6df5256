#include "tasks/judge_facts.h"

#include <set>

namespace seedbed::tasks {
namespace {

using schemas::Scalar;
using schemas::View;

constexpr int kMaxFacts = 200'000;

Error bad_view(const View& view, const std::string& found, const char* todo) {
  return make_error(Where::verifier, "view", view.view, found, todo);
}

Step check_view(const View& view, const JudgeDb& db) {
  if (view.columns.size() != view.attributes.size())
    return bad_view(view,
                    "has " + std::to_string(view.columns.size()) + " columns for " +
                        std::to_string(view.attributes.size()) + " attributes",
                    "give one attribute a column");
  if (!db.has_view(view.view) && db.table(view.view) == nullptr)
    return bad_view(view, "is not in the state", "create it in the image");
  if (view.tables.empty()) return bad_view(view, "reads no table", "list the tables that it reads");
  for (const auto& table : view.tables)
    if (db.table(table) == nullptr)
      return bad_view(view, "reads table " + table + ", which is not in the state",
                      "list real tables");
  return std::nullopt;
}

}  // namespace

Result<Facts> Facts::open(const schemas::Environment& env, JudgeDb& db) {
  Facts facts;
  for (const auto& view : env.views) {
    if (auto e = check_view(view, db)) return *std::move(e);
    const int index = static_cast<int>(facts.views_.size());
    if (!facts.by_concept_.emplace(view.concept_name, index).second)
      return bad_view(view, "is the second view of concept " + view.concept_name,
                      "give each concept one view");
    if (auto e = facts.read_initial(view, db)) return *std::move(e);
    // What the view really reads counts, not what it lists: a table left out would hide its writes.
    std::set<std::string> tables(view.tables.begin(), view.tables.end());
    const auto& read = facts.views_.back().query.tables;
    tables.insert(read.begin(), read.end());
    for (const auto& table : tables) facts.by_table_[table].push_back(index);
    facts.names_.push_back(view.view);
  }
  return facts;
}

Step Facts::read_initial(const View& view, JudgeDb& db) {
  std::string sql = "SELECT " + quoted_name(view.key);
  for (const auto& column : view.columns) sql += ", " + quoted_name(column);
  sql += " FROM " + quoted_name(view.view);
  auto query = db.prepare(sql, "view " + view.view);
  if (!query.ok()) return query.error();
  ViewFacts facts{
      .query = *std::move(query), .width = 1 + view.columns.size(), .rows = {}, .by_key = {}};
  if (!facts.query.parameters.empty()) return bad_view(view, "has parameters", "write it without");
  db.begin(facts.query);
  for (;;) {
    auto row = db.step(facts.query, view.view);
    if (!row.ok()) return row.error();
    if (!*row) break;
    const int at = facts.count();
    if (at >= kMaxFacts)
      return bad_view(view, "has more than 200000 facts", "make the state smaller");
    for (int c = 0; c < static_cast<int>(facts.width); ++c) {
      if (!JudgeDb::is_scalar(facts.query, c))
        return bad_view(view, "shows a float or a blob", "use integers and texts");
      facts.rows.push_back(JudgeDb::column(facts.query, c));
    }
    const Scalar& key = *facts.row(at);
    if (std::holds_alternative<std::monostate>(key))
      return bad_view(view, "has a null key", "give every fact a key");
    if (!facts.by_key.emplace(key, at).second)
      return bad_view(view, "has a key twice", "make its keys unique");
  }
  JudgeDb::reset(facts.query);
  views_.push_back(std::move(facts));
  return std::nullopt;
}

int Facts::view_of(const std::string& concept_name) const {
  const auto it = by_concept_.find(concept_name);
  return it == by_concept_.end() ? -1 : it->second;
}

const std::vector<int>& Facts::views_over(const std::string& table) const {
  static const std::vector<int> none;
  const auto it = by_table_.find(table);
  return it == by_table_.end() ? none : it->second;
}

Result<std::vector<ChangedFact>> Facts::compare(JudgeDb& db, const std::vector<int>& views) const {
  std::vector<ChangedFact> out;
  for (const int view : views)
    if (auto e = compare_view(db, view, out)) return *std::move(e);
  return out;
}

// Rows mostly come in the order they had at first, so the next initial row is tried before the key
// is looked up.
Step Facts::compare_view(JudgeDb& db, int view, std::vector<ChangedFact>& out) const {
  const ViewFacts& facts = views_[static_cast<std::size_t>(view)];
  const std::string& name = names_[static_cast<std::size_t>(view)];
  const int width = static_cast<int>(facts.width);
  const int count = facts.count();
  std::vector<bool> seen(static_cast<std::size_t>(count), false);
  std::unordered_map<Scalar, bool, ScalarHash> added;
  const auto bad = [&](const char* found) {
    JudgeDb::reset(facts.query);
    return make_error(Where::verifier, "view", name, found,
                      "mend the view or the tool that wrote this");
  };
  int expected = 0, left = count;
  db.begin(facts.query);
  for (;;) {
    auto more = db.step(facts.query, name);
    if (!more.ok()) return more.error();
    if (!*more) break;
    int row = expected;
    if (row >= count || !JudgeDb::column_equals(facts.query, 0, *facts.row(row))) {
      const auto it = facts.by_key.find(JudgeDb::column(facts.query, 0));
      row = it == facts.by_key.end() ? -1 : it->second;
    }
    bool same = row >= 0;
    for (int c = 1; same && c < width; ++c)
      same = JudgeDb::column_equals(facts.query, c, facts.row(row)[c]);
    if (row >= 0) {
      if (seen[static_cast<std::size_t>(row)]) return bad("found a key twice");
      seen[static_cast<std::size_t>(row)] = true;
      --left;
      expected = row + 1;
    }
    if (same) continue;
    ChangedFact fact{.view = view, .row = row, .now = {}};
    for (int c = 0; c < width; ++c) {
      if (!JudgeDb::is_scalar(facts.query, c))
        return bad("found a float or a blob, wanted integers and texts");
      fact.now.push_back(JudgeDb::column(facts.query, c));
    }
    if (std::holds_alternative<std::monostate>(fact.now[0])) return bad("found a null key");
    if (row < 0 && !added.emplace(fact.now[0], true).second) return bad("found a key twice");
    if (out.size() >= static_cast<std::size_t>(kMaxFacts))
      return bad("found more than 200000 changed facts");
    out.push_back(std::move(fact));
  }
  JudgeDb::reset(facts.query);
  for (int row = 0; left > 0 && row < count; ++row)
    if (!seen[static_cast<std::size_t>(row)])
      out.push_back({.view = view, .row = row, .now = {}}), --left;
  return std::nullopt;
}

}  // namespace seedbed::tasks
