// The states of the parser. All bytes fed are kept; `at_` is where the next span begins, and
// `scan_` where the search for the next '<' goes on, so that no byte is searched twice however
// small the chunks are.
//
//   reasoning --</think>--> content --calls--> block --invoke--> header -> call -> header -> value
//   gap: after a block or a call without one, while only white space has come
//   junk: bytes that no rule explains, up to the next tag that one does
//
// Each step either moves on (true) or has used what there is (false). `final_`: no more will come,
// so what is undecided is decided as text.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "engine/chat/call_builder.h"
#include "engine/chat/parse.h"
#include "engine/chat/tags.h"

namespace seedbed::engine::chat {

class Parser::Machine {
 public:
  explicit Machine(const ParseOptions& options)
      : tags_(options), state_(options.thinking ? State::reasoning : State::content) {}

  void feed(std::string_view text) {
    text_.append(text);
    run();
  }
  void feed(const Piece& piece);
  const Completion& finish(End end);
  void drain(const std::function<void(const Delta&)>& take);
  [[nodiscard]] bool ended() const { return state_ == State::ended; }
  [[nodiscard]] std::size_t pieces_before(std::size_t byte) const;
  Completion take() { return std::move(out_); }

 private:
  enum class State : std::uint8_t {
    reasoning,
    content,
    gap,
    block,
    header,
    call,
    value,
    junk,
    ended
  };
  struct Event {
    DeltaKind kind;
    std::int32_t call;
    std::size_t begin, end;  // of the string that it belongs to
  };

  void run();
  bool step();
  bool step_reasoning();
  bool step_content();
  bool step_gap();
  bool step_block();
  bool step_header();
  bool step_call();
  bool step_value();
  bool step_junk();
  bool content_tag(std::size_t at, const TagAt& tag);
  bool call_tag(std::size_t at, const TagAt& tag);
  bool value_tag(std::size_t at, const TagAt& tag);
  enum class Verdict : std::uint8_t { no, yes, wait };
  [[nodiscard]] Verdict call_ends_after(std::size_t at, bool block_ended) const;
  [[nodiscard]] Verdict new_tag_in_value(std::size_t at, std::size_t end) const;

  [[nodiscard]] std::size_t size() const { return text_.size(); }
  // The next '<' from scan_, size() where there is none.
  [[nodiscard]] std::size_t next_tag() const;
  void go(State state, std::size_t at);  // all before `at` is accounted for
  void put(Part part, std::size_t end, std::int32_t index = -1);  // [at_, end)
  void put_content(std::size_t end, bool hold_line_ends);
  void put_malformed(std::size_t end, std::string_view why);
  void put_value(std::size_t end);
  void event(DeltaKind kind, std::int32_t call, std::size_t begin, std::size_t end);
  void end_of_sentence(std::size_t at, std::size_t end);

  void start_element(std::size_t at, const TagAt& tag);
  void end_parameter(std::size_t at);
  void end_element(std::size_t end, bool closed);
  void read_header(std::string_view header, std::string_view damage);
  [[nodiscard]] std::string& arguments();

  TagReader tags_;
  State state_;
  std::string text_;
  std::size_t at_ = 0, scan_ = 0;
  bool final_ = false;
  bool reasoning_open_ = false;  // the end came before </think>
  bool block_ = false;           // inside <function_calls>
  bool lone_ = false;            // after a call that stands outside of any block
  CallBuilder element_;
  HeaderScan header_;
  bool parameter_header_ = false;
  std::size_t value_begin_ = 0;
  std::string_view junk_why_;
  State junk_home_ = State::content;
  Completion out_;
  std::vector<Event> events_;
  std::size_t drained_ = 0;  // bytes of events_[0] that were handed out
  std::vector<std::size_t> piece_ends_;
};

}  // namespace seedbed::engine::chat
