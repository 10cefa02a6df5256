// What a tool's SQL may do: SQLite's authorizer with an allowlist of actions, tables and functions,
// and limits. It acts when a statement is prepared; every statement of a tool is prepared at load.
//
// Allowed: SELECT (recursive too), and INSERT, UPDATE, DELETE on the state's own tables. Not
// allowed: ATTACH, PRAGMA, any DDL, transactions, SQLite's own tables, table-valued functions but
// json_each and json_tree, and every function that is not in the list. What the list leaves out on
// purpose: random, randomblob, zeroblob, all date functions (they know 'now'), last_insert_rowid,
// changes (they survive a reset), avg, total, round (reals), load_extension. printf and format are
// in, as our own (printf.h): SQLite's spends seconds on the width of '%.*c' whatever the length
// limit.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/sql/recorder.h"

struct sqlite3;

namespace seedbed::sandbox::sql {

inline constexpr int kMaxLength = 1 << 20;  // of a text, a row or a statement's value

class Guard {
 public:
  // `readable`: tables and views of the state, `writable`: its tables; both sorted by name and
  // outlive the guard.
  Guard(const std::vector<std::string>* readable, const std::vector<Table>* writable)
      : readable_(readable), writable_(writable) {}

  // Uses json_each once first: a strict authorizer breaks the first use of a table-valued function.
  bool install(sqlite3* db);
  // While trusted, everything is allowed: for the host's own statements.
  void trust(bool on) { trusted_ = on; }
  // Why the last prepare was refused, in words; empties it.
  std::string take_reason();

 private:
  static int ask(void* self,
                 int action,
                 const char* a,
                 const char* b,
                 const char* schema,
                 const char* trigger);
  int decide(int action, std::string_view a, std::string_view b, std::string_view schema);
  int refuse(std::string reason);

  const std::vector<std::string>* readable_;
  const std::vector<Table>* writable_;
  bool trusted_ = false;
  std::string reason_;
};

// Bounds of every connection that holds bytes or SQL from outside.
void set_limits(sqlite3* db);
// Words that no schema and no statement may use outside quotes: what would end the episode's
// transaction from inside, or give another value each time.
std::string forbidden_word(std::string_view sql);

}  // namespace seedbed::sandbox::sql
