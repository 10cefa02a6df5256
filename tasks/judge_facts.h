// The state as facts: each view's initial rows, and what differs from them. Inside tasks only.
#pragma once
#include <cstdint>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/result.h"
#include "schemas/environment.h"
#include "tasks/judge_db.h"

namespace seedbed::tasks {

// A fact that is not as it was: row -1 = new, now empty = gone, else changed.
struct ChangedFact {
  int view = 0;                      // index into Environment::views
  int row = -1;                      // index of the initial row
  std::vector<schemas::Scalar> now;  // key, then the attributes
};

struct ScalarHash {
  std::size_t operator()(const schemas::Scalar& s) const { return std::hash<schemas::Scalar>{}(s); }
};

struct ViewFacts {
  Query query;            // key, then the view's columns
  std::size_t width = 0;  // 1 + number of attributes
  std::vector<schemas::Scalar>
      rows;  // initial rows one after another, in the order the view gives them
  std::unordered_map<schemas::Scalar, int, ScalarHash> by_key;

  [[nodiscard]] int count() const { return static_cast<int>(rows.size() / width); }
  [[nodiscard]] const schemas::Scalar* row(int i) const {
    return &rows[static_cast<std::size_t>(i) * width];
  }
};

class Facts {
 public:
  // Reads every view of the environment in db's initial state. Refuses views that are absent, that
  // lack a column, whose keys are null or not unique, or that show anything but integers, texts and
  // nulls.
  static Result<Facts> open(const schemas::Environment& env, JudgeDb& db);

  [[nodiscard]] const std::vector<ViewFacts>& views() const { return views_; }
  [[nodiscard]] int view_of(const std::string& concept_name) const;  // -1 where there is none
  // Views that read the table; empty where none does.
  [[nodiscard]] const std::vector<int>& views_over(const std::string& table) const;
  // Compares the views with their initial rows, in db's present state.
  Result<std::vector<ChangedFact>> compare(JudgeDb& db, const std::vector<int>& views) const;

 private:
  Step read_initial(const schemas::View& view, JudgeDb& db);
  Step compare_view(JudgeDb& db, int view, std::vector<ChangedFact>& out) const;

  std::vector<ViewFacts> views_;
  std::vector<std::string> names_;  // of the views, for messages
  std::unordered_map<std::string, int> by_concept_;
  std::unordered_map<std::string, std::vector<int>> by_table_;
};

}  // namespace seedbed::tasks
