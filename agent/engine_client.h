// The client of a model in this process. What the model saw and said stays as tokens: a reply is
// never made text and tokens again, new pieces alone are rendered, and the pages of the sequence
// stay between turns.
//
//   (1) `arrays_` and the engine's sequence hold the same ids at any time.
//   (2) Where the format takes tokens back (old reasoning, at a new user message), the branch so
//       far is closed as it is, and the next one begins with the prefix that both share.
//   (3) Ids that the client appends are never under loss; ids that were sampled are, once.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/client.h"
#include "agent/engine_client_model.h"
#include "agent/token_arrays.h"
#include "engine/chat/markers.h"
#include "engine/chat/message.h"

namespace seedbed::agent {

class EngineClient final : public ModelClient {
 public:
  // `model` outlives the client, `interrupted` (may be null) too: set, it ends a reply with
  // Error{interrupted}.
  explicit EngineClient(const EngineModel& model, const std::atomic<bool>* interrupted = nullptr)
      : model_(&model), interrupted_(interrupted) {}
  ~EngineClient() override { forget(); }

  void begin(const EpisodeStart& start) override;
  // Error{model}: the model gives no numbers, or the engine fails.
  Result<Reply> reply(const View& view) override;
  std::optional<schemas::TokenRecord> finish() override;

 private:
  struct Sampled;
  void forget();
  void close_branch();
  Result<bool> start_conversation(const View& view);
  Result<bool> go_on(const View& view);
  Result<bool> add(const engine::chat::Segments& segments,
                   std::size_t stable,
                   engine::chat::Opens opens);
  Result<Reply> sample(const View& view);
  void record(const engine::TokenOut& token);
  Reply read(Sampled& sampled);
  [[nodiscard]] Reply ended(Reply reply, schemas::Stop stop, std::string why) const;

  const EngineModel* model_;
  const std::atomic<bool>* interrupted_;
  std::optional<engine::Engine::SequenceId> sequence_;
  std::uint64_t seed_ = 0;
  std::vector<engine::chat::Message> messages_;
  std::size_t seen_ = 0;     // turns of the view that are in messages_
  bool malformed_ = false;   // the last reply could not be read
  bool end_written_ = true;  // it ended with the format's own end
  bool thinking_ = false;    // what the next reply begins with
  std::size_t stable_ = 0;   // tokens that begin every longer conversation too
  TokenArrays arrays_;
  schemas::TokenRecord record_;
};

}  // namespace seedbed::agent
