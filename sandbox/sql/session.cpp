#include "sandbox/sql/session.h"

#include <sqlite3.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "base/text.h"
#include "sandbox/sql/engine.h"

namespace seedbed::sandbox::sql {

using schemas::End;

Result<std::unique_ptr<Session>> Session::load(const std::vector<schemas::Tool>& tools,
                                               std::int64_t now_minutes,
                                               const std::string& image_hash,
                                               std::string_view image) {
  std::unique_ptr<Session> self(new Session());
  SEEDBED_TRY(self->db_, Database::open(image));
  if (!image_hash.empty() && image_hash != self->db_->image_hash())
    return make_error(Where::tool, "state image", image_hash,
                      "the bytes have the hash " + self->db_->image_hash(),
                      "give the environment's own image");
  for (const auto& tool : tools) {
    SEEDBED_TRY(CompiledTool made, compile_tool(*self->db_, tool));
    if (self->find(tool.name) != SIZE_MAX)
      return make_error(Where::tool, "tool", tool.name, "a second one of this name", "rename it");
    self->tools_.push_back(std::move(made));
  }
  self->runner_ = std::make_unique<Runner>(*self->db_, now_minutes);
  return self;
}

std::size_t Session::find(std::string_view tool) const {
  for (std::size_t i = 0; i < tools_.size(); ++i)
    if (tools_[i].name == tool) return i;
  return SIZE_MAX;
}

Outcome Session::unknown(const std::string& tool) const {
  std::vector<std::string> names;
  for (const auto& t : tools_) names.push_back(t.name);
  const std::string shown = tool.substr(0, 100);
  const std::string near = nearest(shown, names);
  return failed(End::tool_error, "unknown_tool",
                "no tool '" + shown + "'" + (near.empty() ? "" : "; did you mean '" + near + "'?"));
}

void Session::allow(std::int64_t deadline_us) {
  db_->allowance() = Allowance{};
  db_->allowance().deadline_us = deadline_us;
}

bool Session::rebuild() {
  ++counts_.rebuilt;
  bool fine = db_->mark(Mark::episode);
  for (const auto& made : made_) {
    if (!fine) break;
    allow(INT64_MAX);
    if (made.tool == Made::kBranch) {
      fine = db_->mark(Mark::branch);
    } else {
      fine = db_->mark(Mark::call) && runner_->run(tools_[made.tool], *made.args).keeps() &&
             db_->mark(Mark::keep_call);
    }
  }
  allow(INT64_MAX);
  return fine;
}

Outcome Session::run_writing(std::size_t tool, const std::shared_ptr<const schemas::Value>& args) {
  if (!db_->mark(Mark::call)) {
    broken_ = true;
    return failed(End::crashed, "crashed", "the host could not open a savepoint");
  }
  db_->recorder().begin();
  Outcome outcome = runner_->run(tools_[tool], *args);
  allow(INT64_MAX);  // a spent allowance would interrupt the host's own statements too
  if (outcome.keeps()) {
    if (!db_->mark(Mark::keep_call)) broken_ = true;
    db_->recorder().net(call_, changes_);
    made_.push_back({tool, args});
    return outcome;
  }
  db_->recorder().pause();
  if (db_->lost())
    broken_ = !rebuild();
  else if (!db_->mark(Mark::drop_call))
    broken_ = true;
  return outcome;
}

Outcome Session::run(const std::string& name,
                     const std::shared_ptr<const schemas::Value>& args,
                     std::int64_t deadline_us) {
  ++counts_.calls;
  const std::size_t tool = find(name);
  if (tool == SIZE_MAX) return unknown(name);
  if (!args->is_object())
    return failed(
        End::tool_error, "invalid_arguments",
        std::string("arguments are ") + schemas::kind_name(args->kind()) + ", must be an object");
  if (const auto violations = tools_[tool].schema->validate(*args); !violations.empty()) {
    const auto& first = violations.front();
    std::string at =
        first.pointer.empty() ? "" : "argument '" + first.pointer.substr(1, 200) + "': ";
    return failed(End::tool_error, "invalid_arguments", at + first.message.substr(0, 600));
  }
  allow(deadline_us);
  if (tools_[tool].writes) return run_writing(tool, args);
  Outcome outcome = runner_->run(tools_[tool], *args);
  allow(INT64_MAX);
  if (db_->lost()) broken_ = !rebuild();  // out of memory ends the transaction of a reader too
  return outcome;
}

bool Session::reset() {
  ++counts_.resets;
  timespec began{};
  timespec ended{};
  clock_gettime(CLOCK_MONOTONIC, &began);
  made_.clear();
  changes_.clear();
  call_ = 0;
  if (!db_->mark(Mark::reset)) broken_ = true;
  clock_gettime(CLOCK_MONOTONIC, &ended);
  counts_.reset_ns += static_cast<std::int64_t>(ended.tv_sec - began.tv_sec) * 1'000'000'000 +
                      (ended.tv_nsec - began.tv_nsec);
  return !broken_;
}

Outcome Session::call(const std::string& tool, schemas::Value args, std::int64_t deadline_us) {
  Outcome outcome = run(tool, std::make_shared<const schemas::Value>(std::move(args)), deadline_us);
  ++call_;
  return outcome;
}

void Session::open_branch() {
  if (!db_->mark(Mark::branch)) broken_ = true;
  made_.push_back({});
}

void Session::drop_branch() {
  while (made_.back().tool != Made::kBranch) made_.pop_back();
  made_.pop_back();
  if (!db_->mark(Mark::drop_branch)) broken_ = true;
}

Counts Session::counts() const {
  Counts all = counts_;
  all.heap_bytes = static_cast<std::int64_t>(engine_heap());
  all.reprepared = db_->reprepared();
  const auto count = [&](const Statement& s) {
    ++all.statements;
    all.reprepared += sqlite3_stmt_status(s.sql.get(), SQLITE_STMTSTATUS_REPREPARE, 0);
  };
  for (const auto& tool : tools_) {
    count(tool.result);
    for (const auto& step : tool.steps) {
      count(step.statement);
      for (const auto& s : step.body) count(s);
    }
  }
  return all;
}

}  // namespace seedbed::sandbox::sql
