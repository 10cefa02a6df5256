#include "sandbox/hosts/mcp_message.h"

#include <algorithm>

#include "base/text.h"

namespace seedbed::sandbox {
namespace {

using schemas::End;
using schemas::ToolResult;
using schemas::Value;

constexpr std::size_t kMostName = 64, kMostDescription = 4096, kMostSchema = 64 << 10;

bool usable_name(std::string_view name) {
  return !name.empty() && name.size() <= kMostName &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-';
         });
}

// One block of content as a value: text as it is, all else described.
Value block_of(const Value& block) {
  if (!block.is_object()) return Value::object().set("type", "unknown");
  if (block.text("type") == "text")
    return Value::object().set("type", "text").set("text", block.text("text"));
  Value out = Value::object().set("type", block.text("type"));
  for (const char* name : {"mimeType", "uri", "name"})
    if (const std::string text = block.text(name); !text.empty())
      out.set(name, cut_text(text, 1024));
  if (const std::string data = block.text("data"); !data.empty())
    out.set("bytes", static_cast<std::int64_t>(data.size() / 4 * 3));
  const Value* resource = block.find("resource");
  if (resource != nullptr && resource->is_object())
    out.set("uri", cut_text(resource->text("uri"), 1024)).set("text", resource->text("text"));
  return out;
}

std::string all_text(const Value& result) {
  std::string out;
  if (const Value* content = result.find("content"); content != nullptr && content->is_array())
    for (const auto& block : content->items())
      if (block.is_object() && block.text("type") == "text")
        out += (out.empty() ? "" : "\n") + block.text("text");
  return out;
}

}  // namespace

std::string cut_text(std::string text, std::size_t most) {
  if (text.size() <= most) return text;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xc0U) == 0x80U) --most;
  text.resize(most);
  return text;
}

ToolResult mcp_error(const std::string& code, const std::string& message, End end) {
  return {end, dump(Value::object().set(
                   "error", Value::object().set("code", code).set("message", message)))};
}

ReadTool read_mcp_tool(const Value& tool) {
  ReadTool out;
  const std::string name = tool.is_object() ? tool.text("name") : "";
  out.tool.name = cut_text(replace_invalid_utf8(name), 130);
  const auto refuse = [&](std::string why) {
    out.why = std::move(why);
    return std::move(out);
  };
  if (!usable_name(name)) return refuse("its name is not 1 to 64 letters, digits, _ and -");
  const Value* input = tool.find("inputSchema");
  if (input == nullptr || !input->is_object() || input->text("type") != "object")
    return refuse("its input schema is not of an object");
  if (dump(*input).size() > kMostSchema) return refuse("its input schema is above 64 KiB");
  auto compiled = schemas::JsonSchema::compile(*input);
  if (!compiled.ok()) return refuse("its input schema: " + cut_text(compiled.error().message, 300));
  out.schema = *std::move(compiled);
  out.tool.description = cut_text(replace_invalid_utf8(tool.text("description")), kMostDescription);
  out.tool.input = *input;
  return out;
}

ToolResult mcp_result(const Value& result, std::size_t most_bytes) {
  if (result.text("resultType") == "input_required")
    return mcp_error("input_required", "the tool asks for input that nobody gives");
  const Value* failed = result.find("isError");
  if (failed != nullptr && failed->is_bool() && failed->as_bool()) {
    const std::string text = all_text(result);
    return mcp_error("tool_error",
                     text.empty() ? "the tool failed" : cut_text(text, most_bytes / 2));
  }
  ToolResult out;
  const Value* structured = result.find("structuredContent");
  const Value* content = result.find("content");
  if (structured != nullptr && !structured->is_null()) {
    out.out = dump(*structured);
  } else if (content != nullptr && content->is_array() && content->items().size() == 1 &&
             content->items()[0].is_object() && content->items()[0].text("type") == "text") {
    const std::string text = content->items()[0].text("text");
    const auto value = schemas::parse_json(text);
    out.out = value.ok() && (value->is_object() || value->is_array())
                  ? dump(*value)
                  : dump(Value::object().set("text", text));
  } else {
    Value blocks = Value::array();
    if (content != nullptr && content->is_array())
      for (const auto& block : content->items()) blocks.push(block_of(block));
    out.out = dump(Value::object().set("content", std::move(blocks)));
  }
  if (out.out.size() > most_bytes)
    return mcp_error("output_cut",
                     "the result has " + std::to_string(out.out.size()) + " bytes, at most " +
                         std::to_string(most_bytes) + " are shown",
                     End::output_cut);
  return out;
}

}  // namespace seedbed::sandbox
