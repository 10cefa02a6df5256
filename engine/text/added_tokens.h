// Finds the text of added tokens in a text: at each place the longest, from left to right; first
// those that are not `normalized`, then in what they leave the others.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/text/tokenizer_spec.h"

namespace seedbed::engine::text {

struct Segment {
  std::size_t begin = 0, end = 0;
  std::int32_t id = -1;  // -1: ordinary text
};

class AddedTokens {
 public:
  AddedTokens() = default;
  explicit AddedTokens(std::vector<AddedToken> tokens);
  AddedTokens(AddedTokens&&) = default;
  AddedTokens& operator=(AddedTokens&&) = default;
  AddedTokens(const AddedTokens&) = delete;
  AddedTokens& operator=(const AddedTokens&) = delete;

  // The whole text in segments, none empty. `skip_special`: text of special tokens stays ordinary.
  void find(std::string_view text, bool skip_special, std::vector<Segment>& out) const;
  // The token with this content or id, or nullptr.
  [[nodiscard]] const AddedToken* by_content(std::string_view content) const;
  [[nodiscard]] const AddedToken* by_id(std::int32_t id) const;
  [[nodiscard]] const std::vector<AddedToken>& all() const { return tokens_; }

 private:
  struct Node {
    std::int32_t token = -1;                                  // index of the token that ends here
    std::vector<std::pair<unsigned char, std::uint32_t>> to;  // sorted
  };
  struct Trie {
    std::vector<Node> nodes{1};
    std::array<std::uint32_t, 256> root{};  // 0: none begins so
    int only_first = -1;                    // the one byte that tokens begin with, where it is one
  };
  static void insert(Trie& trie, std::string_view content, std::int32_t token);
  static void finish(Trie& trie);
  // The longest token at p, or -1.
  static std::int32_t match(const Trie& trie, const char* p, const char* end);
  void find_in(const Trie& trie,
               std::string_view text,
               Segment part,
               bool skip_special,
               std::vector<Segment>& out) const;

  std::vector<AddedToken> tokens_;
  std::unordered_map<std::string_view, std::size_t> by_content_;  // views into tokens_
  std::unordered_map<std::int32_t, std::size_t> by_id_;
  Trie plain_, normalized_;
};

}  // namespace seedbed::engine::text
