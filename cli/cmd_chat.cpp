// The chat format by itself: what a conversation looks like to the model, and what a completion
// says.
#include <algorithm>
#include <cstdio>

#include "base/text.h"
#include "cli/chat_lines.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "engine/chat/message.h"
#include "engine/chat/parse.h"
#include "engine/chat/render.h"
#include "engine/chat/strict.h"

namespace seedbed::cli {
namespace {

using schemas::Value;
namespace chat = engine::chat;

constexpr std::size_t kMaxInput = 64U << 20;

Result<std::string> read_stdin() {
  std::string text;
  char buffer[1U << 16];
  while (const auto n = std::fread(buffer, 1, sizeof buffer, stdin)) {
    text.append(buffer, n);
    if (text.size() > kMaxInput)
      return make_error(Where::model, "input", "stdin", "more than 64 MiB, wanted less",
                        "send one conversation or completion");
  }
  if (std::ferror(stdin) != 0)
    return make_error(Where::model, "input", "stdin", "could not be read",
                      "check where it comes from");
  return text;
}

Value to_json(const chat::Completion& read, const std::string& key) {
  Value calls = Value::array(), malformed = Value::array();
  for (std::size_t i = 0; i < read.calls.size(); ++i) {
    if (!read.calls[i].whole) continue;  // under malformed, with its reason
    Value function = Value::object();
    function.set("name", read.calls[i].name)
        .set("arguments", replace_invalid_utf8(read.calls[i].arguments));
    Value call = Value::object();
    call.set("id", chat::call_id(key, i))
        .set("type", "function")
        .set("function", std::move(function));
    calls.push(std::move(call));
  }
  for (const auto& piece : read.malformed) {
    Value entry = Value::object();
    entry.set("text", replace_invalid_utf8(piece.text)).set("why", replace_invalid_utf8(piece.why));
    if (piece.call >= 0) {
      const auto& call = read.calls[static_cast<std::size_t>(piece.call)];
      entry.set("name", call.name).set("arguments", replace_invalid_utf8(call.arguments));
    }
    malformed.push(std::move(entry));
  }
  Value out = Value::object();
  out.set("reasoning_content", replace_invalid_utf8(read.reasoning))
      .set("content", replace_invalid_utf8(read.content));
  out.set("tool_calls", std::move(calls)).set("finish", chat::finish_reason(read));
  return out.set("malformed", std::move(malformed));
}

// A conversation a line, in and out; in bounded memory.
Result<int> encode_lines(Context& context, bool thinking) {
  std::string line;
  char buffer[1U << 16];
  const auto write = [&] {
    if (line.find_first_not_of(" \t\r") != std::string::npos)
      context.out.raw(training_line(line, thinking) + "\n");
    line.clear();
  };
  while (const auto n = std::fread(buffer, 1, sizeof buffer, stdin)) {
    const std::string_view read(buffer, n);
    for (std::size_t at = 0; at < n;) {
      const auto end = std::min(read.find('\n', at), n);
      line.append(read.substr(at, end - at));
      if (line.size() > kMaxInput)
        return make_error(Where::model, "input", "stdin", "a line of more than 64 MiB, wanted less",
                          "send one conversation a line");
      if (end < n) write();
      at = end + 1;
    }
  }
  if (std::ferror(stdin) != 0)
    return make_error(Where::model, "input", "stdin", "could not be read",
                      "check where it comes from");
  write();
  return 0;
}

Result<int> encode(Context& context, const Words& words) {
  bool thinking = false, lines = false;
  Options options(
      "chat encode", "write the exact prompt of a conversation, read from stdin",
      R"(echo '[{"role": "user", "content": "Hello"}]' | seedbed chat encode --thinking)");
  options.flag("--thinking", thinking, "let the model reason before it answers");
  options.flag("--jsonl", lines,
               "a conversation a line, each written as the sequences that a model trains on");
  if (auto error = options.parse(words)) return *std::move(error);
  if (options.wants_help())
    return context.out.raw(
               options.help() +
               "\nInput: {\"messages\": [...], \"tools\": [...]?, \"response_format\": "
               "{...}?} or [...], as OpenAI-style clients write them.\n"
               "\nWith --jsonl, keys beside these are passed over, and a line gives a line:\n"
               "{\"sequences\": [[[text, special, part, message], ...], ...]}, or {\"error\": "
               "\"...\"}.\n"
               "special: the one token of that text; part: system, given or said, what the model "
               "says itself;\n"
               "message: index of the message, or -1. There are several sequences where the format "
               "drops\nearlier reasoning at a new user message.\n"),
           0;
  if (lines) return encode_lines(context, thinking);
  SEEDBED_TRY(const auto text, read_stdin());
  SEEDBED_TRY(const auto messages, chat::parse_conversation(text));
  SEEDBED_TRY(const auto prompt, chat::render(messages, {.thinking = thinking}));
  context.out.raw(chat::text_of(prompt.segments));
  return 0;
}

Result<int> parse(Context& context, const Words& words) {
  bool thinking = false, strict = false;
  Options options("chat parse", "read a completion from stdin, print it as one JSON object",
                  "seedbed chat parse --thinking < completion.txt");
  options.flag("--thinking", thinking, "the prompt ended with <think>: reasoning comes first");
  options.flag("--strict", strict, "only what the reference itself would write; refuse the rest");
  if (auto error = options.parse(words)) return *std::move(error);
  if (options.wants_help())
    return context.out.raw(
               options.help() +
               "\nOutput: {reasoning_content, content, tool_calls: [{id, type, function: "
               "{name, arguments}}], finish, malformed: [{text, why, name?, "
               "arguments?}]}\n"),
           0;
  SEEDBED_TRY(const auto text, read_stdin());
  chat::Completion read;
  if (strict) {
    SEEDBED_TRY(read, chat::parse_strict(text, thinking));
  } else {
    read = chat::parse_completion(text, {.thinking = thinking});
  }
  context.out.raw(schemas::dump(to_json(read, text)) + "\n");
  return 0;
}

}  // namespace

Result<int> cmd_chat(Context& context, const Words& words) {
  const std::string verb = words.empty() ? "" : words[0];
  const Words rest(words.begin() + (words.empty() ? 0 : 1), words.end());
  if (verb == "encode") return encode(context, rest);
  if (verb == "parse") return parse(context, rest);
  if (verb == "--help" || verb == "-h")
    return context.out.raw(
               "seedbed chat encode [--thinking] < messages.json      the prompt of a "
               "conversation\n"
               "seedbed chat encode --jsonl [--thinking] < rows.jsonl  conversations as a model "
               "trains on them\n"
               "seedbed chat parse [--thinking] < completion.txt      what a completion says\n"
               "\n`seedbed chat encode --help` and `seedbed chat parse --help` show an example.\n"),
           0;
  return make_error(
      Where::usage, "seedbed chat", verb.empty() ? "the first word" : verb,
      verb.empty() ? "absent, wanted encode or parse" : "unknown, wanted encode or parse",
      "see `seedbed chat --help`");
}

}  // namespace seedbed::cli
