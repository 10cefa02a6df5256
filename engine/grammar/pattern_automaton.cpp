// Patterns to automata: a tree, then states with empty edges and two kinds of anchors, then sets of
// states.
#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "engine/grammar/pattern.h"

namespace seedbed::engine::grammar {
namespace {

using Part = PatternPart;

constexpr std::size_t kMaxPattern = 4096;
constexpr std::size_t kMaxNfa = 20'000;

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
      if (order_.size() > kMaxTextStates || work > 5'000'000) return std::nullopt;
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
  SEEDBED_TRY(const auto part, read_pattern(pattern));
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

const TextDfa& date_text() {
  // A leap year's last two digits or first two are a multiple of four; year 0000 is none.
  const std::string year = "(?:000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})";
  const std::string fours = "(?:0[48]|[2468][048]|[13579][26])";
  const std::string leap = "(?:[0-9]{2}" + fours + "|" + fours + "00)";
  const std::string days =
      "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|"
      "(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))";
  static const TextDfa made = *text_matching("^(?:" + year + "-" + days + "|" + leap + "-02-29)$");
  return made;
}

const TextDfa& date_time_text() {
  static const TextDfa made = [] {
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
  }();
  return made;
}

}  // namespace seedbed::engine::grammar
