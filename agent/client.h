// Who acts: an agent client sees the task and the conversation so far and says what to do next. One of the three seams.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/rng.h"
#include "schemas/environment.h"
#include "schemas/task.h"
#include "schemas/trajectory.h"

namespace seedbed::agent {

struct ReplyCall {
  std::string id;
  std::string tool;
  schemas::Value args;   // object, or a string where the text was no JSON object (answered as a tool error, counted)
};
// A model's reply parses into one of three. Malformed goes back to the model as a message and is counted.
struct Calls { std::string text, reasoning; std::vector<ReplyCall> calls; };
struct Message { std::string text, reasoning; };
struct Malformed { std::string text, why; };
struct Reply {
  std::variant<Calls, Message, Malformed> what = Message{};
  std::int64_t prompt_tokens = 0, completion_tokens = 0;
  std::vector<std::int32_t> tokens;
  std::vector<double> logprobs;
};

// What the client may look at. `tools` are the environment's and the reserved ones (submit_result, refuse), as offered.
struct View {
  const schemas::Environment& environment;
  const schemas::TaskSpec& task;
  const std::vector<schemas::Tool>& tools;
  const std::vector<schemas::Turn>& turns;
};

}  // namespace seedbed::agent
