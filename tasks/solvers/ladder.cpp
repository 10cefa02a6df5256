#include "tasks/solvers/ladder.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "base/hash.h"
#include "base/text.h"
#include "tasks/solvers/solve.h"

namespace seedbed::tasks::solvers {
namespace {

using schemas::End;
using schemas::ToolCall;
using schemas::ToolResult;

constexpr std::size_t kMaxShared = 8'192;           // results kept for an environment
constexpr std::size_t kMaxSharedBytes = 16U << 20;  // and their text
constexpr std::uint64_t kSampleKey = 15;

std::string key_of(const ToolCall& call) {
  std::string out = call.tool;
  schemas::dump_to(call.args, out);
  return out;
}

Error wrong_count() {
  return make_error(Where::sandbox, "play", "ladder",
                    "found another number of results than of calls", "replace the host");
}

}  // namespace

struct Ladder::State {
  const schemas::Environment& env;
  PlayCalls play;
  Judge& judge;
  Catalog catalog;
  std::unordered_set<std::string> writing;  // tools
  std::unordered_map<std::string, ToolResult> shared;
  std::size_t shared_bytes = 0;

  Result<std::vector<PlayedPlan>> play_plans(const Plans& plans) const {
    SEEDBED_TRY(auto played, play(plans));
    if (played.size() != plans.size()) return wrong_count();
    for (std::size_t i = 0; i < plans.size(); ++i)
      if (played[i].results.size() != plans[i].size()) return wrong_count();
    return played;
  }

  // Results of reads in the initial state; what is not known yet is played in one frame.
  Result<std::vector<ToolResult>> read(const std::vector<ToolCall>& calls) {
    std::vector<std::string> keys;
    Plans plans;
    std::unordered_map<std::string, std::size_t> planned;
    for (const auto& call : calls) {
      keys.push_back(key_of(call));
      if (!shared.contains(keys.back()) && planned.emplace(keys.back(), plans.size()).second)
        plans.push_back({call});
    }
    std::vector<PlayedPlan> played;
    if (!plans.empty()) {
      SEEDBED_TRY(played, play_plans(plans));
    }
    std::vector<ToolResult> out;
    for (const auto& key : keys) {
      const auto fresh = planned.find(key);
      out.push_back(fresh == planned.end() ? shared.at(key) : played[fresh->second].results[0]);
    }
    for (const auto& [key, plan] : planned) {
      auto& result = played[plan].results[0];
      if (shared.size() >= kMaxShared || shared_bytes + result.out.size() > kMaxSharedBytes) break;
      shared_bytes += result.out.size();
      shared.emplace(key, std::move(result));
    }
    return out;
  }
};

namespace {

// What one solver has written so far.
struct Walked {
  std::vector<ToolCall> writes;  // that succeeded
  PlayedPlan played;             // of them
  int calls = 0;
};

// What the scripted user says; its rules are those of schemas::UserScript.
class Listener {
 public:
  explicit Listener(const std::optional<schemas::UserScript>& script) : script_(script) {
    if (script) used_.resize(script->reveals.size(), false);
  }
  std::optional<std::string> answer(const std::string& message) {
    if (!script_ || replies_ >= script_->max_replies) return std::nullopt;
    ++replies_;
    const std::string said = lower_ascii(message);
    for (std::size_t i = 0; i < script_->reveals.size(); ++i) {
      if (used_[i]) continue;
      for (const auto& word : script_->reveals[i].keywords)
        if (!word.empty() && said.find(lower_ascii(word)) != std::string::npos) {
          used_[i] = true;
          return script_->reveals[i].text;
        }
    }
    return script_->fallback;
  }

 private:
  const std::optional<schemas::UserScript>& script_;
  std::vector<bool> used_;
  int replies_ = 0;
};

}  // namespace

Ladder::Ladder(const schemas::Environment& env, PlayCalls play, Judge& judge)
    : state_(new State{env, std::move(play), judge, catalog_of(env), {}, {}}) {
  for (const auto& tool : env.tools)
    if (std::any_of(tool.program.steps.begin(), tool.program.steps.end(),
                    [](const auto& s) { return s.run || s.each; }))
      state_->writing.insert(tool.name);
}
Ladder::~Ladder() = default;

Result<Try> Ladder::attempt(std::string_view solver,
                            const schemas::TaskSpec& task,
                            const schemas::Verifier& verifier) {
  State& state = *state_;
  Walked walked;
  // One call where something was or will be written: what was written, and it.
  const auto write = [&](const ToolCall& call) -> Result<ToolResult> {
    std::vector<ToolCall> plan = walked.writes;
    plan.push_back(call);
    SEEDBED_TRY(auto played, state.play_plans({plan}));
    ToolResult result = played[0].results.back();
    if (result.end == End::ok && state.writing.contains(call.tool))
      walked.writes = std::move(plan), walked.played = std::move(played[0]);
    return result;
  };
  Listener listener(task.user);
  const Ways ways{
      .call = [&](const std::vector<ToolCall>& calls) -> Result<std::vector<ToolResult>> {
        walked.calls += static_cast<int>(calls.size());
        const bool reads = walked.writes.empty() &&
                           std::none_of(calls.begin(), calls.end(), [&](const ToolCall& call) {
                             return state.writing.contains(call.tool);
                           });
        if (reads) return state.read(calls);
        std::vector<ToolResult> out;
        for (const auto& call : calls) {
          SEEDBED_TRY(auto result, write(call));
          out.push_back(std::move(result));
        }
        return out;
      },
      .say = [&](const std::string& text) -> Result<std::optional<std::string>> {
        return listener.answer(text);
      }};
  SEEDBED_TRY(Ending ending, solve(solver, {state.catalog, task.prompt, task.submit_schema}, ways));
  Episode episode{.calls = std::move(walked.writes),
                  .results = std::move(walked.played.results),
                  .changes = std::move(walked.played.changes),
                  .stop = ending.kind == Ending::Kind::submit   ? schemas::Stop::answered
                          : ending.kind == Ending::Kind::refuse ? schemas::Stop::refused
                                                                : schemas::Stop::stopped,
                  .submitted = std::move(ending.args)};
  SEEDBED_TRY(const bool solved, state.judge.solves(verifier, episode));
  return Try{std::string(solver), solved, walked.calls};
}

Result<Climb> Ladder::climb(const Draft& draft) {
  Climb out;
  const Hardness hardness = hardness_of(state_->env, draft.task, draft.gold, draft.verifier);
  out.level = level_of(hardness);
  out.points = points_of(hardness);
  out.sampled = hash64(schemas::task_id(draft.task), kSampleKey) % kSampled == 0;
  if (out.sampled || hardness.plan_calls < kShortPlan) {
    SEEDBED_TRY(Try first, attempt("first-match", draft.task, draft.verifier));
    out.tries.push_back(std::move(first));
  }
  for (const auto solver : kLadder) {
    if (!out.sampled) break;
    SEEDBED_TRY(Try one, attempt(solver, draft.task, draft.verifier));
    out.tries.push_back(std::move(one));
  }
  return out;
}

Result<std::variant<schemas::GateResult, Rejected>> Ladder::gate(const Draft& draft) {
  using Outcome = std::variant<schemas::GateResult, Rejected>;
  SEEDBED_TRY(const Climb climbed, climb(draft));
  if (!climbed.tries.empty())
    if (const Try& first = climbed.tries.front(); first.solved && first.calls < kTrivialCalls)
      return Outcome(Rejected{"G15", "first-match solves it with " + std::to_string(first.calls) +
                                         " calls: it is trivial"});
  std::string note =
      "level " + std::to_string(climbed.level) + " (" + std::to_string(climbed.points) + " points)";
  for (const auto& one : climbed.tries)
    note += "; " + one.solver + (one.solved ? " solves it in " : " fails after ") +
            std::to_string(one.calls);
  if (!climbed.sampled)
    note += "; " + std::string(climbed.tries.empty() ? "first-match, " : "") +
            "greedy, bfs-3 and no-policy try 1 task in " + std::to_string(kSampled) +
            ", not this one";
  return Outcome(
      schemas::GateResult{"G15", 1 + static_cast<int>(climbed.tries.size()), std::move(note)});
}

}  // namespace seedbed::tasks::solvers
