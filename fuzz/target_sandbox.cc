// What MCP servers and people say to the sandbox: whatever it is, a tool is offered only as it may
// be, a result is one bounded JSON text, a mount leads nowhere else.
#include "base/text.h"
#include "fuzz/targets.h"
#include "sandbox/box/mount_text.h"
#include "sandbox/hosts/mcp_message.h"

namespace seedbed::fuzz {
namespace {

constexpr std::size_t kMost = 512;

std::string wrong_with_tool(const schemas::Value& value) {
  const auto read = sandbox::read_mcp_tool(value);
  if (!is_valid_utf8(read.tool.name) || !is_valid_utf8(read.tool.description))
    return "text that is no UTF-8";
  if (!read.why.empty()) return read.schema ? "a schema without a tool" : "";
  if (!read.schema || read.tool.name.empty() || read.tool.name.size() > 64 ||
      read.tool.description.size() > 4096)
    return "a tool beyond its bounds";
  static_cast<void>(read.schema->validate(value));
  return "";
}

std::string wrong_with_result(const schemas::Value& value) {
  const auto result = sandbox::mcp_result(value, kMost);
  // An error's text may be escaped to six bytes a byte.
  if (result.out.size() > kMost * 3 + 256) return "a result over its bound";
  const auto again = schemas::parse_json(result.out);
  if (!again.ok()) return "a result that is no JSON";
  const bool error = again->is_object() && again->find("error") != nullptr;
  return result.end != schemas::End::ok && !error ? "a failure without its error" : "";
}

std::string mcp_message(std::string_view input) {
  const auto value = schemas::parse_json(input);
  if (!value.ok()) return "";
  if (auto why = wrong_with_tool(*value); !why.empty()) return why;
  if (!value->is_object()) return "";
  return wrong_with_result(*value);
}

// What people ask to be shown in a jail: a place inside is absolute and leads nowhere else.
std::string mount(std::string_view input) {
  std::string source, target;
  bool writable = false;
  const auto fault = sandbox::box::read_mount(std::string(input), source, target, writable);
  if (!fault.what.empty()) return fault.todo.empty() ? "a refusal without advice" : "";
  if (source.empty() || source[0] != '/' || target.size() < 2 || target[0] != '/')
    return "a mount that is not absolute";
  for (const auto& part : split(target.substr(1), '/'))
    if (part.empty() || part == "." || part == "..") return "a place inside that leads elsewhere";
  return target == "/proc" || target.starts_with("/dev/") ? "a place of the jail's own" : "";
}

}  // namespace

std::vector<Target> sandbox_targets() {
  return {
      {"mount", mount, {"/srv/data:/data", "/a:/b:rw", "/usr/share/x", "/a/../b:/c/./d"}},
      {"mcp",
       mcp_message,
       {R"({"name":"add","description":"Adds.","inputSchema":{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}})",
        R"({"content":[{"type":"text","text":"[1,{\"a\":null}]"}],"isError":false})",
        R"({"content":[{"type":"image","mimeType":"image/png","data":"AAAA"},{"type":"resource","resource":{"uri":"a:b","text":"x"}}]})",
        R"({"resultType":"complete","structuredContent":{"sum":5},"content":[]})",
        R"({"isError":true,"content":[{"type":"text","text":"no such file"}]})"}}};
}

}  // namespace seedbed::fuzz
