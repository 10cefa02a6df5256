#include "tasks/store_db.h"

#include <sqlite3.h>

#include <cerrno>
#include <system_error>

#include "base/check.h"
#include "tasks/blob.h"

namespace seedbed::tasks {
namespace {

constexpr int kBusyMs = 5'000;
constexpr std::string_view kFree = "free space and run the same command again: it continues";

// SQLite on Debian reads "file:..." as a URI and ":memory:" as no file; a path is only ever a path
// here.
std::string plain_path(const std::string& path) {
  return path.rfind("file:", 0) == 0 || path.rfind(':', 0) == 0 ? "./" + path : path;
}

std::string immutable_uri(const std::string& path) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out = "file:";
  for (const char c : path) {
    const auto u = static_cast<unsigned char>(c);
    const bool plain = (u >= 'a' && u <= 'z') || (u >= 'A' && u <= 'Z') || (u >= '0' && u <= '9') ||
                       c == '/' || c == '.' || c == '-' || c == '_';
    if (plain)
      out.push_back(c);
    else
      out.append(1, '%').append(1, kHex[u >> 4U]).append(1, kHex[u & 15U]);
  }
  return out + "?immutable=1";
}

// An untrusted file may hold triggers, views and sizes of its author's choice.
void harden(sqlite3* db) {
  sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, nullptr);
  sqlite3_limit(db, SQLITE_LIMIT_LENGTH, static_cast<int>(kMaxBlobBytes + (1U << 20)));
  sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
}

}  // namespace

Result<std::unique_ptr<Db>> Db::open(const std::string& path, Access access) {
  std::unique_ptr<Db> out(new Db(path));
  const auto attempt = [&](const std::string& name, int flags) {
    sqlite3_close_v2(out->db_);
    out->db_ = nullptr;
    int code = sqlite3_open_v2(name.c_str(), &out->db_,
                               flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
    SEEDBED_CHECK(out->db_ != nullptr);
    harden(out->db_);
    sqlite3_busy_timeout(out->db_, kBusyMs);
    // Opening reads nothing: the WAL and its index are met by the first statement.
    if (code == SQLITE_OK)
      code =
          sqlite3_exec(out->db_, "SELECT count(*) FROM sqlite_schema", nullptr, nullptr, nullptr);
    return code;
  };
  int code = attempt(plain_path(path),
                     SQLITE_OPEN_READWRITE | (access == Access::create ? SQLITE_OPEN_CREATE : 0));
  const int kind = code & 0xFF;
  // A store on a medium that cannot be written is still readable. A connection that may write
  // leaves no -wal behind, so it is tried first even for reading.
  if (access == Access::read && (kind == SQLITE_CANTOPEN || kind == SQLITE_READONLY)) {
    code = attempt(plain_path(path), SQLITE_OPEN_READONLY);
    if ((code & 0xFF) == SQLITE_CANTOPEN)
      code = attempt(immutable_uri(plain_path(path)), SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
  }
  if (code != SQLITE_OK) return out->error(code, "opening it");
  if (access == Access::read) {
    if (auto e = out->exec("PRAGMA query_only = ON", "opening it")) return *std::move(e);
  }
  return out;
}

Result<std::unique_ptr<Db>> Db::in_memory() {
  std::unique_ptr<Db> out(new Db(":memory:"));
  const int code =
      sqlite3_open_v2(":memory:", &out->db_,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  if (code != SQLITE_OK) return out->error(code, "opening a database in memory");
  return out;
}

Db::~Db() {
  for (auto& [sql, statement] : statements_) sqlite3_finalize(statement.stmt);
  sqlite3_close_v2(db_);
}

Step Db::exec(const std::string& sql, std::string_view doing) {
  const int code = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return error(code, doing);
  return std::nullopt;
}

Error Db::damaged(std::string_view found) const {
  return make_error(Where::store, "store", path_, "damaged: " + std::string(found),
                    "restore it from a copy, or start over with --fresh");
}

Error Db::error(int code, std::string_view doing) const {
  const int os = sqlite3_system_errno(db_);
  const std::string during = " (while " + std::string(doing) + ")";
  const std::string os_says = os == 0 ? sqlite3_errstr(code) : std::generic_category().message(os);
  const auto say = [&](const std::string& found, std::string_view todo) {
    return make_error(Where::store, "store", path_, found + during, todo);
  };
  const int kind = code & 0xFF;
  if (kind == SQLITE_FULL || (kind == SQLITE_IOERR && (os == ENOSPC || os == EDQUOT)) ||
      (kind == SQLITE_CANTOPEN && os == ENOSPC))
    return make_error(Where::store, "store", path_,
                      "disk full while writing, what was committed before is kept" + during, kFree);
  switch (kind) {
    case SQLITE_NOTADB:
      return say("it is not a SQLite database, a seedbed store is wanted",
                 "give the path of a store, or another path for a new one");
    case SQLITE_CORRUPT:
      return damaged(std::string(sqlite3_errmsg(db_)) + during);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return say("another program is writing to it, one writer is allowed",
                 "wait until that program ends, or end it");
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return say("it cannot be written: " + os_says,
                 "check the permissions of the file and its folder");
    case SQLITE_CANTOPEN:
      return say("it cannot be opened: " + os_says,
                 "check the path and the permissions of its folder");
    case SQLITE_IOERR:
      return say("input or output error: " + os_says,
                 "check the disk and run the same command again: it continues");
    case SQLITE_NOMEM:
      return say("out of memory", "free memory and run the same command again: it continues");
    case SQLITE_CONSTRAINT:
      return damaged("its rows contradict each other, " + std::string(sqlite3_errmsg(db_)) +
                     during);
    default:
      return say(std::string("SQLite says ") + sqlite3_errmsg(db_),
                 "report this with the command that led to it");
  }
}

bool Db::in_transaction() const {
  return sqlite3_get_autocommit(db_) == 0;
}
std::int64_t Db::last_row() const {
  return sqlite3_last_insert_rowid(db_);
}
int Db::changed_rows() const {
  return sqlite3_changes(db_);
}

Step Db::checkpoint() {
  const int code =
      sqlite3_wal_checkpoint_v2(db_, nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  if (code != SQLITE_OK && (code & 0xFF) != SQLITE_BUSY)
    return error(code, "writing the journal into the file");
  return std::nullopt;
}

Use::Use(Db& db, std::string_view sql) : db_(db) {
  auto at = db.statements_.find(sql);
  if (at == db.statements_.end()) {
    Db::Statement fresh;
    const int code = sqlite3_prepare_v3(db.db_, sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &fresh.stmt, nullptr);
    if (code != SQLITE_OK) {
      note(code);
      return;
    }
    at = db.statements_.emplace(std::string(sql), fresh).first;
  }
  SEEDBED_CHECK(!at->second.used, sql);
  statement_ = &at->second;
  statement_->used = true;
}

Use::~Use() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_->stmt);
  statement_->used = false;
}

void Use::note(int code) {
  if (failed_ == SQLITE_OK && code != SQLITE_OK) failed_ = code;
}

Use& Use::bind(std::int64_t value) {
  if (statement_ != nullptr) note(sqlite3_bind_int64(statement_->stmt, ++next_, value));
  return *this;
}
Use& Use::bind(double value) {
  if (statement_ != nullptr) note(sqlite3_bind_double(statement_->stmt, ++next_, value));
  return *this;
}
Use& Use::bind(std::string_view text) {
  // A null pointer would bind NULL.
  const char* data = text.data() == nullptr ? "" : text.data();
  if (statement_ != nullptr)
    note(sqlite3_bind_text64(statement_->stmt, ++next_, data, text.size(), SQLITE_STATIC,
                             SQLITE_UTF8));
  return *this;
}
Use& Use::bind_bytes(std::string_view bytes) {
  const char* data = bytes.data() == nullptr ? "" : bytes.data();
  if (statement_ != nullptr)
    note(sqlite3_bind_blob64(statement_->stmt, ++next_, data, bytes.size(), SQLITE_STATIC));
  return *this;
}
Use& Use::bind_null() {
  if (statement_ != nullptr) note(sqlite3_bind_null(statement_->stmt, ++next_));
  return *this;
}

Result<bool> Use::step() {
  if (failed_ != SQLITE_OK) return db_.error(failed_, "preparing a statement");
  SEEDBED_CHECK(next_ == sqlite3_bind_parameter_count(statement_->stmt), next_);
  const int code = sqlite3_step(statement_->stmt);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return db_.error(code, sqlite3_stmt_readonly(statement_->stmt) != 0 ? "reading" : "writing");
}

Step Use::run() {
  for (;;) {
    auto row = step();
    if (!row.ok()) return std::move(row).error();
    if (!*row) return std::nullopt;
  }
}

std::int64_t Use::integer(int column) const {
  return sqlite3_column_int64(statement_->stmt, column);
}
double Use::number(int column) const {
  return sqlite3_column_double(statement_->stmt, column);
}
bool Use::is_null(int column) const {
  return sqlite3_column_type(statement_->stmt, column) == SQLITE_NULL;
}
std::string_view Use::view(int column) const {
  const void* data = sqlite3_column_blob(statement_->stmt, column);
  const int size = sqlite3_column_bytes(statement_->stmt, column);
  return data == nullptr
             ? std::string_view()
             : std::string_view(static_cast<const char*>(data), static_cast<std::size_t>(size));
}

}  // namespace seedbed::tasks
