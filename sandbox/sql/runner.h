// Runs one call of a compiled tool against the state: binds, steps, result. Opens and closes no
// savepoint: session.h does.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/sql/program.h"
#include "schemas/call.h"

namespace seedbed::sandbox::sql {

struct Outcome {
  schemas::End end = schemas::End::ok;
  std::string out;
  // Whether what the call wrote stays: ok, and a result too long to show in full.
  [[nodiscard]] bool keeps() const {
    return end == schemas::End::ok || end == schemas::End::output_cut;
  }
};

Outcome failed(schemas::End end, std::string_view code, std::string_view message);

// The value of a slot. `text` points into the call's arguments or into `own`.
struct Cell {
  enum class Type : std::uint8_t { null, integer, real, text };
  Type type = Type::null;
  bool owned = false;
  std::int64_t integer = 0;
  double real = 0;
  std::string_view borrowed;
  std::string own;
  [[nodiscard]] std::string_view text() const { return owned ? std::string_view(own) : borrowed; }
};

class Runner {
 public:
  explicit Runner(Database& db, std::int64_t now_minutes) : db_(db), now_(now_minutes) {}
  // `args` has been validated and outlives the call. Never throws; every statement is reset on the
  // way out.
  Outcome run(const CompiledTool& tool, const schemas::Value& args);

 private:
  using Failure = std::optional<Outcome>;  // empty: went well
  Failure fill(const CompiledTool& tool, const schemas::Value& args);
  Failure run_step(const CompiledStep& step);
  Failure run_let(const CompiledStep& step);
  Failure run_each(const CompiledStep& step);
  Failure write(const Statement& statement);
  Outcome rows(const CompiledTool& tool);
  Outcome object(const CompiledTool& tool);
  bool add_row(const CompiledTool& tool, std::string& out);
  void bind(const Statement& statement);
  Failure read_cell(sqlite3_stmt* row, int column, Cell& out);
  Outcome explain(int rc, const Statement& statement);
  Failure check_recorder();
  [[nodiscard]] std::string message(const std::vector<Piece>& pieces) const;

  Database& db_;
  std::int64_t now_;
  std::vector<Cell> slots_;
};

}  // namespace seedbed::sandbox::sql
