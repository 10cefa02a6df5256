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
constexpr std::size_t kMostName = 64, kMostDescription = 4096, kMostSchema = 64 << 10,
                      kMostErrors = 16 << 10;

bool usable_name(std::string_view name) {
  return !name.empty() && name.size() <= kMostName &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-';
         });
}

std::string cut_text(std::string text, std::size_t most) {
  if (text.size() <= most) return text;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xc0U) == 0x80U) --most;
  text.resize(most);
  return text;
}

ToolResult error_result(const std::string& code,
                        const std::string& message,
                        End end = End::tool_error) {
  return {end, dump(Value::object().set(
                   "error", Value::object().set("code", code).set("message", message)))};
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
  if (auto error = self->greet(deadline, kProbe)) return *std::move(error);
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
  const std::string errors(trim(errors_.text()));
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

// A server of the current revision answers server/discover; others answer any error, or nothing, or
// end.
Step McpHost::greet(Clock::time_point deadline, Milliseconds probe) {
  server_.modern = true;
  const Answer answer =
      ask("server/discover", Value::object(), std::min(deadline, Clock::now() + probe));
  const Value* versions =
      answer.value.is_object() ? answer.value.find("supportedVersions") : nullptr;
  if (answer.what == Answer::What::result && versions != nullptr && versions->is_array() &&
      std::any_of(versions->items().begin(), versions->items().end(),
                  [](const Value& v) { return v.is_string() && v.as_string() == kModern; })) {
    server_.protocol = kModern;
    const Value* meta = answer.value.find("_meta");
    const Value* info = meta != nullptr && meta->is_object()
                            ? meta->find("io.modelcontextprotocol/serverInfo")
                            : nullptr;
    if (info == nullptr) info = answer.value.find("serverInfo");
    if (info != nullptr && info->is_object()) {
      server_.name = cut_text(info->text("name"), 200);
      server_.version = cut_text(info->text("version"), 200);
    }
    return std::nullopt;
  }
  server_.modern = false;
  if (answer.what == Answer::What::box_ended) return failed(answer, "server/discover");
  if (!program_->alive())
    if (auto error = start()) return error;
  return handshake(deadline);
}

Step McpHost::handshake(Clock::time_point deadline) {
  Value params = Value::object()
                     .set("protocolVersion", std::string(kLegacy))
                     .set("capabilities", Value::object());
  params.set("clientInfo", Value::object().set("name", "seedbed").set("version", "1"));
  const Answer answer = ask("initialize", std::move(params), deadline);
  // It was slow to start, and is of the current revision after all.
  if (answer.what == Answer::What::error && answer.code == kUnsupportedVersion)
    return greet(deadline, options_.start);
  if (answer.what != Answer::What::result) return failed(answer, "initialize");
  server_.protocol = answer.value.text("protocolVersion");
  if (std::find(kSpoken.begin(), kSpoken.end(), server_.protocol) == kSpoken.end())
    return make_error(
        Where::tool, "MCP server", "initialize",
        "found revision '" + cut_text(server_.protocol, 40) + "', wanted 2024-11-05 to 2026-07-28",
        "use another version of the server");
  if (const Value* info = answer.value.find("serverInfo"); info != nullptr && info->is_object()) {
    server_.name = cut_text(info->text("name"), 200);
    server_.version = cut_text(info->text("version"), 200);
  }
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
  const std::string name = tool.is_object() ? tool.text("name") : "";
  const auto leave = [&](std::string why) {
    if (left_out_.size() < 1000)
      left_out_.emplace_back(cut_text(replace_invalid_utf8(name), 130), std::move(why));
  };
  if (!usable_name(name)) return leave("its name is not 1 to 64 letters, digits, _ and -");
  if (schemas_.count(name) != 0) return leave("a second tool of this name");
  if (tools_.size() >= options_.most_tools)
    return leave("there are " + std::to_string(options_.most_tools) + " already");
  const Value* input = tool.find("inputSchema");
  if (input == nullptr || !input->is_object() || input->text("type") != "object")
    return leave("its input schema is not of an object");
  if (dump(*input).size() > kMostSchema) return leave("its input schema is above 64 KiB");
  auto compiled = schemas::JsonSchema::compile(*input);
  if (!compiled.ok()) return leave("its input schema: " + cut_text(compiled.error().message, 300));
  schemas_.emplace(name, *std::move(compiled));
  tools_.push_back(
      {name, cut_text(replace_invalid_utf8(tool.text("description")), kMostDescription), *input});
}

ToolResult McpHost::result_of(const Value& result) const {
  if (result.text("resultType") == "input_required")
    return error_result("input_required", "the tool asks for input that nobody gives");
  const Value* failed = result.find("isError");
  if (failed != nullptr && failed->is_bool() && failed->as_bool()) {
    const std::string text = all_text(result);
    return error_result(
        "tool_error", text.empty() ? "the tool failed" : cut_text(text, options_.output_bytes / 2));
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
  if (out.out.size() > options_.output_bytes)
    return error_result("output_cut",
                        "the result has " + std::to_string(out.out.size()) + " bytes, at most " +
                            std::to_string(options_.output_bytes) + " are shown",
                        End::output_cut);
  return out;
}

Result<ToolResult> McpHost::call(const schemas::ToolCall& call, Milliseconds wall) {
  const auto schema = schemas_.find(call.tool);
  if (schema == schemas_.end()) {
    std::vector<std::string> names;
    for (const auto& tool : tools_) names.push_back(tool.name);
    const std::string near = nearest(call.tool, names);
    return error_result("unknown_tool", "there is no tool '" + cut_text(call.tool, 100) + "'" +
                                            (near.empty() ? "" : "; did you mean '" + near + "'?"));
  }
  if (const auto wrong = schema->second.validate(call.args); !wrong.empty())
    return error_result(
        "invalid_arguments",
        (wrong[0].pointer.empty() ? "" : wrong[0].pointer + ": ") + wrong[0].message);
  if (!program_->alive()) return error_result("crashed", "the server has ended", End::crashed);
  const Answer answer =
      ask("tools/call", Value::object().set("name", call.tool).set("arguments", call.args),
          Clock::now() + wall);
  switch (answer.what) {
    case Answer::What::result:
      return result_of(answer.value);
    case Answer::What::error:
      return error_result(answer.code == -32602 ? "invalid_arguments" : "tool_error",
                          answer.message);
    case Answer::What::late:
      return error_result("timed_out", "no answer in " + std::to_string(wall.count()) + " ms",
                          End::timed_out);
    case Answer::What::box_ended:
      return failed(answer, "tools/call");
    default:
      program_->interrupt(SIGKILL);  // it may have said what is no message
      return error_result("crashed", "the server has ended (" + answer.message + ")", End::crashed);
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
