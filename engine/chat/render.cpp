#include "engine/chat/render.h"

#include <algorithm>

#include "base/check.h"
#include "engine/chat/markers.h"
#include "engine/chat/result_order.h"

namespace seedbed {
extern const char kDsv32Tools[];           // ends where the file does: with a line end
extern const char kDsv32ResponseFormat[];  // the same
}  // namespace seedbed

namespace seedbed::engine::chat {
namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

class Writer {
 public:
  explicit Writer(Segments& out) : out_(out) {}
  void of(std::size_t message) { message_ = static_cast<std::int32_t>(message); }

  // Anybody's text.
  void plain(std::string_view text) {
    if (text.empty()) return;
    if (!out_.empty() && !out_.back().special)
      out_.back().text.append(text);
    else
      out_.push_back({std::string(text), false, message_});
  }
  void special(std::string_view marker) { out_.push_back({std::string(marker), true, message_}); }
  // The format's own wording: what it spells as a marker is one.
  void own(std::string_view text) {
    while (!text.empty()) {
      std::size_t at = kNone;
      std::string_view marker;
      for (const auto candidate : kSpecials)
        if (const auto found = text.find(candidate); found < at) {
          at = found;
          marker = candidate;
        }
      plain(text.substr(0, at));
      if (at == kNone) return;
      special(marker);
      text.remove_prefix(at + marker.size());
    }
  }

 private:
  Segments& out_;
  std::int32_t message_ = -1;
};

bool opens_turn(Role role) {
  return role == Role::user || role == Role::developer;
}

// Index of the last user or developer message before `end`, kNone where there is none.
std::size_t last_user(const std::vector<Message>& messages, std::size_t end) {
  while (end > 0)
    if (opens_turn(messages[--end].role)) return end;
  return kNone;
}

// Halves of a wording around the place where a value goes.
struct Around {
  std::string_view before, after;
};
Around around(std::string_view text, std::string_view place) {
  const auto at = text.find(place);
  SEEDBED_CHECK(at != std::string_view::npos, place);
  return {text.substr(0, at), text.substr(at + place.size())};
}

void write_tools(const std::vector<ToolDef>& tools, Writer& out) {
  const auto wording = around(kDsv32Tools, "{functions}");
  out.own("\n\n");
  out.own(wording.before);
  for (std::size_t i = 0; i < tools.size(); ++i) {
    if (i > 0) out.plain("\n");
    out.plain(tools[i].text);
  }
  out.own(wording.after);
}

void write_response_format(const Json& format, Writer& out) {
  auto wording = around(kDsv32ResponseFormat, "{schema}");
  wording.after.remove_suffix(1);  // the line end of the file
  out.own("\n\n");
  out.own(wording.before);
  out.plain(format.text);
  out.own(wording.after);
}

Step write_arguments(const ToolCall& call, std::size_t message, Writer& out) {
  const auto text = trim_json(call.arguments);
  if (text.empty()) return std::nullopt;
  const auto object = schemas::parse_json(text);
  if (!object.ok() || !object->is_object())
    return refuse_message(message,
                          "the arguments of call '" + call.name + "' are no JSON object" +
                              (object.ok() ? "" : ": " + object.error().message) + ", wanted one",
                          "send the arguments as an object spelled in JSON");
  bool first = true;
  for (const auto& [key, value] : json_members(text)) {
    if (!first) out.plain("\n");
    first = false;
    const bool is_string = value.front() == '"';
    out.own("<｜DSML｜parameter name=\"");
    out.plain(key);
    out.plain(is_string ? "\" string=\"true\">" : "\" string=\"false\">");
    out.plain(is_string ? json_string(value) : respell(value));
    out.own(kCloseParameter);
  }
  return std::nullopt;
}

Step write_calls(const Message& message, std::size_t index, Writer& out) {
  out.own("\n\n");
  out.own(kOpenCalls);
  for (const auto& call : message.tool_calls) {
    out.own("\n<｜DSML｜invoke name=\"");
    out.plain(call.name);
    out.plain("\">\n");
    if (auto error = write_arguments(call, index, out)) return error;
    out.own("\n</｜DSML｜invoke>");
  }
  out.own("\n");
  out.own(kCloseCalls);
  return std::nullopt;
}

// Places in the segments, by which the stable part is found.
struct Marks {
  std::vector<std::size_t> after_turn;  // by message: after its <｜Assistant｜>
  std::size_t first_assistant = kNone;  // where the first assistant message begins
};

class Renderer {
 public:
  Renderer(const std::vector<Message>& messages, const RenderOptions& options)
      : messages_(messages), options_(options), last_user_(last_user(messages, messages.size())) {}

  // Appends messages[begin..) to out.segments.
  Step run(std::size_t begin, Rendered& out) {
    Writer writer(out.segments);
    marks_.after_turn.assign(messages_.size(), kNone);
    for (std::size_t i = begin; i < messages_.size();) {
      writer.of(i);
      if (messages_[i].role == Role::tool) {
        const auto order = order_results(messages_, i, messages_.size());
        if (!order.ok()) return order.error();
        std::vector<std::string_view> contents;
        for (const auto k : *order) contents.push_back(messages_[k].content);
        write_results(contents, is_current(i), writer);
        i += order->size();
        continue;
      }
      if (i > 0 && !messages_[i - 1].tool_calls.empty())
        return refuse_message(i - 1, "calls without results before the next message",
                              "send a tool message for each call");
      if (messages_[i].role == Role::assistant && marks_.first_assistant == kNone)
        marks_.first_assistant = border(out.segments);
      if (auto error = write(i, writer)) return error;
      if (opens_turn(messages_[i].role)) marks_.after_turn[i] = out.segments.size() - 1;
      ++i;
    }
    out.stable = stable_before(last_user_, out.segments.size());
    out.opens = opens(out.segments);
    return std::nullopt;
  }

  // How many segments stay when the user message after `user` arrives; `all` where all do.
  [[nodiscard]] std::size_t stable_before(std::size_t user, std::size_t all) const {
    if (!options_.thinking) return all;
    const auto place = user == kNone ? marks_.first_assistant : marks_.after_turn[user];
    return place == kNone ? all : place;
  }

  static void write_results(const std::vector<std::string_view>& contents,
                            bool thinking,
                            Writer& out) {
    out.own("\n\n<function_results>");
    for (const auto content : contents) {
      out.own("\n<result>");
      out.plain(content);
      out.own("</result>");
    }
    out.own("\n</function_results>\n\n");
    out.special(thinking ? kThink : kEndThink);
  }

  static Step write_reply(const Message& message, std::size_t i, bool reasoned, Writer& out) {
    if (reasoned) {
      out.plain(message.reasoning_content);
      out.special(kEndThink);
    }
    out.plain(message.content);
    if (!message.tool_calls.empty())
      if (auto error = write_calls(message, i, out)) return error;
    out.special(kEos);
    return std::nullopt;
  }

 private:
  // After the last user message, in thinking mode: reasoning is shown.
  [[nodiscard]] bool is_current(std::size_t i) const {
    return options_.thinking && (last_user_ == kNone || i >= last_user_);
  }

  // Plain text grows with what follows it, so a border lies before it.
  static std::size_t border(const Segments& segments) {
    return segments.size() - (!segments.empty() && !segments.back().special ? 1 : 0);
  }

  static Opens opens(const Segments& segments) {
    if (segments.empty() || !segments.back().special) return Opens::nothing;
    if (segments.back().text == kThink) return Opens::reasoning;
    return segments.back().text == kEndThink ? Opens::answer : Opens::nothing;
  }

  Step write(std::size_t i, Writer& out) const {
    const auto& message = messages_[i];
    switch (message.role) {
      case Role::system:
        out.plain(message.content);
        if (!message.tools.empty()) write_tools(message.tools, out);
        if (message.response_format) write_response_format(*message.response_format, out);
        return std::nullopt;
      case Role::developer:
        if (message.content.empty())
          return refuse_message(
              i, "a developer message without content, wanted the user's message in it",
              "put tools alone into a system message");
        out.special(kUser);
        if (!message.tools.empty()) write_tools(message.tools, out);
        if (message.response_format) write_response_format(*message.response_format, out);
        out.own("\n\n# The user's message is: ");
        break;
      case Role::user:
        out.special(kUser);
        break;
      default:
        return write_assistant(message, i, out);
    }
    out.plain(message.content);
    out.special(kAssistant);
    out.special(is_current(i) ? kThink : kEndThink);
    return std::nullopt;
  }

  Step write_assistant(const Message& message, std::size_t i, Writer& out) const {
    if (is_current(i)) {
      if (message.reasoning_content.empty() && message.tool_calls.empty())
        return refuse_message(
            i,
            "an assistant message after the last user message with neither "
            "reasoning_content nor tool_calls, wanted one of them in thinking mode",
            "send the reasoning back with the message, or use chat mode");
    }
    return write_reply(message, i, is_current(i), out);
  }

  const std::vector<Message>& messages_;
  RenderOptions options_;
  std::size_t last_user_;
  Marks marks_;
};

}  // namespace

std::string text_of(const Segments& segments) {
  std::string out;
  for (const auto& segment : segments) out.append(segment.text);
  return out;
}

Segments settle(const Segments& segments, const std::function<bool(std::string_view)>& is_token) {
  Segments out;
  for (const auto& segment : segments) {
    const bool special = segment.special && is_token(segment.text);
    if (!special && !out.empty() && !out.back().special)
      out.back().text.append(segment.text);
    else
      out.push_back({segment.text, special, segment.message});
  }
  return out;
}

Result<Rendered> render(const std::vector<Message>& messages, const RenderOptions& options) {
  Rendered out;
  if (options.bos) Writer(out.segments).special(kBos);
  Renderer renderer(messages, options);
  if (auto error = renderer.run(0, out)) return *std::move(error);
  return out;
}

Result<Suffix> render_suffix(const std::vector<Message>& messages,
                             std::size_t rendered,
                             const RenderOptions& options,
                             bool eos_written) {
  SEEDBED_CHECK(rendered <= messages.size(), rendered, messages.size());
  if (rendered > 0 && rendered < messages.size() && messages[rendered - 1].role == Role::system &&
      !opens_turn(messages[rendered].role))
    return refuse_message(rendered,
                          "a message of role " + std::string(role_name(messages[rendered].role)) +
                              " appended to a system message, wanted a user message",
                          "render the conversation as a whole");
  const auto before = last_user(messages, rendered);
  const auto now = last_user(messages, messages.size());
  const bool acted =
      std::any_of(messages.begin(), messages.begin() + static_cast<std::ptrdiff_t>(rendered),
                  [](const Message& m) { return m.role == Role::assistant; });
  const bool cut = options.thinking && now != before && (before != kNone || acted);
  Rendered part;
  Writer writer(part.segments);
  if ((cut || rendered == 0) && options.bos) writer.special(kBos);
  if (!cut && !eos_written && rendered > 0 && messages[rendered - 1].role == Role::assistant)
    writer.special(kEos);
  Renderer renderer(messages, options);
  if (auto error = renderer.run(cut ? 0 : rendered, part)) return *std::move(error);

  Suffix out{.append = !cut, .segments = {}, .stable = part.stable, .opens = part.opens};
  if (cut) {
    const auto kept = renderer.stable_before(before, part.segments.size());
    out.segments.assign(part.segments.begin() + static_cast<std::ptrdiff_t>(kept),
                        part.segments.end());
    out.stable = part.stable - kept;
  } else {
    // Nothing here is stable where an earlier message already decides it.
    if (options.thinking && now == before && (before != kNone || acted)) out.stable = 0;
    out.segments = std::move(part.segments);
  }
  return out;
}

Result<Segments> render_reply(const Message& message, bool thinking) {
  Segments out;
  Writer writer(out);
  if (auto error = Renderer::write_reply(message, 0, thinking, writer)) return *std::move(error);
  return out;
}

Segments render_results(const std::vector<std::string>& contents, bool thinking) {
  Segments out;
  Writer writer(out);
  Renderer::write_results({contents.begin(), contents.end()}, thinking, writer);
  return out;
}

}  // namespace seedbed::engine::chat
