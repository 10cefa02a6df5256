#include "tasks/image.h"

#include <sqlite3.h>

#include <memory>

namespace seedbed::tasks {
namespace {

struct Close {
  void operator()(sqlite3* db) const { sqlite3_close(db); }
  void operator()(sqlite3_stmt* s) const { sqlite3_finalize(s); }
  void operator()(unsigned char* bytes) const { sqlite3_free(bytes); }
};

Error image_error(sqlite3* db, const std::string& sql) {
  return make_error(Where::tool, "environment image", sql.substr(0, 200), sqlite3_errmsg(db),
                    "the generator printed wrong SQL");
}

}  // namespace

Result<std::string> build_image(const std::vector<std::string>& ddl,
                                const std::vector<Inserts>& inserts) {
  sqlite3* raw = nullptr;
  const int opened = sqlite3_open_v2(
      ":memory:", &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  const std::unique_ptr<sqlite3, Close> db(raw);
  if (opened != SQLITE_OK)
    return Error{Where::tool, "environment image: cannot open a database in memory"};
  const auto run = [&](const std::string& sql) {
    return sqlite3_exec(db.get(), sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK;
  };
  for (const char* pragma : {"PRAGMA page_size=1024", "PRAGMA journal_mode=OFF", "BEGIN"})
    if (!run(pragma)) return image_error(db.get(), pragma);
  for (const auto& sql : ddl)
    if (!run(sql)) return image_error(db.get(), sql);
  for (const auto& insert : inserts) {
    sqlite3_stmt* s = nullptr;
    if (sqlite3_prepare_v2(db.get(), insert.sql.c_str(), -1, &s, nullptr) != SQLITE_OK)
      return image_error(db.get(), insert.sql);
    const std::unique_ptr<sqlite3_stmt, Close> owned(s);
    for (const auto& row : insert.rows) {
      for (std::size_t i = 0; i < row.size(); ++i) {
        const int at = static_cast<int>(i) + 1;
        if (const auto* n = std::get_if<std::int64_t>(&row[i]))
          sqlite3_bind_int64(s, at, *n);
        else if (const auto* t = std::get_if<std::string>(&row[i]))
          sqlite3_bind_text(s, at, t->data(), static_cast<int>(t->size()), SQLITE_STATIC);
        else
          sqlite3_bind_null(s, at);
      }
      if (sqlite3_step(s) != SQLITE_DONE) return image_error(db.get(), insert.sql);
      sqlite3_reset(s);
    }
  }
  if (!run("COMMIT")) return image_error(db.get(), "COMMIT");
  sqlite3_int64 size = 0;
  const std::unique_ptr<unsigned char, Close> bytes(sqlite3_serialize(db.get(), "main", &size, 0));
  if (!bytes) return image_error(db.get(), "serialize");
  return std::string(reinterpret_cast<const char*>(bytes.get()), static_cast<std::size_t>(size));
}

}  // namespace seedbed::tasks
