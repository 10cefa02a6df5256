// Masks in pieces. A piece says, for one state and a list of nodes of the token tree, which tokens
// go on from those nodes without leaving the frame that the state stands in, and at which nodes
// they leave it: there the piece of the frame below goes on. So a piece is true wherever its state
// is met, whatever lies below, and is made once.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "engine/grammar/automaton.h"
#include "engine/grammar/token_tree.h"

namespace seedbed::engine::grammar {

constexpr std::int32_t kNoBudget = 0x7fffffff;

// Nodes where tokens leave a frame. What went through a doubtful node is only told by running it.
struct Leaves {
  std::uint32_t id = 0;
  std::vector<std::uint32_t> sure, doubtful;
};

struct PieceKey {
  std::uint32_t state = 0, need = 0, room = kNone;  // counts no longer than a token can tell apart
  std::uint32_t list = 0;                           // Leaves::id
  std::int32_t budget =
      kNoBudget;  // symbols that may be missing to the end of the frame afterwards
  std::uint16_t depth = 0;
  bool strict = false;  // the object has keys, which count in the budget
  friend bool operator==(const PieceKey&, const PieceKey&) = default;
};

// Where a token begins a key of the frame's own object: only keys that are new may follow. `need`
// is the count at that place, `to` the state after the key.
struct KeyStart {
  std::uint32_t node = 0, rule = 0, to = 0, need = 0;
  friend auto operator<=>(const KeyStart&, const KeyStart&) = default;
};

struct Piece {
  std::vector<std::uint32_t> bits;  // of a mask, or empty and
  std::vector<std::int32_t> ids;    // a few tokens
  std::vector<KeyStart> keys;
  std::vector<std::int32_t> doubtful;    // not in the above
  std::shared_ptr<const Leaves> leaves;  // null: nothing leaves the frame
  std::int64_t longest = -1;  // the greatest distance to the frame's end after a token of it
};

// Shared by the matchers of a grammar.
class PieceCache {
 public:
  std::shared_ptr<const Piece> find(const PieceKey& key);
  void keep(const PieceKey& key, std::shared_ptr<const Piece> piece);
  // The one list with these nodes; null where there are none.
  std::shared_ptr<const Leaves> leaves(std::vector<std::uint32_t> sure,
                                       std::vector<std::uint32_t> doubtful);
  [[nodiscard]] std::size_t bytes();

 private:
  struct Hash {
    std::size_t operator()(const PieceKey& key) const;
  };
  void make_room();
  std::mutex mutex_;
  std::unordered_map<PieceKey, std::shared_ptr<const Piece>, Hash> pieces_;
  std::unordered_multimap<std::uint64_t, std::shared_ptr<const Leaves>> lists_;
  std::size_t bytes_ = 0;
  std::uint32_t next_list_ = 1;  // 0: the root of the tree alone
};

class Walker {
 public:
  Walker(const Program& program, const TokenTree& vocabulary) : p_(program), v_(vocabulary) {}
  // `from` null: the root of the token tree.
  std::shared_ptr<const Piece> run(const PieceKey& key, const Leaves* from, PieceCache& cache);

 private:
  // touch: 0 no key; 1 one key of an object that the token itself opened; 2 one key of the frame's
  // own object; 3 more.
  struct Local {
    std::uint32_t state, need, room;
    std::int32_t frame;  // -1: the piece's own
    std::uint16_t depth;
    std::uint8_t touch;
    bool fresh;  // this call of the rule began inside the token
    friend bool operator==(const Local&, const Local&) = default;
  };
  struct Frame {
    std::uint32_t ret, need, room;
    std::int32_t parent;
    std::uint16_t depth;
    bool fresh;
    std::uint32_t distance;  // from here to the end of the piece's own frame
    friend bool operator==(const Frame&, const Frame&) = default;
  };
  struct Level {
    std::size_t begin, end, frames;  // of locals_, frames_
    std::uint32_t node;
    bool overflown, left, left_doubtful;
  };

  void subtree(std::uint32_t top, const Local& start);
  void children(std::uint32_t top);
  void text(std::uint32_t top, const Local& c, bool overflown);
  void enter(std::uint32_t node, std::size_t begin, bool overflown);
  void step(const Local& c, Symbol symbol, int nesting);
  [[nodiscard]] std::optional<Local> taken(const Local& c,
                                           std::uint32_t target,
                                           unsigned flags) const;
  void take(const Local& c, std::uint32_t target, unsigned flags);
  void call(const Local& c, const CallEdge& edge, Symbol symbol, int nesting);
  void leave(const Local& c);
  void tokens_at(std::uint32_t node, std::span<const Local> locals, bool overflown);
  [[nodiscard]] bool known(const Local& c) const;
  [[nodiscard]] bool same(std::int32_t a, std::int32_t b) const;
  [[nodiscard]] std::uint64_t distance(const Local& c) const;

  const Program& p_;
  const TokenTree& v_;
  PieceKey key_;
  std::vector<Local> locals_;
  std::vector<Frame> frames_;
  std::vector<Level> levels_;  // by depth of their node
  std::size_t depth_ = 0;      // of the node whose children are looked at
  std::size_t out_begin_ = 0;  // locals_ made by the step in progress
  bool full_ = false;
  bool sure_start_ = true;
  std::vector<std::uint32_t> sure_, doubtful_nodes_;
  std::vector<std::uint32_t> bits_;
  std::vector<std::int32_t> doubtful_;
  std::vector<KeyStart> keys_;
  std::int64_t longest_ = -1;
};

}  // namespace seedbed::engine::grammar
