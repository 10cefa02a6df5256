#include "engine/grammar/automaton.h"

#include <algorithm>

namespace seedbed::engine::grammar {
namespace {

constexpr std::size_t kTableFrom = 6;  // edges
constexpr std::size_t kMaxTables = 16'384;
constexpr std::uint16_t kDeep = 0x3fff;

std::uint32_t sum(std::uint64_t a, std::uint64_t b) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(a + b, kFar));
}

class Finisher {
 public:
  explicit Finisher(Program& p) : p_(p) {}

  bool run() {
    for (auto& r : p_.rules) r.round = r.min > 0 ? kFar : 0;
    do near();
    while (rounds());
    prune();
    for (auto& r : p_.rules) r.depth = kDeep;
    for (auto& s : p_.states) s.depth = s.distance < kFar ? kDeep : 0;
    do shallow();
    while (rule_depths());
    for (auto& s : p_.states) {
      s.depth = std::max(s.depth, p_.rules[s.rule].round_depth);
      if (s.distance < kFar) p_.max_depth = std::max(p_.max_depth, s.depth);
    }
    if (!p_.can_end(p_.root)) return false;
    keys();
    firsts();
    follows();
    tables();
    return true;
  }

 private:
  const State& start(const CallEdge& c) { return p_.states[p_.rules[c.rule].start]; }
  // Of a rule from start to end, with the counts that it needs.
  std::uint32_t whole(std::uint32_t rule) {
    const auto& r = p_.rules[rule];
    if (r.start == kNone) return kFar;
    return sum(p_.states[r.start].distance, std::uint64_t{r.min} * r.round);
  }

  // Distances with the rounds as they are known.
  void near() {
    for (bool changed = true; changed;) {
      changed = false;
      for (std::size_t i = p_.states.size(); i-- > 0;) {
        auto& s = p_.states[i];
        std::uint32_t best = s.final ? 0 : kFar;
        for (const auto& e : p_.edges_of(s))
          best = std::min(best, sum(1, p_.states[e.to].distance));
        for (const auto& c : p_.calls_of(s))
          best = std::min(best, sum(whole(c.rule), p_.states[c.to].distance));
        if (best < s.distance) {
          s.distance = best;
          changed = true;
        }
      }
    }
  }

  // What one count more adds to the distance of the state that it starts from.
  bool rounds() {
    bool changed = false;
    std::vector<std::uint32_t> round(p_.rules.size(), kFar);
    for (const auto& s : p_.states) {
      if (p_.rules[s.rule].min == 0 || s.distance >= kFar) continue;
      for (const auto& e : p_.edges_of(s)) {
        const auto there = sum(1, p_.states[e.to].distance);
        if ((e.flags & kCounts) == 0 || there >= kFar) continue;
        round[s.rule] = std::min(round[s.rule], there - std::min(there, s.distance));
      }
    }
    for (std::size_t i = 0; i < round.size(); ++i) {
      auto& r = p_.rules[i];
      if (r.min == 0 || round[i] >= r.round) continue;
      r.round = round[i];
      changed = true;
    }
    return changed;
  }

  void prune() {
    for (auto& s : p_.states) {
      auto at = s.edge_begin;
      for (auto i = s.edge_begin; i < s.edge_end; ++i)
        if (p_.states[p_.edges[i].to].distance < kFar) p_.edges[at++] = p_.edges[i];
      s.edge_end = at;
      auto call = s.call_begin;
      for (auto i = s.call_begin; i < s.call_end; ++i) {
        const auto c = p_.calls[i];
        if (whole(c.rule) >= kFar || p_.states[c.to].distance >= kFar) continue;
        p_.calls[call++] = c;
      }
      s.call_end = call;
    }
  }

  // Of the shortest way, the shallowest.
  void shallow() {
    for (bool changed = true; changed;) {
      changed = false;
      for (std::size_t i = p_.states.size(); i-- > 0;) {
        auto& s = p_.states[i];
        if (s.distance >= kFar) continue;
        auto best = s.final ? std::uint16_t{0} : kDeep;
        if (!s.final) {
          for (const auto& e : p_.edges_of(s))
            if (sum(1, p_.states[e.to].distance) == s.distance)
              best = std::min(best, p_.states[e.to].depth);
          for (const auto& c : p_.calls_of(s))
            if (sum(whole(c.rule), p_.states[c.to].distance) == s.distance)
              best = std::min(best, std::max(p_.rules[c.rule].depth, p_.states[c.to].depth));
        }
        if (best < s.depth) {
          s.depth = best;
          changed = true;
        }
      }
    }
  }

  bool rule_depths() {
    for (auto& r : p_.rules) r.round_depth = 0;
    for (const auto& s : p_.states) {
      auto& r = p_.rules[s.rule];
      if (r.min == 0 || s.distance >= kFar) continue;
      for (const auto& e : p_.edges_of(s))
        if ((e.flags & kCounts) != 0)
          r.round_depth = std::max(r.round_depth, p_.states[e.to].depth);
    }
    bool changed = false;
    for (auto& r : p_.rules) {
      if (r.start == kNone) continue;
      const int inner = std::max(p_.states[r.start].depth, r.round_depth);
      const auto depth = std::min(kDeep, static_cast<std::uint16_t>(inner + (r.container ? 1 : 0)));
      if (depth >= r.depth) continue;
      r.depth = depth;
      changed = true;
    }
    return changed;
  }

  void keys() {
    for (bool changed = true; changed;) {
      changed = false;
      for (std::size_t i = p_.states.size(); i-- > 0;) {
        auto& s = p_.states[i];
        if (s.before_key || s.final || s.distance >= kFar) continue;
        for (const auto& e : p_.edges_of(s))
          s.before_key = s.before_key ||
                         (p_.states[e.to].before_key && p_.states[e.to].distance + 1 == s.distance);
        for (const auto& c : p_.calls_of(s)) s.before_key = s.before_key || p_.rules[c.rule].key;
        changed = changed || s.before_key;
      }
    }
  }

  SymbolSet first_of(const State& s, int level = 0) {
    SymbolSet out;
    for (const auto& e : p_.edges_of(s))
      for (unsigned c = e.lo; c <= e.hi; ++c) out.set(c);
    for (const auto& c : p_.calls_of(s)) {
      out |= p_.rules[c.rule].first;
      if (start(c).final && level < 64) out |= first_of(p_.states[c.to], level + 1);
    }
    return out;
  }

  void firsts() {
    for (bool changed = true; changed;) {
      changed = false;
      for (auto& r : p_.rules) {
        if (r.start == kNone || p_.states[r.start].distance >= kFar) continue;
        const auto first = first_of(p_.states[r.start]);
        changed = changed || (first & ~r.first).any();
        r.first |= first;
      }
    }
  }

  void follows() {
    for (const auto& s : p_.states)
      for (const auto& c : p_.calls_of(s)) p_.rules[c.rule].follow |= first_of(p_.states[c.to]);
    for (bool changed = true; changed;) {
      changed = false;
      for (const auto& s : p_.states)
        for (const auto& c : p_.calls_of(s)) {
          if (!p_.states[c.to].final) continue;
          auto& to = p_.rules[c.rule].follow;
          const auto& from = p_.rules[s.rule].follow;
          changed = changed || (from & ~to).any();
          to |= from;
        }
    }
  }

  void tables() {
    for (auto& s : p_.states) {
      if (s.distance < kFar && p_.rules[s.rule].key) ++p_.key_slack;
      const auto edges = p_.edges_of(s);
      if (edges.size() < kTableFrom || p_.tables.size() >= kMaxTables) continue;
      Table table;
      table.fill(kNone);
      bool single = true;
      for (const auto& e : edges)
        for (unsigned c = e.lo; c <= e.hi; ++c) {
          single = single && table[c] == kNone;
          table[c] = e.to | static_cast<std::uint32_t>(e.flags) << 30;
        }
      if (!single) continue;
      s.table = static_cast<std::uint32_t>(p_.tables.size());
      p_.tables.push_back(table);
      s.text = s.call_begin == s.call_end && (!s.final || p_.rules[s.rule].follow.none());
    }
  }

  Program& p_;
};

}  // namespace

std::uint32_t Program::new_rule() {
  rules.emplace_back();
  return static_cast<std::uint32_t>(rules.size()) - 1;
}

bool Program::can_end(std::uint32_t rule) const {
  const auto& r = rules[rule];
  return r.start != kNone && states[r.start].distance < kFar && (r.min == 0 || r.round < kFar) &&
         r.depth <= kMaxDepth;
}

bool Program::finish() {
  return Finisher(*this).run();
}

}  // namespace seedbed::engine::grammar
