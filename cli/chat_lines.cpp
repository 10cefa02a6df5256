#include "cli/chat_lines.h"

#include <algorithm>
#include <utility>

#include "engine/chat/render.h"
#include "schemas/value.h"

namespace seedbed::cli {
namespace {

using schemas::Value;
namespace chat = engine::chat;
using Messages = std::vector<chat::Message>;

bool is_reply(const chat::Message& message) {
  return message.role == chat::Role::assistant;
}

// Index of the first reply at or after `begin`; the number of messages where there is none.
std::size_t next_reply(const Messages& messages, std::size_t begin) {
  while (begin < messages.size() && !is_reply(messages[begin])) ++begin;
  return begin;
}

Messages first(const Messages& messages, std::size_t count) {
  return {messages.begin(), messages.begin() + static_cast<std::ptrdiff_t>(count)};
}

class Builder {
 public:
  Builder(const Messages& messages, bool thinking) : messages_(messages), thinking_(thinking) {}

  Step start(std::size_t end) {
    auto rendered = chat::render(first(messages_, end), {.thinking = thinking_});
    if (!rendered.ok()) return std::move(rendered).error();
    give(rendered->segments, true);
    stable_ = rendered->stable;
    opens_ = rendered->opens;
    return std::nullopt;
  }

  Step say(std::size_t at) {
    auto segments = chat::render_reply(messages_[at], opens_ == chat::Opens::reasoning);
    if (!segments.ok()) return std::move(segments).error();
    for (auto& segment : *segments)
      open_.push_back(
          {std::move(segment.text), segment.special, Part::said, static_cast<std::int32_t>(at)});
    return std::nullopt;
  }

  // What stands between the reply before `begin` and the one at `end`.
  Step go_on(std::size_t begin, std::size_t end) {
    auto suffix = chat::render_suffix(first(messages_, end), begin, {.thinking = thinking_});
    if (!suffix.ok()) return std::move(suffix).error();
    if (!suffix->append) {
      closed_.push_back(open_);
      open_.resize(stable_);
      for (auto& piece : open_)
        if (piece.part == Part::said) piece.part = Part::given;
    }
    if (suffix->stable > 0) stable_ = open_.size() + suffix->stable;
    give(suffix->segments, false);
    opens_ = suffix->opens;
    return std::nullopt;
  }

  std::vector<Sequence> finish() {
    closed_.push_back(std::move(open_));
    return std::move(closed_);
  }

 private:
  void give(const chat::Segments& segments, bool begins) {
    for (const auto& segment : segments) {
      const bool none = segment.message < 0;
      const bool is_system =
          none ? begins
               : messages_[static_cast<std::size_t>(segment.message)].role == chat::Role::system;
      open_.push_back(
          {segment.text, segment.special, is_system ? Part::system : Part::given, segment.message});
    }
  }

  const Messages& messages_;
  bool thinking_;
  Sequence open_;
  std::vector<Sequence> closed_;
  std::size_t stable_ = 0;  // pieces that begin every longer conversation too
  chat::Opens opens_ = chat::Opens::nothing;
};

// `shift`: messages that were put before the first one given.
Value to_value(const Sequence& sequence, std::int32_t shift) {
  Value out = Value::array();
  for (const auto& piece : sequence) {
    Value item = Value::array();
    item.push(piece.text);
    item.push(piece.special);
    item.push(std::string(enum_names(Part{})[static_cast<std::size_t>(piece.part)]));
    item.push(static_cast<std::int64_t>(std::max(piece.message - shift, -1)));
    out.push(std::move(item));
  }
  return out;
}

Result<Value> sequences_of(std::string_view line, bool thinking) {
  SEEDBED_TRY(const auto messages, chat::parse_conversation(line, {.other_keys = true}));
  SEEDBED_TRY(const auto sequences, training_sequences(messages, thinking));
  SEEDBED_TRY(const auto raw, schemas::parse_json(line));
  const Value* list = raw.is_object() ? raw.find("messages") : &raw;
  const auto shift = static_cast<std::int32_t>(messages.size() - list->items().size());
  Value out = Value::array();
  for (const auto& sequence : sequences) out.push(to_value(sequence, shift));
  return out;
}

}  // namespace

Result<std::vector<Sequence>> training_sequences(const Messages& messages, bool thinking) {
  std::size_t at = next_reply(messages, 0);
  if (at == messages.size()) return std::vector<Sequence>();
  Builder builder(messages, thinking);
  if (auto wrong = builder.start(at)) return *std::move(wrong);
  for (;;) {
    if (auto wrong = builder.say(at)) return *std::move(wrong);
    const std::size_t next = next_reply(messages, at + 1);
    if (next == messages.size()) return builder.finish();
    if (auto wrong = builder.go_on(at + 1, next)) return *std::move(wrong);
    at = next;
  }
}

std::string training_line(std::string_view line, bool thinking) {
  auto sequences = sequences_of(line, thinking);
  Value out = Value::object();
  if (sequences.ok())
    out.set("sequences", *std::move(sequences));
  else
    out.set("error", sequences.error().message);
  return schemas::dump(out);
}

}  // namespace seedbed::cli
