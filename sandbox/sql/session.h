// Episodes of calls on one loaded environment, and plays of many plans.
//
// (1) A writing call runs in a savepoint of its own; a reading one in none.  (2) What a failed call
// wrote is gone, from the state and from the record.  (3) Where SQLite gives up the whole
// transaction (an interrupted write, no memory), the episode is built again by running the writing
// calls that had succeeded: they are deterministic.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sandbox/sql/runner.h"

namespace seedbed::sandbox::sql {

struct PlannedCall {
  std::string tool;
  schemas::Value args;
};

struct Counts {
  std::int64_t calls = 0, resets = 0, rebuilt = 0, reprepared = 0, statements = 0, heap_bytes = 0,
               reset_ns = 0;  // reset_ns: time of all resets
};

class Session {
 public:
  // Error{tool}: image or tools refused.
  static Result<std::unique_ptr<Session>> load(const std::vector<schemas::Tool>& tools,
                                               std::int64_t now_minutes,
                                               const std::string& image_hash,
                                               std::string_view image);

  // False: the state could not be brought back; the host must end.
  bool reset();
  Outcome call(const std::string& tool, schemas::Value args, std::int64_t deadline_us);
  // Net changes since reset; RowChange::call counts every call, failed ones too.
  [[nodiscard]] const std::vector<schemas::RowChange>& changes() const { return changes_; }
  // Each plan from a reset state as a trie of shared prefixes, written as the body of a play's
  // reply (sql_wire.h). Identical calls after identical prefixes run once, whole plans too: who
  // wants a second run asks another host.
  Result<std::string> play(const std::vector<std::vector<PlannedCall>>& plans,
                           std::int64_t deadline_us);
  std::string digest() { return db_->digest(); }
  [[nodiscard]] bool broken() const { return broken_; }
  [[nodiscard]] Counts counts() const;

 private:
  struct Made {  // a successful writing call, or (tool == kBranch) an open branch
    static constexpr std::size_t kBranch = SIZE_MAX;
    std::size_t tool = kBranch;
    std::shared_ptr<const schemas::Value> args;
  };
  friend class Play;

  Session() = default;
  [[nodiscard]] std::size_t find(std::string_view tool) const;
  Outcome unknown(const std::string& tool) const;
  Outcome run(const std::string& tool,
              const std::shared_ptr<const schemas::Value>& args,
              std::int64_t deadline_us);
  Outcome run_writing(std::size_t tool, const std::shared_ptr<const schemas::Value>& args);
  bool rebuild();
  void open_branch();
  void drop_branch();
  void allow(std::int64_t deadline_us);

  std::unique_ptr<Database> db_;
  std::unique_ptr<Runner> runner_;
  std::vector<CompiledTool> tools_;
  std::vector<Made> made_;
  std::vector<schemas::RowChange> changes_;
  std::int32_t call_ = 0;  // index of the next call
  bool broken_ = false;
  Counts counts_;
};

}  // namespace seedbed::sandbox::sql
