#include "engine/chat/parse.h"

#include <algorithm>

#include "base/check.h"
#include "base/hash.h"
#include "engine/chat/machine.h"

namespace seedbed::engine::chat {
namespace {

// How many bytes at the end of `text` begin a character that is not complete.
std::size_t unfinished_tail(std::string_view text) {
  if (text.empty() || static_cast<unsigned char>(text.back()) < 0x80U) return 0;
  for (std::size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    const auto c = static_cast<unsigned char>(text[text.size() - back]);
    if ((c & 0xc0U) == 0x80U) continue;
    const std::size_t wanted = c >= 0xf0U && c <= 0xf4U  ? 4
                               : c >= 0xe0U && c < 0xf0U ? 3
                               : c >= 0xc2U && c < 0xe0U ? 2
                                                         : 1;
    return wanted > back ? back : 0;
  }
  return 0;
}

}  // namespace

// ---- what the steps put down ----

void Parser::Machine::event(DeltaKind kind, std::int32_t call, std::size_t begin, std::size_t end) {
  if (!events_.empty() && events_.back().kind == kind && events_.back().call == call &&
      kind != DeltaKind::call_begin && kind != DeltaKind::call_end) {
    events_.back().end = end;
    return;
  }
  if (begin == end && kind != DeltaKind::call_end) return;
  events_.push_back({kind, call, begin, end});
}

void Parser::Machine::put(Part part, std::size_t end, std::int32_t index) {
  if (end == at_) return;
  const auto bytes = std::string_view(text_).substr(at_, end - at_);
  if (part == Part::reasoning || part == Part::content) {
    auto& to = part == Part::reasoning ? out_.reasoning : out_.content;
    const auto before = to.size();
    to.append(bytes);
    event(part == Part::reasoning ? DeltaKind::reasoning : DeltaKind::content, -1, before,
          to.size());
  }
  if (!out_.spans.empty() && out_.spans.back().part == part && out_.spans.back().index == index)
    out_.spans.back().end = end;
  else
    out_.spans.push_back({at_, end, part, index});
  at_ = end;
}

void Parser::Machine::put_malformed(std::size_t end, std::string_view why) {
  out_.malformed.push_back({text_.substr(at_, end - at_), std::string(why), -1});
  put(Part::malformed, end, static_cast<std::int32_t>(out_.malformed.size()) - 1);
}

std::string& Parser::Machine::arguments() {
  SEEDBED_CHECK(!out_.calls.empty());
  return out_.calls.back().arguments;
}

void Parser::Machine::put_value(std::size_t end) {
  if (element_.named() && end > at_) {
    auto& to = arguments();
    const auto before = to.size();
    element_.add_value(std::string_view(text_).substr(at_, end - at_), to);
    event(DeltaKind::arguments, static_cast<std::int32_t>(out_.calls.size()) - 1, before,
          to.size());
  }
  at_ = end;
}

void Parser::Machine::end_parameter(std::size_t at) {
  if (!element_.named()) return;
  auto& to = arguments();
  const auto before = to.size();
  element_.end_parameter(std::string_view(text_).substr(value_begin_, at - value_begin_), to);
  event(DeltaKind::arguments, static_cast<std::int32_t>(out_.calls.size()) - 1, before, to.size());
}

// `closed`: up to `end` it is complete, whole or not; else the completion ended inside it.
void Parser::Machine::end_element(std::size_t end, bool closed) {
  const auto begin = element_.begin();
  std::int32_t call = -1;
  if (element_.named()) {
    call = static_cast<std::int32_t>(out_.calls.size()) - 1;
    auto& made = out_.calls.back();
    const auto before = made.arguments.size();
    if (closed) element_.end_call(made.arguments);
    event(DeltaKind::arguments, call, before, made.arguments.size());
    made.whole = closed && element_.why().empty();
    if (made.whole) made.value = element_.take_value();
    event(DeltaKind::call_end, call, 0, 0);
  }
  if (!element_.why().empty())
    out_.malformed.push_back({text_.substr(begin, end - begin), element_.why(), call});
  if (!closed) out_.open = true;
  at_ = begin;
  if (call >= 0)
    put(Part::call, end, call);
  else
    put(Part::malformed, end, static_cast<std::int32_t>(out_.malformed.size()) - 1);
  lone_ = !block_;
  go(block_ ? State::block : State::gap, end);
}

// ---- what comes in and goes out ----

void Parser::Machine::feed(const Piece& piece) {
  if (piece.special && tags_.wants_specials()) tags_.note_special(size());
  text_.append(piece.bytes);
  piece_ends_.push_back(size());
  run();
}

const Completion& Parser::Machine::finish(End end) {
  SEEDBED_CHECK(!final_);
  final_ = true;
  run();
  if (reasoning_open_) {
    out_.open = true;
    if (end == End::eos || out_.end == End::eos)
      out_.malformed.push_back({"", "the completion ends inside its reasoning", -1});
  }
  if (at_ < size()) {
    SEEDBED_CHECK(state_ == State::ended, at_, size());
    put_malformed(size(), "text after the end of the sentence");
  }
  if (out_.end != End::eos) out_.end = end;
  return out_;
}

void Parser::Machine::drain(const std::function<void(const Delta&)>& take) {
  if (events_.empty()) return;
  for (std::size_t i = 0; i < events_.size(); ++i) {
    auto& e = events_[i];
    const bool last = i + 1 == events_.size();
    const std::string& from = e.kind == DeltaKind::reasoning ? out_.reasoning
                              : e.kind == DeltaKind::content ? out_.content
                              : e.kind == DeltaKind::call_begin
                                  ? out_.calls[static_cast<std::size_t>(e.call)].name
                                  : out_.calls[static_cast<std::size_t>(e.call)].arguments;
    auto text = std::string_view(from).substr(e.begin, e.end - e.begin);
    if (last && !final_ && e.kind != DeltaKind::call_begin)
      text.remove_suffix(unfinished_tail(text));
    e.begin += text.size();
    if (!text.empty() || e.kind == DeltaKind::call_end) take({e.kind, e.call, text});
    if (last && e.begin < e.end) {  // half a character waits for the rest
      events_.front() = e;
      events_.resize(1);
      return;
    }
  }
  events_.clear();
}

std::size_t Parser::Machine::pieces_before(std::size_t byte) const {
  return static_cast<std::size_t>(std::upper_bound(piece_ends_.begin(), piece_ends_.end(), byte) -
                                  piece_ends_.begin());
}

// ---- the interface ----

Parser::Parser(const ParseOptions& options) : machine_(std::make_unique<Machine>(options)) {}
Parser::Parser(Parser&&) noexcept = default;
Parser& Parser::operator=(Parser&&) noexcept = default;
Parser::~Parser() = default;

void Parser::feed(std::string_view text) {
  machine_->feed(text);
}
void Parser::feed(const Piece& piece) {
  machine_->feed(piece);
}
const Completion& Parser::finish(End end) {
  return machine_->finish(end);
}
void Parser::drain(const std::function<void(const Delta&)>& take) {
  machine_->drain(take);
}
bool Parser::ended() const {
  return machine_->ended();
}
std::size_t Parser::pieces_before(std::size_t byte) const {
  return machine_->pieces_before(byte);
}

Completion parse_completion(std::string_view text, const ParseOptions& options, End end) {
  Parser parser(options);
  parser.feed(text);
  return parser.finish(end);
}

std::string_view finish_reason(const Completion& completion) {
  if (completion.end == End::cut || (completion.end == End::unknown && completion.open))
    return "length";
  const bool calls = std::any_of(completion.calls.begin(), completion.calls.end(),
                                 [](const Call& call) { return call.whole; });
  return calls ? "tool_calls" : "stop";
}

std::string call_id(std::string_view key, std::size_t index) {
  const std::string text = std::string(key) + "#" + std::to_string(index);
  return "call_" + content_hash(text).substr(0, 24);
}

}  // namespace seedbed::engine::chat
