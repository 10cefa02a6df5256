// Versions of the store's schema: what this build reads, and the steps that bring an older file to
// it. Private to tasks.
#pragma once
#include <cstdint>

#include "base/result.h"
#include "tasks/blob.h"
#include "tasks/store_db.h"

namespace seedbed::tasks {

inline constexpr std::int64_t kApplicationId = 0x53626564;  // "Sbed", in the header of every store
inline constexpr std::int64_t kSchemaVersion = 3;

// All steps from `version` to kSchemaVersion in one transaction: done whole or not at all.
Step upgrade(Db& db, BlobCodec& codec, std::int64_t version);
// Error{store} (damaged) where tables and columns are not those of tasks/schema.sql, or where there
// is a view or trigger.
Step check_structure(Db& db);

}  // namespace seedbed::tasks
