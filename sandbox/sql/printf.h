// printf() and format() for tools: SQLite's own, with widths and precisions of at most 1000 and no
// reals. SQLite's spends seconds on '%.*c' with 9e8, whatever the length limit says.
#pragma once

struct sqlite3;

namespace seedbed::sandbox::sql {

inline constexpr int kMaxPrintfWidth = 1000;

// Takes the place of both functions on this connection. False where SQLite refuses.
bool add_printf(sqlite3* db);

}  // namespace seedbed::sandbox::sql
