// The shape of a gold plan: what is repeated is one vertex.
#include <algorithm>
#include <set>

#include "schemas/value.h"
#include "tasks/diversity/facts.h"

namespace seedbed::tasks::diversity {
namespace {

using schemas::GoldKind;
using schemas::GoldStep;
using Sets = std::vector<std::set<std::size_t>>;

std::string label_of(const std::map<std::string, Role, std::less<>>& roles, const GoldStep& step) {
  switch (step.kind) {
    case GoldKind::say:
      return "say";
    case GoldKind::submit:
      return "submit";
    case GoldKind::refuse:
      return "refuse";
    case GoldKind::call:
      break;
  }
  const auto at = roles.find(step.tool);
  return at == roles.end() ? "call" : std::string(name_of(at->second));
}

// The call without the place in its pages.
std::string page_key(const GoldStep& step) {
  schemas::Value args = schemas::Value::object();
  if (step.args.is_object())
    for (const auto& [name, value] : step.args.members())
      if (name != "offset") args.set(name, value);
  return step.tool + " " + schemas::dump(args);
}

struct Merger {
  const std::vector<GoldStep>& steps;
  std::vector<std::size_t> group;  // of each step: the number of its first step

  [[nodiscard]] std::set<std::size_t> needs_of(std::size_t i) const {
    std::set<std::size_t> out;
    for (const int n : steps[i].needs)
      if (n >= 0 && static_cast<std::size_t>(n) < i) out.insert(group[static_cast<std::size_t>(n)]);
    return out;
  }
  // Needs of each group, itself left out.
  [[nodiscard]] Sets needs() const {
    Sets out(steps.size());
    for (std::size_t i = 0; i < steps.size(); ++i) {
      auto& own = out[group[i]];
      for (const auto n : needs_of(i))
        if (n != group[i]) own.insert(n);
    }
    return out;
  }
  // A further page belongs to its first page, where it needs nothing else.
  void pages() {
    for (std::size_t i = 0; i < steps.size(); ++i) {
      group.push_back(i);
      if (steps[i].kind != GoldKind::call || steps[i].args.find("offset") == nullptr) continue;
      const auto wanted = needs_of(i);
      for (const auto first : wanted) {
        if (steps[first].tool != steps[i].tool || page_key(steps[first]) != page_key(steps[i]))
          continue;
        const auto known = needs_of(first);
        const bool nothing_else = std::all_of(wanted.begin(), wanted.end(), [&](std::size_t n) {
          return n == first || known.contains(n);
        });
        if (nothing_else) group[i] = first;
      }
    }
  }
  // Calls of one tool that need the same groups become one, until there are none.
  void siblings() {
    for (bool changed = true; changed;) {
      changed = false;
      const Sets all = needs();
      for (std::size_t b = 0; b < steps.size(); ++b) {
        if (group[b] != b || steps[b].kind != GoldKind::call) continue;
        for (std::size_t a = 0; a < b; ++a) {
          if (group[a] != a || steps[a].kind != GoldKind::call || steps[a].tool != steps[b].tool ||
              all[a] != all[b])
            continue;
          for (auto& g : group)
            if (g == b) g = a;
          changed = true;
          break;
        }
      }
    }
  }
};

}  // namespace

Graph solution_shape(const std::map<std::string, Role, std::less<>>& roles,
                     const std::vector<GoldStep>& steps) {
  Merger merger{steps, {}};
  merger.pages();
  merger.siblings();
  Graph g;
  std::vector<std::size_t> vertex(steps.size());
  for (std::size_t i = 0; i < steps.size(); ++i)
    if (merger.group[i] == i) {
      vertex[i] = g.labels.size();
      g.labels.push_back(label_of(roles, steps[i]));
    }
  const Sets needs = merger.needs();
  for (std::size_t i = 0; i < steps.size(); ++i)
    for (const auto n : needs[i]) g.edges.emplace_back(vertex[n], vertex[i]);
  reduce(g);
  return g;
}

}  // namespace seedbed::tasks::diversity
