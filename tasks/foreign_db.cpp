#include "tasks/foreign_db.h"

#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <set>

#include "base/hash.h"
#include "base/text.h"

namespace seedbed::tasks {
namespace {

constexpr int kStepsBetween = 10'000;
constexpr std::size_t kHeader = 100;
constexpr std::size_t kWriteVersion = 18, kReadVersion = 19;

struct Close {
  void operator()(sqlite3* db) const { sqlite3_close(db); }
  void operator()(sqlite3_stmt* s) const { sqlite3_finalize(s); }
};
using Statement = std::unique_ptr<sqlite3_stmt, Close>;

Error foreign_error(const std::string& at, const std::string& found, const std::string& todo) {
  return make_error(Where::pack, "foreign database", at, found, todo);
}

// Reading plain tables, and the pragmas that describe them; nothing else.
int allow_reading(void*, int action, const char* first, const char*, const char*, const char*) {
  static const std::set<std::string> kPragmas = {"table_list", "table_xinfo", "foreign_key_list",
                                                 "index_list", "index_info",  "quick_check"};
  switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_FUNCTION:  // of CHECK clauses, while the file is checked; the schema is not trusted
      return SQLITE_OK;
    case SQLITE_PRAGMA:
      return first != nullptr && kPragmas.count(first) != 0 ? SQLITE_OK : SQLITE_DENY;
    default:
      return SQLITE_DENY;
  }
}

std::string in_quotes(const std::string& name) {
  return "\"" + replace_all(name, "\"", "\"\"") + "\"";
}

struct Reader {
  const ForeignLimits& limits;
  std::string name;
  std::string bytes;  // must outlive the connection
  std::int64_t steps = 0;
  std::unique_ptr<sqlite3, Close> db;

  [[nodiscard]] Error failed(const std::string& at) const {
    const bool slow = steps > limits.steps_max;
    return foreign_error(
        name + (at.empty() ? "" : ", " + at),
        slow ? "reading took too many steps, wanted at most " + std::to_string(limits.steps_max)
             : sqlite3_errmsg(db.get()),
        slow ? "give a smaller copy of it" : "give an undamaged SQLite database");
  }
  Step open();
  Step each(const std::string& sql,
            const std::string& at,
            const std::function<Step(sqlite3_stmt*)>& row) const;
  Step check() const;
  Result<ForeignTable> table(const std::string& table_name) const;
  Step references(ForeignTable& out) const;
  Step uniques(ForeignTable& out) const;
  Step rows(ForeignTable& out) const;
};

std::string text_of(sqlite3_stmt* s, int column) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(s, column));
  return text == nullptr
             ? ""
             : std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(s, column)));
}

Step Reader::open() {
  if (bytes.size() < kHeader || std::memcmp(bytes.data(), "SQLite format 3\0", 16) != 0)
    return foreign_error(name, "no SQLite database (its first bytes are not 'SQLite format 3')",
                         "give the path of a SQLite file");
  // A file in write-ahead mode cannot be opened from memory; what was checkpointed is all there.
  bytes[kWriteVersion] = 1;
  bytes[kReadVersion] = 1;
  sqlite3* raw = nullptr;
  const int opened = sqlite3_open_v2(
      ":memory:", &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  db.reset(raw);
  if (opened != SQLITE_OK) return foreign_error(name, "cannot open memory", "free some memory");
  sqlite3_db_config(raw, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(raw, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(raw, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  sqlite3_db_config(raw, SQLITE_DBCONFIG_ENABLE_VIEW, 0, nullptr);
  sqlite3_exec(raw, "PRAGMA cell_size_check=1", nullptr, nullptr, nullptr);
  for (const auto& [what, most] : {std::pair<int, int>{SQLITE_LIMIT_LENGTH, 16 << 20},
                                   {SQLITE_LIMIT_SQL_LENGTH, 1 << 20},
                                   {SQLITE_LIMIT_COLUMN, 400},
                                   {SQLITE_LIMIT_EXPR_DEPTH, 100},
                                   {SQLITE_LIMIT_ATTACHED, 0},
                                   {SQLITE_LIMIT_TRIGGER_DEPTH, 1},
                                   {SQLITE_LIMIT_WORKER_THREADS, 0}})
    sqlite3_limit(raw, what, most);
  const auto size = static_cast<sqlite3_int64>(bytes.size());
  if (sqlite3_deserialize(raw, "main", reinterpret_cast<unsigned char*>(bytes.data()), size, size,
                          SQLITE_DESERIALIZE_READONLY) != SQLITE_OK)
    return failed("");
  sqlite3_set_authorizer(raw, allow_reading, nullptr);
  sqlite3_progress_handler(
      raw, kStepsBetween,
      [](void* self) {
        auto* reader = static_cast<Reader*>(self);
        reader->steps += kStepsBetween;
        return reader->steps > reader->limits.steps_max ? 1 : 0;
      },
      this);
  return std::nullopt;
}

Step Reader::each(const std::string& sql,
                  const std::string& at,
                  const std::function<Step(sqlite3_stmt*)>& row) const {
  sqlite3_stmt* raw = nullptr;
  if (sqlite3_prepare_v2(db.get(), sql.c_str(), -1, &raw, nullptr) != SQLITE_OK) return failed(at);
  const Statement s(raw);
  int code = SQLITE_ROW;
  while ((code = sqlite3_step(raw)) == SQLITE_ROW)
    if (auto e = row(raw)) return e;
  return code == SQLITE_DONE ? std::nullopt : Step(failed(at));
}

Step Reader::check() const {
  std::string found;
  if (auto e = each("PRAGMA quick_check(1)", "integrity check", [&](sqlite3_stmt* s) -> Step {
        found = text_of(s, 0);
        return std::nullopt;
      }))
    return e;
  if (found == "ok") return std::nullopt;
  return foreign_error(name, "damaged: " + found.substr(0, 200), "repair it, or give another file");
}

Step Reader::references(ForeignTable& out) const {
  std::map<int, std::vector<ForeignReference>> by_key;
  if (auto e = each("PRAGMA foreign_key_list(" + in_quotes(out.name) + ")", out.name,
                    [&](sqlite3_stmt* s) -> Step {
                      by_key[sqlite3_column_int(s, 0)].push_back(
                          {text_of(s, 3), text_of(s, 2), text_of(s, 4)});
                      return std::nullopt;
                    }))
    return e;
  for (auto& [id, columns] : by_key)
    if (columns.size() == 1) out.references.push_back(std::move(columns[0]));
  return std::nullopt;
}

Step Reader::uniques(ForeignTable& out) const {
  std::vector<std::string> names;
  if (auto e = each("PRAGMA index_list(" + in_quotes(out.name) + ")", out.name,
                    [&](sqlite3_stmt* s) -> Step {
                      const bool partial = sqlite3_column_int(s, 4) != 0;
                      if (sqlite3_column_int(s, 2) == 1 && !partial && text_of(s, 3) != "pk")
                        names.push_back(text_of(s, 1));
                      return std::nullopt;
                    }))
    return e;
  for (const auto& index : names) {
    std::vector<std::string> columns;
    if (auto e = each("PRAGMA index_info(" + in_quotes(index) + ")", out.name,
                      [&](sqlite3_stmt* s) -> Step {
                        columns.push_back(text_of(s, 2));
                        return std::nullopt;
                      }))
      return e;
    if (std::find(columns.begin(), columns.end(), "") == columns.end())
      out.uniques.push_back(std::move(columns));
  }
  std::sort(out.uniques.begin(), out.uniques.end());
  return std::nullopt;
}

ForeignCell cell_of(sqlite3_stmt* s, int column, std::int64_t text_bytes_max) {
  switch (sqlite3_column_type(s, column)) {
    case SQLITE_NULL:
      return std::monostate{};
    case SQLITE_INTEGER:
      return static_cast<std::int64_t>(sqlite3_column_int64(s, column));
    case SQLITE_FLOAT:
      return sqlite3_column_double(s, column);
    case SQLITE_TEXT: {
      if (sqlite3_column_bytes(s, column) > text_bytes_max) return Unread{};
      std::string text = text_of(s, column);
      if (!is_valid_utf8(text)) return Unread{};
      return text;
    }
    default:
      return Unread{};
  }
}

Step Reader::rows(ForeignTable& out) const {
  if (auto e = each("SELECT count(*) FROM " + in_quotes(out.name), out.name,
                    [&](sqlite3_stmt* s) -> Step {
                      out.rows_total = sqlite3_column_int64(s, 0);
                      return std::nullopt;
                    }))
    return e;
  std::vector<std::pair<int, std::string>> key;
  std::vector<std::string> columns, order;
  for (const auto& c : out.columns) {
    columns.push_back(in_quotes(c.name));
    if (c.key > 0) key.emplace_back(c.key, in_quotes(c.name));
  }
  std::sort(key.begin(), key.end());
  for (const auto& [place, column] : key) order.push_back(column);
  if (order.empty()) return std::nullopt;
  return each("SELECT " + join(columns, ", ") + " FROM " + in_quotes(out.name) + " ORDER BY " +
                  join(order, ", ") + " LIMIT " + std::to_string(limits.rows_max),
              out.name, [&](sqlite3_stmt* s) -> Step {
                std::vector<ForeignCell> row;
                for (int i = 0; i < static_cast<int>(out.columns.size()); ++i)
                  row.push_back(cell_of(s, i, limits.text_bytes_max));
                out.rows.push_back(std::move(row));
                return std::nullopt;
              });
}

Result<ForeignTable> Reader::table(const std::string& table_name) const {
  ForeignTable out;
  out.name = table_name;
  if (auto e =
          each("PRAGMA table_xinfo(" + in_quotes(table_name) + ")", table_name,
               [&](sqlite3_stmt* s) -> Step {
                 if (sqlite3_column_int(s, 6) != 0) return std::nullopt;  // generated, hidden
                 out.columns.push_back({text_of(s, 1), text_of(s, 2), sqlite3_column_int(s, 3) != 0,
                                        sqlite3_column_int(s, 5)});
                 return std::nullopt;
               }))
    return *std::move(e);
  if (auto e = references(out)) return *std::move(e);
  if (auto e = uniques(out)) return *std::move(e);
  if (auto e = rows(out)) return *std::move(e);
  return out;
}

}  // namespace

Result<ForeignDb> read_foreign_bytes(std::string bytes,
                                     const std::string& name,
                                     const ForeignLimits& limits) {
  ForeignDb out;
  out.name = name;
  out.hash = content_hash(bytes);
  Reader reader{limits, name, std::move(bytes), 0, nullptr};
  if (auto e = reader.open()) return *std::move(e);
  if (auto e = reader.check()) return *std::move(e);
  std::vector<std::string> names;
  if (auto e = reader.each("PRAGMA main.table_list", "", [&](sqlite3_stmt* s) -> Step {
        const std::string table = text_of(s, 1), kind = text_of(s, 2);
        if (text_of(s, 0) != "main" || table.rfind("sqlite_", 0) == 0) return std::nullopt;
        if (kind != "table")
          out.skipped.emplace_back(table, kind == "view" ? "a view" : "a " + kind + " table");
        else if (sqlite3_column_int(s, 3) > limits.columns_max)
          out.skipped.emplace_back(table, "too many columns");
        else if (!is_valid_utf8(table))
          out.skipped.emplace_back(replace_invalid_utf8(table), "its name is no UTF-8");
        else
          names.push_back(table);
        return std::nullopt;
      }))
    return *std::move(e);
  std::sort(names.begin(), names.end());
  std::sort(out.skipped.begin(), out.skipped.end());
  if (names.empty())
    return foreign_error(name, "holds no table of its own, wanted at least one with rows",
                         "give a database that has tables");
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (static_cast<std::int64_t>(i) >= limits.tables_max) {
      out.skipped.emplace_back(names[i], "more tables than are looked at");
      continue;
    }
    SEEDBED_TRY(ForeignTable table, reader.table(names[i]));
    out.tables.push_back(std::move(table));
  }
  return out;
}

Result<ForeignDb> read_foreign_db(const std::string& path, const ForeignLimits& limits) {
  namespace fs = std::filesystem;
  std::error_code ec;
  if (!fs::is_regular_file(path, ec))
    return foreign_error(path, "no such file", "give the path of a SQLite file");
  const auto size = fs::file_size(path, ec);
  if (ec || size > static_cast<std::uintmax_t>(limits.bytes_max))
    return foreign_error(
        path, std::to_string(size) + " bytes, wanted at most " + std::to_string(limits.bytes_max),
        "give a smaller copy of it");
  if (const auto wal = fs::file_size(path + "-wal", ec); !ec && wal > 0)
    return foreign_error(path, "a write-ahead log with changes lies beside it, wanted none",
                         "close whoever uses it, or run PRAGMA wal_checkpoint(TRUNCATE) on it");
  std::ifstream in(path, std::ios::binary);
  std::string bytes(static_cast<std::size_t>(size), '\0');
  in.read(bytes.data(), static_cast<std::streamsize>(size));
  if (!in || in.gcount() != static_cast<std::streamsize>(size))
    return foreign_error(path, "cannot be read whole", "check its permissions");
  return read_foreign_bytes(std::move(bytes), fs::path(path).filename().string(), limits);
}

}  // namespace seedbed::tasks
