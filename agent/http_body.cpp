#include "agent/http_body.h"

#include <algorithm>

#include "base/text.h"

namespace seedbed::agent {
namespace {

using schemas::Value;

constexpr std::size_t kShownBytes = 120;

Value message(std::string_view role, const std::string& text) {
  Value out = Value::object();
  out.set("role", role).set("content", text);
  return out;
}

Value assistant_message(const schemas::Turn& turn, bool with_reasoning, bool also_empty) {
  Value out = message("assistant", turn.text);
  if (with_reasoning && (also_empty || !turn.reasoning.empty()))
    out.set("reasoning_content", turn.reasoning);
  if (turn.calls.empty()) return out;
  Value calls = Value::array();
  for (const auto& call : turn.calls) {
    Value function = Value::object();
    function.set("name", call.tool)
        .set("arguments", call.args.is_string() ? call.args.as_string() : dump(call.args));
    Value item = Value::object();
    item.set("id", call.id).set("type", "function").set("function", std::move(function));
    calls.push(std::move(item));
  }
  out.set("tool_calls", std::move(calls));
  return out;
}

Error unreadable(const std::string& url, const std::string& found, std::string_view body) {
  return make_error(Where::model, "model endpoint", url,
                    "found " + found + " (first bytes: " + first_bytes(body) +
                        "), wanted a chat completion as JSON",
                    "check --base-url: it must serve OpenAI's /chat/completions");
}

// Text as a string, or as a list of parts.
bool read_text(const Value* content, std::string& out) {
  if (content == nullptr || content->is_null()) return true;
  if (content->is_string()) {
    out = content->as_string();
    return true;
  }
  if (!content->is_array()) return false;
  for (const auto& part : content->items())
    out += part.is_string() ? part.as_string() : part.text("text");
  return true;
}

// Our own server says what of a reply it could not read; what is no content is added to it, so that
// the model is shown all that it wrote.
Malformed read_malformed(const Value& pieces, std::string text, std::string reasoning) {
  constexpr std::size_t kShown = 3;
  Malformed out{std::move(text), {}, std::move(reasoning)};
  for (std::size_t i = 0; i < pieces.items().size(); ++i) {
    const Value& piece = pieces.items()[i];
    const Value* call = piece.find("call");
    if (call != nullptr && call->is_int()) out.text += piece.text("text");
    if (i < kShown) out.why += (i == 0 ? "" : "; ") + piece.text("why");
  }
  return out;
}

// Token ids, which some servers give where they are asked for them; none where they are no such
// thing.
std::vector<std::int32_t> read_ids(const Value* ids) {
  std::vector<std::int32_t> out;
  if (ids == nullptr || !ids->is_array()) return out;
  for (const auto& id : ids->items()) {
    if (!id.is_int() || id.as_int() < 0 || id.as_int() > INT32_MAX) return {};
    out.push_back(static_cast<std::int32_t>(id.as_int()));
  }
  return out;
}

// What is wrong with the model's call, "" where nothing is.
std::string read_call(const Value& item, ReplyCall& out) {
  const Value* function = item.find("function");
  if (function == nullptr || !function->is_object()) return "a tool call without a function";
  out.tool = function->text("name");
  if (out.tool.empty()) return "a tool call without a name";
  out.id = item.text("id");
  const Value* args = function->find("arguments");
  if (args == nullptr || args->is_null()) {
    out.args = Value::object();
  } else if (!args->is_string()) {
    out.args = *args;  // some servers send the object itself
  } else if (trim(args->as_string()).empty()) {
    out.args = Value::object();  // how some models call a tool without arguments
  } else {
    auto parsed = schemas::parse_json(args->as_string());
    out.args = parsed.ok() && parsed->is_object() ? *std::move(parsed) : *args;
  }
  return "";
}

}  // namespace

Value chat_messages(const View& view, bool tells_reasoning) {
  std::size_t last_user = 0;
  for (std::size_t i = 0; i < view.turns.size(); ++i)
    if (view.turns[i].role == "user") last_user = i;
  Value out = Value::array();
  for (std::size_t i = 0; i < view.turns.size(); ++i) {
    const schemas::Turn& turn = view.turns[i];
    if (turn.role == "system") {
      out.push(message("system", turn.text.empty() ? system_text(view.environment) : turn.text));
    } else if (turn.role == "user") {
      out.push(message("user", turn.text));
    } else {
      out.push(assistant_message(turn, i > last_user, tells_reasoning));
      for (const auto& call : turn.calls) {
        Value result = message("tool", call.result.out);
        result.set("tool_call_id", call.id).set("name", call.tool);
        out.push(std::move(result));
      }
    }
  }
  return out;
}

Value chat_tools(const std::vector<schemas::Tool>& tools) {
  Value out = Value::array();
  for (const auto& tool : tools) {
    Value function = Value::object();
    function.set("name", tool.name)
        .set("description", tool.description)
        .set("parameters", tool.input);
    Value item = Value::object();
    item.set("type", "function").set("function", std::move(function));
    out.push(std::move(item));
  }
  return out;
}

std::string request_body(const View& view,
                         const HttpOptions& options,
                         std::uint64_t seed,
                         bool tells_reasoning) {
  Value body = Value::object();
  body.set("model", options.model)
      .set("messages", chat_messages(view, tells_reasoning))
      .set("tools", chat_tools(view.offered.tools()));
  body.set("tool_choice", "auto").set("stream", false);
  if (options.temperature) body.set("temperature", *options.temperature);
  if (options.max_tokens) body.set("max_tokens", *options.max_tokens);
  if (options.top_p) body.set("top_p", *options.top_p);
  if (options.top_k) body.set("top_k", *options.top_k);
  if (options.min_p) body.set("min_p", *options.min_p);
  if (options.send_seed) body.set("seed", static_cast<std::int64_t>(seed));
  if (options.extra.is_object())
    for (const auto& [key, value] : options.extra.members()) body.set(key, value);
  return dump(body);
}

Result<Reply> parse_chat_reply(std::string_view body, const std::string& url) {
  if (trim(body).empty()) return unreadable(url, "an empty body", body);
  auto parsed = schemas::parse_json(body);
  if (!parsed.ok()) {
    const std::string_view start = trim(body);
    const bool html = start.front() == '<';
    const bool half = start.front() == '{' && !html;
    return unreadable(url,
                      html   ? "HTML"
                      : half ? "JSON that breaks off or is broken (" + parsed.error().message + ")"
                             : "text that is no JSON",
                      body);
  }
  if (const Value* error = parsed->find("error"); error != nullptr && !error->is_null())
    return make_error(Where::model, "model endpoint", url,
                      "found the error " + first_bytes(dump(*error)) + ", wanted a chat completion",
                      "see the server's own log");
  const Value* choices = parsed->find("choices");
  if (choices == nullptr || !choices->is_array() || choices->items().empty())
    return unreadable(url, "no member 'choices'", body);
  const Value& choice = choices->items()[0];
  const Value* said = choice.find("message");
  if (said == nullptr || !said->is_object())
    return unreadable(url, "no member 'choices/0/message'", body);

  Reply out;
  if (const Value* usage = parsed->find("usage"); usage != nullptr) {
    out.prompt_tokens = usage->integer("prompt_tokens");
    out.completion_tokens = usage->integer("completion_tokens");
  }
  std::string text, reasoning;
  if (!read_text(said->find("content"), text))
    return unreadable(url, "'content' that is no text", body);
  const Value* thought = said->find("reasoning_content");
  if (thought == nullptr || thought->is_null()) thought = said->find("reasoning");
  if (thought != nullptr && thought->is_string()) reasoning = thought->as_string();
  out.tells_reasoning = said->find("reasoning_content") != nullptr;
  out.tokens = read_ids(choice.find("token_ids"));

  if (choice.text("finish_reason") == "length") {
    // Calls that it holds are not run: the last may be half of what was meant.
    out.what = Message{std::move(text), std::move(reasoning)};
    out.stop = schemas::Stop::out_of_tokens;
    out.stop_detail = "the reply was cut by the token limit";
    return out;
  }
  if (const Value* broken = choice.find("malformed");
      broken != nullptr && broken->is_array() && !broken->items().empty()) {
    out.what = read_malformed(*broken, std::move(text), std::move(reasoning));
    return out;
  }
  const Value* calls = said->find("tool_calls");
  if (calls != nullptr && calls->is_array() && !calls->items().empty()) {
    Calls made{text, reasoning, {}};
    for (const auto& item : calls->items()) {
      ReplyCall call;
      if (std::string why = read_call(item, call); !why.empty()) {
        out.what = Malformed{first_bytes(dump(*calls)), std::move(why)};
        return out;
      }
      made.calls.push_back(std::move(call));
    }
    out.what = std::move(made);
    return out;
  }
  out.what = Message{std::move(text), std::move(reasoning)};
  return out;
}

bool says_context_exceeded(std::string_view body) {
  const std::string said = lower_ascii(body.substr(0, 4096));
  if (said.find("context") == std::string::npos) return false;
  for (const char* word :
       {"context length", "context_length", "context size", "context_size", "context window"})
    if (said.find(word) != std::string::npos) return true;
  return false;
}

std::string shown_url(std::string_view url) {
  url = url.substr(0, url.find_first_of("?#"));
  const std::size_t scheme = url.find("://");
  const std::size_t host = scheme == std::string_view::npos ? 0 : scheme + 3;
  const std::size_t path = std::min(url.find('/', host), url.size());
  const std::size_t at = url.substr(0, path).rfind('@');
  if (at == std::string_view::npos || at < host) return std::string(url);
  return std::string(url.substr(0, host)) + std::string(url.substr(at + 1));
}

std::string first_bytes(std::string_view body) {
  std::string out;
  for (const char c : body.substr(0, kShownBytes)) {
    const auto byte = static_cast<unsigned char>(c);
    out += byte >= 0x20 && byte < 0x7f                    ? c
           : byte == '\n' || byte == '\r' || byte == '\t' ? ' '
                                                          : '?';
  }
  if (body.size() > kShownBytes) out += "...";
  return out.empty() ? "none" : "'" + out + "'";
}

}  // namespace seedbed::agent
