// Environments over a user's SQLite database: its tables become concepts, its rows facts, its keys
// and references guards; everything after that is as for packs.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "envgen/from_db/model.h"
#include "envgen/general/pack.h"
#include "envgen/general/surface.h"
#include "schemas/request.h"

namespace seedbed::envgen {

// A request's `packs` begins with this where it was made from a database.
inline constexpr const char* kDatabaseHash = "db-";
// What such environments name in the place of a lexicon.
inline constexpr const char* kDatabaseLexicon = "database";

// The file as what gen and verify-pack take in the place of packs; `hash` is of the file's bytes.
// Error{pack}: it cannot be read or has no table that can be used.
Result<std::shared_ptr<const Packs>> load_database(const std::string& path);
Result<std::shared_ptr<const Packs>> load_database_bytes(std::string bytes,
                                                         const std::string& name);
// What is used and what is not, with reasons: lines for people.
std::vector<std::string> database_report(const DbModel& model);

// The environment of a slot: tables, rows, operations, rules, surface and words drawn from its key.
// Error{pack}: this draw cannot be made; the next attempt may.
Result<std::shared_ptr<const Lowered>> make_database_environment(const DbModel& model,
                                                                 const schemas::GenRequest& request,
                                                                 std::int64_t slot,
                                                                 std::int64_t attempt,
                                                                 Rng rng);

}  // namespace seedbed::envgen
