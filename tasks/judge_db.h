// The judge's own copy of an environment's state: a SQLite image in memory, opened as hostile
// input. Inside tasks only.
//
// (1) Reads (views, conditions, obligations) are prepared under an authorizer that allows SELECT
// over the image's tables and views and functions by list. (2) The one writer is apply(), which
// checks each row against what it claims was there before. (3) Everything happens inside one
// SAVEPOINT; rollback() gives the initial state again. (4) Triggers and foreign keys are off:
// recorded changes already hold what they did.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/result.h"
#include "schemas/call.h"
#include "schemas/value.h"

struct sqlite3;
struct sqlite3_stmt;

namespace seedbed::tasks {

constexpr std::int64_t kTicksPerRead = 2'500;  // of 4,000 virtual machine steps each
std::string quoted_name(std::string_view name);
Error bad_image(const std::string& found, const char* todo = "make the environment again");

class Statement {  // a prepared statement, owned
 public:
  Statement() = default;
  explicit Statement(sqlite3_stmt* stmt) : stmt_(stmt) {}
  Statement(Statement&& other) noexcept : stmt_(std::exchange(other.stmt_, nullptr)) {}
  Statement& operator=(Statement&& other) noexcept {
    std::swap(stmt_, other.stmt_);
    return *this;
  }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement();
  [[nodiscard]] sqlite3_stmt* get() const { return stmt_; }

 private:
  sqlite3_stmt* stmt_ = nullptr;
};

struct TableInfo {
  std::string name;
  std::vector<std::string> columns;
  std::vector<int> key;  // indices of the primary key's columns
  bool other_unique =
      false;  // a unique index besides the key: updates are then applied as delete and insert
  Statement insert, remove, update;  // remove and update match the whole row as it was
};

struct Query {  // a read with its parameters by name
  Statement statement;
  std::vector<std::string> tables;                      // what it reads, through views too; sorted
  std::vector<std::pair<int, std::string>> parameters;  // (index, name without its colon)
};

class JudgeDb {
 public:
  // Refuses an image that is no database, whose tables lack a NOT NULL primary key, or that holds
  // virtual tables.
  static Result<std::unique_ptr<JudgeDb>> open(const std::string& image);
  ~JudgeDb();
  JudgeDb(const JudgeDb&) = delete;
  JudgeDb& operator=(const JudgeDb&) = delete;

  [[nodiscard]] const TableInfo* table(const std::string& name) const;
  [[nodiscard]] bool has_view(const std::string& name) const {
    return readable_.contains(name) && table(name) == nullptr;
  }
  [[nodiscard]] std::vector<std::string> table_names() const;
  // A read-only statement; `at` names it in the error.
  Result<Query> prepare(const std::string& sql, const std::string& at);

  // The net changes of one call. An error means that the evidence does not fit the state.
  Step apply(std::span<const schemas::RowChange> changes_of_one_call);
  Step rollback();

  // Steps a read within the budget of operations: true where there is a row, false at the end.
  // begin() starts the budget.
  void begin(const Query& query);
  Result<bool> step(const Query& query, const std::string& at);
  // Whether the query's first row begins with the integer 1; `bind` gives the value of a parameter.
  template <class F>
  Result<bool> holds(const Query& query, const std::string& at, F&& bind) {
    begin(query);
    for (const auto& [index, name] : query.parameters) bind_value(query, index, bind(name));
    return first_is_one(query, at);
  }
  static schemas::Scalar column(const Query& query, int index);
  static bool is_scalar(const Query& query, int index);  // integer, text or null
  static bool column_equals(const Query& query, int index, const schemas::Scalar& value);
  static void reset(const Query& query);

 private:
  JudgeDb() = default;
  static int authorize(
      void* self, int action, const char* a, const char* b, const char* database, const char* view);
  static int progress(void* self);
  Step load(const std::string& image);
  Step harden();
  Step learn_tables();
  Step learn_table(const std::string& name);
  Step prepare_writers(TableInfo& table);
  Step run(const char* sql);
  Step insert_row(TableInfo& table, const schemas::RowChange& change);
  Step remove_row(TableInfo& table, const schemas::RowChange& change);
  Step update_row(TableInfo& table, const schemas::RowChange& change);
  Step finish(const Statement& statement, const schemas::RowChange& change, const char* what);
  Result<bool> first_is_one(const Query& query, const std::string& at);
  static void bind_value(const Query& query, int index, const schemas::Value& value);
  [[nodiscard]] std::string message() const;

  sqlite3* db_ = nullptr;
  std::unordered_map<std::string, TableInfo> tables_;
  std::unordered_set<std::string> readable_;  // tables and views that reads may name
  Statement rollback_;
  std::string denied_;          // what the authorizer refused last
  std::set<std::string> read_;  // what the statement under preparation reads
  bool guarded_ = false;
  bool dirty_ = false;
  std::int64_t budget_ = 0;
};

}  // namespace seedbed::tasks
