// What can be done with a table, what must hold and what may be asked about it, as a pack would say
// it: transitions, guards, derived terms, rules, gates and goals.
#pragma once
#include "base/rng.h"
#include "envgen/from_db/cut.h"
#include "envgen/general/pack.h"

namespace seedbed::envgen {

// The words of a word column as symbols, "status_0".
std::vector<std::string> word_symbols(const DbColumn& column);
// The domain of a column as a pack writes it; `now` is the environment's day.
std::string domain_text(const DbCut& cut, const DbColumn& column, std::int64_t now);
// References to the table at `place` from within the cut.
struct DbChild {
  int place = -1;   // of the table that refers
  int column = -1;  // of that table
};
std::vector<DbChild> children_of(const DbCut& cut, int place);
Mechanism mechanism_of(const DbCut& cut, int place, std::int64_t now, Rng rng);

}  // namespace seedbed::envgen
