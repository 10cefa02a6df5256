// MCP servers in boxes: both revisions, tools that cannot be offered, servers that break the
// protocol or themselves. The servers are small Python programs; real ones from PyPI are met in
// acceptance.
#include <gtest/gtest.h>
#include <unistd.h>

#include "boxes_kit.h"
#include "sandbox/hosts/mcp_host.h"

namespace seedbed::sandbox {
namespace {

using schemas::End;
using schemas::Value;

// answer(method, params, id) gives a result, an {"error": ...} or None for nothing.
constexpr const char* kServer = R"py(
import json, sys, os, time
MODERN = "io.modelcontextprotocol/protocolVersion"
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a", "b"], "additionalProperties": False}
def tool(name, schema=SCHEMA, text="Adds."):
    return {"name": name, "description": text, "inputSchema": schema}
TOOLS = [tool("add")]
def discover(params):
    return {"error": {"code": -32601, "message": "unknown method"}}
def initialize(params):
    return {"protocolVersion": params["protocolVersion"], "capabilities": {}, "serverInfo": {"name": "sums", "version": "1.2"}}
def tools(params):
    return {"tools": TOOLS}
def call(params):
    a = params["arguments"]
    return {"content": [{"type": "text", "text": str(a["a"] + a["b"])}]}
def say(message):
    print(json.dumps(message), flush=True)
def answer(method, params, id):
    table = {"server/discover": discover, "initialize": initialize, "tools/list": tools, "tools/call": call}
    if method in table:
        return table[method](params)
#PATCH
for line in sys.stdin:
    m = json.loads(line)
    if "method" not in m or "id" not in m: continue
    r = answer(m["method"], m.get("params", {}), m["id"])
    if r is None: continue
    out = {"jsonrpc": "2.0", "id": m["id"]}
    if "error" in r: out["error"] = r["error"]
    else: out["result"] = r
    say(out)
)py";

class McpHostTest : public WithBoxes {
 protected:
  Result<std::unique_ptr<McpHost>> open(const std::string& patch, McpHost::Options options = {}) {
    std::string program = kServer;
    program.replace(program.find("#PATCH"), 6, patch);
    options.command.argv = {"/usr/bin/python3", "-I", "-S", "-c", program};
    auto box = boxes_->open(BoxSpec{});
    if (!box.ok()) return box.error();
    return McpHost::open(std::move(*box), std::move(options));
  }
  static schemas::ToolResult call(McpHost& host,
                                  const std::string& tool,
                                  const std::string& args,
                                  Milliseconds wall = Milliseconds(10'000)) {
    const auto result = host.call({tool, *schemas::parse_json(args)}, wall);
    EXPECT_TRUE(result.ok()) << result.error().message;
    return result.ok() ? *result : schemas::ToolResult{};
  }
};

TEST_F(McpHostTest, AServerOfTheHandshakeIsSpokenTo) {
  auto host = open("");
  ASSERT_TRUE(host.ok()) << host.error().message;
  EXPECT_EQ((*host)->server().name, "sums");
  EXPECT_EQ((*host)->server().version, "1.2");
  EXPECT_EQ((*host)->server().protocol, "2025-11-25");
  EXPECT_FALSE((*host)->server().modern);
  ASSERT_EQ((*host)->tools().size(), 1U);
  EXPECT_EQ((*host)->tools()[0].description, "Adds.");
  EXPECT_EQ(call(**host, "add", R"({"a":2,"b":3})").out, R"({"text":"5"})");
  const auto unknown = call(**host, "ad", "{}");
  EXPECT_EQ(unknown.end, End::tool_error);
  EXPECT_NE(unknown.out.find("did you mean 'add'"), std::string::npos) << unknown.out;
  const auto wrong = call(**host, "add", R"({"a":"x","b":3})");
  EXPECT_EQ(wrong.end, End::tool_error);
  EXPECT_NE(wrong.out.find("invalid_arguments"), std::string::npos) << wrong.out;
}

TEST_F(McpHostTest, AServerOfTheCurrentRevisionIsSpokenToWithoutHandshake) {
  auto host = open(R"py(
def discover(params):
    assert params["_meta"][MODERN] == "2026-07-28" and "io.modelcontextprotocol/clientCapabilities" in params["_meta"]
    return {"resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {}, "ttlMs": 0, "cacheScope": "private",
            "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "new", "version": "9"}}}
def initialize(params):
    return {"error": {"code": -32022, "message": "not this"}}
def call(params):
    assert params["_meta"][MODERN] == "2026-07-28"
    a = params["arguments"]
    return {"resultType": "complete", "structuredContent": {"sum": a["a"] + a["b"]}, "content": []}
)py");
  ASSERT_TRUE(host.ok()) << host.error().message;
  EXPECT_TRUE((*host)->server().modern);
  EXPECT_EQ((*host)->server().protocol, "2026-07-28");
  EXPECT_EQ((*host)->server().name, "new");
  EXPECT_EQ(call(**host, "add", R"({"a":2,"b":3})").out, R"({"sum":5})");
}

TEST_F(McpHostTest, AServerThatEndsWhenItIsAskedWhatItDoesNotKnowIsStartedAgain) {
  auto host = open("def discover(params):\n    os._exit(1)\n");
  ASSERT_TRUE(host.ok()) << host.error().message;
  EXPECT_EQ(call(**host, "add", R"({"a":1,"b":1})").out, R"({"text":"2"})");
}

TEST_F(McpHostTest, ToolsThatCannotBeOfferedAreNamed) {
  auto host = open(R"py(
PAGES = {"": [tool("ok"), tool("bad name"), tool("x" * 65), tool("dotted.name"), tool("ok")],
         "2": [tool("no_schema", None), tool("no_object", {"type": "string"}), tool("bad_ref", {"type": "object", "$ref": "http://a/b"}),
               tool("bad_pattern", {"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}}), tool("long", text="y" * 9000)]}
def tools(params):
    cursor = params.get("cursor", "")
    out = {"tools": PAGES[cursor]}
    if cursor == "": out["nextCursor"] = "2"
    return out
)py");
  ASSERT_TRUE(host.ok()) << host.error().message;
  std::vector<std::string> names;
  for (const auto& tool : (*host)->tools()) names.push_back(tool.name);
  EXPECT_EQ(names, (std::vector<std::string>{"ok", "long"}));
  EXPECT_EQ((*host)->tools()[1].description.size(), 4096U);
  EXPECT_EQ((*host)->left_out().size(), 8U);
  auto none = open("TOOLS = []");
  ASSERT_FALSE(none.ok());
  EXPECT_NE(none.error().message.find("no tool that can be offered"), std::string::npos);
}

TEST_F(McpHostTest, FailuresAreToldApart) {
  McpHost::Options options;
  options.output_bytes = 1000;
  auto host = open(R"py(
TOOLS = [tool(n, {"type": "object"}) for n in ("fails", "rpc", "hangs", "big", "image", "json", "asks", "dies")]
def call(params):
    n = params["name"]
    if n == "fails": return {"isError": True, "content": [{"type": "text", "text": "no such file"}]}
    if n == "rpc": return {"error": {"code": -32603, "message": "internal"}}
    if n == "hangs": time.sleep(1.5); return {"content": [{"type": "text", "text": "late"}]}
    if n == "big": return {"content": [{"type": "text", "text": "z" * 5000}]}
    if n == "image": return {"content": [{"type": "image", "mimeType": "image/png", "data": "AAAA"}, {"type": "text", "text": "see"}]}
    if n == "json": return {"content": [{"type": "text", "text": "[1, {\"a\": null}]"}]}
    if n == "asks": return {"resultType": "input_required", "content": []}
    sys.stderr.write("falling over\n"); sys.stderr.flush(); os._exit(7)
)py",
                   options);
  ASSERT_TRUE(host.ok()) << host.error().message;
  const auto fails = call(**host, "fails", "{}");
  EXPECT_EQ(fails.end, End::tool_error);
  EXPECT_NE(fails.out.find("no such file"), std::string::npos);
  EXPECT_EQ(call(**host, "rpc", "{}").end, End::tool_error);
  EXPECT_EQ(call(**host, "hangs", "{}", Milliseconds(100)).end, End::timed_out);
  EXPECT_EQ(call(**host, "json", "{}").out, R"([1,{"a":null}])") << "the late answer is dropped";
  EXPECT_EQ(call(**host, "big", "{}").end, End::output_cut);
  EXPECT_EQ(
      call(**host, "image", "{}").out,
      R"({"content":[{"type":"image","mimeType":"image/png","bytes":3},{"type":"text","text":"see"}]})");
  EXPECT_EQ(call(**host, "asks", "{}").end, End::tool_error);
  const auto dies = call(**host, "dies", "{}");
  EXPECT_EQ(dies.end, End::crashed);
  EXPECT_NE(dies.out.find("exit code 7"), std::string::npos) << dies.out;
  EXPECT_EQ((*host)->take_errors(), "falling over\n");
  EXPECT_EQ(call(**host, "json", "{}").end, End::crashed) << "it stays so";
}

TEST_F(McpHostTest, WhatServersSayBesidesIsHeeded) {
  auto host = open(R"py(
def call(params):
    print("a line of log on standard output", flush=True)
    say({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x"}})
    say({"jsonrpc": "2.0", "id": "mine", "method": "ping"})
    pong = json.loads(sys.stdin.readline())
    say({"jsonrpc": "2.0", "id": 77, "method": "sampling/createMessage", "params": {}})
    refused = json.loads(sys.stdin.readline())
    say({"jsonrpc": "2.0", "id": 999999, "result": {"content": []}})
    return {"content": [{"type": "text", "text": json.dumps([pong, refused])}]}
)py");
  ASSERT_TRUE(host.ok()) << host.error().message;
  const auto result = call(**host, "add", R"({"a":1,"b":1})");
  EXPECT_EQ(
      result.out,
      R"([{"jsonrpc":"2.0","id":"mine","result":{}},{"jsonrpc":"2.0","id":77,"error":{"code":-32601,"message":"not offered: sampling/createMessage"}}])");
}

TEST_F(McpHostTest, ServersThatBreakTheProtocolAreRefused) {
  McpHost::Options options;
  options.start = Milliseconds(3000);
  const struct {
    const char *patch, *found;
  } rows[] = {
      {"def initialize(params):\n    return {\"protocolVersion\": \"1999-01-01\"}\n",
       "revision '1999-01-01'"},
      {"def initialize(params):\n    return {\"error\": {\"code\": -32603, \"message\": \"no\"}}\n",
       "error -32603: no"},
      {"def tools(params):\n    return {\"tools\": 7}\n", "no message of the protocol"},
      {"def tools(params):\n    return {\"tools\": TOOLS, \"nextCursor\": \"again\"}\n", ""},
      {"def tools(params):\n    print(\"x\" * 5_000_000, flush=True)\n    time.sleep(100)\n",
       "no message of the protocol"},
      {"def tools(params):\n    while True: print(\"noise\", flush=True)\n",
       "no message of the protocol"},
      {"sys.stderr.write(\"cannot import\\n\"); sys.exit(3)\n", "exit code 3"},
      {"def initialize(params):\n    return {\"error\": {\"code\": -32022, \"message\": \"no\"}}\n",
       "error -32022"},
      {"def tools(params):\n    while True: say({\"jsonrpc\": \"2.0\", \"method\": "
       "\"notifications/x\"})\n",
       "no answer in time"},
      {"time.sleep(100)\n", "no answer in time"}};
  for (const auto& row : rows) {
    const auto host = open(row.patch, options);
    if (*row.found == '\0') {
      EXPECT_TRUE(host.ok()) << "pages without end are cut: " << host.error().message;
      continue;
    }
    ASSERT_FALSE(host.ok()) << row.patch;
    EXPECT_NE(host.error().message.find(row.found), std::string::npos) << host.error().message;
  }
}

}  // namespace
}  // namespace seedbed::sandbox
