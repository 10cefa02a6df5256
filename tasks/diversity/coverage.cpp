// Which pairs and triples of knob values occur. Knobs of the environment are the same for all its
// tasks, so combinations with them are counted once an environment.
#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "tasks/diversity/knob_rules.h"

namespace seedbed::tasks::diversity {
namespace {

constexpr std::size_t kNone = ~std::size_t{0};

// Values numbered through all knobs.
struct Numbering {
  std::vector<std::size_t> first;  // by knob
  std::vector<std::size_t> knob;   // by value
  explicit Numbering(const std::vector<KnobDomain>& domain) {
    for (std::size_t k = 0; k < domain.size(); ++k) {
      first.push_back(knob.size());
      knob.insert(knob.end(), domain[k].values.size(), k);
    }
  }
};

bool has(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::int64_t number_of(const std::string& knob,
                       const EnvironmentFacts& env,
                       const TaskFacts* task) {
  if (knob.rfind("layout ", 0) == 0) return has(env.layout_passes, knob.substr(7)) ? 1 : 0;
  if (knob.rfind("surface ", 0) == 0) return has(env.surface_passes, knob.substr(8)) ? 1 : 0;
  if (knob == "mechanisms") return static_cast<std::int64_t>(env.mechanisms.size());
  if (knob == "tools") return env.tools;
  if (task == nullptr) return 0;
  const std::pair<const char*, std::int64_t> numbers[] = {{"level", task->level},
                                                          {"plan_calls", task->plan_calls},
                                                          {"interactions", task->interactions},
                                                          {"plan_mechanisms", task->mechanisms},
                                                          {"writes", task->writes},
                                                          {"turns", task->turns},
                                                          {"duties", task->duties},
                                                          {"obstacles", task->obstacles}};
  for (const auto& [name, value] : numbers)
    if (knob == name) return value;
  return 0;
}

struct Counter {
  const std::vector<KnobDomain>& domain;
  Numbering numbering{domain};
  std::size_t n = numbering.knob.size();
  std::vector<std::int64_t> pairs = std::vector<std::int64_t>(n * n);
  std::vector<bool> triples = std::vector<bool>(n * n * n);  // a < b < c
  std::map<std::string, std::int64_t> outside{};

  // The number of the value, or kNone where the table has none for it.
  std::size_t value_of(std::size_t k, const EnvironmentFacts& env, const TaskFacts* task) {
    const auto& d = domain[k];
    const bool word = d.name == "kind";
    const std::int64_t number = word ? 0 : number_of(d.name, env, task);
    for (std::size_t v = 0; v < d.values.size(); ++v) {
      const auto& value = d.values[v];
      if (word ? value.name == task->kind : value.low <= number && number <= value.high)
        return numbering.first[k] + v;
    }
    ++outside[d.name + " " + (word ? task->kind : std::to_string(number))];
    return kNone;
  }
  void triple(std::size_t a, std::size_t b, std::size_t c) {
    if (a > b) std::swap(a, b);
    if (b > c) std::swap(b, c);
    if (a > b) std::swap(a, b);
    triples[(a * n + b) * n + c] = true;
  }
  void add(const EnvironmentFacts& env) {
    if (env.tasks.empty()) return;
    std::vector<std::size_t> fixed;
    for (std::size_t k = 0; k < domain.size(); ++k)
      if (domain[k].of_environment)
        if (const auto v = value_of(k, env, nullptr); v != kNone) fixed.push_back(v);
    std::set<std::vector<std::size_t>> different;
    for (const auto& task : env.tasks) {
      std::vector<std::size_t> own;
      for (std::size_t k = 0; k < domain.size(); ++k)
        if (!domain[k].of_environment)
          if (const auto v = value_of(k, env, &task); v != kNone) own.push_back(v);
      for (const auto a : own) {
        for (const auto b : own) ++pairs[a * n + b];
        for (const auto b : fixed) {
          ++pairs[a * n + b];
          ++pairs[b * n + a];
        }
      }
      different.insert(std::move(own));
    }
    const auto tasks = static_cast<std::int64_t>(env.tasks.size());
    for (const auto a : fixed)
      for (const auto b : fixed) pairs[a * n + b] += tasks;
    add_triples(fixed, different);
  }
  void add_triples(const std::vector<std::size_t>& fixed,
                   const std::set<std::vector<std::size_t>>& different) {
    std::set<std::size_t> single;
    std::set<std::pair<std::size_t, std::size_t>> twos;
    for (const auto& own : different)
      for (std::size_t i = 0; i < own.size(); ++i) {
        single.insert(own[i]);
        for (std::size_t j = i + 1; j < own.size(); ++j) {
          twos.emplace(own[i], own[j]);
          for (std::size_t k = j + 1; k < own.size(); ++k) triple(own[i], own[j], own[k]);
        }
      }
    for (std::size_t i = 0; i < fixed.size(); ++i) {
      for (const auto& [a, b] : twos) triple(fixed[i], a, b);
      for (std::size_t j = i + 1; j < fixed.size(); ++j) {
        for (const auto a : single) triple(fixed[i], fixed[j], a);
        for (std::size_t k = j + 1; k < fixed.size(); ++k) triple(fixed[i], fixed[j], fixed[k]);
      }
    }
  }
};

void count_triples(const Counter& counter, const std::vector<bool>& excluded, Coverage& out) {
  const std::size_t n = counter.n;
  const auto& knob = counter.numbering.knob;
  for (std::size_t a = 0; a < n; ++a)
    for (std::size_t b = a + 1; b < n; ++b) {
      if (knob[a] == knob[b] || excluded[a * n + b]) continue;
      for (std::size_t c = b + 1; c < n; ++c) {
        if (knob[b] == knob[c] || excluded[a * n + c] || excluded[b * n + c]) continue;
        ++out.triples;
        if (counter.triples[(a * n + b) * n + c]) ++out.triples_covered;
      }
    }
}

}  // namespace

Coverage coverage_of(const std::vector<KnobDomain>& domain,
                     const std::vector<EnvironmentFacts>& environments) {
  Counter counter{domain};
  for (const auto& env : environments) counter.add(env);
  const std::size_t n = counter.n;
  Coverage out;
  out.domain = domain;
  out.values = n;
  out.pair_counts = counter.pairs;
  for (const auto& [what, count] : counter.outside)
    out.outside.push_back(what + ": " + std::to_string(count));
  for (std::size_t k = 0; k < domain.size(); ++k) {
    out.occupancy.emplace_back();
    for (std::size_t v = 0; v < domain[k].values.size(); ++v) {
      const std::size_t value = counter.numbering.first[k] + v;
      out.occupancy.back().push_back(counter.pairs[value * n + value]);
    }
  }
  std::vector<bool> excluded(n * n);
  for (std::size_t a = 0; a < n; ++a)
    for (std::size_t b = a + 1; b < n; ++b) {
      const std::size_t ka = counter.numbering.knob[a], kb = counter.numbering.knob[b];
      if (ka == kb) continue;
      KnobPair pair{ka, a - counter.numbering.first[ka], kb, b - counter.numbering.first[kb], ""};
      pair.why = excluded_because(domain[ka], domain[ka].values[pair.value_a], domain[kb],
                                  domain[kb].values[pair.value_b]);
      const bool occurs = counter.pairs[a * n + b] > 0;
      if (!pair.why.empty()) {
        excluded[a * n + b] = true;
        if (occurs) out.contradicted.push_back(pair);
        out.excluded.push_back(std::move(pair));
        continue;
      }
      ++out.pairs;
      out.pairs_covered += occurs ? 1 : 0;
      if (!occurs) out.missing.push_back(std::move(pair));
    }
  count_triples(counter, excluded, out);
  return out;
}

}  // namespace seedbed::tasks::diversity
