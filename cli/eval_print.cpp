#include "cli/eval_print.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>

#include "tasks/eval/outcome.h"

namespace seedbed::cli {

using schemas::EvalPolicy;
using schemas::EvalRate;
using schemas::EvalRow;

const EvalRow* row_named(const EvalPolicy& policy, const std::string& by, const std::string& name) {
  for (const auto& row : policy.rows)
    if (row.by == by && row.name == name) return &row;
  return nullptr;
}

std::vector<std::string> groups_of(const std::vector<EvalPolicy>& policies, const std::string& by) {
  std::vector<std::string> out;
  for (const auto& policy : policies)
    for (const auto& row : policy.rows)
      if (row.by == by && std::find(out.begin(), out.end(), row.name) == out.end())
        out.push_back(row.name);
  if (by == "level")
    std::sort(out.begin(), out.end(), [](const std::string& a, const std::string& b) {
      return a.size() != b.size() ? a.size() < b.size() : a < b;
    });
  else if (by != "suite")
    std::sort(out.begin(), out.end());
  return out;
}

namespace {

double as_double(std::int64_t n) {
  return static_cast<double>(n);
}

std::string rate_at(const std::vector<EvalRate>& rates, std::size_t index) {
  return index < rates.size() ? format_rate(rates[index]) : "-";
}

std::int64_t most_samples(const std::vector<EvalPolicy>& policies) {
  std::int64_t out = 1;
  for (const auto& p : policies) out = std::max(out, p.samples);
  return out;
}

std::string thousands(double value) {
  return value > 0 ? format_count(static_cast<std::int64_t>(value + 0.5)) : "-";
}

}  // namespace

std::string format_rate(const EvalRate& rate) {
  if (rate.interval == "none" || rate.interval.empty()) return "-";
  return fmt::format("{:.1f} % [{:.1f}, {:.1f}]", 100 * rate.value, 100 * rate.low,
                     100 * rate.high);
}

Table score_table(const std::vector<EvalPolicy>& policies, const std::string& by) {
  const std::int64_t samples = most_samples(policies);
  Table table{{by}, {}};
  if (policies.size() > 1) table.header.emplace_back("policy");
  table.header.insert(table.header.end(), {"environments", "tasks", "episodes", "pass@1"});
  if (samples > 1) {
    table.header.push_back(fmt::format("pass@{}", samples));
    table.header.push_back(fmt::format("pass^{}", samples));
  }
  for (const auto& name : groups_of(policies, by))
    for (const auto& policy : policies) {
      const auto* row = row_named(policy, by, name);
      if (row == nullptr) continue;
      std::vector<std::string> cells = {name};
      if (policies.size() > 1) cells.push_back(policy.label);
      cells.insert(cells.end(), {format_count(row->environments), format_count(row->tasks),
                                 format_count(row->episodes), rate_at(row->pass_at, 0)});
      if (samples > 1) {
        const auto last = policy.samples == samples ? row->pass_at.size() - 1 : row->pass_at.size();
        cells.push_back(rate_at(row->pass_at, last));
        cells.push_back(rate_at(row->pass_all, last));
      }
      table.rows.push_back(std::move(cells));
    }
  return table;
}

Table error_table(const std::vector<EvalPolicy>& policies) {
  Table table{{"of all episodes", "solved"}, {}};
  using tasks::eval::ErrorClass;
  const auto classes = tasks::eval::enum_names(ErrorClass{});
  for (const auto name : classes) {
    std::string words(name);
    std::replace(words.begin(), words.end(), '_', ' ');
    table.header.push_back(words);
  }
  for (const auto& policy : policies) {
    const auto* row = row_named(policy, "all", "all");
    if (row == nullptr) continue;
    std::vector<std::string> cells = {
        policy.label, format_share(as_double(row->solved), as_double(row->episodes))};
    for (const auto name : classes) {
      std::int64_t count = 0;
      for (const auto& e : row->errors)
        if (e.name == name) count = e.count;
      cells.push_back(format_share(as_double(count), as_double(row->episodes)));
    }
    table.rows.push_back(std::move(cells));
  }
  return table;
}

Table cost_table(const std::vector<EvalPolicy>& policies) {
  Table table{{"per 1,000 episodes", "seconds", "prompt tokens", "generated tokens",
               "turns an episode", "calls an episode"},
              {}};
  for (const auto& p : policies)
    table.rows.push_back(
        {p.label,
         p.cost.timed > 0 ? fmt::format("{:.1f}", p.cost.seconds_per_1000) : std::string("-"),
         thousands(p.cost.prompt_tokens_per_1000), thousands(p.cost.generated_tokens_per_1000),
         fmt::format("{:.1f}", p.cost.turns), fmt::format("{:.1f}", p.cost.calls)});
  return table;
}

Table suite_table(const std::vector<schemas::EvalSuite>& suites) {
  Table table{{"suite", "environments", "tasks", "seen in training", "tried", "content"}, {}};
  for (const auto& s : suites)
    table.rows.push_back({s.name, format_count(s.environments), format_count(s.tasks),
                          format_count(s.seen), format_count(s.chosen), s.digest.substr(0, 12)});
  return table;
}

Table comparison_table(const std::vector<schemas::EvalComparison>& comparisons) {
  Table table{{"after against before", "suite", "tasks in both", "before", "after",
               "difference in points", "gained", "lost"},
              {}};
  for (const auto& c : comparisons)
    table.rows.push_back({c.after + " against " + c.before, c.suite, format_count(c.tasks),
                          fmt::format("{:.1f} %", 100 * c.before_pass),
                          fmt::format("{:.1f} %", 100 * c.after_pass),
                          fmt::format("{:+.1f} [{:+.1f}, {:+.1f}]", 100 * c.difference.value,
                                      100 * c.difference.low, 100 * c.difference.high),
                          format_count(c.gained), format_count(c.lost)});
  return table;
}

Table beside_table(const std::vector<EvalPolicy>& policies) {
  Table table{{"pass@1", ""}, {}};
  for (const auto& p : policies) table.header.push_back(p.label);
  for (const char* by : {"all", "suite", "level", "kind", "held out"})
    for (const auto& name : groups_of(policies, by)) {
      std::vector<std::string> cells = {by, name};
      for (const auto& p : policies) {
        const auto* row = row_named(p, by, name);
        cells.push_back(row == nullptr ? "-" : rate_at(row->pass_at, 0));
      }
      table.rows.push_back(std::move(cells));
    }
  return table;
}

Table leak_table(const std::vector<schemas::EvalLeak>& leaks) {
  Table table{{"training store", "environments", "tasks", "shared environments",
               "evaluated tasks whose (level, skeleton, lexicon) it has"},
              {}};
  for (const auto& l : leaks)
    table.rows.push_back({l.store, format_count(l.environments), format_count(l.tasks),
                          format_count(l.shared_environments), format_count(l.shared_triples)});
  return table;
}

std::string interval_note(const std::vector<EvalPolicy>& policies) {
  std::set<std::string> kinds;
  for (const auto& p : policies)
    for (const auto& row : p.rows)
      for (const auto& rate : row.pass_at) kinds.insert(rate.interval);
  std::string out = "intervals: 95 %";
  if (kinds.count("bootstrap") != 0) out += "; by drawing whole environments 2,000 times";
  if (kinds.count("wilson") != 0)
    out += "; Wilson's where each environment gave one task and one try";
  if (kinds.count("environments") != 0)
    out +=
        "; Wilson's with an environment as one try where there are fewer than 10 of them or all "
        "tasks are alike (wide)";
  return out;
}

void print_evaluation(Output& out,
                      const schemas::Evaluation& evaluation,
                      const std::vector<EvalPolicy>& earlier) {
  const auto& policies = evaluation.policies;
  const auto titled = [&](const Table& table) {
    if (table.rows.empty()) return;
    out.table(table);
    out.line("");
  };
  titled(suite_table(evaluation.suites));
  titled(score_table(policies, "suite"));
  if (groups_of(policies, "level").size() > 1) titled(score_table(policies, "level"));
  titled(score_table(policies, "held out"));
  titled(score_table({policies.front()}, "kind"));
  titled(score_table({policies.front()}, "mechanism"));
  titled(error_table(policies));
  titled(cost_table(policies));
  out.line(interval_note(policies));
  out.line("");
  if (!earlier.empty()) {
    auto all = earlier;
    all.insert(all.end(), policies.begin(), policies.end());
    titled(beside_table(all));
  }
  titled(comparison_table(evaluation.comparisons));
  titled(leak_table(evaluation.leakage));
}

}  // namespace seedbed::cli
