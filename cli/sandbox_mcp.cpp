#include "cli/sandbox_mcp.h"

#include <algorithm>

#include "cli/box_arguments.h"
#include "sandbox/hosts/mcp_host.h"

namespace seedbed::cli {
namespace {

using schemas::Value;

Value as_object(const sandbox::McpHost& host) {
  Value tools = Value::array(), left_out = Value::array();
  for (const auto& tool : host.tools())
    tools.push(Value::object()
                   .set("name", tool.name)
                   .set("description", tool.description)
                   .set("inputSchema", tool.input));
  for (const auto& [name, why] : host.left_out())
    left_out.push(Value::object().set("name", name).set("why", why));
  Value out =
      Value::object().set("server", host.server().name).set("version", host.server().version);
  out.set("protocol", host.server().protocol).set("tools", std::move(tools));
  return out.set("left_out", std::move(left_out));
}

void show(Output& out, const sandbox::McpHost& host) {
  out.line(host.server().name + " " + host.server().version + ", protocol " +
           host.server().protocol + "\n");
  Table table{{"tool", "arguments", "what it does"}, {}};
  for (const auto& tool : host.tools()) {
    std::string arguments;
    if (const Value* properties = tool.input.find("properties");
        properties != nullptr && properties->is_object())
      for (const auto& [name, schema] : properties->members())
        arguments += (arguments.empty() ? "" : ", ") + name;
    const std::string first = tool.description.substr(0, tool.description.find('\n'));
    table.rows.push_back(
        {tool.name, arguments, first.size() > 80 ? first.substr(0, 77) + "..." : first});
  }
  out.table(table);
  for (const auto& [name, why] : host.left_out()) out.status("left out: " + name + ": " + why);
}

}  // namespace

Result<int> cmd_sandbox_mcp(Context& context, const Words& words) {
  BoxArguments arguments;
  std::string tool, args = "{}";
  std::int64_t wall_ms = 30'000;
  std::vector<std::string> command;
  Options options("sandbox mcp",
                  "run a third-party MCP server (stdio) in a jail, list its tools or call one",
                  "seedbed sandbox mcp --mount /srv/venv:/srv/venv --call add --args '{\"a\": 1, "
                  "\"b\": 2}' -- /srv/venv/bin/my-server");
  options.operands("CMD", command, 0, "the server and its arguments, after --");
  options.text("--call", tool, "TOOL", "call this tool and print its result");
  options.text("--args", args, "JSON", "its arguments, an object");
  options.integer("--wall-ms", wall_ms, 1, 86'400'000, "of the call");
  arguments.add_to(options);
  // What follows "--" is the server's, flags too.
  const auto dashes = std::find(words.begin(), words.end(), "--");
  if (auto error = options.parse({words.begin(), dashes})) return *std::move(error);
  if (options.wants_help()) return context.out.raw(options.help()), 0;
  if (dashes != words.end()) command.assign(dashes + 1, words.end());
  if (command.empty())
    return make_error(Where::usage, "command", "sandbox mcp",
                      "found no server, wanted one after --", "see `seedbed sandbox mcp --help`");
  context.out.set_json(arguments.common.json);
  SEEDBED_TRY(const auto parsed, schemas::parse_json(args));
  if (!parsed.is_object())
    return make_error(Where::usage, "option", "--args",
                      "found no object, wanted the arguments of --call",
                      "for instance --args '{}'");
  SEEDBED_TRY(auto box, arguments.open());
  sandbox::McpHost::Options host_options;
  host_options.command.argv = command;
  SEEDBED_TRY(const auto host, sandbox::McpHost::open(std::move(box), std::move(host_options)));
  if (tool.empty()) {
    show(context.out, *host);
    context.out.object(as_object(*host));
    return 0;
  }
  SEEDBED_TRY(const auto result, host->call({tool, parsed}, sandbox::Milliseconds(wall_ms)));
  context.out.line(result.out);
  SEEDBED_TRY(auto value, schemas::parse_json(result.out));
  const auto end = schemas::enum_names(result.end)[static_cast<std::size_t>(result.end)];
  context.out.object(Value::object().set("end", std::string(end)).set("result", std::move(value)));
  return result.end == schemas::End::ok ? 0 : 1;
}

}  // namespace seedbed::cli
