#include "engine/text/added_tokens.h"

#include <algorithm>
#include <cstring>

#include "engine/text/unicode.h"

namespace seedbed::engine::text {
namespace {

unsigned bits_at(std::string_view text, std::size_t at) {
  const char* p = text.data() + at;
  return utf8_length(p, text.data() + text.size()) == 0 ? 0 : class_table()[decode_utf8(p).value];
}

// Where the character that ends at `at` begins.
std::size_t before(std::string_view text, std::size_t at) {
  do --at;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xc0U) == 0x80U);
  return at;
}

bool stands_alone(std::string_view text, std::size_t begin, std::size_t end) {
  if (begin > 0 && (bits_at(text, before(text, begin)) & kWord) != 0) return false;
  return end == text.size() || (bits_at(text, end) & kWord) == 0;
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    by_content_.emplace(tokens_[i].content, i);
    by_id_.emplace(tokens_[i].id, i);
    insert(tokens_[i].normalized ? normalized_ : plain_, tokens_[i].content,
           static_cast<std::int32_t>(i));
  }
  finish(plain_);
  finish(normalized_);
}

const AddedToken* AddedTokens::by_content(std::string_view content) const {
  const auto it = by_content_.find(content);
  return it == by_content_.end() ? nullptr : &tokens_[it->second];
}

const AddedToken* AddedTokens::by_id(std::int32_t id) const {
  const auto it = by_id_.find(id);
  return it == by_id_.end() ? nullptr : &tokens_[it->second];
}

void AddedTokens::insert(Trie& trie, std::string_view content, std::int32_t token) {
  std::uint32_t at = 0;
  for (const char c : content) {
    const auto byte = static_cast<unsigned char>(c);
    auto& to = trie.nodes[at].to;
    const auto place = std::lower_bound(to.begin(), to.end(), std::pair{byte, std::uint32_t{0}});
    if (place != to.end() && place->first == byte) {
      at = place->second;
      continue;
    }
    at = static_cast<std::uint32_t>(trie.nodes.size());
    to.insert(place, {byte, at});
    trie.nodes.emplace_back();  // `to` is gone from here on
  }
  trie.nodes[at].token = token;
}

void AddedTokens::finish(Trie& trie) {
  const auto& first = trie.nodes[0].to;
  for (const auto& [byte, node] : first) trie.root[byte] = node;
  if (first.size() == 1) trie.only_first = first[0].first;
}

std::int32_t AddedTokens::match(const Trie& trie, const char* p, const char* end) {
  auto at = trie.root[static_cast<unsigned char>(*p)];
  std::int32_t best = -1;
  while (at != 0) {
    const auto& node = trie.nodes[at];
    if (node.token >= 0) best = node.token;
    if (++p == end) break;
    const auto byte = static_cast<unsigned char>(*p);
    const auto place =
        std::lower_bound(node.to.begin(), node.to.end(), std::pair{byte, std::uint32_t{0}});
    at = place != node.to.end() && place->first == byte ? place->second : 0;
  }
  return best;
}

void AddedTokens::find_in(const Trie& trie,
                          std::string_view whole,
                          Segment part,
                          bool skip_special,
                          std::vector<Segment>& out) const {
  const auto text = whole.substr(part.begin, part.end - part.begin);
  const char* const data = text.data();
  const char* const end = data + text.size();
  std::size_t done = 0;  // up to here the text lies in `out`
  const auto put = [&](std::size_t from, std::size_t to, std::int32_t id) {
    if (from < to || id >= 0) out.push_back({part.begin + from, part.begin + to, id});
  };
  const bool empty = trie.nodes[0].to.empty();
  for (const char* p = empty ? end : data; p < end;) {
    if (trie.only_first >= 0) {
      p = static_cast<const char*>(
          std::memchr(p, trie.only_first, static_cast<std::size_t>(end - p)));
      if (p == nullptr) break;
    } else if (trie.root[static_cast<unsigned char>(*p)] == 0) {
      ++p;
      continue;
    }
    const auto index = match(trie, p, end);
    if (index < 0) {
      ++p;
      continue;
    }
    const auto& token = tokens_[static_cast<std::size_t>(index)];
    auto from = static_cast<std::size_t>(p - data);
    auto to = from + token.content.size();
    p += token.content.size();
    if (skip_special && token.special) continue;
    if (token.single_word && !stands_alone(text, from, to)) continue;
    if (token.lstrip)
      while (from > done && (bits_at(text, before(text, from)) & kSpace) != 0)
        from = before(text, from);
    if (token.rstrip)
      while (to < text.size() && (bits_at(text, to) & kSpace) != 0)
        to += utf8_length(data + to, end);
    if (from < done) continue;  // the token before took the white space that this one begins with
    put(done, from, -1);
    put(from, to, token.id);
    done = to;
  }
  put(done, text.size(), -1);
}

void AddedTokens::find(std::string_view text, bool skip_special, std::vector<Segment>& out) const {
  out.clear();
  if (normalized_.nodes[0].to.empty())
    return find_in(plain_, text, {0, text.size(), -1}, skip_special, out);
  std::vector<Segment> first;
  find_in(plain_, text, {0, text.size(), -1}, skip_special, first);
  for (const auto& part : first) {
    if (part.id >= 0)
      out.push_back(part);
    else
      find_in(normalized_, text, part, skip_special, out);
  }
}

}  // namespace seedbed::engine::text
