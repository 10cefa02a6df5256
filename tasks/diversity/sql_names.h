// What a tool's SQL names, as far as diversity needs it: tables, and which columns and parameters
// must be equal. A reader of tokens, not of grammar: what it does not understand it leaves out.
#pragma once
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace seedbed::tasks::diversity {

struct SqlNames {
  std::set<std::string> read, written;  // tables and views
  // A column is "view.column", a parameter ":name".
  std::vector<std::pair<std::string, std::string>> equal;
  std::vector<std::string> columns;  // result columns that are plain columns
  int width = 0;                     // result columns of the outermost SELECT
};
SqlNames sql_names(std::string_view sql);

}  // namespace seedbed::tasks::diversity
