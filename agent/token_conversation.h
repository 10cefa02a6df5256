// A conversation as the tokens that a model in this process sees: rendered in the engine's chat
// format, each piece once, appended to what stands. The client of a model (engine_client.h) and the
// export of episodes that nobody sampled (rendered_tokens.h) build their sequences here and nowhere
// else.
//
//   (1) What is given (prompt, results, messages) is never under loss.
//   (2) Where the format takes tokens back (old reasoning, at a new user message), the branch so
//       far is closed as it is, and the next one begins with the prefix that both share.
//   (3) A reply is whoever samples it adding ids to arrays(), or say().
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "agent/token_arrays.h"
#include "base/result.h"
#include "engine/chat/message.h"
#include "engine/chat/render.h"
#include "engine/service/chat_vocabulary.h"
#include "schemas/environment.h"
#include "schemas/trajectory.h"

namespace seedbed::agent {

// What stands before the first message: the same for all tasks that offer the same tools.
struct SystemTurn {
  std::string text;
  std::vector<engine::chat::ToolDef> tools;
};
engine::chat::ToolDef tool_def(const schemas::Tool& tool);

// Encodings of the system turns seen last: episodes of an environment share one.
class SystemCache {
 public:
  const std::vector<std::int32_t>& encode(const engine::service::ChatVocabulary& vocabulary,
                                          engine::chat::Segments segments);

 private:
  struct Entry {
    engine::chat::Segments segments;
    std::vector<std::int32_t> ids;
  };
  std::vector<Entry> entries_;  // the most recent first
};

class TokenConversation {
 public:
  using Turns = std::span<const schemas::Turn>;

  // Forgets all. The vocabulary (and the cache, if any) outlive the conversation. No piece is added
  // that would fill the window.
  void begin(const engine::service::ChatVocabulary& vocabulary,
             bool thinking,
             std::int64_t window,
             SystemCache* cache = nullptr);
  [[nodiscard]] bool started() const { return !messages_.empty(); }

  // The turns before the first reply. A system turn without text stands for `system`. False: the
  // window does not hold them, and nothing was added.
  Result<bool> start(const SystemTurn& system, Turns turns);
  // Appends what came since the last reply: its results, the user's answer, or what was wrong with
  // it. `turns` are all turns so far.
  Result<bool> go_on(Turns turns);

  // The ids of the sequence at any time.
  TokenArrays& arrays() { return arrays_; }
  [[nodiscard]] const TokenArrays& arrays() const { return arrays_; }
  // Whether the next reply begins with reasoning.
  [[nodiscard]] bool reasons() const { return reasons_; }
  // Tokens up to where the first message begins.
  [[nodiscard]] std::int64_t system_tokens() const { return system_tokens_; }

  // How the reply ended whose ids were added to arrays(): it could be read; with the format's end.
  void replied(bool malformed, bool end_written);
  // Adds a turn as a model would have written it, in the tokens that its text has; under loss if
  // `learn`. Error{model}: arguments that are no JSON object.
  Step say(const schemas::Turn& turn, bool learn);

  // The branches, the open one last; none without a token under loss. Forgets all.
  std::vector<TokenArrays> finish();

 private:
  Result<bool> add(const engine::chat::Segments& segments,
                   std::size_t stable,
                   engine::chat::Opens opens);
  void close_branch();

  const engine::service::ChatVocabulary* vocabulary_ = nullptr;
  SystemCache* cache_ = nullptr;
  bool thinking_ = false;
  std::int64_t window_ = 0, system_tokens_ = 0;
  std::vector<engine::chat::Message> messages_;
  std::size_t seen_ = 0;     // turns that are in messages_
  bool malformed_ = false;   // the last reply could not be read
  bool end_written_ = true;  // it ended with the format's own end
  bool reasons_ = false;
  std::size_t stable_ = 0;  // tokens that begin every longer conversation too
  TokenArrays arrays_;
  std::vector<TokenArrays> closed_;
};

}  // namespace seedbed::agent
