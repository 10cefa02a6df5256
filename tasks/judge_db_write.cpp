// The judge's one writer: recorded changes, each checked against the row that it claims was there.
#include <sqlite3.h>

#include <algorithm>
#include <array>

#include "tasks/judge_db.h"

namespace seedbed::tasks {
namespace {

using schemas::RowChange;
using schemas::Scalar;

void bind_scalar(sqlite3_stmt* stmt, int index, const Scalar& value) {
  if (const auto* i = std::get_if<std::int64_t>(&value)) {
    sqlite3_bind_int64(stmt, index, *i);
  } else if (const auto* s = std::get_if<std::string>(&value)) {
    sqlite3_bind_text64(stmt, index, s->data(), s->size(), SQLITE_STATIC,
                        SQLITE_UTF8);  // outlives the step
  } else {
    sqlite3_bind_null(stmt, index);
  }
}

}  // namespace

Step JudgeDb::prepare_writers(TableInfo& table) {
  std::string names, marks, sets, matches;
  const std::size_t n = table.columns.size();
  for (std::size_t i = 0; i < n; ++i) {
    const std::string column = quoted_name(table.columns[i]);
    const char* comma = i > 0 ? ", " : "";
    names += comma + column;
    marks += comma + ("?" + std::to_string(i + 1));
    sets += comma + column + " = ?" + std::to_string(n + i + 1);
    matches += (i > 0 ? " AND " : "") + column + " IS ?" + std::to_string(i + 1);
  }
  // The key is named with = as well, so that the row is found by its index.
  for (const int k : table.key)
    matches += " AND " + quoted_name(table.columns[static_cast<std::size_t>(k)]) + " = ?" +
               std::to_string(k + 1);
  const std::string at = quoted_name(table.name);
  const std::array<std::pair<Statement*, std::string>, 3> wanted = {
      std::pair{&table.insert, "INSERT INTO " + at + " (" + names + ") VALUES (" + marks + ")"},
      {&table.remove, "DELETE FROM " + at + " WHERE " + matches},
      {&table.update, "UPDATE " + at + " SET " + sets + " WHERE " + matches}};
  for (const auto& [statement, sql] : wanted) {
    sqlite3_stmt* stmt = nullptr;
    if (sqlite3_prepare_v3(db_, sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT, &stmt, nullptr) !=
        SQLITE_OK)
      return bad_image(message());
    *statement = Statement(stmt);
  }
  return std::nullopt;
}

Step JudgeDb::finish(const Statement& statement, const RowChange& change, const char* what) {
  const int rc = sqlite3_step(statement.get());
  sqlite3_reset(statement.get());
  if (rc == SQLITE_DONE && sqlite3_changes(db_) == 1) return std::nullopt;
  return make_error(
      Where::verifier, "recorded change",
      "call " + std::to_string(change.call) + ", table " + change.table,
      std::string("found ") +
          (rc == SQLITE_DONE ? "a row that differs from the recorded one" : message()) +
          ", wanted to " + what + " the row that was there",
      "the evidence is damaged; run the episode again");
}

Step JudgeDb::insert_row(TableInfo& table, const RowChange& change) {
  for (std::size_t i = 0; i < change.after.size(); ++i)
    bind_scalar(table.insert.get(), static_cast<int>(i) + 1, change.after[i]);
  return finish(table.insert, change, "insert beside");
}

Step JudgeDb::remove_row(TableInfo& table, const RowChange& change) {
  for (std::size_t i = 0; i < change.before.size(); ++i)
    bind_scalar(table.remove.get(), static_cast<int>(i) + 1, change.before[i]);
  return finish(table.remove, change, "delete");
}

Step JudgeDb::update_row(TableInfo& table, const RowChange& change) {
  const std::size_t n = change.before.size();
  for (std::size_t i = 0; i < n; ++i)
    bind_scalar(table.update.get(), static_cast<int>(i) + 1, change.before[i]);
  for (std::size_t i = 0; i < n; ++i)
    bind_scalar(table.update.get(), static_cast<int>(n + i) + 1, change.after[i]);
  return finish(table.update, change, "update");
}

// Deletes first, inserts last: the changes are net ones, so any order is right, but unique keys may
// move between rows.
Step JudgeDb::apply(std::span<const RowChange> changes) {
  dirty_ = true;
  budget_ = kTicksPerRead;
  const auto in_place = [](const TableInfo& t, const RowChange& c) {
    if (t.other_unique || c.before.empty() || c.after.empty()) return false;
    return std::all_of(t.key.begin(), t.key.end(), [&](int k) {
      return c.before[static_cast<std::size_t>(k)] == c.after[static_cast<std::size_t>(k)];
    });
  };
  std::vector<TableInfo*> tables;
  tables.reserve(changes.size());
  for (const auto& change : changes) {
    const auto it = tables_.find(change.table);
    const std::size_t n = it == tables_.end() ? 0 : it->second.columns.size();
    const auto fits = [n](const std::vector<Scalar>& row) {
      return row.empty() || row.size() == n;
    };
    if (it == tables_.end() || !fits(change.before) || !fits(change.after) ||
        (change.before.empty() && change.after.empty()))
      return make_error(Where::verifier, "recorded change", "call " + std::to_string(change.call),
                        "found table '" + change.table + "' with " +
                            std::to_string(change.after.size()) + " values, wanted " +
                            (n == 0 ? "a table of the state" : std::to_string(n)),
                        "the evidence is damaged; run the episode again");
    tables.push_back(&it->second);
  }
  for (std::size_t i = 0; i < changes.size(); ++i)
    if (!changes[i].before.empty() && !in_place(*tables[i], changes[i]))
      if (auto e = remove_row(*tables[i], changes[i])) return e;
  for (std::size_t i = 0; i < changes.size(); ++i)
    if (in_place(*tables[i], changes[i]))
      if (auto e = update_row(*tables[i], changes[i])) return e;
  for (std::size_t i = 0; i < changes.size(); ++i)
    if (!changes[i].after.empty() && !in_place(*tables[i], changes[i]))
      if (auto e = insert_row(*tables[i], changes[i])) return e;
  return std::nullopt;
}

Step JudgeDb::rollback() {
  if (!dirty_) return std::nullopt;
  dirty_ = false;
  budget_ = kTicksPerRead;
  const int rc = sqlite3_step(rollback_.get());
  sqlite3_reset(rollback_.get());
  if (rc == SQLITE_DONE) return std::nullopt;
  return bad_image("rollback failed: " + message(), "report this: it is a defect of the judge");
}

}  // namespace seedbed::tasks
