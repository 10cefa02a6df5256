// The compiled form of a grammar: rules over symbols (bytes and two special tokens), each a graph
// of states; a state may also call a rule and go on when that has ended. A configuration is a state
// with the frames of the calls that it stands in.
//
//   (1) Every state lies on a way to the end of its rule: a configuration is never a dead end, but
//       for what its counters, its keys or its depth forbid.
//   (2) No rule calls itself before it has taken a symbol.
//   (3) `distance` is the number of symbols of the shortest way to the end of the rule, `depth` the
//       containers that this way opens inside each other.
#pragma once
#include <array>
#include <bitset>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace seedbed::engine::grammar {

using Symbol = std::uint16_t;
constexpr Symbol kEndThinkSymbol = 256, kDsmlSymbol = 257;
constexpr std::size_t kSymbols = 258;
using SymbolSet = std::bitset<kSymbols>;

constexpr std::uint32_t kNone = 0xffffffff;  // no state, no rule; as a count: without end
constexpr std::uint32_t kFar = 0x3fffffff;   // no way to the end
constexpr std::uint16_t kMaxDepth = 60;      // containers inside each other; the parser takes 64
constexpr std::size_t kMaxStates = 150'000;  // of a grammar
constexpr std::size_t kMaxEdges = 2'000'000;

// An edge may count: once more (while fewer than the rule's max), or be open only when the count is
// at least the rule's min.
enum EdgeFlags : std::uint8_t { kPlain = 0, kCounts = 1, kNeedsEnough = 2 };

struct Edge {
  Symbol lo = 0, hi = 0;
  std::uint8_t flags = kPlain;
  std::uint32_t to = 0;
};
struct CallEdge {
  std::uint32_t rule = 0, to = 0;
};

struct State {
  std::uint32_t rule = 0;
  std::uint32_t edge_begin = 0, edge_end = 0, call_begin = 0, call_end = 0;
  std::uint32_t table = kNone;
  std::uint32_t distance = kFar;
  std::uint16_t depth = 0;
  bool final = false;
  bool text = false;        // its table is all: no calls, and nothing follows its rule here
  bool before_key = false;  // its shortest way goes on with a key that this call of the rule lacks
};

struct Rule {
  std::uint32_t start = kNone;
  std::uint32_t min = 0, max = kNone;        // counted edges
  std::uint32_t round = 0;                   // symbols of one more count
  std::uint16_t depth = 0, round_depth = 0;  // as invariant (3), this rule's container included
  bool container = false;                    // takes one of the depth
  bool key = false;  // its text without the last symbol is a key, which must be new in the
                     // frame that called it
  SymbolSet first, follow;
};

// Per symbol: target in the low bits, EdgeFlags in the highest two; kNone: no edge.
using Table = std::array<std::uint32_t, kSymbols>;
constexpr std::uint32_t kTableState = 0x3fffffff;

struct Program {
  std::vector<State> states;
  std::vector<Edge> edges;
  std::vector<CallEdge> calls;
  std::vector<Table> tables;  // of states with many edges, one target a symbol
  std::vector<Rule> rules;
  std::uint32_t root = kNone;
  std::size_t work = 0;         // done by RuleBuilders
  std::uint16_t max_depth = 0;  // of any state
  std::uint32_t key_slack = 0;  // states of key rules in all

  [[nodiscard]] std::span<const Edge> edges_of(const State& s) const {
    return {edges.data() + s.edge_begin, edges.data() + s.edge_end};
  }
  [[nodiscard]] std::span<const CallEdge> calls_of(const State& s) const {
    return {calls.data() + s.call_begin, calls.data() + s.call_end};
  }
  // Nothing but final: whoever calls with this as return may leave its frame out.
  [[nodiscard]] bool only_ends(std::uint32_t state) const {
    const auto& s = states[state];
    return s.final && s.edge_begin == s.edge_end && s.call_begin == s.call_end;
  }
  std::uint32_t new_rule();
  // After finish(): some text of the rule exists within kMaxDepth.
  [[nodiscard]] bool can_end(std::uint32_t rule) const;
  // Distances, depths, first and follow sets; what cannot be completed goes. False: the root cannot
  // be completed, or only deeper than kMaxDepth.
  bool finish();
};

// A rule under construction: states with edges that need not be deterministic. Where an alternative
// has another flag or is a call, configurations go side by side; all else is made deterministic.
class RuleBuilder {
 public:
  RuleBuilder();
  [[nodiscard]] int start() const { return 0; }
  int add();
  void edge(int from, Symbol lo, Symbol hi, int to, std::uint8_t flags = kPlain);
  void skip(int from, int to);
  void call(int from, std::uint32_t rule, int to);
  void accept(int state);
  int text(int from, std::span<const Symbol> symbols, std::uint8_t first_flags = kPlain);
  int text(int from, std::string_view bytes, std::uint8_t first_flags = kPlain);
  // Into `rule` of the program. False: too big.
  [[nodiscard]] bool finish(Program& program, std::uint32_t rule) const;

 private:
  struct Node {
    std::vector<Edge> edges;  // `to` is a node
    std::vector<int> skips;
    std::vector<CallEdge> calls;
    bool accept = false;
  };
  class Sets;
  std::vector<Node> nodes_;
};

}  // namespace seedbed::engine::grammar
