// SQLite as the store needs it: one connection, statements prepared once, result codes as four-part
// errors. Private to tasks.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace seedbed::tasks {

enum class Access : std::uint8_t { create, write, read };

// Not thread-safe.
class Db {
 public:
  // Opens without looking inside; foreign and damaged files show at the first statement.
  static Result<std::unique_ptr<Db>> open(const std::string& path, Access access);
  static Result<std::unique_ptr<Db>> in_memory();
  ~Db();  // closes; SQLite then folds the WAL into the file where this is the last connection
  Db(const Db&) = delete;
  Db& operator=(const Db&) = delete;

  // Runs statements that give no rows of interest. `doing` completes "while ..." in the message.
  Step exec(const std::string& sql, std::string_view doing);
  // The error for a result code of this connection: disk full, damaged, in use, not a database ...
  [[nodiscard]] Error error(int code, std::string_view doing) const;
  [[nodiscard]] Error damaged(std::string_view found) const;
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] bool in_transaction() const;
  [[nodiscard]] std::int64_t last_row() const;
  [[nodiscard]] int changed_rows() const;
  // Frames of the WAL into the file, the WAL cut to nothing; where readers hold it, as far as they
  // allow.
  Step checkpoint();

 private:
  friend class Use;
  struct Statement {
    sqlite3_stmt* stmt = nullptr;
    bool used = false;
  };
  explicit Db(std::string path) : path_(std::move(path)) {}
  sqlite3* db_ = nullptr;
  std::string path_;
  std::map<std::string, Statement, std::less<>> statements_;
};

// One run of a statement; the statement is ready again when this goes out of scope. What is bound
// must live as long. A statement must not be used again inside its own use.
class Use {
 public:
  Use(Db& db, std::string_view sql);
  ~Use();
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;

  Use& bind(std::int64_t value);  // each bind takes the next parameter
  Use& bind(int value) { return bind(static_cast<std::int64_t>(value)); }
  Use& bind(bool value) { return bind(static_cast<std::int64_t>(value)); }
  Use& bind(double value);
  Use& bind(std::string_view text);
  Use& bind(const char* text) { return bind(std::string_view(text)); }
  Use& bind_bytes(std::string_view bytes);
  Use& bind_null();

  Result<bool> step();  // whether there is a row
  Step run();           // to the end, rows ignored

  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] double number(int column) const;
  [[nodiscard]] bool is_null(int column) const;
  [[nodiscard]] std::string_view view(int column) const;  // text or bytes, until the next step
  [[nodiscard]] std::string text(int column) const { return std::string(view(column)); }

 private:
  void note(int code);
  Db& db_;
  Db::Statement* statement_ = nullptr;
  int next_ = 0;
  int failed_ = 0;
};

}  // namespace seedbed::tasks
