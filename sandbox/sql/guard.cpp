#include "sandbox/sql/guard.h"

#include <sqlite3.h>

#include <algorithm>
#include <array>

#include "base/text.h"

namespace seedbed::sandbox::sql {
namespace {

// Sorted. Deterministic functions of their arguments that give integers and text.
constexpr std::array kFunctions = std::to_array<std::string_view>({"->",
                                                                   "->>",
                                                                   "abs",
                                                                   "char",
                                                                   "coalesce",
                                                                   "count",
                                                                   "dense_rank",
                                                                   "first_value",
                                                                   "format",
                                                                   "glob",
                                                                   "group_concat",
                                                                   "hex",
                                                                   "ifnull",
                                                                   "iif",
                                                                   "instr",
                                                                   "json",
                                                                   "json_array",
                                                                   "json_array_length",
                                                                   "json_extract",
                                                                   "json_group_array",
                                                                   "json_group_object",
                                                                   "json_insert",
                                                                   "json_object",
                                                                   "json_patch",
                                                                   "json_quote",
                                                                   "json_remove",
                                                                   "json_replace",
                                                                   "json_set",
                                                                   "json_type",
                                                                   "json_valid",
                                                                   "lag",
                                                                   "last_value",
                                                                   "lead",
                                                                   "length",
                                                                   "like",
                                                                   "likelihood",
                                                                   "likely",
                                                                   "lower",
                                                                   "ltrim",
                                                                   "max",
                                                                   "min",
                                                                   "nth_value",
                                                                   "ntile",
                                                                   "nullif",
                                                                   "printf",
                                                                   "quote",
                                                                   "rank",
                                                                   "replace",
                                                                   "row_number",
                                                                   "rtrim",
                                                                   "sign",
                                                                   "substr",
                                                                   "substring",
                                                                   "sum",
                                                                   "trim",
                                                                   "typeof",
                                                                   "unicode",
                                                                   "unlikely",
                                                                   "upper"});
static_assert(std::is_sorted(kFunctions.begin(), kFunctions.end()));

std::string_view view_of(const char* text) {
  return text == nullptr ? std::string_view() : std::string_view(text);
}

bool starts_with(std::string_view text, std::string_view with) {
  return text.substr(0, with.size()) == with;
}

const char* action_name(int action) {
  switch (action) {
    case SQLITE_ATTACH:
      return "ATTACH";
    case SQLITE_DETACH:
      return "DETACH";
    case SQLITE_PRAGMA:
      return "PRAGMA";
    case SQLITE_TRANSACTION:
      return "BEGIN, COMMIT or ROLLBACK";
    case SQLITE_SAVEPOINT:
      return "SAVEPOINT";
    case SQLITE_CREATE_TRIGGER:
    case SQLITE_CREATE_TEMP_TRIGGER:
      return "a trigger";
    case SQLITE_CREATE_VTABLE:
    case SQLITE_DROP_VTABLE:
      return "a virtual table";
    case SQLITE_ANALYZE:
      return "ANALYZE";
    case SQLITE_REINDEX:
      return "REINDEX";
    default:
      return "a change of the schema";
  }
}

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// Past a quoted run, a comment, or one character.
std::size_t skip(std::string_view sql, std::size_t at) {
  const char c = sql[at];
  const auto past = [&](std::string_view close, std::size_t from) {
    const auto end = sql.find(close, from);
    return end == std::string_view::npos ? sql.size() : end + close.size();
  };
  if (c == '\'' || c == '"' || c == '`') return past(std::string_view(&c, 1), at + 1);
  if (c == '[') return past("]", at + 1);
  if (sql.substr(at, 2) == "--") return past("\n", at + 2);
  if (sql.substr(at, 2) == "/*") return past("*/", at + 2);
  return at + 1;
}

}  // namespace

bool Guard::install(sqlite3* db) {
  if (sqlite3_exec(db, "SELECT key FROM json_each('[1]'); SELECT key FROM json_tree('[1]')",
                   nullptr, nullptr, nullptr) != SQLITE_OK)
    return false;
  return sqlite3_set_authorizer(db, &Guard::ask, this) == SQLITE_OK;
}

std::string Guard::take_reason() {
  std::string reason;
  reason.swap(reason_);
  return reason;
}

int Guard::refuse(std::string reason) {
  if (reason_.empty()) reason_ = std::move(reason);
  return SQLITE_DENY;
}

int Guard::ask(void* self,
               int action,
               const char* a,
               const char* b,
               const char* schema,
               const char* /*trigger*/) {
  auto* guard = static_cast<Guard*>(self);
  if (guard->trusted_) return SQLITE_OK;
  return guard->decide(action, view_of(a), view_of(b), view_of(schema));
}

int Guard::decide(int action, std::string_view a, std::string_view b, std::string_view schema) {
  switch (action) {
    case SQLITE_SELECT:
    case SQLITE_RECURSIVE:
      return SQLITE_OK;
    case SQLITE_FUNCTION: {
      const std::string name = lower_ascii(b);
      if (std::binary_search(kFunctions.begin(), kFunctions.end(), std::string_view(name)))
        return SQLITE_OK;
      return refuse("function " + name + "() is not in the list of allowed functions");
    }
    case SQLITE_READ: {
      const std::string name = lower_ascii(a);
      if (name == "json_each" || name == "json_tree") return SQLITE_OK;
      const bool known = std::binary_search(readable_->begin(), readable_->end(), std::string(a));
      if (known && (schema.empty() || schema == "main")) return SQLITE_OK;
      // No column is named where a query reads none: then the name may be that of a common table
      // expression.
      const bool hidden = starts_with(name, "sqlite_") || starts_with(name, "pragma_") ||
                          starts_with(name, "fts") || starts_with(name, "dbstat") ||
                          starts_with(name, "bytecode") || starts_with(name, "tables_used");
      if (b.empty() && !hidden) return SQLITE_OK;
      return refuse("reading '" + std::string(a) + "', which is no table or view of the state");
    }
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE: {
      const auto at =
          std::lower_bound(writable_->begin(), writable_->end(), a,
                           [](const Table& t, std::string_view n) { return t.name < n; });
      if (schema == "main" && at != writable_->end() && at->name == a) return SQLITE_OK;
      return refuse("writing '" + std::string(a) + "', which is no table of the state");
    }
    default:
      return refuse(std::string(action_name(action)) + " is not allowed");
  }
}

void set_limits(sqlite3* db) {
  sqlite3_limit(db, SQLITE_LIMIT_LENGTH, kMaxLength);
  sqlite3_limit(db, SQLITE_LIMIT_SQL_LENGTH, 100'000);
  sqlite3_limit(db, SQLITE_LIMIT_COLUMN, 256);
  sqlite3_limit(db, SQLITE_LIMIT_EXPR_DEPTH, 200);
  sqlite3_limit(db, SQLITE_LIMIT_COMPOUND_SELECT, 64);
  sqlite3_limit(db, SQLITE_LIMIT_VDBE_OP, 100'000);
  sqlite3_limit(db, SQLITE_LIMIT_FUNCTION_ARG, 100);
  sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
  sqlite3_limit(db, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 512);
  sqlite3_limit(db, SQLITE_LIMIT_VARIABLE_NUMBER, 256);
  sqlite3_limit(db, SQLITE_LIMIT_TRIGGER_DEPTH, 8);
  sqlite3_limit(db, SQLITE_LIMIT_WORKER_THREADS, 0);
}

std::string forbidden_word(std::string_view sql) {
  static constexpr std::array kWords = std::to_array<std::string_view>(
      {"current_date", "current_time", "current_timestamp", "random", "randomblob", "rollback"});
  for (std::size_t at = 0; at < sql.size();) {
    if (!is_word(sql[at])) {
      at = skip(sql, at);
      continue;
    }
    std::size_t end = at;
    while (end < sql.size() && is_word(sql[end])) ++end;
    std::string word = lower_ascii(sql.substr(at, end - at));
    if (std::find(kWords.begin(), kWords.end(), std::string_view(word)) != kWords.end())
      return word;
    at = end;
  }
  return {};
}

}  // namespace seedbed::sandbox::sql
