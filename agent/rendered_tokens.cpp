#include "agent/rendered_tokens.h"

#include <algorithm>
#include <utility>

#include "agent/prompt.h"
#include "base/rng.h"

namespace seedbed::agent {
namespace {

namespace chat = engine::chat;
using schemas::Trajectory;
using schemas::Turn;

constexpr std::int64_t kNoWindow = std::int64_t{1} << 40;

bool is_reply(const Turn& turn) {
  return turn.role == "assistant";
}

// Index of the first reply at or after `begin`; the number of turns where there is none.
std::size_t next_reply(const Trajectory& t, std::size_t begin) {
  while (begin < t.turns.size() && !is_reply(t.turns[begin])) ++begin;
  return begin;
}

chat::Message message_of(const Turn& turn, const SystemTurn& system) {
  chat::Message out;
  out.role = turn.role == "system" ? chat::Role::system
             : turn.role == "user" ? chat::Role::user
                                   : chat::Role::assistant;
  out.content = turn.text;
  if (out.role == chat::Role::system) {
    if (turn.text.empty()) out.content = system.text;
    out.tools = system.tools;
  }
  out.reasoning_content = turn.reasoning;
  for (const auto& call : turn.calls)
    out.tool_calls.push_back({call.id, call.tool, chat::python_json(call.args)});
  return out;
}

}  // namespace

std::vector<bool> modes_of(ThinkingModes modes) {
  switch (modes) {
    case ThinkingModes::on:
      return {true};
    case ThinkingModes::off:
      return {false};
    default:
      return {true, false};
  }
}

void SystemTurns::open(const std::string& environment_id, const schemas::Environment& environment) {
  turn_ = {system_text(environment), {}};
  for (const auto& tool : environment.tools) turn_.tools.push_back(tool_def(tool));
  own_tools_ = turn_.tools.size();
  if (order_ == ToolOrder::kept) return;
  Rng rng = rng_for(seed_, environment_id, 0, "order of tools");
  rng.shuffle(turn_.tools);
}

void SystemTurns::open(const schemas::Environment& environment, const schemas::TaskSpec& task) {
  turn_.tools.resize(own_tools_);
  const auto offered = offered_tools(environment, task);
  for (std::size_t i = own_tools_; i < offered.size(); ++i)
    turn_.tools.push_back(tool_def(offered[i]));
}

// The reserved tools follow the environment's own, and their names and descriptions are always the
// same; the form of the result is each task's.
SystemTurn SystemTurns::bare() const {
  SystemTurn out = turn_;
  out.tools.resize(own_tools_);
  schemas::Environment nothing;
  schemas::TaskSpec formless;
  formless.submit_schema = schemas::Value::array();
  for (const auto& tool : offered_tools(nothing, formless)) out.tools.push_back(tool_def(tool));
  return out;
}

Result<std::vector<std::int32_t>> system_ids(const engine::service::ChatVocabulary& vocabulary,
                                             const SystemTurn& system) {
  TokenConversation conversation;
  conversation.begin(vocabulary, false, kNoWindow);
  Turn turn;
  turn.role = "system";
  SEEDBED_TRY([[maybe_unused]] const bool begun, conversation.start(system, {&turn, 1}));
  return conversation.arrays().ids;
}

std::int64_t common_prefix(const std::vector<std::int32_t>& a, const std::vector<std::int32_t>& b) {
  const auto end = a.begin() + static_cast<std::ptrdiff_t>(std::min(a.size(), b.size()));
  return std::mismatch(a.begin(), end, b.begin()).first - a.begin();
}

Result<std::vector<TokenArrays>> rendered_tokens(const engine::service::ChatVocabulary& vocabulary,
                                                 const SystemTurn& system,
                                                 const Trajectory& trajectory,
                                                 bool thinking,
                                                 SystemCache& cache) {
  TokenConversation conversation;
  conversation.begin(vocabulary, thinking, kNoWindow, &cache);
  const TokenConversation::Turns turns(trajectory.turns);
  std::size_t at = next_reply(trajectory, 0);
  if (at == turns.size()) return std::vector<TokenArrays>();
  SEEDBED_TRY([[maybe_unused]] const bool begun, conversation.start(system, turns.first(at)));
  for (;;) {
    const Turn& reply = turns[at];
    if (auto wrong = conversation.say(reply, reply.learn.value_or(true))) return *std::move(wrong);
    at = next_reply(trajectory, at + 1);
    if (at == turns.size()) return conversation.finish();
    SEEDBED_TRY([[maybe_unused]] const bool added, conversation.go_on(turns.first(at)));
  }
}

Result<RenderedText> rendered_text(const SystemTurn& system,
                                   const Trajectory& trajectory,
                                   bool thinking) {
  std::vector<chat::Message> messages;
  for (std::size_t i = 0; i < trajectory.turns.size(); ++i) {
    const Turn& turn = trajectory.turns[i];
    messages.push_back(message_of(turn, system));
    if (i + 1 == trajectory.turns.size()) break;  // the last results were never read
    for (const auto& call : turn.calls) {
      chat::Message result;
      result.role = chat::Role::tool;
      result.content = call.result.out;
      result.tool_call_id = call.id;
      messages.push_back(std::move(result));
    }
  }
  SEEDBED_TRY(const auto rendered, chat::render(messages, {.thinking = thinking, .bos = true}));
  RenderedText out;
  for (const auto& segment : rendered.segments)
    (segment.message <= 0 ? out.system : out.rest) += segment.text;
  return out;
}

}  // namespace seedbed::agent
