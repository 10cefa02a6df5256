// What a column's values are: its declared type, its name and the values themselves decide.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "envgen/from_db/model.h"

namespace seedbed::envgen {

// Short, on one line, without braces (they are slots of sentences).
bool plain_text(const std::string& text, std::size_t bytes_max);
// The kind of the column and its values by row (kNone for NULL, texts added to `table.texts`);
// or why it is left out.
struct ColumnRead {
  std::optional<DbColumn> column;
  std::vector<std::int64_t> values;
  std::string why_not;
};
ColumnRead read_column(const tasks::ForeignTable& from, std::size_t column, DbTable& table);
// The columns that name a row of the table: none, one, or a first and a last name.
std::vector<std::size_t> naming_columns(const tasks::ForeignTable& from, const DbTable& table);

}  // namespace seedbed::envgen
