#include "engine/grammar/pattern.h"

#include <algorithm>
#include <string>

namespace seedbed::engine::grammar {
namespace {

using Part = PatternPart;

constexpr std::uint32_t kMaxRepeat = 1000;
constexpr int kMaxGroups = 64;  // one inside the other

const CharSet kDigits = {{'0', '9'}};
const CharSet kWord = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
const CharSet kSpace = {{'\t', '\r'}, {' ', ' '}};  // what every engine calls space
// What any engine calls space.
const CharSet kWideSpace = {{'\t', '\r'},     {' ', ' '},       {0x85, 0x85},     {0xa0, 0xa0},
                            {0x1680, 0x1680}, {0x2000, 0x200a}, {0x2028, 0x2029}, {0x202f, 0x202f},
                            {0x205f, 0x205f}, {0x3000, 0x3000}, {0xfeff, 0xfeff}};
const CharSet kLineEnds = {{'\n', '\r'}, {0x85, 0x85}, {0x2028, 0x2029}};

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(characters(text)) {}

  Result<Part> run() {
    auto part = choice(0);
    if (why_.empty() && at_ < text_.size()) fail("an unmatched ')'");
    if (!why_.empty())
      return make_error(Where::usage, "pattern", "character " + std::to_string(at_),
                        "found " + why_ +
                            ", wanted classes, groups, alternatives, quantifiers "
                            "and anchors alone",
                        "say it otherwise, or leave the pattern out");
    return part;
  }

 private:
  void fail(std::string why) {
    if (why_.empty()) why_ = std::move(why);
    at_ = std::min(at_, text_.size());
  }
  [[nodiscard]] bool more() const { return why_.empty() && at_ < text_.size(); }
  [[nodiscard]] std::uint32_t peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : 0;
  }
  bool take(std::uint32_t c) {
    if (!more() || peek() != c) return false;
    ++at_;
    return true;
  }

  Part choice(int depth) {
    Part out{Part::Kind::choice, {}, {}};
    do out.parts.push_back(sequence(depth));
    while (take('|'));
    return out.parts.size() == 1 ? std::move(out.parts[0]) : out;
  }

  Part sequence(int depth) {
    Part out;
    while (more() && peek() != '|' && peek() != ')') {
      auto part = atom(depth);
      quantifier(part);
      out.parts.push_back(std::move(part));
    }
    return out;
  }

  static Part of(CharSet set) { return {Part::Kind::set, std::move(set), {}}; }

  Part atom(int depth) {
    const auto c = peek();
    ++at_;
    switch (c) {
      case '^':
        return {Part::Kind::begin, {}, {}};
      case '$':
        return {Part::Kind::end, {}, {}};
      case '.':
        return of(complement(kLineEnds));
      case '[':
        return of(bracket());
      case '(':
        return group(depth);
      case '\\':
        return of(escape(false));
      case '*':
      case '+':
      case '?':
        fail("a quantifier without anything before it");
        return {};
      case '{':
      case ']':
      case '}':
        if (c == '{' && (peek() == ',' || (peek() >= '0' && peek() <= '9')))
          fail("a quantifier without anything before it");
        [[fallthrough]];
      default:
        return of({{c, c}});
    }
  }

  Part group(int depth) {
    if (depth >= kMaxGroups) fail("groups nested too deep");
    if (peek() == '*') fail("a verb");
    if (take('?')) {
      if (take('<')) {
        if (peek() == '=' || peek() == '!') fail("a look behind");
        while (more() && peek() != '>') ++at_;
        if (!take('>')) fail("a group's name without its end");
      } else if (!take(':')) {
        fail("a look ahead or a flag");
      }
    }
    if (!why_.empty()) return {};
    auto out = choice(depth + 1);
    if (!take(')')) fail("a '(' without its ')'");
    return out;
  }

  [[nodiscard]] std::uint32_t number() {
    std::uint64_t n = 0;
    const auto begin = at_;
    while (more() && peek() >= '0' && peek() <= '9')
      n = std::min<std::uint64_t>(n * 10 + (text_[at_++] - '0'), kForever);
    if (begin == at_) fail("a quantifier that is not finished");
    if (n > kMaxRepeat) fail("more than " + std::to_string(kMaxRepeat) + " repetitions");
    return static_cast<std::uint32_t>(n);
  }

  void quantifier(Part& part) {
    std::uint32_t min = 1, max = 1;
    if (take('*')) {
      min = 0;
      max = kForever;
    } else if (take('+')) {
      max = kForever;
    } else if (take('?')) {
      min = 0;
    } else if (more() && peek() == '{' && peek(1) >= '0' && peek(1) <= '9') {
      ++at_;
      min = number();
      max = min;
      if (take(',')) max = more() && peek() == '}' ? kForever : number();
      if (!take('}')) return fail("a quantifier without its '}'");
      if (max < min) return fail("a quantifier whose bounds are the wrong way round");
    } else if (more() && peek() == '{' && peek(1) == ',') {
      return fail("'{,', which engines read in two ways");
    } else {
      return;
    }
    take('?');  // lazy: the same texts
    if (more() && (peek() == '*' || peek() == '+' || peek() == '?'))
      return fail("a quantifier after a quantifier");
    if (part.kind == Part::Kind::begin || part.kind == Part::Kind::end)
      return fail("a quantifier after an anchor");
    Part out{Part::Kind::repeat, {}, {}, min, max};
    out.parts.push_back(std::move(part));
    part = std::move(out);
  }

  [[nodiscard]] std::uint32_t hex(int digits) {
    std::uint32_t n = 0;
    for (int i = 0; i < digits; ++i) {
      const auto c = peek();
      const auto low = c | 0x20U;
      if (c >= '0' && c <= '9')
        n = n * 16 + c - '0';
      else if (low >= 'a' && low <= 'f')
        n = n * 16 + low - 'a' + 10;
      else
        fail("an escape without its hexadecimal digits");
      ++at_;
    }
    return n;
  }

  // After the backslash. In a class that is negated, `wide` takes all that an engine may mean.
  CharSet escape(bool wide) {
    if (at_ >= text_.size()) {
      fail("a backslash at the end");
      return {};
    }
    const auto c = text_[at_++];
    std::uint32_t one = 0;
    switch (c) {
      case 'd':
        return kDigits;
      case 'D':
        return complement(kDigits);
      case 'w':
        return kWord;
      case 'W':
        return complement(kWord);
      case 's':
        return wide ? kWideSpace : kSpace;
      case 'S':
        return complement(wide ? kSpace : kWideSpace);
      case 't':
        one = '\t';
        break;
      case 'n':
        one = '\n';
        break;
      case 'f':
        one = '\f';
        break;
      case 'r':
        one = '\r';
        break;
      case 'x':
        one = hex(2);
        break;
      case 'u':
        one = hex(4);
        if (one >= 0xd800 && one <= 0xdfff) fail("half of a surrogate pair");
        break;
      default:
        if (c >= 0x80 || (c >= '0' && c <= '9') || ((c | 0x20U) >= 'a' && (c | 0x20U) <= 'z'))
          fail("an escape that is not supported");
        one = c;
    }
    return {{one, one}};
  }

  CharSet bracket() {
    const bool negated = take('^');
    if (peek() == ']') fail("an empty class");
    CharSet out;
    while (more() && peek() != ']') {
      if (peek() == '[' && (peek(1) == ':' || peek(1) == '.' || peek(1) == '='))
        fail("a named class");
      auto set = member(negated);
      if (more() && peek() == '-' && peek(1) != ']') {
        ++at_;
        const auto last = member(negated);
        const bool single = set.size() == 1 && set[0].lo == set[0].hi && last.size() == 1 &&
                            last[0].lo == last[0].hi;
        if (!single || last[0].lo < set[0].lo) {
          fail("a range that is none");
          return {};
        }
        set = {{set[0].lo, last[0].hi}};
      }
      out.insert(out.end(), set.begin(), set.end());
    }
    if (!take(']')) fail("a '[' without its ']'");
    out = normal_set(std::move(out));
    return negated ? complement(out) : complement(complement(out));  // without surrogates
  }

  CharSet member(bool wide) {
    if (!take('\\')) {
      const auto c = peek();
      ++at_;
      return {{c, c}};
    }
    if (take('b')) return {{'\b', '\b'}};
    if (take('-')) return {{'-', '-'}};
    return escape(wide);
  }

  std::vector<std::uint32_t> text_;
  std::size_t at_ = 0;
  std::string why_;
};

}  // namespace

Result<PatternPart> read_pattern(std::string_view pattern) {
  return Reader(pattern).run();
}

}  // namespace seedbed::engine::grammar
