// What MCP servers and people say to the sandbox: whatever it is, a tool is offered only as it may
// be, a result is one bounded JSON text, a mount leads nowhere else.
#include "base/text.h"
#include "envgen/from_mcp/file_image.h"
#include "envgen/from_mcp/from_mcp.h"
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

// The image of a server's files, from a store of somebody else: what is taken comes back the same.
std::string files(std::string_view input) {
  const auto read = envgen::files_of(std::string(input));
  if (!read.ok()) return "";
  const auto image = envgen::image_of(*read);
  if (!image.ok()) return "files that cannot be an image";
  const auto again = envgen::files_of(*image);
  return again.ok() && again->digest() == read->digest() ? "" : "other files when read again";
}

std::string some_image() {
  using Kind = sandbox::WorkEntry::Kind;
  sandbox::WorkState state;
  state.entries = {{Kind::folder, "a", 0755, ""},
                   {Kind::file, "a/b", 0644, "text"},
                   {Kind::link, "c", 0, "a/b"},
                   {Kind::file, "d", 0600, std::string("\0\xff", 2)}};
  const auto image = envgen::image_of(state);
  return image.ok() ? *image : "";
}

// A line of a user's tasks: what becomes a draft has an answer that its own schema takes.
std::string server_task(std::string_view input) {
  const auto task = schemas::parse_record<schemas::ServerTask>(input, "line");
  if (!task.ok()) return "";
  const auto draft = envgen::server_draft(*task, "e", 0);
  if (!draft.ok()) return "";
  const auto schema = schemas::JsonSchema::compile(draft->task.submit_schema);
  if (!schema.ok()) return "a schema that does not compile";
  return schema->validate(draft->gold.steps.back().args).empty() ? "" : "an answer that is refused";
}

}  // namespace

std::vector<Target> sandbox_targets() {
  return {
      {"files", files, {some_image()}},
      {"server_task",
       server_task,
       {R"({"prompt":"p","calls":[{"tool":"t","args":{"a":1}}],"answer":{"n":3,"s":"x","l":["a","b"],"d":"2031-03-05"},"derived":["a"]})",
        R"({"prompt":"p","kind":"k","calls":[],"files":[{"name":"f","sql":"SELECT 1"}]})"}},
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
