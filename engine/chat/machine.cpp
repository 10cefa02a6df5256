#include "engine/chat/machine.h"

#include <algorithm>
#include <cstring>

#include "engine/chat/markers.h"

namespace seedbed::engine::chat {

void Parser::Machine::run() {
  while (at_ < size() || final_)
    if (!step()) return;
}

bool Parser::Machine::step() {
  switch (state_) {
    case State::reasoning:
      return step_reasoning();
    case State::content:
      return step_content();
    case State::gap:
      return step_gap();
    case State::block:
      return step_block();
    case State::header:
      return step_header();
    case State::call:
      return step_call();
    case State::value:
      return step_value();
    case State::junk:
      return step_junk();
    case State::ended:
      return false;
  }
  return false;
}

std::size_t Parser::Machine::next_tag() const {
  const char* const end = text_.data() + size();
  const char* p = text_.data() + std::min(scan_, size());
  if (end - p < 16) {  // a token's bytes: a call would cost more than the search
    while (p != end && *p != '<') ++p;
  } else {
    p = static_cast<const char*>(std::memchr(p, '<', static_cast<std::size_t>(end - p)));
    if (p == nullptr) return size();
  }
  return static_cast<std::size_t>(p - text_.data());
}

void Parser::Machine::go(State state, std::size_t at) {
  state_ = state;
  at_ = scan_ = at;
}

void Parser::Machine::end_of_sentence(std::size_t at, std::size_t end) {
  at_ = at;
  put(Part::markup, end);
  out_.end = End::eos;
  go(State::ended, end);
}

bool Parser::Machine::step_reasoning() {
  for (;;) {
    const auto at = next_tag();
    const auto tag = at == size() ? TagAt{} : tags_.read(text_, at);
    const bool stop = tag.tag == Tag::eos || tag.tag == Tag::end_think;
    if (at != size() && !stop && tag.tag != Tag::partial) {
      scan_ = at + 1;
      continue;
    }
    put(Part::reasoning, final_ && !stop ? size() : at);
    scan_ = at_;
    if (!stop) {
      reasoning_open_ = final_;
      return false;
    }
    if (tag.tag == Tag::eos) {
      reasoning_open_ = true;
      end_of_sentence(at, tag.end);
      return true;
    }
    put(Part::markup, tag.end);
    go(State::content, tag.end);
    return true;
  }
}

// Line ends before a block belong to it, so the last two wait.
void Parser::Machine::put_content(std::size_t end, bool hold_line_ends) {
  std::size_t stop = end;
  if (hold_line_ends)
    while (stop > at_ && end - stop < 2 && text_[stop - 1] == '\n') --stop;
  put(Part::content, stop);
}

bool Parser::Machine::step_content() {
  for (;;) {
    const auto at = next_tag();
    if (at == size()) {
      put_content(at, !final_);
      scan_ = at;
      return false;
    }
    const auto tag = tags_.read(text_, at);
    if (tag.tag == Tag::none || tag.tag == Tag::end_think) {
      scan_ = at + 1;
      continue;
    }
    if (tag.tag != Tag::partial) return content_tag(at, tag);
    if (!final_) {
      put_content(at, true);
      scan_ = at;
    } else if (begins_dsml(text_, at)) {
      put_content(at, false);
      put_malformed(size(), "the completion ends inside a tag");
      out_.open = true;
    } else {
      put_content(size(), false);
    }
    return false;
  }
}

bool Parser::Machine::content_tag(std::size_t at, const TagAt& tag) {
  const bool calls = tag.tag == Tag::open_calls || tag.tag == Tag::open_invoke;
  if (calls) {
    put_content(at, true);
    if (at - at_ == 1) put_content(at, false);  // one line end is the model's own
    put(Part::markup, at);
  } else {
    put_content(at, false);
  }
  lone_ = false;
  switch (tag.tag) {
    case Tag::eos:
      end_of_sentence(at, tag.end);
      return true;
    case Tag::open_calls:
      put(Part::markup, tag.end);
      block_ = true;
      go(State::block, tag.end);
      return true;
    case Tag::open_invoke:
    case Tag::open_parameter:
      start_element(at, tag);
      return true;
    case Tag::stray:
      junk_why_ = "a tag that the format does not have";
      junk_home_ = State::content;
      state_ = State::junk;
      scan_ = tag.end;
      return true;
    default:
      put_malformed(tag.end, "a closing tag without its opening one");
      go(State::content, tag.end);
      return true;
  }
}

bool Parser::Machine::step_gap() {
  const auto at = skip_tag_space(text_, scan_);
  scan_ = at;
  if (at == size()) {
    if (final_) put(Part::markup, at);
    return false;
  }
  const auto tag = text_[at] == '<' ? tags_.read(text_, at) : TagAt{};
  if (tag.tag == Tag::partial && !final_) return false;
  if (tag.tag == Tag::none || tag.tag == Tag::end_think ||
      (tag.tag == Tag::partial && !begins_dsml(text_, at))) {
    state_ = State::content;  // the white space is part of the text that follows
    return true;
  }
  put(Part::markup, at);
  if (tag.tag == Tag::close_calls && lone_) {
    put(Part::markup, tag.end);
    lone_ = false;
    go(State::gap, tag.end);
    return true;
  }
  go(State::content, at);
  return true;
}

bool Parser::Machine::step_block() {
  const auto at = skip_tag_space(text_, scan_);
  put(Part::markup, at);
  scan_ = at;
  if (at == size()) {
    out_.open = out_.open || final_;
    return false;
  }
  const auto tag = text_[at] == '<' ? tags_.read(text_, at) : TagAt{};
  switch (tag.tag) {
    case Tag::partial:
      if (!final_) return false;
      put_malformed(size(), "the completion ends inside a tag");
      out_.open = true;
      return false;
    case Tag::eos:
      out_.open = true;
      end_of_sentence(at, tag.end);
      return true;
    case Tag::open_invoke:
    case Tag::open_parameter:
      start_element(at, tag);
      return true;
    case Tag::open_calls:
    case Tag::close_calls:
      put(Part::markup, tag.end);
      block_ = tag.tag == Tag::open_calls;
      go(block_ ? State::block : State::gap, tag.end);
      return true;
    default:
      junk_why_ = "text between the calls of a block";
      junk_home_ = State::block;
      state_ = State::junk;
      scan_ = at + 1;
      return true;
  }
}

// In a block up to the next tag that has a meaning there; in content one tag, which no line end
// interrupts.
bool Parser::Machine::step_junk() {
  const bool one_tag = junk_home_ == State::content;
  for (;;) {
    const auto at = one_tag ? std::min(text_.find_first_of("><\n", scan_), size()) : next_tag();
    if (at >= size()) {
      scan_ = size();
      if (final_) put_malformed(size(), junk_why_);
      return false;
    }
    const auto tag = one_tag ? TagAt{} : tags_.read(text_, at);
    if (tag.tag == Tag::partial) {
      scan_ = at;
      if (final_) put_malformed(size(), junk_why_);
      return false;
    }
    const bool goes_on = tag.tag == Tag::none || tag.tag == Tag::stray ||
                         tag.tag == Tag::end_think || tag.tag == Tag::close_invoke ||
                         tag.tag == Tag::close_parameter;
    if (!one_tag && goes_on) {
      scan_ = at + 1;
      continue;
    }
    const auto end = one_tag && text_[at] == '>' ? at + 1 : at;
    put_malformed(end, junk_why_);
    go(junk_home_, end);
    return true;
  }
}

}  // namespace seedbed::engine::chat
