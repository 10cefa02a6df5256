#include "sandbox/hosts/mcp_host.h"

#include <algorithm>
#include <array>
#include <csignal>

#include "base/text.h"

namespace seedbed::sandbox {
namespace {

using Clock = Resident::Clock;
using schemas::End;
using schemas::ToolResult;
using schemas::Value;

constexpr std::string_view kModern = "2026-07-28", kLegacy = "2025-11-25";
constexpr std::array<std::string_view, 4> kSpoken = {"2025-11-25", "2025-06-18", "2025-03-26",
                                                     "2024-11-05"};
constexpr Milliseconds kProbe{8'000}, kSayTime{5'000};
constexpr std::int64_t kUnsupportedVersion = -32022;
constexpr int kMostPages = 64, kMostNoise = 1000;
constexpr std::size_t kMostErrors = 16 << 10, kMostLeftOut = 1000;

}  // namespace

struct McpHost::Answer {
  enum class What : std::uint8_t {
    result,
    error,
    late,
    ended,
    noise,
    box_ended
  } what = What::result;
  Value value;            // result
  std::int64_t code = 0;  // error
  std::string message;    // error; ended: how
};

McpHost::McpHost(std::unique_ptr<LiveBox> box, Options options)
    : box_(std::move(box)), options_(std::move(options)), errors_(kMostErrors) {}

Result<std::unique_ptr<McpHost>> McpHost::open(std::unique_ptr<LiveBox> box, Options options) {
  std::unique_ptr<McpHost> self(new McpHost(std::move(box), std::move(options)));
  const auto deadline = Clock::now() + self->options_.start;
  if (auto error = self->start()) return *std::move(error);
  if (auto error = self->greet(deadline)) return *std::move(error);
  if (auto error = self->list_tools(deadline)) return *std::move(error);
  return self;
}

Step McpHost::start() {
  SEEDBED_TRY(program_, Resident::start(*box_, options_.command, Talk::output_stream, '\n'));
  return std::nullopt;
}

bool McpHost::send(const Value& message) {
  return program_->say(dump(message) + "\n", Clock::now() + kSayTime);
}

// What is no answer: a server may ask to be pinged; all else it asks for is not offered. False for
// what is no message of the protocol.
bool McpHost::heed(const Value& message) {
  const std::string method = message.text("method");
  if (method.empty()) return message.find("id") != nullptr;
  const Value* id = message.find("id");
  if (id == nullptr) return true;  // a notification
  Value reply = Value::object().set("jsonrpc", "2.0").set("id", *id);
  if (method == "ping")
    reply.set("result", Value::object());
  else
    reply.set("error", Value::object()
                           .set("code", -32601)
                           .set("message", "not offered: " + cut_text(method, 100)));
  send(reply);
  return true;
}

McpHost::Answer McpHost::ask(const std::string& method, Value params, Clock::time_point deadline) {
  const std::int64_t id = next_++;
  if (server_.modern) {
    Value meta = Value::object();
    meta.set("io.modelcontextprotocol/protocolVersion", std::string(kModern));
    meta.set("io.modelcontextprotocol/clientCapabilities", Value::object());
    meta.set("io.modelcontextprotocol/clientInfo",
             Value::object().set("name", "seedbed").set("version", "1"));
    params.set("_meta", std::move(meta));
  }
  Answer answer;
  Value request = Value::object().set("jsonrpc", "2.0").set("id", id).set("method", method);
  if (!send(request.set("params", std::move(params)))) {
    answer.what = program_->alive() ? Answer::What::late : Answer::What::ended;
    if (answer.what == Answer::What::late) answer.message = "it does not read";
  }
  for (int noise = 0; answer.what == Answer::What::result;) {
    const Heard heard = program_->hear(deadline, nullptr, &errors_);
    if (heard.what == Heard::What::deadline) {
      answer.what = Answer::What::late;
      // Its answer, should it come, is another one's by then and dropped.
      if (method == "tools/call")
        send(Value::object()
                 .set("jsonrpc", "2.0")
                 .set("method", "notifications/cancelled")
                 .set("params", Value::object().set("requestId", id)));
      return answer;
    }
    if (heard.what == Heard::What::box_ended) answer.what = Answer::What::box_ended;
    if (heard.what == Heard::What::overlong) answer.what = Answer::What::noise;
    if (heard.what == Heard::What::program_ended) {
      answer.what = Answer::What::ended;
      answer.message = heard.signal != 0       ? "signal " + std::to_string(heard.signal)
                       : heard.message.empty() ? "exit code " + std::to_string(heard.code)
                                               : heard.message;
    }
    if (heard.what != Heard::What::message) return answer;
    const auto message = schemas::parse_json(heard.message);
    const Value* said = message.ok() && message->is_object() ? message->find("id") : nullptr;
    const bool ours = said != nullptr && said->is_int() && said->as_int() == id &&
                      message->find("method") == nullptr;
    if (!ours) {
      const bool known = message.ok() && message->is_object() && heed(*message);
      noise += known ? 0 : 1;
      if (noise > kMostNoise) answer.what = Answer::What::noise;
      continue;
    }
    if (const Value* error = message->find("error"); error != nullptr && error->is_object()) {
      answer.what = Answer::What::error;
      const Value* code = error->find("code");
      answer.code = code != nullptr && code->is_int() ? code->as_int() : 0;
      answer.message = cut_text(error->text("message"), 4096);
      return answer;
    }
    const Value* result = message->find("result");
    if (result == nullptr || !result->is_object()) {
      answer.what = Answer::What::noise;
      return answer;
    }
    answer.value = *result;
    return answer;
  }
  return answer;
}

Error McpHost::failed(const Answer& answer, const std::string& method) const {
  const std::string errors = replace_invalid_utf8(trim(errors_.text()));
  const std::string found = answer.what == Answer::What::late ? "no answer in time"
                            : answer.what == Answer::What::ended
                                ? "it ended (" + answer.message + ")"
                            : answer.what == Answer::What::box_ended ? "its box ended"
                            : answer.what == Answer::What::error
                                ? "error " + std::to_string(answer.code) + ": " + answer.message
                                : "what is no message of the protocol";
  return make_error(
      answer.what == Answer::What::box_ended ? Where::sandbox : Where::tool, "MCP server", method,
      "found " + found +
          (errors.empty()
               ? ""
               : "; it says: " + errors.substr(errors.size() > 600 ? errors.size() - 600 : 0)) +
          ", wanted an answer",
      "try the command in `seedbed sandbox run`: is all it needs mounted, with memory and without "
      "a network?");
}

// Whether the server is of the current revision.
bool McpHost::discover(Clock::time_point deadline, Answer& answer) {
  server_.modern = true;
  answer = ask("server/discover", Value::object(), deadline);
  const Value* versions =
      answer.value.is_object() ? answer.value.find("supportedVersions") : nullptr;
  server_.modern =
      answer.what == Answer::What::result && versions != nullptr && versions->is_array() &&
      std::any_of(versions->items().begin(), versions->items().end(),
                  [](const Value& v) { return v.is_string() && v.as_string() == kModern; });
  if (!server_.modern) return false;
  server_.protocol = kModern;
  const Value* meta = answer.value.find("_meta");
  const Value* info = meta != nullptr && meta->is_object()
                          ? meta->find("io.modelcontextprotocol/serverInfo")
                          : nullptr;
  know(info != nullptr ? info : answer.value.find("serverInfo"));
  return true;
}

void McpHost::know(const Value* info) {
  if (info == nullptr || !info->is_object()) return;
  server_.name = cut_text(info->text("name"), 200);
  server_.version = cut_text(info->text("version"), 200);
}

// A server of the current revision answers server/discover; others answer any error, or nothing, or
// end. One that was slow to start refuses the handshake for the revision it has seen meanwhile.
Step McpHost::greet(Clock::time_point deadline) {
  Answer answer;
  if (discover(std::min(deadline, Clock::now() + kProbe), answer)) return std::nullopt;
  if (answer.what == Answer::What::box_ended) return failed(answer, "server/discover");
  if (!program_->alive())
    if (auto error = start()) return error;
  Value params = Value::object()
                     .set("protocolVersion", std::string(kLegacy))
                     .set("capabilities", Value::object());
  params.set("clientInfo", Value::object().set("name", "seedbed").set("version", "1"));
  answer = ask("initialize", std::move(params), deadline);
  Answer again;
  if (answer.what == Answer::What::error && answer.code == kUnsupportedVersion &&
      discover(deadline, again))
    return std::nullopt;
  return handshake(answer);
}

Step McpHost::handshake(const Answer& answer) {
  if (answer.what != Answer::What::result) return failed(answer, "initialize");
  server_.protocol = answer.value.text("protocolVersion");
  if (std::find(kSpoken.begin(), kSpoken.end(), server_.protocol) == kSpoken.end())
    return make_error(
        Where::tool, "MCP server", "initialize",
        "found revision '" + cut_text(server_.protocol, 40) + "', wanted 2024-11-05 to 2026-07-28",
        "use another version of the server");
  know(answer.value.find("serverInfo"));
  send(Value::object().set("jsonrpc", "2.0").set("method", "notifications/initialized"));
  return std::nullopt;
}

Step McpHost::list_tools(Clock::time_point deadline) {
  std::string cursor;
  for (int page = 0; page < kMostPages; ++page) {
    Value params = Value::object();
    if (!cursor.empty()) params.set("cursor", cursor);
    const Answer answer = ask("tools/list", std::move(params), deadline);
    if (answer.what != Answer::What::result) return failed(answer, "tools/list");
    const Value* tools = answer.value.find("tools");
    if (tools == nullptr || !tools->is_array()) {
      Answer odd;
      odd.what = Answer::What::noise;
      return failed(odd, "tools/list");
    }
    for (const auto& tool : tools->items()) add_tool(tool);
    cursor = answer.value.text("nextCursor");
    if (cursor.empty() || cursor.size() > 4096) break;
  }
  if (!tools_.empty()) return std::nullopt;
  return make_error(
      Where::tool, "MCP server", "tools/list",
      "found no tool that can be offered" +
          (left_out_.empty() ? ""
                             : ", the first: " + left_out_[0].first + ": " + left_out_[0].second) +
          ", wanted at least one",
      "use another server");
}

void McpHost::add_tool(const Value& tool) {
  const auto leave = [&](const std::string& name, std::string why) {
    if (left_out_.size() < kMostLeftOut) left_out_.emplace_back(name, std::move(why));
  };
  auto read = read_mcp_tool(tool);
  if (!read.why.empty()) return leave(read.tool.name, std::move(read.why));
  if (schemas_.count(read.tool.name) != 0)
    return leave(read.tool.name, "a second tool of this name");
  if (tools_.size() >= options_.most_tools)
    return leave(read.tool.name, "there are " + std::to_string(options_.most_tools) + " already");
  schemas_.emplace(read.tool.name, *std::move(read.schema));
  tools_.push_back(std::move(read.tool));
}

Result<ToolResult> McpHost::call(const schemas::ToolCall& call, Milliseconds wall) {
  const auto schema = schemas_.find(call.tool);
  if (schema == schemas_.end()) {
    std::vector<std::string> names;
    for (const auto& tool : tools_) names.push_back(tool.name);
    const std::string near = nearest(call.tool, names);
    return mcp_error("unknown_tool", "there is no tool '" + cut_text(call.tool, 100) + "'" +
                                         (near.empty() ? "" : "; did you mean '" + near + "'?"));
  }
  if (const auto wrong = schema->second.validate(call.args); !wrong.empty())
    return mcp_error("invalid_arguments",
                     (wrong[0].pointer.empty() ? "" : wrong[0].pointer + ": ") + wrong[0].message);
  if (!program_->alive()) return mcp_error("crashed", "the server has ended", End::crashed);
  const Answer answer =
      ask("tools/call", Value::object().set("name", call.tool).set("arguments", call.args),
          Clock::now() + wall);
  switch (answer.what) {
    case Answer::What::result:
      return mcp_result(answer.value, options_.output_bytes);
    case Answer::What::error:
      return mcp_error(answer.code == -32602 ? "invalid_arguments" : "tool_error", answer.message);
    case Answer::What::late:
      return mcp_error("timed_out", "no answer in " + std::to_string(wall.count()) + " ms",
                       End::timed_out);
    case Answer::What::box_ended:
      return failed(answer, "tools/call");
    default:
      program_->interrupt(SIGKILL);  // it may have said what is no message
      return mcp_error("crashed", "the server has ended (" + answer.message + ")", End::crashed);
  }
}

std::string McpHost::take_errors() {
  std::string out = errors_.text();
  errors_ = box::BoundedText(kMostErrors);
  return out;
}

std::unique_ptr<LiveBox> McpHost::take_box() {
  program_.reset();
  return std::move(box_);
}

}  // namespace seedbed::sandbox
