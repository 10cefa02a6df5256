// A small clinic for the agent's tests: two tools, a host made of C++, and the text around them.
#pragma once
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/client.h"
#include "agent/episode_loop.h"
#include "base/clock.h"
#include "sandbox/tool_host.h"
#include "schemas/environment.h"
#include "schemas/task.h"

namespace seedbed::test {

inline schemas::Value json(std::string_view text) {
  auto parsed = schemas::parse_json(text);
  return parsed.ok() ? *std::move(parsed)
                     : schemas::Value("unreadable literal: " + parsed.error().message);
}

inline schemas::Environment clinic() {
  schemas::Environment env;
  env.family = "general";
  env.title = "a veterinary clinic";
  env.policy.handbook =
      "1. A confirmed booking may be cancelled up to 24 hours before it starts.\n";
  env.policy.reasons = {{"too_late", "the deadline has passed"},
                        {"not_owner", "the record belongs to somebody else"}};
  env.now_minutes = 16'409'180;
  schemas::Tool find;
  find.name = "find_booking";
  find.description = "Find a booking by its id.";
  find.input = json(
      R"({"type":"object","properties":{"booking_id":{"type":"string"},"verbose":{"type":"boolean"}},)"
      R"("required":["booking_id"],"additionalProperties":false})");
  schemas::Tool cancel;
  cancel.name = "cancel_booking";
  cancel.description = "Cancel a confirmed booking.";
  cancel.input = json(
      R"({"type":"object","properties":{"booking_id":{"type":"string"},"fee":{"type":"integer","minimum":0}},)"
      R"("required":["booking_id"],"additionalProperties":false})");
  env.tools = {find, cancel};
  return env;
}

inline schemas::TaskSpec task_for(const schemas::Environment& env) {
  schemas::TaskSpec task;
  task.environment_id = schemas::environment_id(env);
  task.kind = "achieve";
  task.prompt = "Please cancel booking BK-17 and tell me the fee in cents.";
  task.submit_schema = json(
      R"({"type":"object","properties":{"fee":{"type":"integer"}},"required":["fee"],"additionalProperties":false})");
  return task;
}

inline schemas::Gold gold_plan() {
  schemas::Gold gold;
  schemas::GoldStep look, cancel, submit;
  look.tool = "find_booking";
  look.args = json(R"({"booking_id":"BK-17"})");
  cancel.tool = "cancel_booking";
  cancel.args = json(R"({"booking_id":"BK-17"})");
  submit.kind = schemas::GoldKind::submit;
  submit.args = json(R"({"fee":250})");
  gold.steps = {look, cancel, submit};
  return gold;
}

// Answers by a function; can be told to fail as a jail does.
class FakeHost final : public sandbox::ToolHost {
 public:
  using Answer = std::function<Result<schemas::ToolResult>(const schemas::ToolCall&)>;
  explicit FakeHost(Answer answer = {}) : answer_(std::move(answer)) {}

  Step load(const schemas::Environment&, const std::string&) override {
    ++loads;
    return std::nullopt;
  }
  Step reset() override {
    ++resets;
    calls.clear();
    return std::nullopt;
  }
  Result<schemas::ToolResult> call(const schemas::ToolCall& call, int) override {
    calls.push_back(call);
    if (answer_) return answer_(call);
    return schemas::ToolResult{schemas::End::ok, R"({"id":"BK-17","owner":"Ada Low","fee":250})"};
  }
  Result<std::vector<schemas::RowChange>> changes() override {
    return std::vector<schemas::RowChange>{};
  }
  Result<std::vector<sandbox::Played>> play(const std::vector<std::vector<schemas::ToolCall>>&,
                                            int) override {
    return std::vector<sandbox::Played>{};
  }
  Result<std::string> digest() override { return std::string("0"); }
  Step send(const schemas::ToolCall&, int) override {
    return Error{Where::sandbox, "not in this host"};
  }
  Result<schemas::ToolResult> receive(int) override {
    return Error{Where::sandbox, "not in this host"};
  }
  int descriptor() const override { return -1; }

  int loads = 0, resets = 0;
  std::vector<schemas::ToolCall> calls;

 private:
  Answer answer_;
};

// Says what it was given, in order.
class Recited final : public agent::ModelClient {
 public:
  explicit Recited(std::deque<agent::Reply> replies) : replies_(std::move(replies)) {}
  Result<agent::Reply> reply(const agent::View&) override {
    if (replies_.empty()) return Error{Where::model, "no reply left"};
    agent::Reply out = std::move(replies_.front());
    replies_.pop_front();
    return out;
  }

 private:
  std::deque<agent::Reply> replies_;
};

inline agent::ReplyCall a_call(std::string tool, std::string_view args, std::string id = "") {
  auto parsed = schemas::parse_json(args);
  return {std::move(id), std::move(tool), parsed.ok() ? *std::move(parsed) : schemas::Value(args)};
}
inline agent::Reply calls_of(std::vector<agent::ReplyCall> calls) {
  agent::Reply out;
  out.what = agent::Calls{"", "", std::move(calls)};
  return out;
}
inline agent::Reply says(std::string text) {
  agent::Reply out;
  out.what = agent::Message{std::move(text), ""};
  return out;
}

inline schemas::Turn turn_of(std::string role, std::string text) {
  schemas::Turn turn;
  turn.role = std::move(role);
  turn.text = std::move(text);
  return turn;
}

class HandClock final : public Clock {
 public:
  std::int64_t now_us() const override { return now += step; }
  mutable std::int64_t now = 0;
  std::int64_t step = 0;
};

}  // namespace seedbed::test
