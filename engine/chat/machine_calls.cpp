// The parser inside a call: attributes, parameters, values.
#include "base/text.h"
#include "engine/chat/machine.h"

namespace seedbed::engine::chat {
namespace {

constexpr std::size_t kMaxLookahead = 64;  // white space that may stand between two tags in a value

}  // namespace

void Parser::Machine::start_element(std::size_t at, const TagAt& tag) {
  parameter_header_ = tag.tag == Tag::open_parameter;
  element_.start(at, parameter_header_);
  header_ = HeaderScan(tag.end);
  go(State::header, tag.end);
}

bool Parser::Machine::step_header() {
  const auto state = header_.run(text_);
  if (state == HeaderScan::State::more) {
    if (!final_) return false;
    element_.broken("the completion ends inside a tag");
    end_element(size(), false);
    return false;
  }
  const bool closed = state == HeaderScan::State::closed;
  const auto header =
      std::string_view(text_).substr(header_.begin, header_.at - header_.begin - (closed ? 1 : 0));
  read_header(header, closed ? "" : "a tag without its '>'");
  const auto at = header_.at;
  value_begin_ = at;
  go(parameter_header_ ? State::value : State::call, at);
  return true;
}

void Parser::Machine::read_header(std::string_view header, std::string_view damage) {
  const auto attributes = read_attributes(header);
  if (!damage.empty()) element_.broken(damage);
  if (parameter_header_) {
    std::string nowhere;
    std::string& to = element_.named() ? arguments() : nowhere;
    const auto before = to.size();
    element_.begin_parameter(damage.empty() ? attributes : Attributes{}, to);
    if (element_.named())
      event(DeltaKind::arguments, static_cast<std::int32_t>(out_.calls.size()) - 1, before,
            to.size());
    return;
  }
  if (!damage.empty() || !attributes.readable || attributes.name.empty() ||
      !is_valid_utf8(attributes.name))
    return element_.broken("a call whose tag has no readable name");
  out_.calls.emplace_back();
  out_.calls.back().name = attributes.name;
  const auto call = static_cast<std::int32_t>(out_.calls.size()) - 1;
  event(DeltaKind::call_begin, call, 0, attributes.name.size());
  element_.name_call(arguments());
  event(DeltaKind::arguments, call, 0, arguments().size());
}

bool Parser::Machine::step_call() {
  const auto at = skip_tag_space(text_, scan_);
  scan_ = at;
  if (at == size()) {
    if (!final_) return false;
    element_.broken("the completion ends inside a call");
    end_element(size(), false);
    return false;
  }
  if (text_[at] != '<') {
    element_.broken("text between the parameters of a call");
    scan_ = next_tag();
    return true;
  }
  const auto tag = tags_.read(text_, at);
  if (tag.tag == Tag::partial) {
    if (!final_) return false;
    element_.broken("the completion ends inside a tag");
    end_element(size(), false);
    return false;
  }
  return call_tag(at, tag);
}

bool Parser::Machine::call_tag(std::size_t at, const TagAt& tag) {
  switch (tag.tag) {
    case Tag::eos:
      element_.broken("the completion ends inside a call");
      end_element(at, false);
      out_.open = true;
      end_of_sentence(at, tag.end);
      return true;
    case Tag::open_parameter:
      parameter_header_ = true;
      header_ = HeaderScan(tag.end);
      go(State::header, tag.end);
      return true;
    case Tag::close_invoke:
      end_element(tag.end, true);
      return true;
    case Tag::open_invoke:
    case Tag::close_calls:  // only its closing tag is missing: nothing is lost
      end_element(at, true);
      return true;
    default:
      element_.broken("text between the parameters of a call");
      scan_ = at + 1;
      return true;
  }
}

bool Parser::Machine::step_value() {
  for (;;) {
    const auto at = next_tag();
    if (at == size()) {
      put_value(at);
      scan_ = at;
      if (!final_) return false;
      element_.broken("the completion ends inside a value");
      end_element(size(), false);
      return false;
    }
    const auto tag = tags_.read(text_, at);
    if (tag.tag == Tag::none || tag.tag == Tag::end_think) {
      scan_ = at + 1;
      continue;
    }
    if (tag.tag == Tag::partial) {
      put_value(final_ && !begins_dsml(text_, at) ? size() : at);
      scan_ = at;
      if (!final_) return false;
      element_.broken("the completion ends inside a value");
      end_element(size(), false);
      return false;
    }
    const auto before = at_;
    if (value_tag(at, tag)) {
      if (state_ == State::value && at_ == before) continue;
      return true;
    }
    put_value(at);
    scan_ = at;
    return false;
  }
}

// False: undecided. Otherwise the value ended, or the tag is part of it and scan_ is past it.
bool Parser::Machine::value_tag(std::size_t at, const TagAt& tag) {
  auto verdict = Verdict::no;
  if (tag.tag == Tag::eos) {
    put_value(at);
    element_.broken("the completion ends inside a value");
    end_element(at, false);
    out_.open = true;
    end_of_sentence(at, tag.end);
    return true;
  }
  if (tag.tag == Tag::close_parameter) {
    put_value(at);
    end_parameter(at);
    go(State::call, tag.end);
    if (element_.lone_parameter()) end_element(tag.end, true);
    return true;
  }
  if (tag.tag == Tag::close_invoke || tag.tag == Tag::close_calls)
    verdict = call_ends_after(tag.end, tag.tag == Tag::close_calls);
  else if (tag.tag == Tag::open_parameter || tag.tag == Tag::open_invoke)
    verdict = new_tag_in_value(at, tag.end);
  if (verdict == Verdict::wait) return false;
  if (verdict == Verdict::no) {
    scan_ = at + 1;
    return true;
  }
  put_value(at);
  element_.broken("parameter '" + element_.parameter() + "' is never closed");
  end_parameter(at);
  go(State::call, at);
  return true;
}

// A value may quote tags. A missing </parameter> shows by what stands after them.
Parser::Machine::Verdict Parser::Machine::call_ends_after(std::size_t at, bool block_ended) const {
  const auto next = skip_tag_space(text_, at);
  if (next - at > kMaxLookahead) return Verdict::no;
  if (next == size()) return final_ ? Verdict::yes : Verdict::wait;
  if (text_[next] != '<') return Verdict::no;
  const auto tag = tags_.read(text_, next).tag;
  if (tag == Tag::partial) return final_ ? Verdict::no : Verdict::wait;
  if (tag == Tag::eos) return Verdict::yes;
  return !block_ended && (tag == Tag::open_invoke || tag == Tag::close_calls) ? Verdict::yes
                                                                              : Verdict::no;
}

Parser::Machine::Verdict Parser::Machine::new_tag_in_value(std::size_t at, std::size_t end) const {
  constexpr std::string_view kName = " name=\"";
  if (at == value_begin_ || text_[at - 1] != '\n') return Verdict::no;
  const auto rest = std::string_view(text_).substr(end, kName.size());
  if (rest == kName) return Verdict::yes;
  return rest.size() < kName.size() && kName.starts_with(rest) && !final_ ? Verdict::wait
                                                                          : Verdict::no;
}

}  // namespace seedbed::engine::chat
