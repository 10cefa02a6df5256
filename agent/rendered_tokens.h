// Episodes that nobody sampled (scripted policies, models over HTTP) as the policy `engine` would
// have seen them, had a model in this process said the same: with any tokenizer that has the chat
// format's markers.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/token_conversation.h"
#include "base/result.h"
#include "schemas/environment.h"
#include "schemas/task.h"
#include "schemas/trajectory.h"

namespace seedbed::agent {

enum class ThinkingModes : std::uint8_t { on, off, both };
constexpr std::array<std::string_view, 3> enum_names(ThinkingModes) {
  return {"on", "off", "both"};
}
// shuffled: the environment's tools in an order drawn from (environment, seed), the reserved ones
// last as ever. All tasks of an environment share it.
enum class ToolOrder : std::uint8_t { kept, shuffled };
constexpr std::array<std::string_view, 2> enum_names(ToolOrder) {
  return {"kept", "shuffled"};
}

struct RenderSettings {
  std::string tokenizer;  // a tokenizer.json; "": none, episodes without tokens are left out
  ThinkingModes thinking = ThinkingModes::both;
  ToolOrder tool_order = ToolOrder::kept;
  std::uint64_t tool_seed = 1;
};
// thinking on, off, or first one and then the other.
std::vector<bool> modes_of(ThinkingModes modes);

// The system turns of an environment's tasks.
class SystemTurns {
 public:
  SystemTurns(ToolOrder order, std::uint64_t seed) : order_(order), seed_(seed) {}

  void open(const std::string& environment_id, const schemas::Environment& environment);
  void open(const schemas::Environment& environment, const schemas::TaskSpec& task);
  [[nodiscard]] const SystemTurn& turn() const { return turn_; }
  // That of no task: what is common to it and to a task's depends on the environment alone.
  [[nodiscard]] SystemTurn bare() const;

 private:
  ToolOrder order_;
  std::uint64_t seed_;
  std::size_t own_tools_ = 0;  // in turn_: the reserved ones follow
  SystemTurn turn_;
};

// The episode in tokens: one sequence a branch, as EngineClient::finish() gives them. What a model
// would have sampled is under loss, unless the turn says `learn` false. Empty where nothing is.
// Error{model}: a call whose arguments are no JSON object.
Result<std::vector<TokenArrays>> rendered_tokens(const engine::service::ChatVocabulary& vocabulary,
                                                 const SystemTurn& system,
                                                 const schemas::Trajectory& trajectory,
                                                 bool thinking,
                                                 SystemCache& cache);

// The ids of a system turn by itself.
Result<std::vector<std::int32_t>> system_ids(const engine::service::ChatVocabulary& vocabulary,
                                             const SystemTurn& system);
// How many tokens both begin with.
std::int64_t common_prefix(const std::vector<std::int32_t>& a, const std::vector<std::int32_t>& b);

// The same episode as one text for learning a tokenizer, in two parts: the system turn, and what
// follows it.
struct RenderedText {
  std::string system, rest;
};
Result<RenderedText> rendered_text(const SystemTurn& system,
                                   const schemas::Trajectory& trajectory,
                                   bool thinking);

}  // namespace seedbed::agent
