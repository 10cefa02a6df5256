#include "tasks/eval/rows.h"

#include <algorithm>
#include <functional>
#include <map>

#include "tasks/eval/estimate.h"

namespace seedbed::tasks::eval {
namespace {

using schemas::EvalComparison;
using schemas::EvalCount;
using schemas::EvalPolicy;
using schemas::EvalRate;
using schemas::EvalRow;
using schemas::EvalTask;

using Group = std::vector<const EvalTask*>;

EvalRate rate_of(const Estimate& e, std::int64_t k) {
  return {.k = k,
          .value = e.value,
          .low = e.low,
          .high = e.high,
          .interval = std::string(name_of(e.kind))};
}

// Environments by number, in the order of their ids.
std::map<std::string, std::int64_t> clusters_of(const Group& tasks) {
  std::map<std::string, std::int64_t> out;
  for (const auto* t : tasks) out.emplace(t->environment, 0);
  std::int64_t n = 0;
  for (auto& [id, number] : out) number = n++;
  return out;
}

EvalRow row_of(std::string by,
               std::string name,
               const Group& tasks,
               const std::vector<std::int64_t>& ks) {
  EvalRow row;
  row.by = std::move(by);
  row.name = std::move(name);
  const auto clusters = clusters_of(tasks);
  row.environments = static_cast<std::int64_t>(clusters.size());
  row.tasks = static_cast<std::int64_t>(tasks.size());
  std::map<std::string, std::int64_t> errors;
  for (const auto* t : tasks) {
    row.episodes += t->tries;
    row.solved += t->solved;
    for (const auto& e : t->errors) errors[e.name] += e.count;
  }
  for (const auto k : ks) {
    std::vector<Tries> tries;
    for (const auto* t : tasks)
      if (t->tries >= k) tries.push_back({t->tries, t->solved, clusters.at(t->environment)});
    row.pass_at.push_back(rate_of(pass_at_estimate(tries, k), k));
    row.pass_all.push_back(rate_of(pass_all_estimate(tries, k), k));
  }
  for (const auto name_of_class : enum_names(ErrorClass{}))
    if (const auto found = errors.find(std::string(name_of_class)); found != errors.end())
      row.errors.push_back({found->first, found->second});
  return row;
}

// Shorter first, so that level 10 comes after 9; names of other groups are not numbers.
struct ByNumber {
  bool operator()(const std::string& a, const std::string& b) const {
    const auto is_number = [](const std::string& x) {
      return !x.empty() && x.find_first_not_of("0123456789") == std::string::npos;
    };
    if (is_number(a) && is_number(b) && a.size() != b.size()) return a.size() < b.size();
    return a < b;
  }
};

EvalComparison comparison_of(
    const std::string& before,
    const std::string& after,
    const std::string& suite,
    const std::vector<std::pair<const EvalTask*, const EvalTask*>>& pairs) {
  EvalComparison out;
  out.before = before;
  out.after = after;
  out.suite = suite;
  out.tasks = static_cast<std::int64_t>(pairs.size());
  Group group;
  for (const auto& pair : pairs) group.push_back(pair.first);
  const auto clusters = clusters_of(group);
  const auto rate = [](const EvalTask& t) {
    return static_cast<double>(t.solved) / static_cast<double>(t.tries);
  };
  std::vector<Point> points;
  for (const auto& [a, b] : pairs) {
    const double difference = rate(*b) - rate(*a);
    points.push_back({difference, clusters.at(a->environment)});
    out.before_pass += rate(*a) / static_cast<double>(pairs.size());
    out.after_pass += rate(*b) / static_cast<double>(pairs.size());
    out.gained += difference > 0 ? 1 : 0;
    out.lost += difference < 0 ? 1 : 0;
  }
  out.difference = rate_of(mean_estimate(points), 1);
  return out;
}

}  // namespace

std::set<std::string> spread(const std::vector<std::vector<std::string>>& tasks_of_environment,
                             std::int64_t n) {
  std::set<std::string> out;
  std::size_t most = 0;
  for (const auto& list : tasks_of_environment) most = std::max(most, list.size());
  for (std::size_t round = 0; round < most; ++round)
    for (const auto& list : tasks_of_environment) {
      if (n > 0 && static_cast<std::int64_t>(out.size()) >= n) return out;
      if (round < list.size()) out.insert(list[round]);
    }
  return out;
}

std::vector<std::int64_t> ks_of(std::int64_t samples) {
  std::vector<std::int64_t> out;
  for (std::int64_t k = 1; k < samples; k *= 2) out.push_back(k);
  out.push_back(samples);
  return out;
}

std::vector<EvalRow> rows_of(const std::vector<EvalTask>& tasks, std::int64_t samples) {
  const auto ks = ks_of(samples);
  Group all;
  for (const auto& t : tasks)
    if (t.tries > 0) all.push_back(&t);
  std::vector<EvalRow> rows = {row_of("all", "all", all, ks)};
  using Names = std::function<std::vector<std::string>(const EvalTask&)>;
  const auto group = [&](const char* by, const Names& names) {
    std::map<std::string, Group, ByNumber> groups;
    for (const auto* t : all)
      for (const auto& name : names(*t)) groups[name].push_back(t);
    for (const auto& [name, members] : groups) rows.push_back(row_of(by, name, members, ks));
  };
  using One = std::vector<std::string>;
  group("suite", [](const EvalTask& t) { return One{t.suite}; });
  group("level", [](const EvalTask& t) { return One{std::to_string(t.level)}; });
  group("mechanism", [](const EvalTask& t) {
    const std::set<std::string> once(t.mechanisms.begin(), t.mechanisms.end());
    return One(once.begin(), once.end());
  });
  group("kind", [](const EvalTask& t) { return One{t.kind}; });
  group("held out", [](const EvalTask& t) { return t.heldout.empty() ? One{} : One{t.heldout}; });
  return rows;
}

void add(Spent& spent, const schemas::Trajectory& t) {
  ++spent.episodes;
  spent.prompt_tokens += t.prompt_tokens;
  spent.generated_tokens += t.completion_tokens;
  for (const auto& turn : t.turns) {
    spent.turns += turn.role == "assistant" ? 1 : 0;
    spent.calls += static_cast<std::int64_t>(turn.calls.size());
  }
}

schemas::EvalCost cost_of(const Spent& spent, std::int64_t timed, double seconds) {
  schemas::EvalCost out;
  out.timed = timed;
  out.seconds = seconds;
  if (timed > 0) out.seconds_per_1000 = 1000 * seconds / static_cast<double>(timed);
  if (spent.episodes == 0) return out;
  const auto each = [&](std::int64_t sum) {
    return static_cast<double>(sum) / static_cast<double>(spent.episodes);
  };
  out.prompt_tokens_per_1000 = 1000 * each(spent.prompt_tokens);
  out.generated_tokens_per_1000 = 1000 * each(spent.generated_tokens);
  out.turns = each(spent.turns);
  out.calls = each(spent.calls);
  return out;
}

void count_try(EvalTask& task, bool solved, ErrorClass error) {
  ++task.tries;
  if (solved) {
    ++task.solved;
    return;
  }
  const std::string name(name_of(error));
  const auto found = std::find_if(task.errors.begin(), task.errors.end(),
                                  [&](const EvalCount& e) { return e.name == name; });
  if (found == task.errors.end())
    task.errors.push_back({name, 1});
  else
    ++found->count;
}

std::vector<EvalComparison> compare(const EvalPolicy& before, const EvalPolicy& after) {
  std::map<std::string, const EvalTask*> known;
  for (const auto& t : before.tasks)
    if (t.tries > 0) known[t.suite + " " + t.task] = &t;
  using Pairs = std::vector<std::pair<const EvalTask*, const EvalTask*>>;
  Pairs all;
  std::map<std::string, Pairs> by_suite;
  for (const auto& t : after.tasks) {
    const auto found = known.find(t.suite + " " + t.task);
    if (t.tries == 0 || found == known.end()) continue;
    all.emplace_back(found->second, &t);
    by_suite[t.suite].emplace_back(found->second, &t);
  }
  std::vector<EvalComparison> out;
  if (all.empty()) return out;
  out.push_back(comparison_of(before.label, after.label, "all", all));
  if (by_suite.size() > 1)
    for (const auto& [suite, pairs] : by_suite)
      out.push_back(comparison_of(before.label, after.label, suite, pairs));
  return out;
}

}  // namespace seedbed::tasks::eval
