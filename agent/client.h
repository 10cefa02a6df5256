// Who acts: an agent client sees the task and the conversation so far and says what to do next. One
// of the three seams.
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "agent/prompt.h"
#include "base/result.h"
#include "schemas/environment.h"
#include "schemas/task.h"
#include "schemas/trajectory.h"

namespace seedbed::agent {

struct ReplyCall {
  std::string id;
  std::string tool;
  schemas::Value args;  // object, or a string where the text was no JSON object (answered as a tool
                        // error, counted)
};
// A model's reply parses into one of three. Malformed goes back to the model as a message and is
// counted.
struct Calls {
  std::string text, reasoning;
  std::vector<ReplyCall> calls;
};
struct Message {
  std::string text, reasoning;
};
struct Malformed {
  std::string text, why, reasoning = {};
};
struct Reply {
  std::variant<Calls, Message, Malformed> what = Message{};
  // Set where the client cannot go on (the reply was cut by the token limit, the time is up): the
  // text is kept, the episode ends so, and no call of this reply is run.
  std::optional<schemas::Stop> stop;
  std::string stop_detail;
  std::int64_t prompt_tokens = 0, completion_tokens = 0;
  bool tells_reasoning = false;  // http: it came with a member for reasoning, empty or not
  std::vector<std::int32_t> tokens;
  std::vector<double> logprobs;
  bool learn = true;  // false: a reply that nobody should imitate
};

// What the client may look at. Valid until the reply is given.
struct View {
  const schemas::Environment& environment;
  const schemas::TaskSpec& task;
  const Offered& offered;  // the environment's tools and the reserved ones, made on first use
  const std::vector<schemas::Turn>&
      turns;  // [0] is the system turn; its text is system_text(environment), not stored
  std::int64_t wall_ms_left = 0;
};

struct EpisodeStart {
  const std::string& task_id;
  const schemas::TaskSpec& task;
  std::int64_t sample = 0;
  std::uint64_t seed = 0;
  const schemas::Gold* gold = nullptr;  // only for clients whose needs_gold() says so
};

class ModelClient {
 public:
  ModelClient() = default;
  ModelClient(const ModelClient&) = delete;
  ModelClient& operator=(const ModelClient&) = delete;
  virtual ~ModelClient() = default;

  [[nodiscard]] virtual bool needs_gold() const { return false; }
  // A new episode; clients with a memory forget the one before.
  virtual void begin(const EpisodeStart& /*start*/) {}
  // What to do next. Error{model}: the model could not be reached or read; the episode is then no
  // data.
  virtual Result<Reply> reply(const View& view) = 0;
  // Exact tokens of the episode that is over, from clients that sample them.
  virtual std::optional<schemas::TokenRecord> finish() { return std::nullopt; }
  // The asynchronous form: `done` is called once, on the client's own loop; `view` stays valid
  // until then.
  virtual void ask(const View& view, std::function<void(Result<Reply>)> done) { done(reply(view)); }
  // The time of the reply that was asked for is over: it is answered soon, with what there is. On
  // the client's own loop.
  virtual void give_up() {}
};

}  // namespace seedbed::agent
