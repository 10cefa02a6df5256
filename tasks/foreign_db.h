// A SQLite database of somebody else, looked at and never written: its tables, keys, references and
// rows. The bytes are hostile: they are read into memory, opened there read-only under limits and
// an authorizer, checked, and only plain tables are read; views, triggers and functions never run.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace seedbed::tasks {

struct Unread {};  // a value that is not taken: a blob, a long text, a text that is no UTF-8
using ForeignCell = std::variant<std::monostate, std::int64_t, double, std::string, Unread>;

struct ForeignColumn {
  std::string name, declared;  // its type as declared
  bool not_null = false;
  int key = 0;  // place in the primary key from 1; 0: no part of it
};
struct ForeignReference {  // of one column
  std::string column, table;
  std::string to;  // "" where the primary key is meant
};
struct ForeignTable {
  std::string name;
  std::vector<ForeignColumn> columns;
  std::vector<ForeignReference> references;
  std::vector<std::vector<std::string>> uniques;  // columns of UNIQUE indices, keys left out
  std::int64_t rows_total = 0;
  std::vector<std::vector<ForeignCell>> rows;  // in the order of the key, at most rows_max
};
struct ForeignDb {
  std::string name;                                          // of the file
  std::string hash;                                          // of its bytes
  std::vector<ForeignTable> tables;                          // by name
  std::vector<std::pair<std::string, std::string>> skipped;  // table and why
};
struct ForeignLimits {
  std::int64_t bytes_max = 256LL << 20;
  std::int64_t rows_max = 5'000;  // of a table
  std::int64_t tables_max = 200, columns_max = 120;
  std::int64_t text_bytes_max = 300;
  std::int64_t steps_max = 2'000'000'000;  // of SQLite's machine, over everything
};

// Error{pack}: no file, too big, no database, damaged, locked in a write-ahead log.
Result<ForeignDb> read_foreign_db(const std::string& path, const ForeignLimits& limits = {});
Result<ForeignDb> read_foreign_bytes(std::string bytes,
                                     const std::string& name,
                                     const ForeignLimits& limits = {});

}  // namespace seedbed::tasks
