// What a Judge holds, and how an episode is scored on it. Inside tasks only.
#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tasks/judge.h"
#include "tasks/judge_db.h"
#include "tasks/judge_facts.h"

namespace seedbed::tasks {

// What the facts are after some changes; a function of the changes alone, so it is remembered under
// their bytes.
struct Difference {
  std::vector<ChangedFact> facts;
  std::string unseen;  // a table changed that no view reads and that is no bookkeeping
};

// Parts in the order of the verdict (cheap: outcome, then answers or code and evidence; asked:
// choose, then post; facts: delta where there is one, then frame; rules: obligations); `quick`
// stops at the first that fails.
struct Parts {
  std::vector<schemas::ScorePart> cheap, asked, facts, rules;
  std::vector<std::pair<std::string, std::string>> whys;  // part -> why
  std::shared_ptr<const Difference> state;                // what the facts are in the end
  bool failed = false;

  void add(std::vector<schemas::ScorePart>& group,
           std::string name,
           double weight,
           bool holds,
           const std::string& why) {
    if (!holds) {
      failed = true;
      whys.emplace_back(name, why);
    }
    group.push_back({.name = std::move(name), .holds = holds, .weight = weight});
  }
};

class Replay;

struct Judge::State {
  schemas::Environment env;
  std::unique_ptr<JudgeDb> db;
  std::optional<Facts> facts;
  std::vector<FactColumn> columns;
  std::unordered_map<std::string, Query> queries;
  std::unordered_map<std::string, std::shared_ptr<const Difference>> remembered;

  Result<const Query*> query(const std::string& sql, const std::string& at);
  Result<bool> holds(const std::string& sql, const std::string& at, const schemas::Value& args);
  Result<std::shared_ptr<const Difference>> difference(std::span<const schemas::RowChange> changes);
  std::shared_ptr<const Difference> recall(const std::string& key) const;
  Result<std::shared_ptr<const Difference>> learn(std::span<const schemas::RowChange> changes,
                                                  const std::string& key);
  std::string unseen_table(std::span<const schemas::RowChange> changes) const;
  LineDiff lines(const Difference& difference) const;
  void fill_columns();

  // quick: up to the first part that fails. without_posts: post-conditions count as held, for
  // those who know that delta and frame say all that they could.
  enum class How : std::uint8_t { quick, whole, without_posts };
  Result<Parts> score(const schemas::Verifier& verifier, const Episode& episode, How how);
  // score() as a whole, the database as at first afterwards.
  Result<Parts> all_parts(const schemas::Verifier& verifier,
                          const Episode& episode,
                          How how = How::whole);
  Step score_rules(const schemas::Verifier& verifier,
                   const Episode& episode,
                   Replay& replay,
                   Parts& parts);
};

// The state as the episode goes on: changes are applied up to a call, never back.
class Replay {
 public:
  Replay(JudgeDb& db, std::span<const schemas::RowChange> changes) : db_(db), changes_(changes) {}
  Step to(int call) {
    while (at_ < changes_.size() && changes_[at_].call < call) {
      std::size_t end = at_;
      while (end < changes_.size() && changes_[end].call == changes_[at_].call) ++end;
      if (auto e = db_.apply(changes_.subspan(at_, end - at_))) return e;
      at_ = end;
    }
    return std::nullopt;
  }

 private:
  JudgeDb& db_;
  std::span<const schemas::RowChange> changes_;
  std::size_t at_ = 0;
};

// The parts that the submission alone decides: Parts::cheap.
void score_submission(const schemas::Verifier& verifier,
                      schemas::Stop stop,
                      const schemas::Value& submitted,
                      Parts& parts);

constexpr int kToTheEnd = 0x7fffffff;

// In the order of their calls; the recorder gives them so, and a copy is made only where it did
// not.
std::span<const schemas::RowChange> in_order(const std::vector<schemas::RowChange>& changes,
                                             std::vector<schemas::RowChange>& copy);
// The changes' bytes without the index of their call, which reads in between would shift.
std::string state_key(std::span<const schemas::RowChange> changes);

}  // namespace seedbed::tasks
