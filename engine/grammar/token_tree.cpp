#include "engine/grammar/token_tree.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace seedbed::engine::grammar {
namespace {
constexpr std::size_t kMaxTokenBytes = 1024;  // longer ones are never allowed
}  // namespace

bool TokenTree::is_end(std::int32_t id) const {
  return std::find(table.end_ids.begin(), table.end_ids.end(), id) != table.end_ids.end();
}

std::vector<Symbol> TokenTree::symbols(std::int32_t id) const {
  if (id < 0 || static_cast<std::size_t>(id) >= table.bytes.size() || is_end(id)) return {};
  if (id == table.end_think) return {kEndThinkSymbol};
  if (id == table.dsml) return {kDsmlSymbol};
  const auto& bytes = table.bytes[static_cast<std::size_t>(id)];
  if (table.special[static_cast<std::size_t>(id)] != 0 || bytes.size() > kMaxTokenBytes) return {};
  std::vector<Symbol> out;
  for (const char c : bytes) out.push_back(static_cast<unsigned char>(c));
  return out;
}

TokenTree::TokenTree(TokenTable tokens_by_id) : table(std::move(tokens_by_id)) {
  SEEDBED_CHECK(table.special.size() == table.bytes.size(), table.special.size());
  words = (table.bytes.size() + 31) / 32;
  std::vector<std::pair<std::vector<Symbol>, std::int32_t>> sorted;
  for (std::size_t id = 0; id < table.bytes.size(); ++id)
    if (auto s = symbols(static_cast<std::int32_t>(id)); !s.empty())
      sorted.emplace_back(std::move(s), static_cast<std::int32_t>(id));
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::uint32_t> path{0};  // nodes from the root to the last one made
  nodes.emplace_back();
  const auto close = [&](std::size_t depth) {
    while (path.size() > depth) {
      nodes[path.back()].skip = static_cast<std::uint32_t>(nodes.size());
      path.pop_back();
    }
  };
  std::vector<Symbol> last;
  for (const auto& [text, id] : sorted) {
    const auto common = static_cast<std::size_t>(
        std::mismatch(last.begin(), last.end(), text.begin(), text.end()).first - last.begin());
    close(common + 1);
    for (auto i = common; i < text.size(); ++i) {
      path.push_back(static_cast<std::uint32_t>(nodes.size()));
      const auto at = static_cast<std::uint32_t>(tokens.size());
      nodes.push_back({text[i], static_cast<std::uint16_t>(i + 1), 0, at, at});
    }
    tokens.push_back(id);
    nodes[path.back()].token_end = static_cast<std::uint32_t>(tokens.size());
    longest = std::max(longest, static_cast<std::uint32_t>(text.size()));
    const auto opens =
        std::count_if(text.begin(), text.end(), [](Symbol c) { return c == '[' || c == '{'; });
    most_opens = std::max(most_opens, static_cast<std::uint16_t>(opens));
    last = text;
  }
  close(0);
  const auto all = static_cast<std::uint32_t>(tokens.size());
  nodes.push_back({0, 0, static_cast<std::uint32_t>(nodes.size()), all, all});
}

std::uint32_t TokenTree::child(std::uint32_t node, Symbol symbol) const {
  for (auto i = node + 1; i < nodes[node].skip; i = nodes[i].skip) {
    if (nodes[i].symbol == symbol) return i;
    if (nodes[i].symbol > symbol) break;
  }
  return kNone;
}

Vocabulary::Vocabulary(std::unique_ptr<const Data> data) : data_(std::move(data)) {}
Vocabulary::~Vocabulary() = default;

std::shared_ptr<const Vocabulary> Vocabulary::make(TokenTable table) {
  return std::shared_ptr<const Vocabulary>(
      new Vocabulary(std::make_unique<const Data>(std::move(table))));
}

int Vocabulary::size() const {
  return static_cast<int>(data_->tree.table.bytes.size());
}

}  // namespace seedbed::engine::grammar
