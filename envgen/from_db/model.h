// A user's database as the generator sees it: usable tables with typed columns and rows whose
// references all lead somewhere. What is not usable is listed with its reason.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "envgen/general/term.h"
#include "tasks/foreign_db.h"

namespace seedbed::envgen {

enum class KeyKind : std::uint8_t {
  number,  // the table's own whole numbers
  text,    // its own short texts; facts are numbered in their order
  pair     // two columns: facts are numbered, and the pair stays unique
};
struct DbColumn {
  std::string name;       // in the database; "" for a name joined from two columns
  std::string attribute;  // its symbol: "name" where it names the row
  std::string noun;       // words
  Type type = Type::integer;
  int target = -1;        // ref: table of the model
  bool nullable = false;  // some row has no value, and none need be given
  bool unique = false;
  bool guessed = false;  // a reference that is not declared: the names and all values say it
  std::vector<std::string> words;  // word: the values seen, sorted
  std::int64_t lo = 0, hi = 0;     // integer, cents: the values seen
};
struct DbRow {
  std::int64_t key = 0;
  // By column: a reference is the target's key, a word its place in `words`, a text its place in
  // the table's `texts`, a date the day.
  std::vector<std::int64_t> values;
};
struct DbTable {
  std::string name, symbol;  // symbol: an identifier, unique in the model
  std::string singular, plural;
  KeyKind key = KeyKind::number;
  std::vector<std::string> key_texts;  // text keys: of fact 1, 2, ...
  std::vector<DbColumn> columns;
  int name_column = -1;              // in `columns`
  bool person = false;               // named by first and last name
  bool key_refers = false;           // the key is a reference itself: rows are not numbered by us
  std::pair<int, int> pair{-1, -1};  // key of two columns: these, in `columns`
  std::vector<std::vector<int>> uniques;  // columns that are unique together, the pair among them
  std::vector<DbRow> rows;                // by key
  std::vector<std::string> texts;
  std::vector<std::string> left_out;  // columns, with the reason
  std::int64_t rows_total = 0;        // in the database
};
struct DbModel {
  std::string name, hash;
  std::vector<DbTable> tables;                                // by name
  std::vector<std::pair<std::string, std::string>> left_out;  // tables, with the reason
};

// Error{pack} where no table can be used, with the reasons.
Result<DbModel> model_of(const tasks::ForeignDb& db);

}  // namespace seedbed::envgen
