// DeepSeek-V3.2's prompt, byte for byte as its published encoder writes it, in pieces that say
// which bytes are the format's own markers. What a user, a tool or a client wrote never is one,
// whatever it spells.
//
// What stays in place (the prefix that a cache may keep), in thinking mode: each user message is
// followed by <think> while it is the last one and by </think> afterwards, and reasoning written
// before the last user message is left out. So
//   - tool results, and the assistant turns after them, only ever append;
//   - a new user or developer message keeps all up to and including the <｜Assistant｜> of the user
//     message before it, and writes anew what follows (Rendered::stable).
// In chat mode everything only appends.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/chat/message.h"

namespace seedbed::engine::chat {

// A tokenizer encodes a special segment as the one token of that spelling, where its vocabulary has
// one, and every other segment as plain text in which no special token is looked for. Plain
// neighbours never follow each other: they are one segment, since tokens may cross their border.
struct Segment {
  std::string text;
  bool special = false;
  std::int32_t message = -1;  // index of the message that it belongs to, -1: none
  friend bool operator==(const Segment&, const Segment&) = default;
};
using Segments = std::vector<Segment>;

std::string text_of(const Segments& segments);  // the exact bytes
// For a vocabulary that lacks some markers (<｜DSML｜ tags may be ordinary text): those become
// plain text and join their neighbours.
Segments settle(const Segments& segments, const std::function<bool(std::string_view)>& is_token);

struct RenderOptions {
  bool thinking = true;
  bool bos = true;
};

enum class Opens : std::uint8_t { nothing, reasoning, answer };  // what a completion begins with

struct Rendered {
  Segments segments;
  // segments[0, stable) begin the rendering of every longer conversation too.
  std::size_t stable = 0;
  Opens opens = Opens::nothing;  // reasoning after <think>, answer after </think>
};

// The whole conversation. Error{model} names the message: tool results that match no call, twice or
// not at all; arguments that are no JSON object; a developer message without content; an assistant
// message after the last user message with neither reasoning nor calls in thinking mode.
Result<Rendered> render(const std::vector<Message>& messages, const RenderOptions& options);

struct Suffix {
  bool append = true;  // false: first cut back to `stable` of the rendering of the messages before
  Segments segments;
  std::size_t stable = 0;  // as Rendered::stable, counted in `segments`; where append holds and
                           // this is 0, the earlier stable point remains
  Opens opens = Opens::nothing;
};
// What messages[rendered..) add to a text that holds messages[0..rendered): ids sampled so far stay
// as they are. Tool results come whole: all that answer one assistant message. `eos_written`: the
// last assistant message was ended by its end-of-sentence token (a completion cut by its budget was
// not, and gets it here).
Result<Suffix> render_suffix(const std::vector<Message>& messages,
                             std::size_t rendered,
                             const RenderOptions& options,
                             bool eos_written = true);

// What a model writes in such a turn after the prompt of a conversation (Rendered::opens):
// reasoning and its end in thinking mode, content, calls, end of sentence. Error{model}: arguments
// that are no JSON object.
Result<Segments> render_reply(const Message& message, bool thinking);

// A block of results that answers an assistant message whose calls could not be read: it is how the
// model learns what was wrong with them, without a new user message that would end its reasoning.
Segments render_results(const std::vector<std::string>& contents, bool thinking);

}  // namespace seedbed::engine::chat
