#include "sandbox/sql/runner.h"

#include <sqlite3.h>

#include <cmath>
#include <optional>
#include <utility>

#include "sandbox/sql/json_out.h"
#include "sandbox/sql_wire.h"

namespace seedbed::sandbox::sql {
namespace {

using schemas::End;

constexpr std::size_t kMaxRowsOut = 1'000;    // rows of one result; more are counted, not shown
constexpr std::size_t kMaxEachRows = 10'000;  // rows that drive one `each`
constexpr std::size_t kMaxEachBytes = 8U << 20;

// A statement is always reset when its use ends: an open cursor would keep a savepoint from being
// rolled back cleanly.
class Use {
 public:
  explicit Use(const Statement& statement) : s_(statement.sql.get()) {}
  ~Use() { sqlite3_reset(s_); }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;
  int step() { return sqlite3_step(s_); }
  [[nodiscard]] sqlite3_stmt* row() const { return s_; }

 private:
  sqlite3_stmt* s_;
};

std::string_view text_of(sqlite3_stmt* row, int column) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(row, column));
  return text == nullptr
             ? std::string_view()
             : std::string_view(text, static_cast<std::size_t>(sqlite3_column_bytes(row, column)));
}

void set(Cell& cell, const schemas::Value& value) {
  cell = Cell();
  switch (value.kind()) {
    case schemas::Value::Kind::null:
      return;
    case schemas::Value::Kind::boolean:
      cell.type = Cell::Type::integer;
      cell.integer = value.as_bool() ? 1 : 0;
      return;
    case schemas::Value::Kind::integer:
      cell.type = Cell::Type::integer;
      cell.integer = value.as_int();
      return;
    case schemas::Value::Kind::number: {
      constexpr double kExact = 9007199254740992.0;
      const double x = value.as_double();
      const bool whole = x == std::floor(x) && x >= -kExact && x <= kExact;
      cell.type = whole ? Cell::Type::integer : Cell::Type::real;
      cell.integer = whole ? static_cast<std::int64_t>(x) : 0;
      cell.real = x;
      return;
    }
    case schemas::Value::Kind::string:
      cell.type = Cell::Type::text;
      cell.borrowed = value.as_string();
      return;
    case schemas::Value::Kind::array:
    case schemas::Value::Kind::object:
      cell.type = Cell::Type::text;
      cell.owned = true;
      schemas::dump_to(value, cell.own);
  }
}

void set(Cell& cell, std::int64_t x) {
  cell = Cell();
  cell.type = Cell::Type::integer;
  cell.integer = x;
}

bool is_set(const Cell& cell) {
  return cell.type != Cell::Type::null && (cell.type != Cell::Type::integer || cell.integer != 0);
}

}  // namespace

Outcome failed(End end, std::string_view code, std::string_view message) {
  return {end, error_text(code, message)};
}

Outcome Runner::explain(int rc, const Statement& statement) {
  if (const auto fault = check_recorder()) return *fault;
  const std::string at = " (" + statement.at + ")";
  switch (rc & 0xff) {
    case SQLITE_INTERRUPT:
      return failed(End::timed_out, "timed_out", "the call used up its time and was undone" + at);
    case SQLITE_NOMEM:
    case SQLITE_FULL:
      return failed(End::out_of_memory, "out_of_memory",
                    "the call used up its memory and was undone" + at);
    case SQLITE_TOOBIG:
      return failed(End::denied, "denied", "a value over 1 MiB" + at);
    case SQLITE_CONSTRAINT:
      return failed(End::tool_error, "constraint_failed", sqlite3_errmsg(db_.handle()));
    default:
      return failed(End::tool_error, "internal_error", sqlite3_errmsg(db_.handle()) + at);
  }
}

Runner::Failure Runner::check_recorder() {
  switch (db_.recorder().fault()) {
    case Recorder::Fault::none:
      return std::nullopt;
    case Recorder::Fault::value:
      return failed(End::denied, "denied",
                    "the call wrote a real number or a blob; the state is integers and text");
    case Recorder::Fault::size:
      return failed(End::denied, "denied", "the call wrote more rows than one call may");
  }
  return std::nullopt;
}

void Runner::bind(const Statement& statement) {
  for (const auto& [parameter, slot] : statement.binds) {
    const Cell& cell = slots_[slot];
    sqlite3_stmt* s = statement.sql.get();
    switch (cell.type) {
      case Cell::Type::null:
        sqlite3_bind_null(s, parameter);
        break;
      case Cell::Type::integer:
        sqlite3_bind_int64(s, parameter, cell.integer);
        break;
      case Cell::Type::real:
        sqlite3_bind_double(s, parameter, cell.real);
        break;
      case Cell::Type::text:
        // A text over the limit is left NULL by SQLite; fill() refuses it before.
        sqlite3_bind_text64(s, parameter, cell.text().data(), cell.text().size(), SQLITE_STATIC,
                            SQLITE_UTF8);
    }
  }
}

Runner::Failure Runner::read_cell(sqlite3_stmt* row, int column, Cell& out) {
  out = Cell();
  switch (sqlite3_column_type(row, column)) {
    case SQLITE_NULL:
      return std::nullopt;
    case SQLITE_INTEGER:
      out.type = Cell::Type::integer;
      out.integer = sqlite3_column_int64(row, column);
      return std::nullopt;
    case SQLITE_TEXT:
      out.type = Cell::Type::text;
      out.owned = true;
      out.own = text_of(row, column);
      return std::nullopt;
    default:
      return failed(End::denied, "denied",
                    std::string("a real number or a blob in column '") +
                        sqlite3_column_name(row, column) + "'");
  }
}

Runner::Failure Runner::fill(const CompiledTool& tool, const schemas::Value& args) {
  if (slots_.size() < tool.slots) slots_.resize(tool.slots);
  set(slots_[kSlotNow], now_);
  set(slots_[kSlotPageLimit], tool.page_size + 1);
  set(slots_[kSlotPageOffset], 0);
  for (const auto& argument : tool.arguments) {
    Cell& cell = slots_[argument.slot];
    const schemas::Value* value = args.find(argument.name);
    if (value == nullptr) {
      cell = Cell();
      continue;
    }
    set(cell, *value);
    if (cell.type == Cell::Type::text && cell.text().size() > static_cast<std::size_t>(kMaxLength))
      return failed(End::tool_error, "invalid_arguments",
                    "argument '" + argument.name + "' is longer than 1 MiB");
  }
  if (tool.page_size == 0 || tool.offset == Piece::kNone ||
      slots_[tool.offset].type == Cell::Type::null)
    return std::nullopt;
  const Cell& offset = slots_[tool.offset];
  if (offset.type != Cell::Type::integer || offset.integer < 0 || offset.integer > 1'000'000'000)
    return failed(End::tool_error, "invalid_arguments",
                  "argument 'offset' must be an integer from 0 to 1000000000");
  set(slots_[kSlotPageOffset], offset.integer);
  return std::nullopt;
}

std::string Runner::message(const std::vector<Piece>& pieces) const {
  std::string out;
  for (const auto& piece : pieces) {
    out += piece.text;
    if (piece.slot == Piece::kNone) continue;
    const Cell& cell = slots_[piece.slot];
    switch (cell.type) {
      case Cell::Type::null:
        out += "null";
        break;
      case Cell::Type::integer:
        append_int(cell.integer, out);
        break;
      case Cell::Type::real:
        schemas::dump_to(schemas::Value(cell.real), out);
        break;
      case Cell::Type::text:
        out += cell.text();
        break;
    }
    if (out.size() > wire::kOutSlack / 4) {  // an argument may be long, a message is not
      out.resize(wire::kOutSlack / 4);
      return out += "...";
    }
  }
  return out;
}

Runner::Failure Runner::write(const Statement& statement) {
  bind(statement);
  Use use(statement);
  int rc = SQLITE_ROW;
  while ((rc = use.step()) == SQLITE_ROW) {
  }  // RETURNING gives rows
  if (rc != SQLITE_DONE) return explain(rc, statement);
  return check_recorder();
}

Runner::Failure Runner::run_let(const CompiledStep& step) {
  Use use(step.statement);
  Cell& out = slots_[step.out];
  const int rc = use.step();
  if (rc == SQLITE_ROW) return read_cell(use.row(), 0, out);
  out = Cell();
  if (rc == SQLITE_DONE) return std::nullopt;
  return explain(rc, step.statement);
}

Runner::Failure Runner::run_each(const CompiledStep& step) {
  std::vector<Cell> cells;  // all rows are read before the first write
  std::size_t bytes = 0;
  const std::size_t width = step.row.size();
  {
    Use use(step.statement);
    int rc = SQLITE_ROW;
    while ((rc = use.step()) == SQLITE_ROW) {
      for (std::size_t i = 0; i < width; ++i) {
        cells.emplace_back();
        if (auto e = read_cell(use.row(), static_cast<int>(i), cells.back())) return e;
        bytes += sizeof(Cell) + cells.back().own.size();
      }
      if (cells.size() > kMaxEachRows * width || bytes > kMaxEachBytes)
        return failed(End::denied, "denied",
                      "more rows for each than one call may have (" + step.statement.at + ")");
    }
    if (rc != SQLITE_DONE) return explain(rc, step.statement);
  }
  for (std::size_t row = 0; row < cells.size(); row += width) {
    for (std::size_t i = 0; i < width; ++i) slots_[step.row[i]] = std::move(cells[row + i]);
    for (const auto& statement : step.body)
      if (auto e = write(statement)) return e;
    if (db_.allowance().use())
      return explain(SQLITE_INTERRUPT, step.statement);  // short statements reach no stride
  }
  return std::nullopt;
}

Runner::Failure Runner::run_step(const CompiledStep& step) {
  if (step.when != Piece::kNone && !is_set(slots_[step.when])) {
    if (step.out != Piece::kNone)
      slots_[step.out] = Cell();  // a skipped let is NULL, not the last call's value
    return std::nullopt;
  }
  if (step.kind == CompiledStep::Kind::run) return write(step.statement);
  bind(step.statement);
  if (step.kind == CompiledStep::Kind::let) return run_let(step);
  if (step.kind == CompiledStep::Kind::each) return run_each(step);
  Use use(step.statement);
  const int rc = use.step();
  if (rc == SQLITE_ROW) return std::nullopt;
  if (rc == SQLITE_DONE) return failed(End::tool_error, step.code, message(step.message));
  return explain(rc, step.statement);
}

// Appends the row as an object. False where a column is a real or a blob.
bool Runner::add_row(const CompiledTool& tool, std::string& out) {
  sqlite3_stmt* row = tool.result.sql.get();
  char before = '{';
  for (std::size_t i = 0; i < tool.keys.size(); ++i) {
    out += before;
    before = ',';
    out += tool.keys[i];
    const int column = static_cast<int>(i);
    switch (sqlite3_column_type(row, column)) {
      case SQLITE_NULL:
        out += "null";
        break;
      case SQLITE_INTEGER:
        append_int(sqlite3_column_int64(row, column), out);
        break;
      case SQLITE_TEXT:
        append_string(text_of(row, column), out);
        break;
      default:
        return false;
    }
  }
  out += '}';
  return true;
}

Outcome Runner::object(const CompiledTool& tool) {
  Use use(tool.result);
  const int rc = use.step();
  if (rc == SQLITE_DONE) return {End::ok, "{}"};
  if (rc != SQLITE_ROW) return explain(rc, tool.result);
  Outcome made;
  if (!add_row(tool, made.out))
    return failed(End::denied, "denied", "a real number or a blob in the result");
  if (made.out.size() > wire::kOutMax) return {End::output_cut, R"({"omitted":1})"};
  return made;
}

Outcome Runner::rows(const CompiledTool& tool) {
  Use use(tool.result);
  Outcome made{End::ok, R"({"items":[)"};
  std::int64_t shown = 0;
  std::int64_t seen = 0;
  bool full = false;
  int rc = SQLITE_ROW;
  while ((rc = use.step()) == SQLITE_ROW) {
    if (tool.page_size != 0 &&
        seen == tool.page_size) {  // the row that says that there is another page
      ++seen;
      break;
    }
    ++seen;
    if (full) continue;
    const std::size_t before = made.out.size();
    if (shown > 0) made.out += ',';
    if (!add_row(tool, made.out))
      return failed(End::denied, "denied", "a real number or a blob in the result");
    if (made.out.size() > wire::kOutMax || shown == static_cast<std::int64_t>(kMaxRowsOut)) {
      made.out.resize(before);
      full = true;
    } else {
      ++shown;
    }
  }
  if (rc != SQLITE_DONE && rc != SQLITE_ROW) return explain(rc, tool.result);
  made.out += ']';
  const bool more = tool.page_size != 0 && seen > tool.page_size;
  const std::int64_t page_rows = more ? seen - 1 : seen;
  if (tool.page_size != 0) {
    made.out += R"(,"next_offset":)";
    if (more || full)
      append_int(slots_[kSlotPageOffset].integer + shown, made.out);
    else
      made.out += "null";
  }
  if (full) {
    made.end = End::output_cut;
    made.out += R"(,"omitted":)";
    append_int(page_rows - shown, made.out);
  }
  made.out += '}';
  return made;
}

Outcome Runner::run(const CompiledTool& tool, const schemas::Value& args) {
  if (auto e = fill(tool, args)) return *std::move(e);
  for (const auto& step : tool.steps)
    if (auto e = run_step(step)) return *std::move(e);
  bind(tool.result);
  return tool.rows ? rows(tool) : object(tool);
}

}  // namespace seedbed::sandbox::sql
