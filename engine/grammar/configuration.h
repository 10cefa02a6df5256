// One way in which the text so far can be read: a state, what it counts, and the frames of the
// calls around it. Exact: keys are compared with those that came before.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/grammar/automaton.h"

namespace seedbed::engine::grammar {

using Keys = std::vector<std::string>;  // sorted
using KeysPtr = std::shared_ptr<const Keys>;

struct CallFrame {
  std::shared_ptr<const CallFrame> parent;
  std::uint32_t ret = 0, need = 0, room = kNone;
  std::uint16_t depth = 0;
  KeysPtr keys;
  std::int64_t distance = 0;    // from here to the end of the text
  std::size_t longest_key = 0;  // of all frames from here down; 0: none has keys
  std::uint64_t hash = 0;
};

struct Configuration {
  std::uint32_t state = 0, need = 0, room = kNone;
  std::uint16_t depth = 0;  // containers that may still be opened
  std::shared_ptr<const CallFrame> frame;
  KeysPtr keys;                            // of this object
  std::shared_ptr<const std::string> key;  // the key that is being written

  [[nodiscard]] std::int64_t below() const { return frame ? frame->distance : 0; }
  [[nodiscard]] std::uint64_t hash() const;
};
bool same(const Configuration& a, const Configuration& b);

Configuration begin(const Program& program);
// The configurations after one more symbol, at most kMaxSideBySide.
constexpr std::size_t kMaxSideBySide = 4096;
std::vector<Configuration> advance(const Program& program,
                                   const std::vector<Configuration>& from,
                                   Symbol symbol);
// Symbols of the shortest way to the end; kFar: there is none, since all keys are used up.
std::int64_t distance(const Program& program, const Configuration& c);
// The text may end here.
bool complete(const Program& program, const Configuration& c);

// Of a key that goes on from `state` with keys [begin, end) being those used that agree so far, in
// their first `at` bytes.
std::int64_t key_distance(const Program& program,
                          std::uint32_t state,
                          const Keys& keys,
                          std::size_t begin,
                          std::size_t end,
                          std::size_t at);
// Those of `keys` within [begin, end) whose byte `at` is `c`.
std::pair<std::size_t, std::size_t> narrowed(
    const Keys& keys, std::size_t begin, std::size_t end, std::size_t at, unsigned char c);

}  // namespace seedbed::engine::grammar
