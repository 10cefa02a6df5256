// A tool call, its outcome as data, and the record of what calls wrote.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "schemas/reflect.h"
#include "schemas/value.h"

namespace seedbed::schemas {

struct ToolCall {
  std::string tool;
  Value args;  // object
};
template <class V>
void fields(V&& at, ToolCall& x) {
  at("tool", x.tool, "tool name");
  at("args", x.args, "arguments, an object");
}

// A projection of the jail's Cause. Spawn, protocol and infrastructure failures are Error{sandbox},
// never a result.
enum class End : std::uint8_t {
  ok,
  tool_error,
  timed_out,
  out_of_memory,
  output_cut,
  crashed,
  denied
};
constexpr std::array<std::string_view, 7> enum_names(End) {
  return {"ok", "tool_error", "timed_out", "out_of_memory", "output_cut", "crashed", "denied"};
}

struct ToolResult {
  End end = End::ok;
  std::string
      out;  // JSON text, valid UTF-8; {"error": {"code", "message"}} where end is tool_error
};
template <class V>
void fields(V&& at, ToolResult& x) {
  at("end", x.end, "how the call ended");
  at("out", x.out, "JSON text of the result");
}

// Database values: integer, text or null only.
using Scalar = std::variant<std::monostate, std::int64_t, std::string>;

// Net change of one row by one call: insert (before empty), delete (after empty), update (both full
// rows, column order of the table). Rows that a call changed and changed back are absent.
struct RowChange {
  std::int32_t call = 0;  // index of the call in the transcript (host calls only, from 0)
  std::string table;
  std::vector<Scalar> before, after;
  friend bool operator==(const RowChange&, const RowChange&) = default;
};

// Own length-checked binary form, for frames and the store; decode refuses anything malformed or
// over its bounds.
std::string encode_changes(const std::vector<RowChange>& changes);
Result<std::vector<RowChange>> decode_changes(std::string_view bytes);

}  // namespace seedbed::schemas
