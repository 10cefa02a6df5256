// A third-party MCP server (stdio) inside a box: its tools are listed once, checked, and called.
// Protocol: 2026-07-28 where the server answers server/discover, else the handshake of 2024-11-05
// to 2025-11-25. https://modelcontextprotocol.io/specification
//
// Nothing that the server says is trusted: messages are bounded, schemas must compile, arguments
// are checked here before the server sees them, results become one JSON text that is bounded too.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sandbox/hosts/mcp_message.h"
#include "sandbox/hosts/resident.h"

namespace seedbed::sandbox {

struct McpServer {
  std::string name, version;  // as it calls itself
  std::string protocol;       // the revision spoken
  bool modern = false;        // without a handshake
};

class McpHost {
 public:
  struct Options {
    Command command;
    Milliseconds start{20'000};  // until its tools are known
    std::size_t most_tools = 128;
    std::size_t output_bytes = 256 << 10;  // of a result
  };
  // Error{sandbox}: it does not start; Error{tool}: it does not speak the protocol, or offers no
  // tool that can be used.
  static Result<std::unique_ptr<McpHost>> open(std::unique_ptr<LiveBox> box, Options options);

  [[nodiscard]] const McpServer& server() const { return server_; }
  [[nodiscard]] const std::vector<McpTool>& tools() const { return tools_; }
  // Tools that cannot be offered, and why.
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& left_out() const {
    return left_out_;
  }

  // Unknown tools and arguments outside the schema are tool_errors, decided here. timed_out: the
  // call was cancelled, the server may go on; crashed: it has ended, every further call ends so.
  // Error{sandbox}: the box is gone.
  Result<schemas::ToolResult> call(const schemas::ToolCall& call, Milliseconds wall);
  // What the server wrote to its standard error since the last call of this, bounded.
  std::string take_errors();

  [[nodiscard]] LiveBox& box() { return *box_; }
  std::unique_ptr<LiveBox> take_box();

 private:
  struct Answer;
  McpHost(std::unique_ptr<LiveBox> box, Options options);
  Step start();
  Step greet(Resident::Clock::time_point deadline);
  bool discover(Resident::Clock::time_point deadline, Answer& answer);
  Step handshake(const Answer& answer);
  void know(const schemas::Value* info);
  Step list_tools(Resident::Clock::time_point deadline);
  void add_tool(const schemas::Value& tool);
  bool send(const schemas::Value& message);
  Answer ask(const std::string& method,
             schemas::Value params,
             Resident::Clock::time_point deadline);
  bool heed(const schemas::Value& message);
  [[nodiscard]] Error failed(const Answer& answer, const std::string& method) const;

  std::unique_ptr<LiveBox> box_;
  Options options_;
  std::unique_ptr<Resident> program_;
  box::BoundedText errors_;
  McpServer server_;
  std::vector<McpTool> tools_;
  std::vector<std::pair<std::string, std::string>> left_out_;
  std::map<std::string, schemas::JsonSchema, std::less<>> schemas_;
  std::int64_t next_ = 1;
};

}  // namespace seedbed::sandbox
