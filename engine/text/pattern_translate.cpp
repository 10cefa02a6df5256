#include <algorithm>
#include <cstdint>

#include "base/text.h"
#include "engine/text/pattern.h"
#include "engine/text/unicode_delta.h"

namespace seedbed::engine::text {
namespace {

// PCRE2's \s under UCP also takes U+180E, which is no White_Space.
constexpr const char* kSpaceSet =
    "\\x{09}-\\x{0d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}"
    "\\x{205f}\\x{3000}";

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

class Translator {
 public:
  Translator(std::string_view in, std::string_view at) : in_(in), at_(at) {}

  Result<std::string> run() {
    if (in_.size() > kMaxPatternBytes)
      return refuse("a pattern of " + std::to_string(in_.size()) + " bytes");
    if (!is_valid_utf8(in_) || in_.find('\0') != std::string_view::npos)
      return refuse("a pattern that is no plain UTF-8");
    while (i_ < in_.size()) {
      const auto error = in_[i_] == '[' ? set() : outside();
      if (error) return *error;
    }
    return out_;
  }

 private:
  Error refuse(const std::string& what) const {
    return make_error(
        Where::config, "tokenizer pattern", at_,
        what + " at byte " + std::to_string(i_) +
            "; wanted classes, \\p{..}, \\s, \\d, groups, look-around and plain quantifiers",
        "use a tokenizer with such patterns, or write the pattern without it");
  }
  char peek(std::size_t n = 0) const { return i_ + n < in_.size() ? in_[i_ + n] : '\0'; }
  void copy(std::size_t n) {
    out_ += in_.substr(i_, n);
    i_ += n;
  }

  Step outside() {
    switch (peek()) {
      case '\\':
        return escape(false);
      case '(':
        return group();
      case '{':
        return interval();
      default:
        copy(1);
        return std::nullopt;
    }
  }

  Step group() {
    if (peek(1) == '*') return refuse("a verb '(*'");
    if (peek(1) != '?') {
      copy(1);
      return std::nullopt;
    }
    for (const char* head : {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:", "(?-i:", "(?i)"})
      if (in_.substr(i_).starts_with(head)) {
        copy(std::string_view(head).size());
        return std::nullopt;
      }
    return refuse("a group '" + std::string(in_.substr(i_, 4)) + "'");
  }

  // {n}, {n,}, {n,m}, {,m}; Oniguruma reads a '+' or '?' after it in its own way.
  Step interval() {
    std::size_t end = i_ + 1;
    while (end < in_.size() && (is_digit(in_[end]) || in_[end] == ',')) ++end;
    const auto body = in_.substr(i_ + 1, end - i_ - 1);
    const bool plain = end < in_.size() && in_[end] == '}' && body.size() <= 11 && body != "," &&
                       !body.empty() && std::count(body.begin(), body.end(), ',') <= 1;
    if (!plain) return refuse("a '{' that begins no interval");
    const char next = end + 1 < in_.size() ? in_[end + 1] : '\0';
    if (next == '+' || (next == '?' && body.find(',') == std::string_view::npos))
      return refuse("an interval with '" + std::string(1, next) + "' after it");
    out_ += '{';
    if (body.front() == ',') out_ += '0';
    out_ += body;
    out_ += '}';
    i_ = end + 1;
    return std::nullopt;
  }

  Step set() {
    copy(1);
    if (peek() == '^') copy(1);
    if (peek() == ']') return refuse("a class that begins with ']'");
    while (i_ < in_.size() && peek() != ']') {
      if (peek() == '[') return refuse("a class within a class");
      if (peek() == '&' && peek(1) == '&') return refuse("an intersection '&&'");
      if (peek() == '\\') {
        if (auto error = escape(true)) return error;
      } else {
        copy(1);
      }
    }
    if (i_ == in_.size()) return refuse("a class without end");
    copy(1);
    return std::nullopt;
  }

  Step escape(bool in_set) {
    const char c = peek(1);
    if (c == '\0') return refuse("a '\\' at the end");
    if (!is_letter(c) && !is_digit(c)) {
      copy(2);  // an escaped sign stands for itself (multi-byte ones go on as plain bytes)
      return std::nullopt;
    }
    switch (c) {
      case 'r':
      case 'n':
      case 't':
      case 'f':
      case 'a':
      case 'e':
      case 'd':
        copy(2);
        return std::nullopt;
      case 'v':
        out_ += "\\x{0b}";
        i_ += 2;
        return std::nullopt;
      case 's':
        return put_set(kSpaceSet, false, in_set, 2);
      case 'S':
        if (in_set) break;
        return put_set(kSpaceSet, true, in_set, 2);
      case 'D':
      case 'A':
      case 'z':
      case 'Z':
        if (in_set) break;
        copy(2);
        return std::nullopt;
      case 'x':
      case 'u':
        return code_point(c);
      case 'p':
      case 'P':
        return property(in_set);
      default:
        break;
    }
    return refuse("an escape '\\" + std::string(1, c) + "'" + (in_set ? " within a class" : ""));
  }

  Step put_set(std::string_view content, bool negated, bool in_set, std::size_t consumed) {
    if (!in_set) out_ += negated ? "[^" : "[";
    out_ += content;
    if (!in_set) out_ += ']';
    i_ += consumed;
    return std::nullopt;
  }

  // \xHH, \x{H..}, \uHHHH
  Step code_point(char kind) {
    std::size_t begin = i_ + 2, end = begin;
    const bool braced = kind == 'x' && peek(2) == '{';
    const std::size_t most = braced ? 6 : kind == 'x' ? 2 : 4;
    if (braced) end = ++begin;
    while (end < in_.size() && end - begin < most && is_hex(in_[end])) ++end;
    const bool closed = !braced || (end < in_.size() && in_[end] == '}');
    if (end == begin || !closed || (kind == 'u' && end - begin != 4))
      return refuse("an unfinished code point");
    std::uint32_t value = 0;
    for (auto k = begin; k < end; ++k)
      value = value * 16 + static_cast<std::uint32_t>(
                               is_digit(in_[k]) ? in_[k] - '0' : (in_[k] | 0x20) - 'a' + 10);
    if (kind == 'x' && !braced && value > 0x7f) return refuse("a byte that is no character");
    out_ += "\\x{" + std::string(in_.substr(begin, end - begin)) + "}";
    i_ = end + (braced ? 1 : 0);
    return std::nullopt;
  }

  Step property(bool in_set) {
    bool negated = peek(1) == 'P';
    if (peek(2) != '{') return refuse("a property without braces");
    std::size_t begin = i_ + 3;
    if (begin < in_.size() && in_[begin] == '^') {
      negated = !negated;
      ++begin;
    }
    std::size_t end = begin;
    while (end < in_.size() && (is_letter(in_[end]) || in_[end] == '_')) ++end;
    if (end == begin || end - begin > 40 || end == in_.size() || in_[end] != '}')
      return refuse("a property of another form");
    const std::string name(in_.substr(begin, end - begin));
    if (negated && in_set) return refuse("a negated property within a class");
    const auto content = "\\p{" + name + "}" + (name.size() == 1 ? class_delta(name[0]) : "");
    return put_set(content, negated, in_set, end + 1 - i_);
  }

  std::string_view in_, at_;
  std::string out_;
  std::size_t i_ = 0;
};

}  // namespace

Result<std::string> translate_pattern(std::string_view pattern, std::string_view at) {
  return Translator(pattern, at).run();
}

}  // namespace seedbed::engine::text
