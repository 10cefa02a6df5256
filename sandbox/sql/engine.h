// SQLite as this program uses it: single-threaded, memory bounded, no files, no clock, no
// randomness.
#pragma once
#include <cstddef>

namespace seedbed::sandbox::sql {

inline constexpr std::size_t kHeapMax =
    160U << 20;  // SQLite's own memory; beyond it an allocation fails (SQLITE_NOMEM)

// Once, before the first connection. False where SQLite refuses the configuration.
bool start_engine();
// Bytes that SQLite holds now.
std::size_t engine_heap();

}  // namespace seedbed::sandbox::sql
