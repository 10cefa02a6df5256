#include "tasks/judge_db.h"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

namespace seedbed::tasks {
namespace {

using schemas::Scalar;
using schemas::Value;

constexpr std::size_t kMaxImageBytes = 64U << 20;
constexpr int kMaxTables = 512;
constexpr int kOpsPerTick = 4'000;

// Deterministic, bounded, and integer or text in their results. No clocks, no random draws, no
// floats.
constexpr std::array<std::string_view, 52> kFunctions = {"abs",
                                                         "coalesce",
                                                         "count",
                                                         "sum",
                                                         "min",
                                                         "max",
                                                         "length",
                                                         "lower",
                                                         "upper",
                                                         "substr",
                                                         "substring",
                                                         "instr",
                                                         "trim",
                                                         "ltrim",
                                                         "rtrim",
                                                         "replace",
                                                         "ifnull",
                                                         "iif",
                                                         "nullif",
                                                         "typeof",
                                                         "like",
                                                         "glob",
                                                         "unicode",
                                                         "char",
                                                         "hex",
                                                         "printf",
                                                         "format",
                                                         "sign",
                                                         "group_concat",
                                                         "json",
                                                         "json_each",
                                                         "json_tree",
                                                         "json_array",
                                                         "json_object",
                                                         "json_array_length",
                                                         "json_extract",
                                                         "json_type",
                                                         "json_valid",
                                                         "json_group_array",
                                                         "json_group_object",
                                                         "->",
                                                         "->>",
                                                         "row_number",
                                                         "rank",
                                                         "dense_rank",
                                                         "lag",
                                                         "lead",
                                                         "first_value",
                                                         "last_value",
                                                         "nth_value",
                                                         "likelihood",
                                                         "likely"};

std::string text_of(sqlite3_stmt* stmt, int column) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(stmt, column));
  return text == nullptr
             ? ""
             : std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(stmt, column)));
}

}  // namespace

std::string quoted_name(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) {
    if (c == '"') out.push_back('"');
    out.push_back(c);
  }
  return out + "\"";
}

Error bad_image(const std::string& found, const char* todo) {
  return make_error(Where::verifier, "state image", "the judge's copy", found, todo);
}

Statement::~Statement() {
  sqlite3_finalize(stmt_);
}

JudgeDb::~JudgeDb() {
  tables_.clear();
  rollback_ = Statement();
  sqlite3_close_v2(db_);  // statements that the owner still holds are freed with it
}

std::string JudgeDb::message() const {
  return sqlite3_errmsg(db_);
}

const TableInfo* JudgeDb::table(const std::string& name) const {
  const auto it = tables_.find(name);
  return it == tables_.end() ? nullptr : &it->second;
}

std::vector<std::string> JudgeDb::table_names() const {
  std::vector<std::string> out;
  for (const auto& [name, info] : tables_) out.push_back(name);
  std::sort(out.begin(), out.end());
  return out;
}

Result<std::unique_ptr<JudgeDb>> JudgeDb::open(const std::string& image) {
  std::unique_ptr<JudgeDb> db(new JudgeDb);
  if (auto e = db->load(image)) return *std::move(e);
  if (auto e = db->harden()) return *std::move(e);
  if (auto e = db->learn_tables()) return *std::move(e);
  if (auto e = db->run("BEGIN; SAVEPOINT judged")) return *std::move(e);
  sqlite3_stmt* stmt = nullptr;
  if (sqlite3_prepare_v3(db->db_, "ROLLBACK TO judged", -1, SQLITE_PREPARE_PERSISTENT, &stmt,
                         nullptr) != SQLITE_OK)
    return bad_image(db->message());
  db->rollback_ = Statement(stmt);
  sqlite3_set_authorizer(db->db_, &JudgeDb::authorize, db.get());
  sqlite3_progress_handler(db->db_, kOpsPerTick, &JudgeDb::progress, db.get());
  return db;
}

Step JudgeDb::load(const std::string& image) {
  if (image.size() < 512 || image.size() > kMaxImageBytes ||
      image.compare(0, 15, "SQLite format 3") != 0)
    return bad_image(std::to_string(image.size()) +
                     " bytes, wanted a SQLite database of at most 64 MiB");
  if (sqlite3_open_v2(":memory:", &db_,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY | SQLITE_OPEN_NOMUTEX,
                      nullptr) != SQLITE_OK)
    return bad_image(db_ == nullptr ? "SQLite gave no memory" : message());
  auto* bytes = static_cast<unsigned char*>(sqlite3_malloc64(image.size()));
  if (bytes == nullptr) return bad_image("SQLite gave no memory");
  std::memcpy(bytes, image.data(), image.size());
  const auto size = static_cast<sqlite3_int64>(image.size());
  if (sqlite3_deserialize(db_, "main", bytes, size, size,
                          SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE) !=
      SQLITE_OK)
    return bad_image(message());
  return std::nullopt;
}

Step JudgeDb::harden() {
  const auto set = [this](int option, int value) {
    return sqlite3_db_config(db_, option, value, nullptr) == SQLITE_OK;
  };
  const bool hard = set(SQLITE_DBCONFIG_DEFENSIVE, 1) && set(SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0) &&
                    set(SQLITE_DBCONFIG_ENABLE_TRIGGER, 0) && set(SQLITE_DBCONFIG_ENABLE_FKEY, 0) &&
                    set(SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0) &&
                    set(SQLITE_DBCONFIG_DQS_DML, 0) && set(SQLITE_DBCONFIG_DQS_DDL, 0) &&
                    set(SQLITE_DBCONFIG_WRITABLE_SCHEMA, 0);
  if (!hard) return bad_image("SQLite refuses a hardening option", "use SQLite 3.40 or later");
  for (const auto& [limit, value] : {std::pair{SQLITE_LIMIT_LENGTH, 1 << 20},
                                     {SQLITE_LIMIT_SQL_LENGTH, 1 << 18},
                                     {SQLITE_LIMIT_COLUMN, 200},
                                     {SQLITE_LIMIT_EXPR_DEPTH, 200},
                                     {SQLITE_LIMIT_COMPOUND_SELECT, 64},
                                     {SQLITE_LIMIT_VDBE_OP, 100'000},
                                     {SQLITE_LIMIT_FUNCTION_ARG, 32},
                                     {SQLITE_LIMIT_ATTACHED, 0},
                                     {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 256},
                                     {SQLITE_LIMIT_WORKER_THREADS, 0}})
    sqlite3_limit(db_, limit, value);
  // The first use of json_each declares a table, which the authorizer would refuse: it is used once
  // before.
  return run(
      "PRAGMA journal_mode=MEMORY; PRAGMA cell_size_check=ON; PRAGMA secure_delete=OFF; PRAGMA "
      "temp_store=MEMORY;"
      "SELECT 1 FROM json_each('[1]'), json_tree('[1]')");
}

Step JudgeDb::run(const char* sql) {
  if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) == SQLITE_OK) return std::nullopt;
  return bad_image(message());
}

Step JudgeDb::learn_tables() {
  sqlite3_stmt* stmt = nullptr;
  if (sqlite3_prepare_v2(
          db_,
          "SELECT type, name, sql FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY name",
          -1, &stmt, nullptr) != SQLITE_OK)
    return bad_image(message());
  Statement list(stmt);
  std::vector<std::string> tables;
  int rc = SQLITE_ROW;
  while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    const std::string name = text_of(stmt, 1);
    if (name.rfind("sqlite_", 0) == 0) continue;
    if (text_of(stmt, 2).compare(0, 14, "CREATE VIRTUAL") == 0)
      return bad_image("virtual table " + name);
    readable_.insert(name);
    if (text_of(stmt, 0) == "table") tables.push_back(name);
  }
  if (rc != SQLITE_DONE) return bad_image(message());
  if (tables.size() > kMaxTables) return bad_image("more than 512 tables");
  for (const auto& name : tables)
    if (auto e = learn_table(name)) return e;
  return std::nullopt;
}

Step JudgeDb::learn_table(const std::string& name) {
  TableInfo info{.name = name,
                 .columns = {},
                 .key = {},
                 .other_unique = false,
                 .insert = {},
                 .remove = {},
                 .update = {}};
  sqlite3_stmt* stmt = nullptr;
  if (sqlite3_prepare_v2(db_, ("PRAGMA table_xinfo(" + quoted_name(name) + ")").c_str(), -1, &stmt,
                         nullptr) != SQLITE_OK)
    return bad_image(message());
  const Statement columns(stmt);
  std::vector<std::pair<int, int>> key;  // (position in the key, column)
  std::vector<bool> not_null;
  std::vector<std::string> types;
  while (sqlite3_step(stmt) == SQLITE_ROW) {
    if (sqlite3_column_int(stmt, 6) != 0)
      return bad_image("table " + name + " has a generated or hidden column");
    if (const int part = sqlite3_column_int(stmt, 5); part > 0)
      key.emplace_back(part, static_cast<int>(info.columns.size()));
    info.columns.push_back(text_of(stmt, 1));
    types.push_back(text_of(stmt, 2));
    not_null.push_back(sqlite3_column_int(stmt, 3) != 0);
  }
  std::sort(key.begin(), key.end());
  for (const auto& [part, column] : key) info.key.push_back(column);
  if (key.empty())
    return bad_image("table " + name + " has no primary key",
                     "declare one: writes to it would be invisible");
  const bool is_rowid =
      key.size() == 1 &&
      sqlite3_stricmp(types[static_cast<std::size_t>(info.key[0])].c_str(), "INTEGER") == 0;
  for (const int column : info.key)
    if (!not_null[static_cast<std::size_t>(column)] && !is_rowid)
      return bad_image("key column " + name + "." + info.columns[static_cast<std::size_t>(column)] +
                           " may be null",
                       "declare it NOT NULL: rows with a null key are invisible to the recorder");
  if (sqlite3_prepare_v2(db_, ("PRAGMA index_list(" + quoted_name(name) + ")").c_str(), -1, &stmt,
                         nullptr) != SQLITE_OK)
    return bad_image(message());
  const Statement indexes(stmt);
  while (sqlite3_step(stmt) == SQLITE_ROW)
    info.other_unique =
        info.other_unique || (sqlite3_column_int(stmt, 2) != 0 && text_of(stmt, 3) != "pk");
  if (auto e = prepare_writers(info)) return e;
  tables_.emplace(name, std::move(info));
  return std::nullopt;
}

int JudgeDb::authorize(void* self,
                       int action,
                       const char* a,
                       const char* b,
                       const char* /*database*/,
                       const char* /*view*/) {
  auto& db = *static_cast<JudgeDb*>(self);
  if (!db.guarded_) return SQLITE_OK;  // our own writers, when SQLite prepares them again
  const std::string_view first = a == nullptr ? "" : a;
  const std::string_view second = b == nullptr ? "" : b;
  switch (action) {
    case SQLITE_SELECT:
    case SQLITE_RECURSIVE:
      return SQLITE_OK;
    case SQLITE_READ: {
      // What is neither in the schema nor of SQLite's own is a WITH table; a module's table must be
      // declared first, which is a CREATE and refused below.
      if (first.substr(0, 7) != "sqlite_" && first.substr(0, 7) != "pragma_") {
        db.read_.emplace(first);
        return SQLITE_OK;
      }
      db.denied_ = "reading " + std::string(first);
      return SQLITE_DENY;
    }
    case SQLITE_FUNCTION:
      if (std::find(kFunctions.begin(), kFunctions.end(), second) != kFunctions.end())
        return SQLITE_OK;
      db.denied_ = "function " + std::string(second);
      return SQLITE_DENY;
    default:
      db.denied_ =
          "anything but reading (action " + std::to_string(action) + " " + std::string(first) + ")";
  }
  return SQLITE_DENY;
}

int JudgeDb::progress(void* self) {
  auto& db = *static_cast<JudgeDb*>(self);
  return --db.budget_ <= 0 ? 1 : 0;
}

Result<Query> JudgeDb::prepare(const std::string& sql, const std::string& at) {
  sqlite3_stmt* stmt = nullptr;
  const char* tail = nullptr;
  denied_.clear();
  read_.clear();
  guarded_ = true;
  budget_ = kTicksPerRead;
  const int rc = sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()),
                                    SQLITE_PREPARE_PERSISTENT, &stmt, &tail);
  guarded_ = false;
  Query query{.statement = Statement(stmt), .tables = {}, .parameters = {}};
  for (const auto& name : read_)
    if (table(name) != nullptr) query.tables.push_back(name);
  if (rc != SQLITE_OK)
    return make_error(Where::verifier, "SQL", at,
                      denied_.empty() ? message() : denied_ + " is not allowed",
                      "read the views and use the listed functions only: " + sql.substr(0, 200));
  const std::string_view rest(tail, static_cast<std::size_t>(sql.data() + sql.size() - tail));
  if (stmt == nullptr || rest.find_first_not_of(" \t\r\n;") != std::string_view::npos)
    return make_error(Where::verifier, "SQL", at, "found none or several statements, wanted one",
                      "write one SELECT");
  if (sqlite3_stmt_readonly(stmt) == 0 || sqlite3_column_count(stmt) < 1)
    return make_error(Where::verifier, "SQL", at, "found a write, wanted a read",
                      "write one SELECT");
  for (int i = 1; i <= sqlite3_bind_parameter_count(stmt); ++i) {
    const char* name = sqlite3_bind_parameter_name(stmt, i);
    if (name == nullptr || name[0] != ':')
      return make_error(Where::verifier, "SQL", at, "found an unnamed parameter, wanted :NAME",
                        "name every parameter");
    query.parameters.emplace_back(i, name + 1);
  }
  return query;
}

void JudgeDb::begin(const Query& query) {
  sqlite3_reset(query.statement.get());
  budget_ = kTicksPerRead;
}

Result<bool> JudgeDb::step(const Query& query, const std::string& at) {
  guarded_ = true;
  const int rc = sqlite3_step(query.statement.get());
  guarded_ = false;
  if (rc == SQLITE_ROW) return true;
  if (rc == SQLITE_DONE) return false;
  Error error = make_error(Where::verifier, "SQL", at,
                           rc == SQLITE_INTERRUPT ? "ran past its budget" : message(),
                           "simplify the statement or mend the state");
  sqlite3_reset(query.statement.get());
  return error;
}

Result<bool> JudgeDb::first_is_one(const Query& query, const std::string& at) {
  auto row = step(query, at);
  if (!row.ok()) return row;
  const bool one = *row && sqlite3_column_type(query.statement.get(), 0) == SQLITE_INTEGER &&
                   sqlite3_column_int64(query.statement.get(), 0) == 1;
  sqlite3_reset(query.statement.get());
  return one;
}

void JudgeDb::reset(const Query& query) {
  sqlite3_reset(query.statement.get());
}

void JudgeDb::bind_value(const Query& query, int index, const Value& value) {
  sqlite3_stmt* stmt = query.statement.get();
  const auto text = [&](const std::string& s) {
    sqlite3_bind_text64(stmt, index, s.data(), s.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  };
  switch (value.kind()) {
    case Value::Kind::null:
      sqlite3_bind_null(stmt, index);
      break;
    case Value::Kind::boolean:
      sqlite3_bind_int64(stmt, index, value.as_bool() ? 1 : 0);
      break;
    case Value::Kind::integer:
      sqlite3_bind_int64(stmt, index, value.as_int());
      break;
    case Value::Kind::number: {
      const double d = value.as_double();
      if (std::trunc(d) == d && std::abs(d) <= 9007199254740992.0)
        sqlite3_bind_int64(stmt, index, static_cast<std::int64_t>(d));
      else
        sqlite3_bind_double(stmt, index, d);
      break;
    }
    case Value::Kind::string:
      text(value.as_string());
      break;
    case Value::Kind::array:
    case Value::Kind::object:
      text(schemas::dump(value));
      break;
  }
}

Scalar JudgeDb::column(const Query& query, int index) {
  sqlite3_stmt* stmt = query.statement.get();
  switch (sqlite3_column_type(stmt, index)) {
    case SQLITE_INTEGER:
      return std::int64_t{sqlite3_column_int64(stmt, index)};
    case SQLITE_NULL:
      return std::monostate{};
    default:
      return text_of(stmt, index);
  }
}

bool JudgeDb::is_scalar(const Query& query, int index) {
  const int type = sqlite3_column_type(query.statement.get(), index);
  return type == SQLITE_INTEGER || type == SQLITE_TEXT || type == SQLITE_NULL;
}

bool JudgeDb::column_equals(const Query& query, int index, const Scalar& value) {
  sqlite3_stmt* stmt = query.statement.get();
  const int type = sqlite3_column_type(stmt, index);
  if (const auto* i = std::get_if<std::int64_t>(&value))
    return type == SQLITE_INTEGER && sqlite3_column_int64(stmt, index) == *i;
  if (const auto* s = std::get_if<std::string>(&value)) {
    if (type != SQLITE_TEXT) return false;
    const auto* text = sqlite3_column_text(stmt, index);
    return static_cast<std::size_t>(sqlite3_column_bytes(stmt, index)) == s->size() &&
           std::memcmp(text, s->data(), s->size()) == 0;
  }
  return type == SQLITE_NULL;
}

}  // namespace seedbed::tasks
