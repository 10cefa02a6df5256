// What holds of every parse, whatever the bytes: shared by the tests and the fuzzer. Each function
// gives "" or the law that was broken.
#pragma once
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/chat/markers.h"
#include "engine/chat/parse.h"
#include "engine/chat/strict.h"

namespace seedbed::engine::chat {

// The strings that deltas add up to, in the order of their coming.
struct Stream {
  std::string reasoning, content;
  std::vector<std::string> names, arguments;
  std::size_t ended = 0;  // calls

  void take(const Delta& delta) {
    const auto call = static_cast<std::size_t>(delta.call);
    switch (delta.kind) {
      case DeltaKind::reasoning:
        reasoning += delta.text;
        return;
      case DeltaKind::content:
        content += delta.text;
        return;
      case DeltaKind::call_begin:
        names.emplace_back(delta.text);
        arguments.emplace_back();
        return;
      case DeltaKind::arguments:
        arguments.at(call) += delta.text;
        return;
      case DeltaKind::call_end:
        ++ended;
        return;
    }
  }
};

inline std::string check_stream(const Stream& stream, const Completion& whole) {
  if (stream.reasoning != whole.reasoning) return "reasoning deltas do not add up";
  if (stream.content != whole.content) return "content deltas do not add up";
  if (stream.names.size() != whole.calls.size() || stream.ended != whole.calls.size())
    return "calls begun, ended and returned differ in number";
  for (std::size_t i = 0; i < whole.calls.size(); ++i)
    if (stream.names[i] != whole.calls[i].name || stream.arguments[i] != whole.calls[i].arguments)
      return "the deltas of a call do not add up";
  return "";
}

// Every byte belongs to one span, and the strings are what the spans say.
inline std::string check_bytes(std::string_view text, const Completion& c) {
  std::string reasoning, content;
  std::vector<int> calls(c.calls.size()), malformed(c.malformed.size());
  std::size_t at = 0;
  for (const auto& span : c.spans) {
    if (span.begin != at || span.end <= span.begin || span.end > text.size())
      return "the spans have a gap or overlap";
    at = span.end;
    const auto bytes = text.substr(span.begin, span.end - span.begin);
    const auto index = static_cast<std::size_t>(span.index);
    if (span.part == Part::reasoning) reasoning += bytes;
    if (span.part == Part::content) content += bytes;
    if (span.part == Part::call && ++calls.at(index) != 1) return "a call has two spans";
    if (span.part == Part::malformed) {
      ++malformed.at(index);
      if (c.malformed[index].text != bytes) return "a malformed piece is not its bytes";
    }
  }
  if (at != text.size()) return "bytes at the end belong to nothing";
  if (reasoning != c.reasoning || content != c.content) return "a span is not what was returned";
  for (const int n : calls)
    if (n != 1) return "a call without bytes: invented";
  for (std::size_t i = 0; i < c.malformed.size(); ++i) {
    const auto& piece = c.malformed[i];
    if (piece.why.empty()) return "malformed without a reason";
    if (piece.call < 0 && !piece.text.empty() && malformed[i] != 1)
      return "a malformed piece without bytes";
    if (piece.call >= 0 && c.calls.at(static_cast<std::size_t>(piece.call)).whole)
      return "a whole call is called malformed";
  }
  return "";
}

inline std::string check_calls(const Completion& c) {
  std::size_t broken = 0, named = 0;
  for (const auto& call : c.calls) {
    broken += call.whole ? 0U : 1U;
    if (!call.whole) continue;
    const auto read = schemas::parse_json(call.arguments);
    if (!read.ok() || !read->is_object()) return "a whole call's arguments are no JSON object";
    if (*read != call.value) return "a call's value is not what its arguments say";
  }
  for (const auto& piece : c.malformed) named += piece.call >= 0 ? 1U : 0U;
  return broken == named ? "" : "a call that is not whole has no reason";
}

// Cut into chunks of `chunk` bytes, the first of `first`.
inline std::string check_chunks(std::string_view text,
                                const ParseOptions& options,
                                End end,
                                const Completion& whole,
                                std::size_t first,
                                std::size_t chunk) {
  Parser parser(options);
  Stream stream;
  const auto take = [&stream](const Delta& delta) { stream.take(delta); };
  for (std::size_t at = 0, n = first; at < text.size(); at += n, n = chunk) {
    parser.feed(text.substr(at, n));
    parser.drain(take);
    if (stream.content.size() > whole.content.size() ||
        stream.reasoning.size() > whole.reasoning.size())
      return "a delta was handed out that the whole does not hold";
  }
  const auto& cut = parser.finish(end);
  parser.drain(take);
  if (!(cut == whole)) return "another result for another cut";
  return check_stream(stream, whole);
}

inline std::string check_all(std::string_view text, const ParseOptions& options, End end) {
  const auto whole = parse_completion(text, options, end);
  if (auto why = check_bytes(text, whole); !why.empty()) return why;
  if (auto why = check_calls(whole); !why.empty()) return why;
  for (const std::size_t chunk : {1U, 2U, 3U, 5U, 7U, 64U})
    if (auto why = check_chunks(text, options, end, whole, chunk, chunk); !why.empty()) return why;
  return "";
}

// What the strict reading takes, the lenient one reads alike. Left out: names that hold quotes,
// brackets or line ends, and values that hold tags, which the lenient one takes for damage.
inline std::string check_strict(std::string_view text, bool thinking) {
  const auto strict = parse_strict(text, thinking);
  if (!strict.ok()) return "";
  const auto plain = [](const std::string& name) {
    return !name.empty() && name.find_first_of("\"<\n") == std::string::npos;
  };
  for (const auto& call : strict->calls) {
    if (!plain(call.name) || !call.whole) return "";
    if (call.arguments.find(kDsml) != std::string::npos ||
        call.arguments.find(kEos) != std::string::npos)
      return "";
    for (const auto& [key, value] : call.value.members())
      if (!plain(key)) return "";
  }
  const auto lenient = parse_completion(text, {.thinking = thinking});
  if (lenient.reasoning != strict->reasoning || lenient.content != strict->content)
    return "strict and lenient differ in text";
  return lenient.calls == strict->calls ? "" : "strict and lenient differ in calls";
}

}  // namespace seedbed::engine::chat
