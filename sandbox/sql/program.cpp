#include "sandbox/sql/program.h"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.h"
#include "sandbox/sql/json_out.h"

namespace seedbed::sandbox::sql {
namespace {

constexpr std::size_t kMaxSteps = 64;
constexpr std::int64_t kMaxPage = 1000;

enum class Need : std::uint8_t { read, write };

// Past blanks, comments and semicolons.
std::string_view skip_blank(std::string_view sql) {
  for (std::size_t at = 0; at < sql.size();) {
    if (sql.substr(at, 2) == "--") {
      at = std::min(sql.find('\n', at), sql.size());
    } else if (sql.substr(at, 2) == "/*") {
      const auto end = sql.find("*/", at);
      at = end == std::string_view::npos ? sql.size() : end + 2;
    } else if (std::string_view(" \t\r\n\f;").find(sql[at]) != std::string_view::npos) {
      ++at;
    } else {
      return sql.substr(at);
    }
  }
  return {};
}

// The authorizer is not asked about every kind of statement when it is prepared (VACUUM), so the
// first word counts too.
std::string first_word(std::string_view sql) {
  sql = skip_blank(sql);
  std::size_t end = 0;
  while (end < sql.size() && end < 40 && ((sql[end] | 0x20) >= 'a' && (sql[end] | 0x20) <= 'z'))
    ++end;
  std::string word(sql.substr(0, std::max<std::size_t>(end, sql.empty() ? 0 : 1)));
  std::transform(word.begin(), word.end(), word.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  return word;
}

bool is_statement_word(std::string_view word) {
  constexpr std::array kWords = std::to_array<std::string_view>(
      {"SELECT", "WITH", "VALUES", "INSERT", "REPLACE", "UPDATE", "DELETE"});
  return std::find(kWords.begin(), kWords.end(), word) != kWords.end();
}

class Compiler {
 public:
  Compiler(Database& db, const schemas::Tool& tool) : db_(db), tool_(tool) {
    out_.name = tool.name;
  }

  Result<CompiledTool> whole() {
    if (auto e = read_input()) return *std::move(e);
    if (tool_.program.steps.size() > kMaxSteps)
      return refuse("steps", "more than 64", "split the tool");
    for (std::size_t i = 0; i < tool_.program.steps.size(); ++i)
      if (auto e = add_step(tool_.program.steps[i], "steps/" + std::to_string(i)))
        return *std::move(e);
    if (auto e = add_result()) return *std::move(e);
    return std::move(out_);
  }

 private:
  struct Name {
    std::string name;
    std::size_t slot;
    bool is_let;
  };

  [[nodiscard]] Error refuse(std::string_view at,
                             std::string_view found,
                             std::string_view todo) const {
    return make_error(Where::tool, "tool", tool_.name + "/" + std::string(at), found, todo);
  }

  std::size_t declare(const std::string& name, bool is_let) {
    names_.push_back({name, out_.slots, is_let});
    return out_.slots++;
  }
  [[nodiscard]] const Name* find(std::string_view name) const {  // the last one declared wins
    const auto at =
        std::find_if(names_.rbegin(), names_.rend(), [&](const Name& n) { return n.name == name; });
    return at == names_.rend() ? nullptr : &*at;
  }
  [[nodiscard]] std::string known() const {
    std::string all;
    for (const auto& n : names_) all += (all.empty() ? ":" : ", :") + n.name;
    return all;
  }

  Step read_input() {
    for (const char* name : {"now", "page_limit", "page_offset"}) declare(name, false);
    auto schema = schemas::JsonSchema::compile(tool_.input);
    if (!schema.ok()) return refuse("input", schema.error().message, "correct the schema");
    out_.schema = std::make_unique<schemas::JsonSchema>(*std::move(schema));
    const schemas::Value* properties = tool_.input.find("properties");
    if (properties == nullptr || !properties->is_object()) return std::nullopt;
    for (const auto& [name, ignored] : properties->members()) {
      if (find(name) != nullptr)
        return refuse("input", "argument '" + name + "' is a reserved name", "rename it");
      out_.arguments.push_back({name, declare(name, false)});
      if (name == "offset") out_.offset = out_.arguments.back().slot;
    }
    return std::nullopt;
  }

  Step prepare(const std::string& sql, Need need, const std::string& at, Statement& out) {
    if (const std::string word = first_word(sql); !is_statement_word(word))
      return refuse(at, word.empty() ? "no statement" : word + " is not allowed",
                    "write SELECT, INSERT, UPDATE or DELETE");
    if (const std::string word = forbidden_word(sql); !word.empty())
      return refuse(at, word + " is not allowed", "leave it out");
    if (sql.find('\0') != std::string::npos)
      return refuse(at, "a zero byte in SQL", "leave it out");
    sqlite3_stmt* raw = nullptr;
    const char* tail = nullptr;
    db_.guard().take_reason();
    const int rc = sqlite3_prepare_v3(db_.handle(), sql.c_str(), static_cast<int>(sql.size()) + 1,
                                      SQLITE_PREPARE_PERSISTENT, &raw, &tail);
    out.sql.reset(raw);
    out.at = at;
    if (rc != SQLITE_OK) {
      std::string reason = db_.guard().take_reason();
      return refuse(at, reason.empty() ? sqlite3_errmsg(db_.handle()) : reason, "correct the SQL");
    }
    if (raw == nullptr) return refuse(at, "no statement", "write one");
    if (!skip_blank(tail).empty())
      return refuse(at, "more than one statement", "make each a step of its own");
    if (sqlite3_stmt_isexplain(raw) != 0) return refuse(at, "EXPLAIN", "leave it out");
    const bool writes = sqlite3_stmt_readonly(raw) == 0;
    if (need == Need::read && writes)
      return refuse(at, "a statement that writes", "use run for it");
    if (need == Need::write && !writes)
      return refuse(at, "a statement that writes nothing", "use let or require for it");
    out_.writes = out_.writes || writes;
    return bind(out);
  }

  Step bind(Statement& out) const {
    const int count = sqlite3_bind_parameter_count(out.sql.get());
    for (int i = 1; i <= count; ++i) {
      const char* name = sqlite3_bind_parameter_name(out.sql.get(), i);
      if (name == nullptr || name[0] != ':')
        return refuse(out.at, "a parameter that is not of the form :NAME", "name it");
      const Name* known_name = find(name + 1);
      if (known_name == nullptr)
        return refuse(out.at, std::string("unknown parameter ") + name + ", known are " + known(),
                      "declare it");
      out.binds.push_back({i, known_name->slot});
    }
    return std::nullopt;
  }

  Step add_step(const schemas::ProgramStep& step, const std::string& at) {
    const int set = int(step.let.has_value()) + int(step.require.has_value()) +
                    int(step.run.has_value()) + int(step.each.has_value());
    if (set != 1)
      return refuse(at, "not exactly one of let, require, run, each", "write one step for each");
    if (step.sql.has_value() != step.let.has_value())
      return refuse(at, "'sql' goes with let, and let needs it", "correct the step");
    if (step.body.has_value() != step.each.has_value())
      return refuse(at, "'body' goes with each, and each needs it", "correct the step");
    if (step.code.has_value() != step.require.has_value() ||
        step.message.has_value() != step.require.has_value())
      return refuse(at, "'code' and 'message' go with require, and require needs both",
                    "correct the step");
    CompiledStep made;
    if (step.when) {
      const Name* name = find(*step.when);
      if (name == nullptr || !name->is_let)
        return refuse(at + "/when", "'" + *step.when + "' is no let of an earlier step",
                      "declare it before");
      made.when = name->slot;
    }
    if (auto e = step.let       ? add_let(step, at, made)
                 : step.require ? add_require(step, at, made)
                 : step.run     ? add_run(step, at, made)
                                : add_each(step, at, made))
      return e;
    out_.steps.push_back(std::move(made));
    return std::nullopt;
  }

  Step add_let(const schemas::ProgramStep& step, const std::string& at, CompiledStep& made) {
    made.kind = CompiledStep::Kind::let;
    if (auto e = prepare(*step.sql, Need::read, at + "/let", made.statement)) return e;
    const Name* same = find(*step.let);
    if (step.let->empty() || (same != nullptr && same->slot <= kSlotPageOffset))
      return refuse(at + "/let", "'" + *step.let + "' is empty or reserved", "rename it");
    made.out = declare(*step.let, true);
    return std::nullopt;
  }

  Step add_require(const schemas::ProgramStep& step, const std::string& at, CompiledStep& made) {
    made.kind = CompiledStep::Kind::require;
    made.code = *step.code;
    std::string_view rest = *step.message;
    if (!is_valid_utf8(rest) || !is_valid_utf8(made.code))
      return refuse(at, "invalid UTF-8", "write UTF-8");
    while (!rest.empty()) {
      const auto open = rest.find('{');
      const auto close = open == std::string_view::npos ? open : rest.find('}', open);
      const Name* name =
          close == std::string_view::npos ? nullptr : find(rest.substr(open + 1, close - open - 1));
      const std::size_t take = open == std::string_view::npos ? rest.size()
                               : name != nullptr              ? open
                                                              : open + 1;
      made.message.push_back({std::string(rest.substr(0, take)),
                              Piece::kNone});  // braces around no name stay as they are
      if (name != nullptr) made.message.push_back({"", name->slot});
      rest.remove_prefix(name != nullptr ? close + 1 : take);
    }
    return prepare(*step.require, Need::read, at + "/require", made.statement);
  }

  Step add_run(const schemas::ProgramStep& step, const std::string& at, CompiledStep& made) {
    made.kind = CompiledStep::Kind::run;
    return prepare(*step.run, Need::write, at + "/run", made.statement);
  }

  Step add_each(const schemas::ProgramStep& step, const std::string& at, CompiledStep& made) {
    made.kind = CompiledStep::Kind::each;
    if (auto e = prepare(*step.each, Need::read, at + "/each", made.statement)) return e;
    const std::size_t outside = names_.size();
    for (int i = 0; i < sqlite3_column_count(made.statement.sql.get()); ++i)
      made.row.push_back(declare(sqlite3_column_name(made.statement.sql.get(), i), false));
    if (step.body->size() > kMaxSteps)
      return refuse(at, "a body of more than 64 statements", "split it");
    for (std::size_t i = 0; i < step.body->size(); ++i) {
      made.body.emplace_back();
      if (auto e = prepare((*step.body)[i], Need::write, at + "/body/" + std::to_string(i),
                           made.body.back()))
        return e;
    }
    names_.resize(outside);
    return std::nullopt;
  }

  Step add_result() {
    const schemas::Program& program = tool_.program;
    if (auto e = prepare(program.result, Need::read, "result", out_.result)) return e;
    std::vector<std::string> names;
    for (int i = 0; i < sqlite3_column_count(out_.result.sql.get()); ++i) {
      names.emplace_back(sqlite3_column_name(out_.result.sql.get(), i));
      if (!is_valid_utf8(names.back()) || std::count(names.begin(), names.end(), names.back()) != 1)
        return refuse("result", "column '" + names.back() + "' twice, or no UTF-8",
                      "give each column a name of its own");
      out_.keys.emplace_back();
      append_string(names.back(), out_.keys.back());
      out_.keys.back() += ':';
    }
    out_.rows = program.shape == schemas::Shape::rows;
    if (!program.page_size) return std::nullopt;
    if (!out_.rows || *program.page_size < 1 || *program.page_size > kMaxPage)
      return refuse("page_size", std::to_string(*program.page_size),
                    "use 1 to 1000, with shape rows");
    const auto uses = [&](std::size_t slot) {
      return std::any_of(out_.result.binds.begin(), out_.result.binds.end(),
                         [&](const Bind& b) { return b.slot == slot; });
    };
    if (!uses(kSlotPageLimit) || !uses(kSlotPageOffset))
      return refuse("result", "paged, without :page_limit and :page_offset",
                    "end it in LIMIT :page_limit OFFSET :page_offset");
    out_.page_size = *program.page_size;
    return std::nullopt;
  }

  Database& db_;
  const schemas::Tool& tool_;
  CompiledTool out_;
  std::vector<Name> names_;
};

}  // namespace

Result<CompiledTool> compile_tool(Database& db, const schemas::Tool& tool) {
  return Compiler(db, tool).whole();
}

}  // namespace seedbed::sandbox::sql
