#include "sandbox/sql/database.h"

#include <sqlite3.h>

#include <algorithm>
#include <cstring>

#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"
#include "sandbox/sql/printf.h"

namespace seedbed::sandbox::sql {
namespace {

constexpr int kMaxStateBytes = 64 << 20;

Error refuse(std::string_view at, std::string_view found, std::string_view todo) {
  return make_error(Where::tool, "state image", at, found, todo);
}

Error sqlite_says(sqlite3* db, std::string_view at) {
  return refuse(at, sqlite3_errmsg(db), "make the image again");
}

bool run(sqlite3* db, const std::string& sql) {
  return sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK;
}

StatementPtr prepare(sqlite3* db, const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  sqlite3_prepare_v3(db, sql.c_str(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                     &statement, nullptr);
  return StatementPtr(statement);
}

std::string text_at(sqlite3_stmt* row, int column) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(row, column));
  return text == nullptr
             ? std::string()
             : std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(row, column)));
}

Result<DatabasePtr> connect() {
  sqlite3* raw = nullptr;
  const int rc = sqlite3_open_v2(
      ":memory:", &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY, nullptr);
  DatabasePtr db(raw);
  if (rc != SQLITE_OK) return refuse("", "SQLite opens no memory database", "replace the host");
  set_limits(raw);
  sqlite3_db_config(raw, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(raw, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  sqlite3_db_config(raw, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, nullptr);
  run(raw, "PRAGMA cell_size_check=ON");
  if (!add_printf(raw)) return refuse("", "SQLite takes no function", "replace the host");
  return db;
}

// SQLite itself checks the rest when the image is read.
Step check_header(std::string_view image) {
  static constexpr std::string_view kMagic("SQLite format 3\0", 16);
  const auto byte = [&](std::size_t i) {
    return static_cast<unsigned>(static_cast<unsigned char>(image[i]));
  };
  if (image.size() < 512 || image.substr(0, 16) != kMagic)
    return refuse("", std::to_string(image.size()) + " bytes that are no SQLite database",
                  "give sqlite3_serialize's bytes");
  if (image.size() > static_cast<std::size_t>(kMaxStateBytes))
    return refuse("", std::to_string(image.size()) + " bytes, at most 67108864",
                  "make the state smaller");
  const unsigned page = byte(16) << 8 | byte(17);
  const std::size_t page_bytes = page == 1 ? 65536 : page;
  if (page_bytes < 512 || (page_bytes & (page_bytes - 1)) != 0 || image.size() % page_bytes != 0)
    return refuse("", "page size and length do not agree", "give the whole image");
  if (byte(18) != 1 || byte(19) != 1)
    return refuse("", "written in WAL mode", "use journal_mode=MEMORY or DELETE");
  return std::nullopt;
}

}  // namespace

void CloseStatement::operator()(sqlite3_stmt* s) const {
  sqlite3_finalize(s);
}
void CloseDatabase::operator()(sqlite3* db) const {
  sqlite3_close_v2(db);
}

bool Allowance::use() {
  ops_left -= kStride;
  if (ops_left <= 0 || monotonic_us() > deadline_us) spent = true;
  return spent;
}

Database::~Database() = default;

// Through the backup API into a plain memory database: sqlite3_serialize of a deserialized one
// gives the committed bytes, not the episode's, so a digest taken from it would prove nothing.
Step Database::fill(std::string_view image) {
  if (auto e = check_header(image)) return e;
  SEEDBED_TRY(DatabasePtr source, connect());
  auto* bytes = static_cast<unsigned char*>(sqlite3_malloc64(image.size()));
  if (bytes == nullptr) return refuse("", "no memory for it", "make the state smaller");
  std::memcpy(bytes, image.data(), image.size());
  const auto size = static_cast<sqlite3_int64>(image.size());
  if (sqlite3_deserialize(source.get(), "main", bytes, size, size,
                          SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_READONLY) !=
      SQLITE_OK)
    return sqlite_says(source.get(), "");
  {
    const StatementPtr check = prepare(source.get(), "PRAGMA quick_check(1)");
    if (check == nullptr || sqlite3_step(check.get()) != SQLITE_ROW)
      return sqlite_says(source.get(), "");
    if (const std::string said = text_at(check.get(), 0); said != "ok")
      return refuse("", "damaged: " + said, "make the image again");
  }
  SEEDBED_TRY(db_, connect());
  sqlite3_backup* copy = sqlite3_backup_init(db_.get(), "main", source.get(), "main");
  if (copy == nullptr) return sqlite_says(db_.get(), "");
  const int rc = sqlite3_backup_step(copy, -1);
  if (sqlite3_backup_finish(copy) != SQLITE_OK || rc != SQLITE_DONE)
    return sqlite_says(db_.get(), "");
  // The copy counts as a change of the schema; the cookie goes back so that the bytes are the
  // image's.
  std::uint32_t cookie = 0;
  for (std::size_t i = 40; i < 44; ++i) cookie = cookie << 8 | static_cast<unsigned char>(image[i]);
  const auto page = static_cast<unsigned>(static_cast<unsigned char>(image[16])) << 8 |
                    static_cast<unsigned char>(image[17]);
  if (!run(db_.get(),
           "PRAGMA schema_version=" + std::to_string(static_cast<std::int32_t>(cookie))) ||
      !run(db_.get(),
           "PRAGMA max_page_count=" +
               std::to_string(kMaxStateBytes / static_cast<int>(page == 1 ? 65536 : page))) ||
      !run(db_.get(),
           "PRAGMA journal_mode=MEMORY; PRAGMA temp_store=MEMORY; PRAGMA secure_delete=OFF; PRAGMA "
           "foreign_keys=OFF"))
    return sqlite_says(db_.get(), "");
  sqlite3_db_config(db_.get(), SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  image_hash_ = content_hash(image);
  return std::nullopt;
}

Step Database::check_table(const std::string& name) {
  const StatementPtr columns = prepare(
      db_.get(),
      "SELECT name, upper(type), \"notnull\", pk, hidden FROM pragma_table_xinfo(?) ORDER BY cid");
  if (columns == nullptr) return sqlite_says(db_.get(), name);
  sqlite3_bind_text(columns.get(), 1, name.data(), static_cast<int>(name.size()), SQLITE_STATIC);
  Table table{name, 0, {}};
  bool all_set = true;
  std::vector<std::pair<int, int>> key;  // position in the key, column
  std::string type;
  while (sqlite3_step(columns.get()) == SQLITE_ROW) {
    if (sqlite3_column_int(columns.get(), 4) != 0)
      return refuse(name, "column '" + text_at(columns.get(), 0) + "' is generated",
                    "store it as a plain column");
    if (const int pk = sqlite3_column_int(columns.get(), 3); pk > 0) {
      key.emplace_back(pk, table.columns);
      all_set = all_set && sqlite3_column_int(columns.get(), 2) != 0;
      type = text_at(columns.get(), 1);
    }
    ++table.columns;
  }
  // The row id under another name is never NULL, whatever it declares; it has no index (INTEGER
  // PRIMARY KEY DESC has one).
  const StatementPtr index =
      prepare(db_.get(), "SELECT 1 FROM pragma_index_list(?) WHERE origin = 'pk'");
  if (index == nullptr) return sqlite_says(db_.get(), name);
  sqlite3_bind_text(index.get(), 1, name.data(), static_cast<int>(name.size()), SQLITE_STATIC);
  const bool is_rowid =
      key.size() == 1 && type == "INTEGER" && sqlite3_step(index.get()) == SQLITE_DONE;
  if (key.empty() || (!all_set && !is_rowid))
    return refuse(name, "table without a NOT NULL primary key",
                  "declare one: a write to it would leave no trace");
  std::sort(key.begin(), key.end());
  for (const auto& [position, column] : key) table.key.push_back(column);
  tables_.push_back(std::move(table));
  readable_.push_back(name);
  return std::nullopt;
}

Step Database::read_schema() {
  const StatementPtr all = prepare(db_.get(),
                                   "SELECT type, name, coalesce(sql, ''), coalesce(rootpage, 0) "
                                   "FROM sqlite_schema ORDER BY name");
  if (all == nullptr) return sqlite_says(db_.get(), "");
  int rc = SQLITE_ROW;
  while ((rc = sqlite3_step(all.get())) == SQLITE_ROW) {
    const std::string type = text_at(all.get(), 0);
    const std::string name = text_at(all.get(), 1);
    if (const std::string word = forbidden_word(text_at(all.get(), 2)); !word.empty())
      return refuse(name, "its definition uses " + word, "leave it out");
    if (type == "trigger") return refuse(name, "a trigger", "write effects as steps of the tools");
    if (name == "sqlite_sequence")
      return refuse(name, "AUTOINCREMENT", "take new keys from a counter table");
    if (name.rfind("sqlite_", 0) == 0 || type == "index") continue;
    if (type == "view") readable_.push_back(name);
    if (type != "table") continue;
    if (sqlite3_column_int64(all.get(), 3) == 0)
      return refuse(name, "a virtual table", "use plain tables");
    if (auto e = check_table(name)) return e;
  }
  if (rc != SQLITE_DONE) return sqlite_says(db_.get(), "");
  std::sort(readable_.begin(), readable_.end());
  std::sort(tables_.begin(), tables_.end(),
            [](const Table& a, const Table& b) { return a.name < b.name; });
  return std::nullopt;
}

Step Database::arm() {
  sqlite3* db = db_.get();
  recorder_.attach(db, &tables_);
  if (!guard_.install(db)) return sqlite_says(db, "");
  // Installing an authorizer makes every statement prepared before expire, so the host's own come
  // after it, trusted.
  guard_.trust(true);
  for (const char* sql :
       {"SAVEPOINT episode", "ROLLBACK TO episode", "SAVEPOINT call", "RELEASE call",
        "ROLLBACK TO call", "SAVEPOINT branch", "ROLLBACK TO branch", "RELEASE branch"}) {
    marks_.push_back(prepare(db, sql));
    if (marks_.back() == nullptr) return sqlite_says(db, sql);
  }
  guard_.trust(false);
  const auto watch = [](void* self) {
    auto* database = static_cast<Database*>(self);
    return database->allowance_.use() || database->recorder_.fault() != Recorder::Fault::none ? 1
                                                                                              : 0;
  };
  sqlite3_progress_handler(db, Allowance::kStride, watch, this);
  allowance_.deadline_us = INT64_MAX;
  if (!mark(Mark::episode)) return sqlite_says(db, "");
  if (digest() != image_hash_)
    return refuse("", "its bytes change when it is opened", "make it with this SQLite version");
  return std::nullopt;
}

Result<std::unique_ptr<Database>> Database::open(std::string_view image) {
  std::unique_ptr<Database> self(new Database());
  if (auto e = self->fill(image)) return *std::move(e);
  if (auto e = self->read_schema()) return *std::move(e);
  if (auto e = self->arm()) return *std::move(e);
  return self;
}

bool Database::mark(Mark mark) {
  const auto step = [&](std::size_t i) {
    sqlite3_stmt* s = marks_[i].get();
    const int rc = sqlite3_step(s);
    sqlite3_reset(s);
    return rc == SQLITE_DONE;
  };
  switch (mark) {
    case Mark::episode:
      return step(0);
    case Mark::reset:
      return step(1);
    case Mark::call:
      return step(2);
    case Mark::keep_call:
      return step(3);
    case Mark::drop_call:
      return step(4) && step(3);
    case Mark::branch:
      return step(5);
    case Mark::drop_branch:
      return step(6) && step(7);
  }
  return false;
}

bool Database::lost() const {
  return sqlite3_get_autocommit(db_.get()) != 0;
}

std::string Database::digest() {
  guard_.trust(true);  // sqlite3_serialize prepares a PRAGMA of its own
  sqlite3_int64 size = 0;
  unsigned char* bytes = sqlite3_serialize(db_.get(), "main", &size, 0);
  guard_.trust(false);
  if (bytes == nullptr) return {};
  std::string hash =
      content_hash({reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size)});
  sqlite3_free(bytes);
  return hash;
}

int Database::reprepared() const {
  int count = 0;
  for (const auto& s : marks_)
    count += sqlite3_stmt_status(s.get(), SQLITE_STMTSTATUS_REPREPARE, 0);
  return count;
}

}  // namespace seedbed::sandbox::sql
