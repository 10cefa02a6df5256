#include "agent/episode_loop.h"

#include <algorithm>
#include <type_traits>

#include "base/check.h"
#include "base/text.h"

namespace seedbed::agent {
namespace {

using schemas::End;
using schemas::Stop;
using schemas::ToolResult;
using schemas::Value;

ToolResult tool_error(std::string_view code, std::string message) {
  Value error = Value::object();
  error.set("code", code).set("message", std::move(message));
  Value out = Value::object();
  out.set("error", std::move(error));
  return {End::tool_error, dump(out)};
}

std::string not_run(std::size_t count) {
  return count == 0 ? "" : "; " + std::to_string(count) + " later call(s) of the turn not run";
}

}  // namespace

schemas::Budget smaller(const schemas::Budget& a, const schemas::Budget& b) {
  return {.max_turns = std::min(a.max_turns, b.max_turns),
          .max_calls = std::min(a.max_calls, b.max_calls),
          .wall_ms = std::min(a.wall_ms, b.wall_ms),
          .output_kib = std::min(a.output_kib, b.output_kib)};
}

EpisodeLoop::EpisodeLoop(const RolloutSpec& spec, const Clock& clock)
    : spec_(&spec), clock_(&clock), start_us_(clock.now_us()) {
  if (spec.task.user) user_.emplace(*spec.task.user);
  trajectory_.task_id = spec.task_id;
  trajectory_.environment_id = spec.task.environment_id;
  trajectory_.policy = spec.policy;
  trajectory_.policy_version = spec.policy_version;
  trajectory_.sample = spec.sample;
  trajectory_.seed = std::to_string(spec.seed);
  trajectory_.turns.reserve(16);
  trajectory_.turns.push_back(
      {.role = "system", .text = {}, .reasoning = {}, .calls = {}, .tokens = {}, .logprobs = {}});
  trajectory_.turns.push_back({.role = "user",
                               .text = spec.task.prompt,
                               .reasoning = {},
                               .calls = {},
                               .tokens = {},
                               .logprobs = {}});
  next_turn();
}

std::int64_t EpisodeLoop::wall_ms_left() const {
  return spec_->budget.wall_ms - (clock_->now_us() - start_us_) / 1000;
}

View EpisodeLoop::view() const {
  return {spec_->environment, spec_->task, spec_->offered, trajectory_.turns,
          std::max<std::int64_t>(1, wall_ms_left())};
}

int EpisodeLoop::call_wall_ms() const {
  return static_cast<int>(std::clamp<std::int64_t>(wall_ms_left(), 1, spec_->call_wall_ms));
}

void EpisodeLoop::end(Stop stop, std::string detail) {
  need_ = Need::done;
  trajectory_.stop = stop;
  trajectory_.stop_detail = std::move(detail);
}

void EpisodeLoop::next_turn() {
  if (turns_ >= spec_->budget.max_turns)
    return end(Stop::out_of_turns, std::to_string(turns_) + " turns used");
  if (wall_ms_left() <= 0)
    return end(Stop::out_of_time, std::to_string(spec_->budget.wall_ms) + " ms used");
  need_ = Need::reply;
}

Step EpisodeLoop::take(Reply reply) {
  SEEDBED_CHECK(need_ == Need::reply, static_cast<int>(need_));
  ++turns_;
  trajectory_.prompt_tokens += reply.prompt_tokens;
  trajectory_.completion_tokens += reply.completion_tokens;
  trajectory_.turns.emplace_back();
  schemas::Turn& turn = trajectory_.turns.back();
  turn.role = "assistant";
  turn.tokens = std::move(reply.tokens);
  turn.logprobs = std::move(reply.logprobs);
  if (!reply.learn) turn.learn = false;
  std::string why;
  std::visit(
      [&](auto& said) {
        using T = std::remove_cvref_t<decltype(said)>;
        turn.text = std::move(said.text);
        turn.reasoning = std::move(said.reasoning);
        if constexpr (std::is_same_v<T, Malformed>) why = std::move(said.why);
      },
      reply.what);

  if (reply.stop) {
    if (turn.text.empty() && turn.reasoning.empty()) trajectory_.turns.pop_back();
    end(*reply.stop, std::move(reply.stop_detail));
    return std::nullopt;
  }
  if (auto* calls = std::get_if<Calls>(&reply.what); calls != nullptr && !calls->calls.empty()) {
    pending_ = std::move(calls->calls);
    next_ = 0;
    return run_calls();
  }
  if (std::holds_alternative<Malformed>(reply.what)) {
    ++trajectory_.malformed_calls;
    trajectory_.turns.push_back(
        {.role = "user",
         .text = "Your last reply could not be read: " + why +
                 ". Call a tool with a JSON object as arguments, or write plain text.",
         .reasoning = {},
         .calls = {},
         .tokens = {},
         .logprobs = {}});
    next_turn();
    return std::nullopt;
  }
  if (!user_) {
    end(Stop::stopped, "a message without a call, and nobody to read it");
    return std::nullopt;
  }
  auto answer = user_->answer(turn.text);
  if (!answer) {
    end(Stop::stopped, "the user has left");
    return std::nullopt;
  }
  trajectory_.turns.push_back({.role = "user",
                               .text = *std::move(answer),
                               .reasoning = {},
                               .calls = {},
                               .tokens = {},
                               .logprobs = {}});
  next_turn();
  return std::nullopt;
}

// Runs what the parent can answer; stops at the first call for the host, or at the end of the turn
// or episode.
Step EpisodeLoop::run_calls() {
  while (next_ < pending_.size()) {
    const std::size_t later = pending_.size() - next_;
    if (calls_ >= spec_->budget.max_calls) {
      end(Stop::out_of_calls, std::to_string(calls_) + " calls used" + not_run(later));
      break;
    }
    if (wall_ms_left() <= 0) {
      end(Stop::out_of_time, std::to_string(spec_->budget.wall_ms) + " ms used" + not_run(later));
      break;
    }
    ReplyCall& call = pending_[next_++];
    ++calls_;
    if (!call.args.is_object()) {
      const char* found = kind_name(call.args.kind());
      record(std::move(call),
             tool_error("invalid_arguments",
                        std::string("arguments: found ") +
                            (call.args.is_string() ? "text that is no JSON object" : found) +
                            ", wanted a JSON object"),
             false, true);
      continue;
    }
    if (!schemas::ends_episode(call.tool)) {
      evidence_.calls.push_back({call.tool, call.args});
      need_ = Need::call;
      return std::nullopt;
    }
    SEEDBED_TRY(const bool accepted, run_reserved(call));
    if (accepted) break;
  }
  if (next_ < pending_.size() || need_ == Need::done) {  // the episode is over
    pending_.clear();
    return std::nullopt;
  }
  pending_.clear();
  next_turn();
  return std::nullopt;
}

Result<bool> EpisodeLoop::run_reserved(ReplyCall& call) {
  const bool submits = call.tool == schemas::kSubmitTool;
  if (!submits && !may_refuse(spec_->environment)) {
    std::string name = call.tool;
    record(std::move(call), tool_error("unknown_tool", "no tool is called '" + name + "'"), true,
           true);
    return false;
  }
  SEEDBED_TRY(const std::string wrong, submits ? spec_->offered.check_submit(call.args)
                                               : spec_->offered.check_refuse(call.args));
  if (!wrong.empty()) {
    record(std::move(call), tool_error("invalid_arguments", wrong), true, true);
    return false;
  }
  evidence_.submitted = call.args;
  record(std::move(call), {End::ok, R"({"accepted":true})"}, true, false);
  end(submits ? Stop::answered : Stop::refused,
      (submits ? "submit_result accepted" : "refuse accepted") + not_run(pending_.size() - next_));
  return true;
}

Step EpisodeLoop::take(ToolResult result) {
  SEEDBED_CHECK(need_ == Need::call, static_cast<int>(need_));
  if (!is_valid_utf8(result.out))
    result = tool_error("invalid_output", "the tool's result was no valid UTF-8");
  output_bytes_ += static_cast<std::int64_t>(result.out.size());
  evidence_.results.push_back(result);
  record(std::move(pending_[next_ - 1]), std::move(result), false, false);
  if (output_bytes_ > std::int64_t{spec_->budget.output_kib} * 1024) {
    end(Stop::out_of_tokens, "tool output over " + std::to_string(spec_->budget.output_kib) +
                                 " KiB" + not_run(pending_.size() - next_));
    pending_.clear();
    return std::nullopt;
  }
  return run_calls();
}

void EpisodeLoop::record(ReplyCall&& call, ToolResult result, bool reserved, bool malformed) {
  if (malformed) ++trajectory_.malformed_calls;
  schemas::Turn& turn = trajectory_.turns.back();
  turn.calls.push_back({.id = unique_id(std::move(call.id)),
                        .tool = std::move(call.tool),
                        .args = std::move(call.args),
                        .result = std::move(result),
                        .reserved = reserved,
                        .malformed = malformed});
}

std::string EpisodeLoop::unique_id(std::string id) {
  if (id.size() > 128) id.resize(0);
  for (int n = calls_; id.empty() || ids_.count(id) != 0; ++n) id = "call_" + std::to_string(n);
  ids_.insert(id);
  return id;
}

Rollout EpisodeLoop::finish(std::vector<schemas::RowChange> changes) {
  SEEDBED_CHECK(need_ == Need::done, static_cast<int>(need_));
  trajectory_.wall_us = clock_->now_us() - start_us_;
  evidence_.changes = std::move(changes);
  evidence_.stop = trajectory_.stop;
  return {std::move(trajectory_), std::move(evidence_)};
}

}  // namespace seedbed::agent
