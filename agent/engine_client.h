// The client of a model in this process. What the model saw and said stays as tokens: a reply is
// never made text and tokens again, and new pieces alone are rendered. Each reply is one request
// with all tokens so far; the engine finds those that are in pages.
//
//   (1) The conversation holds the ids of the sequence at any time; a request's prompt is these.
//   (2) Ids that were sampled are under loss, once; all others never are.
//   (3) The engine's thread only hands over what it made; all else happens on the client's loop.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/client.h"
#include "agent/engine_client_model.h"
#include "agent/token_conversation.h"

namespace seedbed::agent {

class EngineClient final : public ModelClient {
 public:
  // Runs a function on the client's loop, later; called from any thread.
  using Post = std::function<void(std::function<void()>)>;

  // `model` outlives the client. ask() needs `post`; the client is destroyed on its loop's thread,
  // or after the loop's end.
  explicit EngineClient(const EngineModel& model, Post post = {})
      : model_(&model), post_(std::move(post)) {}
  ~EngineClient() override { forget(); }

  void begin(const EpisodeStart& start) override;
  // Error{model}: the model gives no numbers, or the engine fails.
  Result<Reply> reply(const View& view) override;
  void ask(const View& view, std::function<void(Result<Reply>)> done) override;
  void give_up() override;
  std::optional<schemas::TokenRecord> finish() override;

 private:
  struct Pending;
  void forget();
  void drop();
  Step make_mask(const View& view);
  std::optional<Result<Reply>> request(const View& view, std::function<void()> tell);
  Result<Reply> take();
  void record(const engine::TokenOut& token);
  Reply read(const engine::Generated& generated, const Pending& pending);
  [[nodiscard]] Reply ended(Reply reply, schemas::Stop stop, std::string why) const;

  const EngineModel* model_;
  Post post_;
  std::optional<std::uint64_t> session_;  // of the episode
  std::uint64_t seed_ = 0;
  TokenConversation conversation_;
  std::shared_ptr<const engine::grammar::Grammar> mask_;  // of the episode, where one is wanted
  schemas::TokenRecord record_;
  // The reply that is being made.
  std::shared_ptr<Pending> pending_;
  std::function<void(Result<Reply>)> done_;
};

}  // namespace seedbed::agent
