#include "engine/chat/tags.h"

#include <algorithm>

#include "base/text.h"
#include "engine/chat/markers.h"

namespace seedbed::engine::chat {
namespace {

constexpr std::size_t kMaxHeader = 4096;  // bytes of one tag's attributes: names are short

struct Spelling {
  std::string_view text;
  Tag tag;
  bool has_attributes;
};
constexpr Spelling kSpellings[] = {
    {kEos, Tag::eos, false},
    {kEndThink, Tag::end_think, false},
    {kOpenCalls, Tag::open_calls, false},
    {kOpenInvoke, Tag::open_invoke, true},
    {kOpenParameter, Tag::open_parameter, true},
    {kCloseCalls, Tag::close_calls, false},
    {kCloseInvoke, Tag::close_invoke, false},
    {kCloseParameter, Tag::close_parameter, false},
};

}  // namespace

bool begins_dsml(std::string_view text, std::size_t at) {
  const auto rest = text.substr(at);
  return rest.starts_with(kOpenTag) || rest.starts_with(kCloseTag);
}

std::size_t skip_tag_space(std::string_view text, std::size_t at) {
  while (at < text.size() && is_tag_space(text[at])) ++at;
  return at;
}

bool TagReader::is_special(std::size_t at) const {
  return std::binary_search(specials_.begin(), specials_.end(), at);
}

TagAt TagReader::read(std::string_view text, std::size_t at) const {
  const auto rest = text.substr(at);
  if (rest.size() == 1) return {Tag::partial, at};
  const bool closing = rest[1] == '/';
  // Every spelling goes on with '/' or the first byte of the bar.
  if (!closing && rest[1] != kOpenTag[1]) return {};
  const bool eos = !options_.eos_is_token || is_special(at);
  const bool end_think = !options_.end_think_is_token || is_special(at);
  const std::size_t bar = at + (closing ? 2 : 1);
  const bool dsml = !options_.dsml_is_token || bar >= text.size() || is_special(bar);
  bool partial = false;
  for (const auto& spelling : kSpellings) {
    const bool counts = spelling.tag == Tag::eos         ? eos
                        : spelling.tag == Tag::end_think ? end_think
                                                         : dsml;
    if (!counts) continue;
    // Most differ where both end: that byte is looked at before the rest.
    const auto last = std::min(rest.size(), spelling.text.size()) - 1;
    if (spelling.text[last] != rest[last] || spelling.text[1] != rest[1]) continue;
    if (rest.size() <= spelling.text.size() - (spelling.has_attributes ? 0 : 1)) {
      partial = partial || spelling.text.starts_with(rest);
    } else if (rest.starts_with(spelling.text)) {
      const auto end = at + spelling.text.size();
      if (!spelling.has_attributes || is_tag_space(text[end]) || text[end] == '>')
        return {spelling.tag, end};
      // The reference takes a call's name without a space before it.
      if (spelling.tag == Tag::open_invoke && text[end] == 'n') return {spelling.tag, end};
    }
  }
  if (partial) return {Tag::partial, at};
  if (dsml && rest.starts_with(closing ? kCloseTag : kOpenTag))
    return {Tag::stray, at + (closing ? kCloseTag : kOpenTag).size()};
  return {};
}

HeaderScan::State HeaderScan::run(std::string_view text) {
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (at - begin > kMaxHeader) return State::broken;
    if (quote == 0) {
      if (c == '>') {
        ++at;
        return State::closed;
      }
      if (c == '<') return State::broken;
      if ((c == '"' || c == '\'') && at > begin && text[at - 1] == '=') quote = c;
      continue;
    }
    if (c == '\n') return State::broken;
    if (c == quote) {  // closes only before what may follow a value: names are not escaped
      if (at + 1 == text.size()) return State::more;
      const char next = text[at + 1];
      if (is_tag_space(next) || next == '>' || next == '/') quote = 0;
    } else if (c == '<') {  // a tag in a name: the quote was never closed
      const auto rest = text.substr(at, kCloseTag.size());
      for (const auto mark : {kOpenTag, kCloseTag, kEos.substr(0, 7)}) {
        if (rest.starts_with(mark)) return State::broken;
        if (rest.size() < mark.size() && mark.starts_with(rest)) return State::more;
      }
    }
  }
  return State::more;
}

Attributes read_attributes(std::string_view header) {
  Attributes out;
  std::size_t at = skip_tag_space(header, 0);
  while (at < header.size()) {
    const auto equals = header.find('=', at);
    if (equals == std::string_view::npos || equals == at || equals + 1 >= header.size()) return out;
    const auto key = header.substr(at, equals - at);
    if (std::any_of(key.begin(), key.end(), is_tag_space)) return out;
    std::size_t begin = equals + 1, end = begin;
    const char quote = header[begin];
    if (quote == '"' || quote == '\'') {
      end = ++begin;
      while (end < header.size() &&
             !(header[end] == quote && (end + 1 == header.size() || is_tag_space(header[end + 1]) ||
                                        header[end + 1] == '/')))
        ++end;
      if (end >= header.size()) return out;
    } else {
      while (end < header.size() && !is_tag_space(header[end])) ++end;
    }
    const auto value = header.substr(begin, end - begin);
    if (key == "name" && out.name.empty()) {
      out.name = value;
    } else if (key == "string") {
      const auto word = lower_ascii(value);
      out.is_string = word == "true"    ? Attributes::Bool::yes
                      : word == "false" ? Attributes::Bool::no
                                        : Attributes::Bool::other;
    }
    at = skip_tag_space(header, end + (quote == '"' || quote == '\'' ? 1 : 0));
  }
  out.readable = true;
  return out;
}

}  // namespace seedbed::engine::chat
