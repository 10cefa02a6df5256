// ECMA-262 patterns to automata: a tree, then states with empty edges and two kinds of anchors,
// then sets of states.
#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "base/text.h"
#include "engine/grammar/text_dfa.h"

namespace seedbed::engine::grammar {
namespace {

constexpr std::size_t kMaxPattern = 4096;
constexpr std::uint32_t kMaxRepeat = 1000;
constexpr std::size_t kMaxNfa = 20'000;
constexpr int kMaxGroups = 64;  // one inside the other
constexpr std::uint32_t kForever = 0xffffffff;

const CharSet kDigits = {{'0', '9'}};
const CharSet kWord = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
const CharSet kSpace = {{'\t', '\r'}, {' ', ' '}};  // what every engine calls space
// What any engine calls space.
const CharSet kWideSpace = {{'\t', '\r'},     {' ', ' '},       {0x85, 0x85},     {0xa0, 0xa0},
                            {0x1680, 0x1680}, {0x2000, 0x200a}, {0x2028, 0x2029}, {0x202f, 0x202f},
                            {0x205f, 0x205f}, {0x3000, 0x3000}, {0xfeff, 0xfeff}};
const CharSet kLineEnds = {{'\n', '\r'}, {0x85, 0x85}, {0x2028, 0x2029}};

struct Part {
  enum class Kind : std::uint8_t { set, sequence, choice, repeat, begin, end };
  Kind kind = Kind::sequence;
  CharSet set;
  std::vector<Part> parts;
  std::uint32_t min = 1, max = 1;
};

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

// States with empty edges. An anchor is an empty edge that needs its place.
struct Nfa {
  enum class Need : std::uint8_t { nothing, begin, end };
  struct State {
    CharSet set;
    std::uint32_t to = 0;  // by `set`
    std::vector<std::pair<std::uint32_t, Need>> empty;
  };
  std::vector<State> states;
  bool full = false;

  std::uint32_t state() {
    if (states.size() >= kMaxNfa) full = true;
    if (!full || states.empty()) states.emplace_back();
    return static_cast<std::uint32_t>(states.size() - 1);
  }
  void link(std::uint32_t from, std::uint32_t to, Need need = Need::nothing) {
    if (!full) states[from].empty.emplace_back(to, need);
  }

  // From `from`; where it ends.
  std::uint32_t add(const Part& part, std::uint32_t from) {
    if (full) return from;
    switch (part.kind) {
      case Part::Kind::set: {
        const auto here = state(), to = state();
        if (full) return from;
        link(from, here);
        states[here].set = part.set;
        states[here].to = to;
        return to;
      }
      case Part::Kind::sequence:
        for (const auto& one : part.parts) from = add(one, from);
        return from;
      case Part::Kind::choice: {
        const auto to = state();
        for (const auto& one : part.parts) link(add(one, from), to);
        return to;
      }
      case Part::Kind::repeat:
        return repeat(part, from);
      default: {
        const auto to = state();
        link(from, to, part.kind == Part::Kind::begin ? Need::begin : Need::end);
        return to;
      }
    }
  }

  std::uint32_t repeat(const Part& part, std::uint32_t from) {
    for (std::uint32_t i = 0; i < part.min && !full; ++i) from = add(part.parts[0], from);
    if (part.max == kForever) {
      const auto loop = state();
      link(from, loop);
      link(add(part.parts[0], loop), loop);
      const auto to = state();
      link(loop, to);
      return to;
    }
    const auto to = state();
    for (auto i = part.min; i < part.max && !full; ++i) {
      link(from, to);
      const auto inner = state();
      link(from, inner);
      from = add(part.parts[0], inner);
    }
    link(from, to);
    return to;
  }

  void close(std::vector<std::uint32_t>& set, bool begin, bool end) const {
    std::set<std::uint32_t> seen(set.begin(), set.end());
    for (std::size_t i = 0; i < set.size(); ++i)
      for (const auto& [to, need] : states[set[i]].empty)
        if ((need == Need::nothing || (need == Need::begin && begin) ||
             (need == Need::end && end)) &&
            seen.insert(to).second)
          set.push_back(to);
    std::sort(set.begin(), set.end());
  }
};

class Sets {
 public:
  Sets(const Nfa& nfa, std::uint32_t found) : nfa_(nfa), found_(found) {}

  std::optional<TextDfa> run(std::uint32_t search, std::uint32_t begin) {
    std::vector<std::uint32_t> first{search, begin};
    nfa_.close(first, true, false);
    name(first);
    std::size_t work = 0;
    for (std::size_t i = 0; i < order_.size(); ++i) {
      if (order_.size() > kMaxTextStates || work > 20'000'000) return std::nullopt;
      TextDfa::State state;
      if (order_[i].empty()) {  // found: the rest may be anything
        state.accept = true;
        for (const auto& r : all_chars())
          state.edges.push_back({r.lo, r.hi, static_cast<std::uint32_t>(i)});
      } else {
        auto at_end = order_[i];
        nfa_.close(at_end, i == 0, true);
        work += at_end.size();
        state.accept = std::binary_search(at_end.begin(), at_end.end(), found_);
        const auto set = order_[i];  // order_ grows meanwhile
        work += edges(set, state.edges);
      }
      out_.states.push_back(std::move(state));
    }
    return std::move(out_);
  }

 private:
  std::uint32_t name(std::vector<std::uint32_t> set) {
    if (std::binary_search(set.begin(), set.end(), found_)) set.clear();
    const auto [it, fresh] = names_.emplace(set, static_cast<std::uint32_t>(order_.size()));
    if (fresh) order_.push_back(std::move(set));
    return it->second;
  }

  std::size_t edges(const std::vector<std::uint32_t>& set, std::vector<TextDfa::Edge>& out) {
    std::vector<std::uint32_t> borders;
    for (const auto s : set)
      for (const auto& r : nfa_.states[s].set) borders.insert(borders.end(), {r.lo, r.hi + 1});
    std::sort(borders.begin(), borders.end());
    borders.erase(std::unique(borders.begin(), borders.end()), borders.end());
    std::size_t work = borders.size();
    for (std::size_t i = 0; i + 1 < borders.size(); ++i) {
      std::vector<std::uint32_t> to;
      for (const auto s : set)
        if (contains(nfa_.states[s].set, borders[i])) to.push_back(nfa_.states[s].to);
      work += set.size();
      if (to.empty()) continue;
      std::sort(to.begin(), to.end());
      to.erase(std::unique(to.begin(), to.end()), to.end());
      nfa_.close(to, false, false);
      work += to.size();
      const auto target = name(std::move(to));
      if (!out.empty() && out.back().to == target && out.back().hi + 1 == borders[i])
        out.back().hi = borders[i + 1] - 1;
      else
        out.push_back({borders[i], borders[i + 1] - 1, target});
    }
    return work;
  }

  const Nfa& nfa_;
  std::uint32_t found_;
  std::map<std::vector<std::uint32_t>, std::uint32_t> names_;
  std::vector<std::vector<std::uint32_t>> order_;
  TextDfa out_;
};

}  // namespace

Result<TextDfa> text_matching(std::string_view pattern) {
  const auto too_big = [] {
    return make_error(Where::usage, "pattern", "",
                      "an automaton that is too big, wanted at most " +
                          std::to_string(kMaxTextStates) + " states",
                      "use a simpler pattern");
  };
  if (pattern.size() > kMaxPattern || !is_valid_utf8(pattern)) return too_big();
  SEEDBED_TRY(const auto part, Reader(pattern).run());
  Nfa nfa;
  const auto search = nfa.state(), begin = nfa.state();
  nfa.states[search].set = all_chars();
  nfa.states[search].to = search;
  nfa.link(search, begin);
  const auto found = nfa.add(part, begin);
  if (nfa.full) return too_big();
  auto out = Sets(nfa, found).run(search, begin);
  if (!out) return too_big();
  return minimal(*out);
}

TextDfa date_text() {
  // A leap year's last two digits or first two are a multiple of four; year 0000 is none.
  const std::string year = "(?:000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})";
  const std::string fours = "(?:0[48]|[2468][048]|[13579][26])";
  const std::string leap = "(?:[0-9]{2}" + fours + "|" + fours + "00)";
  const std::string days =
      "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|"
      "(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))";
  return *text_matching("^(?:" + year + "-" + days + "|" + leap + "-02-29)$");
}

TextDfa date_time_text() {
  const auto time = text_matching(
      "^.{10}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.][0-9]{1,9})?"
      "(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])$");
  auto date = date_text();  // then anything
  for (auto& state : date.states)
    if (state.accept)
      for (const auto& r : all_chars())
        state.edges.push_back(
            {r.lo, r.hi, static_cast<std::uint32_t>(&state - date.states.data())});
  return minimal(*both(date, *time));
}

}  // namespace seedbed::engine::grammar
