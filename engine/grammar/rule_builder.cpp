#include <algorithm>
#include <map>

#include "engine/grammar/automaton.h"

namespace seedbed::engine::grammar {

namespace {
constexpr std::size_t kMaxWork = 60'000'000;  // members of sets looked at, for one grammar
}  // namespace

RuleBuilder::RuleBuilder() : nodes_(1) {}

int RuleBuilder::add() {
  nodes_.emplace_back();
  return static_cast<int>(nodes_.size()) - 1;
}

void RuleBuilder::edge(int from, Symbol lo, Symbol hi, int to, std::uint8_t flags) {
  nodes_[static_cast<std::size_t>(from)].edges.push_back(
      {lo, hi, flags, static_cast<std::uint32_t>(to)});
}
void RuleBuilder::skip(int from, int to) {
  nodes_[static_cast<std::size_t>(from)].skips.push_back(to);
}
void RuleBuilder::call(int from, std::uint32_t rule, int to) {
  nodes_[static_cast<std::size_t>(from)].calls.push_back({rule, static_cast<std::uint32_t>(to)});
}
void RuleBuilder::accept(int state) {
  nodes_[static_cast<std::size_t>(state)].accept = true;
}

int RuleBuilder::text(int from, std::span<const Symbol> symbols, std::uint8_t first_flags) {
  for (const auto symbol : symbols) {
    const int to = add();
    edge(from, symbol, symbol, to, first_flags);
    first_flags = kPlain;
    from = to;
  }
  return from;
}
int RuleBuilder::text(int from, std::string_view bytes, std::uint8_t first_flags) {
  for (const char c : bytes) {
    const auto symbol = static_cast<Symbol>(static_cast<unsigned char>(c));
    from = text(from, std::span(&symbol, 1), first_flags);
    first_flags = kPlain;
  }
  return from;
}

class RuleBuilder::Sets {
 public:
  Sets(const std::vector<Node>& nodes, Program& program, std::uint32_t rule)
      : nodes_(nodes), program_(program), rule_(rule), seen_(nodes.size(), 0) {}

  bool run() {
    program_.rules[rule_].start = name({0});
    for (std::size_t i = 0; i < order_.size(); ++i) {
      if (program_.states.size() > kMaxStates || program_.edges.size() > kMaxEdges ||
          program_.work > kMaxWork)
        return false;
      fill(order_[i], first_ + static_cast<std::uint32_t>(i));
    }
    return true;
  }

 private:
  using Set = std::vector<std::uint32_t>;

  std::uint32_t name(Set set) {
    ++mark_;
    std::erase_if(set, [&](auto n) { return std::exchange(seen_[n], mark_) == mark_; });
    for (std::size_t i = 0; i < set.size(); ++i)
      for (const int to : nodes_[set[i]].skips)
        if (std::exchange(seen_[static_cast<std::size_t>(to)], mark_) != mark_)
          set.push_back(static_cast<std::uint32_t>(to));
    program_.work += set.size() + 1;
    std::erase_if(set, [&](auto n) {  // what only led on
      const auto& node = nodes_[n];
      return node.edges.empty() && node.calls.empty() && !node.accept;
    });
    std::sort(set.begin(), set.end());
    const auto known = names_.find(set);
    if (known != names_.end()) return known->second;
    const auto id = static_cast<std::uint32_t>(program_.states.size());
    if (order_.empty()) first_ = id;
    program_.states.emplace_back().rule = rule_;
    names_.emplace(set, id);
    order_.push_back(std::move(set));
    return id;
  }

  void fill(const Set& members, std::uint32_t id) {
    const Set set = members;  // order_ grows meanwhile
    bool final = false;
    std::vector<Edge> edges;
    for (std::uint8_t flags = 0; flags < 4; ++flags) merge(set, flags, edges);
    std::map<std::uint32_t, Set> calls;
    for (const auto n : set) {
      final = final || nodes_[n].accept;
      for (const auto& c : nodes_[n].calls) calls[c.rule].push_back(c.to);
    }
    std::vector<CallEdge> made;
    for (auto& [rule, to] : calls) made.push_back({rule, name(std::move(to))});
    auto& state = program_.states[id];
    state.final = final;
    state.edge_begin = static_cast<std::uint32_t>(program_.edges.size());
    program_.edges.insert(program_.edges.end(), edges.begin(), edges.end());
    state.edge_end = static_cast<std::uint32_t>(program_.edges.size());
    state.call_begin = static_cast<std::uint32_t>(program_.calls.size());
    program_.calls.insert(program_.calls.end(), made.begin(), made.end());
    state.call_end = static_cast<std::uint32_t>(program_.calls.size());
  }

  void merge(const Set& set, std::uint8_t flags, std::vector<Edge>& out) {
    std::vector<const Edge*> all;
    std::vector<Symbol> borders;
    for (const auto n : set)
      for (const auto& e : nodes_[n].edges)
        if (e.flags == flags) {
          all.push_back(&e);
          borders.push_back(e.lo);
          borders.push_back(static_cast<Symbol>(e.hi + 1));
        }
    std::sort(borders.begin(), borders.end());
    borders.erase(std::unique(borders.begin(), borders.end()), borders.end());
    std::sort(all.begin(), all.end(), [](auto* a, auto* b) { return a->lo < b->lo; });
    for (std::size_t i = 0; i + 1 < borders.size(); ++i) {
      Set to;
      for (const auto* e : all) {
        if (e->lo > borders[i]) break;
        if (e->hi >= borders[i]) to.push_back(e->to);
      }
      program_.work += all.size();
      if (to.empty()) continue;
      const auto target = name(std::move(to));
      const auto hi = static_cast<Symbol>(borders[i + 1] - 1);
      if (!out.empty() && out.back().to == target && out.back().flags == flags &&
          out.back().hi + 1 == borders[i])
        out.back().hi = hi;
      else
        out.push_back({borders[i], hi, flags, target});
    }
  }

  const std::vector<Node>& nodes_;
  Program& program_;
  std::uint32_t rule_, first_ = 0;
  std::vector<std::uint32_t> seen_;
  std::uint32_t mark_ = 0;
  std::map<Set, std::uint32_t> names_;
  std::vector<Set> order_;
};

bool RuleBuilder::finish(Program& program, std::uint32_t rule) const {
  return nodes_.size() <= kMaxStates * 4 && Sets(nodes_, program, rule).run();
}

}  // namespace seedbed::engine::grammar
