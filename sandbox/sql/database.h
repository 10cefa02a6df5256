// One environment's state: a SQLite image in memory, an episode inside one outer SAVEPOINT, guards
// installed, changes recorded. Reset is ROLLBACK TO: no statement is prepared again and the
// serialized bytes are the image's again.
//
// (1) Nothing is ever committed.  (2) SQLite gives up the whole transaction when a writing
// statement is interrupted or memory runs out; lost() says so after a failed statement, and the
// caller then rebuilds the episode (session.h).
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sandbox/sql/guard.h"
#include "sandbox/sql/recorder.h"

struct sqlite3;
struct sqlite3_stmt;

namespace seedbed::sandbox::sql {

struct CloseStatement {
  void operator()(sqlite3_stmt* s) const;
};
using StatementPtr = std::unique_ptr<sqlite3_stmt, CloseStatement>;
struct CloseDatabase {
  void operator()(sqlite3* db) const;
};
using DatabasePtr = std::unique_ptr<sqlite3, CloseDatabase>;

// How long a call may run: virtual-machine operations, so that an endless tool ends the same way on
// every machine, and time.
struct Allowance {
  static constexpr std::int64_t kOps = 50'000'000;
  static constexpr int kStride = 1000;
  std::int64_t ops_left = kOps;
  std::int64_t deadline_us = 0;
  bool spent = false;
  // One stride is used; true when nothing is left.
  bool use();
};

enum class Mark : std::uint8_t { episode, reset, call, keep_call, drop_call, branch, drop_branch };

class Database {
 public:
  // Refuses (Error{tool}) what is no SQLite image, or holds triggers, virtual tables, generated
  // columns, AUTOINCREMENT, or a table without a NOT NULL primary key; the message names it.
  static Result<std::unique_ptr<Database>> open(std::string_view image);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  [[nodiscard]] sqlite3* handle() const { return db_.get(); }
  [[nodiscard]] const std::string& image_hash() const { return image_hash_; }
  [[nodiscard]] Guard& guard() { return guard_; }
  [[nodiscard]] Recorder& recorder() { return recorder_; }
  [[nodiscard]] Allowance& allowance() { return allowance_; }

  // Runs one of the host's own transaction statements. False where SQLite fails.
  bool mark(Mark mark);
  [[nodiscard]] bool lost() const;  // no transaction is open
  std::string digest();             // content hash of the serialized state, "" where SQLite fails
  [[nodiscard]] int reprepared() const;  // of the host's own statements

 private:
  Database() : guard_(&readable_, &tables_) {}
  Step fill(std::string_view image);
  Step read_schema();
  Step check_table(const std::string& name);
  Step arm();

  // Order matters: statements close before the connection.
  std::vector<std::string> readable_;
  std::vector<Table> tables_;
  Guard guard_;
  Recorder recorder_;
  Allowance allowance_;
  std::string image_hash_;
  DatabasePtr db_;
  std::vector<StatementPtr> marks_;
};

}  // namespace seedbed::sandbox::sql
