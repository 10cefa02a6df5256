// Tasks that people write for an MCP server's tools: one JSON object a line of `gen --tasks FILE`.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "schemas/call.h"
#include "schemas/reflect.h"

namespace seedbed::schemas {

// SQL over the table file(path, kind, mode, size, hash, text) that must give 1 in the end.
struct FileCheck {
  std::string name;
  std::string sql;
};
template <class V>
void fields(V&& at, FileCheck& x) {
  at("name", x.name, "part of the score");
  at("sql", x.sql, "over file(path, kind, mode, size, hash, text) at the end; must give 1");
}

struct ServerTask {
  std::string prompt;
  std::optional<std::string> kind;
  std::vector<ToolCall> calls;
  // Members: whole numbers, texts (dates are compared as dates) and arrays of them, which are
  // compared as sets.
  std::optional<Value> answer;
  std::optional<std::vector<FileCheck>> files;
  std::optional<std::vector<std::string>> derived;
};
template <class V>
void fields(V&& at, ServerTask& x) {
  at("prompt", x.prompt, "what the user asks");
  at("kind", x.kind, "kind of task; lookup where an answer is asked for, else achieve");
  at("calls", x.calls, "the right plan: calls in order");
  at("answer", x.answer, "what submit_result must be given, an object");
  at("files", x.files, "what must be true of the server's files in the end");
  at("derived", x.derived,
     "arguments and fields that an agent composes: they need stand in no prompt or result");
}

}  // namespace seedbed::schemas
