// Reads what a model wrote: text or token pieces, in any chunks, into reasoning, content and calls.
// The result is a function of the bytes alone, never of how they were cut. It repairs nothing and
// drops nothing: every byte belongs to one span, and what is no well-formed call is kept as it is,
// with the reason.
//
// Lenient, as a serving parser must be: white space between tags, prose around the block, several
// blocks, calls without the block around them, unknown attributes, an end that is missing. Kept but
// not whole: a call that is cut, repeats a parameter, holds text between its parameters, or whose
// string="false" value is no JSON. strict.h has the reference's own reading.
//
// (1) A whole call's arguments are one strict JSON object, equal to its `value`.
// (2) Deltas joined are exactly the strings of the result, and end between UTF-8 characters.
// (3) No delta holds a part of a marker: bytes that may begin one wait until they are decided.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/value.h"

namespace seedbed::engine::chat {

struct ParseOptions {
  bool thinking = true;  // the prompt ended with <think> (Rendered::opens), else with </think>
  // Over tokens: the markers that are tokens of the vocabulary. Such a marker counts only where a
  // special piece spells it; the same characters from ordinary tokens are text. Over text: all
  // false.
  bool eos_is_token = false;
  bool end_think_is_token = false;
  bool dsml_is_token = false;
};

// One token: its bytes (they may end inside a character) and whether it is a special one.
struct Piece {
  std::string_view bytes;
  bool special = false;
};

struct Call {
  std::string name;
  std::string arguments;  // JSON text as the reference rebuilds it: strings escaped, other values
                          // pasted as they were written
  schemas::Value value;   // the object; null where the call is not whole
  bool whole = false;
  friend bool operator==(const Call&, const Call&) = default;
};

struct Malformed {
  std::string text;  // the exact bytes; empty where something is missing at the end
  std::string why;
  std::int32_t call = -1;  // index of the call that is not whole, -1: no call could be made of it
  friend bool operator==(const Malformed&, const Malformed&) = default;
};

enum class Part : std::uint8_t { reasoning, content, call, malformed, markup };

struct Span {  // of the completion's bytes; a call's span is its whole element
  std::size_t begin = 0, end = 0;
  Part part = Part::markup;
  std::int32_t index = -1;  // of the call or malformed piece
  friend bool operator==(const Span&, const Span&) = default;
};

enum class End : std::uint8_t { unknown, eos, cut };  // cut: by a budget, not by the model

struct Completion {
  std::string reasoning, content;
  std::vector<Call> calls;
  std::vector<Malformed> malformed;
  std::vector<Span> spans;  // in order, without gaps
  End end = End::unknown;   // eos also where the text spelled it
  bool open = false;        // it ended inside reasoning, a block or a call
  friend bool operator==(const Completion&, const Completion&) = default;
};

// OpenAI's word: "length" where it was cut or stopped half way without an end, else "tool_calls"
// where a whole call is there, else "stop".
std::string_view finish_reason(const Completion& completion);
// "call_" and 24 hex digits, a function of both: the format itself has no ids.
std::string call_id(std::string_view key, std::size_t index);

enum class DeltaKind : std::uint8_t { reasoning, content, call_begin, arguments, call_end };
struct Delta {
  DeltaKind kind = DeltaKind::content;
  std::int32_t call = -1;
  std::string_view text;  // call_begin: the name; call_end: empty. Valid during the callback.
};

class Parser {
 public:
  explicit Parser(const ParseOptions& options = {});
  Parser(Parser&&) noexcept;
  Parser& operator=(Parser&&) noexcept;
  ~Parser();

  void feed(std::string_view text);
  void feed(const Piece& piece);
  // No more will come. Call once; the result stays valid while the parser lives.
  const Completion& finish(End end = End::unknown);

  // Hands out what has become certain since the last call.
  void drain(const std::function<void(const Delta&)>& take);
  // The end-of-sentence marker was seen: the rest, if any, is not the model's answer.
  [[nodiscard]] bool ended() const;
  // How many of the pieces fed lie wholly before that byte: spans told in tokens.
  [[nodiscard]] std::size_t pieces_before(std::size_t byte) const;

 private:
  class Machine;
  std::unique_ptr<Machine> machine_;
};

Completion parse_completion(std::string_view text,
                            const ParseOptions& options,
                            End end = End::unknown);

}  // namespace seedbed::engine::chat
