// The tokens of a vocabulary as one tree of symbols, so that what tokens have in common is looked
// at once. Nodes lie in depth-first order: a node's subtree is [node, skip).
#pragma once
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "engine/grammar/automaton.h"
#include "engine/grammar/grammar.h"

namespace seedbed::engine::grammar {

struct TokenNode {
  Symbol symbol = 0;
  std::uint16_t depth = 0;  // the root has 0
  std::uint32_t skip = 0;
  std::uint32_t token_begin = 0, token_end = 0;  // of tokens[], those that end here
};

struct TokenTree {
  explicit TokenTree(TokenTable tokens_by_id);

  TokenTable table;
  std::vector<TokenNode> nodes;      // one more than there are: the end
  std::vector<std::int32_t> tokens;  // in the order of the nodes
  std::size_t words = 0;             // of a mask
  std::uint32_t longest = 1;         // symbols of a token
  std::uint16_t most_opens = 1;      // '[' and '{' in a token

  [[nodiscard]] std::vector<Symbol> symbols(std::int32_t id) const;  // empty: never allowed
  [[nodiscard]] bool is_end(std::int32_t id) const;
  // All tokens in the subtree of a node.
  [[nodiscard]] std::span<const std::int32_t> below(std::uint32_t node) const {
    return {tokens.data() + nodes[node].token_begin,
            tokens.data() + nodes[nodes[node].skip].token_begin};
  }
  [[nodiscard]] std::span<const std::int32_t> at(std::uint32_t node) const {
    return {tokens.data() + nodes[node].token_begin, tokens.data() + nodes[node].token_end};
  }
  [[nodiscard]] std::uint32_t child(std::uint32_t node,
                                    Symbol symbol) const;  // kNone: there is none
};

struct Vocabulary::Data {
  explicit Data(TokenTable table) : tree(std::move(table)) {}
  TokenTree tree;
};

}  // namespace seedbed::engine::grammar
