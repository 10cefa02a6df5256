#include "engine/grammar/strings.h"

#include <algorithm>
#include <array>
#include <map>
#include <vector>

namespace seedbed::engine::grammar {
namespace {

struct Bytes {
  std::array<std::uint8_t, 4> at{};
  int size = 0;
};

Bytes encode(std::uint32_t c) {
  const auto tail = [c](int shift) {
    return static_cast<std::uint8_t>(0x80 | (c >> shift & 0x3f));
  };
  if (c < 0x80) return {{static_cast<std::uint8_t>(c)}, 1};
  if (c < 0x800) return {{static_cast<std::uint8_t>(0xc0 | c >> 6), tail(0)}, 2};
  if (c < 0x10000) return {{static_cast<std::uint8_t>(0xe0 | c >> 12), tail(6), tail(0)}, 3};
  return {{static_cast<std::uint8_t>(0xf0 | c >> 18), tail(12), tail(6), tail(0)}, 4};
}

// Calls give(lo, hi) for parts of a range whose encodings are byte ranges side by side.
template <class Give>
void split(std::uint32_t lo, std::uint32_t hi, const Give& give) {
  if (lo > hi) return;
  for (const std::uint32_t border : {0x7fU, 0x7ffU, 0xffffU})
    if (lo <= border && border < hi) {
      split(lo, border, give);
      return split(border + 1, hi, give);
    }
  if (lo < 0xe000 && hi >= 0xd800) {
    if (lo < 0xd800) split(lo, 0xd7ff, give);
    if (hi >= 0xe000) split(0xe000, hi, give);
    return;
  }
  if (hi > 0x7f)
    for (int i = 1; i < 4; ++i) {
      const auto mask = (1U << (6 * i)) - 1;
      if ((lo & ~mask) == (hi & ~mask)) break;
      if ((lo & mask) != 0) {
        split(lo, lo | mask, give);
        return split((lo | mask) + 1, hi, give);
      }
      if ((hi & mask) != mask) {
        split(lo, (hi & ~mask) - 1, give);
        return split(hi & ~mask, hi, give);
      }
    }
  give(encode(lo), encode(hi));
}

// Writes edges for characters; ways that end alike share their states.
class Writer {
 public:
  explicit Writer(RuleBuilder& rule) : rule_(rule) {}

  void range(int from, std::uint32_t lo, std::uint32_t hi, int to, std::uint8_t flags) {
    split(lo, hi, [&](const Bytes& a, const Bytes& b) {
      int end = to;
      for (int i = a.size; --i > 0;) {
        const auto place = static_cast<std::size_t>(i);
        const auto [it, fresh] =
            tails_.emplace(std::array<int, 3>{a.at[place], b.at[place], end}, 0);
        if (fresh) {
          it->second = rule_.add();
          rule_.edge(it->second, a.at[place], b.at[place], end);
        }
        end = it->second;
      }
      rule_.edge(from, a.at[0], b.at[0], end, flags);
    });
  }

 private:
  RuleBuilder& rule_;
  std::map<std::array<int, 3>, int> tails_;
};

// Characters that stand for themselves in a JSON string.
CharSet in_quotes(bool no_bar) {
  CharSet out = {{0, 0x1f}, {'"', '"'}, {'\\', '\\'}};
  if (no_bar) out.push_back({kBar, kBar});
  return complement(out);
}

constexpr std::pair<char, char> kShort[] = {{'"', '"'},  {'\\', '\\'}, {'/', '/'},  {'b', '\b'},
                                            {'f', '\f'}, {'n', '\n'},  {'r', '\r'}, {'t', '\t'}};

void add_escapes(RuleBuilder& rule,
                 int from,
                 const TextDfa::State& state,
                 const std::vector<int>& nodes) {
  int escape = -1;
  for (const auto& e : state.edges)
    for (const auto& [letter, c] : kShort) {
      const auto code = static_cast<std::uint32_t>(static_cast<unsigned char>(c));
      if (code < e.lo || code > e.hi) continue;
      if (escape < 0) {
        escape = rule.add();
        rule.edge(from, '\\', '\\', escape);
      }
      const auto symbol = static_cast<Symbol>(letter);
      rule.edge(escape, symbol, symbol, nodes[e.to]);
    }
}

}  // namespace

void add_text(RuleBuilder& rule,
              int from,
              const TextDfa& text,
              Spelling spelling,
              int to,
              std::uint8_t flags,
              bool no_bar) {
  if (text.states.empty()) return;
  std::vector<int> nodes;
  for (std::size_t i = 0; i < text.states.size(); ++i) nodes.push_back(rule.add());
  rule.skip(from, nodes[0]);
  Writer writer(rule);
  auto plain = all_chars();
  if (spelling == Spelling::json || spelling == Spelling::key) plain = in_quotes(no_bar);
  if (spelling == Spelling::attribute)
    plain = complement({{0, 0x1f}, {'"', '"'}, {'<', '<'}, {'>', '>'}, {0x7f, 0x7f}});
  for (std::size_t i = 0; i < text.states.size(); ++i) {
    const auto& state = text.states[i];
    if (state.accept) rule.skip(nodes[i], to);
    for (const auto& e : state.edges)
      for (const auto& p : plain)
        writer.range(nodes[i], std::max(e.lo, p.lo), std::min(e.hi, p.hi), nodes[e.to], flags);
    if (spelling == Spelling::json) add_escapes(rule, nodes[i], state, nodes);
  }
}

void add_string_body(RuleBuilder& rule, int from, bool counted, int to, bool no_bar) {
  const std::uint8_t flags = counted ? kCounts : kPlain;
  const int body = rule.add();
  rule.skip(from, body);
  rule.edge(body, '"', '"', to, counted ? kNeedsEnough : kPlain);
  Writer writer(rule);
  for (const auto& range : in_quotes(no_bar)) writer.range(body, range.lo, range.hi, body, flags);
  const int escape = rule.add();
  rule.edge(body, '\\', '\\', escape, flags);
  for (const auto& [letter, c] : kShort)
    rule.edge(escape, static_cast<Symbol>(letter), static_cast<Symbol>(letter), body);
  const auto hex = [&rule](int state, std::string_view digits, int end) {
    for (const char c : digits)
      rule.edge(state, static_cast<Symbol>(c), static_cast<Symbol>(c), end);
  };
  constexpr std::string_view kAll = "0123456789abcdefABCDEF";
  const int u = rule.add(), d = rule.add(), h3 = rule.add(), h2 = rule.add(), h1 = rule.add();
  rule.edge(escape, 'u', 'u', u);
  hex(u, "0123456789abcefABCEF", h3);
  hex(u, "dD", d);
  hex(d, "01234567", h2);
  hex(h3, kAll, h2);
  hex(h2, kAll, h1);
  hex(h1, kAll, body);
  // The high half of a pair needs the low one.
  const int p2 = rule.add(), p1 = rule.add(), slash = rule.add(), low = rule.add();
  const int low_d = rule.add(), low_c = rule.add();
  hex(d, "89abAB", p2);
  hex(p2, kAll, p1);
  hex(p1, kAll, slash);
  rule.edge(slash, '\\', '\\', low);
  rule.edge(low, 'u', 'u', low_d);
  hex(low_d, "dD", low_c);
  hex(low_c, "cdefCDEF", h2);
}

}  // namespace seedbed::engine::grammar
