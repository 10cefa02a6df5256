// A tool's program, compiled once at load: every statement prepared under the guard, every
// parameter tied to a slot.
//
// Names: an argument of the input schema (its top-level properties), then each `let` for the steps
// after it (a let may shadow an argument: that is how a default is written), inside `each` the
// row's columns. Reserved: :now, :page_limit, :page_offset. A parameter that names nothing of these
// is refused at load, as is every form but :NAME.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sandbox/sql/database.h"
#include "schemas/environment.h"
#include "schemas/json_schema.h"

namespace seedbed::sandbox::sql {

struct Bind {
  int parameter = 0;  // SQLite's index, from 1
  std::size_t slot = 0;
};
struct Statement {
  StatementPtr sql;
  std::vector<Bind> binds;
  std::string at;  // "steps/2/run", for messages
};

// A piece of a message: text, or the value of a slot.
struct Piece {
  static constexpr std::size_t kNone = SIZE_MAX;
  std::string text;
  std::size_t slot = kNone;
};

struct CompiledStep {
  enum class Kind : std::uint8_t { let, require, run, each };
  Kind kind = Kind::run;
  Statement statement;
  std::size_t when = Piece::kNone;  // slot
  std::size_t out = Piece::kNone;   // slot of a let
  std::string code;                 // require
  std::vector<Piece> message;       // require
  std::vector<std::size_t> row;     // each: slots of the row's columns
  std::vector<Statement> body;      // each
};

struct Argument {
  std::string name;
  std::size_t slot = 0;
};

struct CompiledTool {
  std::string name;
  std::unique_ptr<schemas::JsonSchema> schema;
  std::vector<Argument> arguments;
  std::vector<CompiledStep> steps;
  Statement result;
  std::vector<std::string> keys;  // of the result: `"name":`, escaped
  bool rows = false;
  bool writes = false;
  std::int64_t page_size = 0;         // 0: not paged
  std::size_t slots = 0;              // number of slots
  std::size_t offset = Piece::kNone;  // slot of the argument "offset"
};

inline constexpr std::size_t kSlotNow = 0;
inline constexpr std::size_t kSlotPageLimit = 1;
inline constexpr std::size_t kSlotPageOffset = 2;

// Error{tool} naming the tool and the statement.
Result<CompiledTool> compile_tool(Database& db, const schemas::Tool& tool);

}  // namespace seedbed::sandbox::sql
