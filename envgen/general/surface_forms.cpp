// Passes that rewrite single forms: units, defaults, bundles, batches, tools that are busy at
// times.
#include <algorithm>
#include <map>

#include "envgen/general/surface_build.h"

namespace seedbed::envgen {
namespace {

using Money = ToolParam::Money;

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

// At most so many steps do the effects of a transition, however they are stored.
int most_steps(const std::vector<Effect>& effects) {
  int out = 0;
  for (const auto& e : effects)
    out += e.kind == Effect::Kind::make     ? 7
           : e.kind == Effect::Kind::remove ? 5
           : e.kind == Effect::Kind::each   ? 1
                                            : 3;
  return out;
}
int most_steps(const World& world, const ToolForm& f) {
  const Transition& t = world.transitions[at(f.transition)];
  std::size_t out = 3 + 3 * f.params.size() + t.lets.size() + t.guards.size();
  int effects = most_steps(t.effects);
  for (const auto& r : t.reactions) {
    const Transition& reaction = world.reactions[at(r.transition)];
    out += 1 + r.args.size() + reaction.lets.size();
    effects += most_steps(reaction.effects);
  }
  return static_cast<int>(out) + effects;
}

bool plain(const ToolForm& f) {
  return f.kind == ToolForm::Kind::transition && f.action.empty() && !f.batch && f.busy_every == 0;
}

bool same_argument(const ToolParam& a, const ToolParam& b) {
  const Domain &x = a.domain, &y = b.domain;
  return x.type == y.type && x.target == y.target && x.words == y.words && x.lo == y.lo &&
         x.hi == y.hi && a.by_name == b.by_name && a.by_part == b.by_part && a.money == b.money &&
         a.fallback == b.fallback;
}

// Whether arguments of one name mean the same in both.
bool agree(const ToolForm& a, const ToolForm& b) {
  for (const auto& p : a.params)
    for (const auto& q : b.params)
      if (p.name == q.name && !same_argument(p, q)) return false;
  return true;
}

}  // namespace

void pass_units(Builder& b, Rng rng) {
  for (auto& f : b.surface.tools) {
    if (f.kind != ToolForm::Kind::transition) continue;
    for (auto& p : f.params) {
      if (p.domain.type != Type::cents || p.domain.lo < 0 || !rng.chance(2, 3)) continue;
      std::string name = p.name;
      if (name.ends_with("_cents")) name.resize(name.size() - 6);
      const bool taken = std::any_of(f.params.begin(), f.params.end(), [&](const ToolParam& q) {
        return &q != &p && q.name.rfind(name, 0) == 0;
      });
      if (taken || name.empty()) continue;
      p.name = name;
      p.money = rng.chance(1, 2) ? Money::decimal : Money::pair;
    }
  }
}

void pass_defaults(Builder& b, Rng rng) {
  for (auto& f : b.surface.tools) {
    if (f.kind != ToolForm::Kind::transition) continue;
    for (auto& p : f.params) {
      const Domain& d = p.domain;
      if (p.money != Money::cents || !rng.chance(1, 2)) continue;
      if (d.type == Type::word)
        p.fallback = static_cast<std::int64_t>(rng.below(b.skin.words[at(d.words)].size()));
      if (d.type == Type::integer) p.fallback = d.hi > d.lo ? rng.between(d.lo, d.hi) : d.lo;
      if (d.type == Type::cents)
        p.fallback = d.hi - d.lo >= 100 ? d.lo + 50 * rng.between(0, (d.hi - d.lo) / 50) : d.lo;
    }
  }
}

// Two to four operations on one kind of record become one tool with an action.
void pass_bundle(Builder& b, Rng rng) {
  using Key = std::pair<std::pair<int, int>, std::string>;
  std::map<Key, std::vector<std::size_t>> groups;
  auto& tools = b.surface.tools;
  for (std::size_t i = 0; i < tools.size(); ++i)
    if (plain(tools[i]) && !tools[i].params.empty() && tools[i].params[0].domain.type == Type::ref)
      groups[{{tools[i].params[0].domain.target, tools[i].concept_id}, tools[i].params[0].name}]
          .push_back(i);
  std::vector<std::vector<std::size_t>> fit;
  for (auto& [key, members] : groups) {
    std::vector<std::size_t> kept;
    int steps = 0;
    rng.shuffle(members);
    for (const std::size_t i : members) {
      const bool fits = std::all_of(kept.begin(), kept.end(), [&](std::size_t k) {
        return agree(tools[k], tools[i]) &&
               b.skin.verbs[at(tools[k].transition)] != b.skin.verbs[at(tools[i].transition)];
      });
      const bool action = std::any_of(tools[i].params.begin(), tools[i].params.end(),
                                      [](const ToolParam& p) { return p.name == "action"; });
      const int own = most_steps(b.world, tools[i]);
      if (!fits || action || kept.size() == 4 || steps + own > kMaxSteps) continue;
      kept.push_back(i);
      steps += own;
    }
    if (kept.size() >= 2) fit.push_back(std::move(kept));
  }
  rng.shuffle(fit);
  static const char* const kVerbs[] = {"manage", "handle", "process", "update"};
  for (std::size_t g = 0; g < fit.size() && g < 2; ++g) {
    const std::size_t first = fit[g][0];
    const int over = tools[first].params[0].domain.target;
    const std::string name =
        b.unique(kVerbs[rng.below(4)], slug(b.skin.concepts[at(over)].singular));
    for (const std::size_t i : fit[g]) {
      tools[i].name = name;
      tools[i].action = b.skin.verbs[at(tools[i].transition)];
    }
  }
}

void pass_batch(Builder& b, Rng rng) {
  std::vector<ToolForm*> fit;
  for (auto& f : b.surface.tools)
    if (plain(f) && !f.makes && f.params.size() == 1 && f.params[0].domain.type == Type::ref &&
        !f.params[0].by_name && kBatchMost * most_steps(b.world, f) <= kMaxSteps)
      fit.push_back(&f);
  rng.shuffle(fit);
  for (std::size_t i = 0; i < fit.size() && i < 2; ++i) {
    fit[i]->batch = true;
    fit[i]->params[0].name =
        identifier(b.skin.concepts[at(fit[i]->params[0].domain.target)].singular) + "_ids";
  }
}

void pass_transient(Builder& b, Rng rng) {
  std::vector<ToolForm*> fit;
  for (auto& f : b.surface.tools)
    if (plain(f)) fit.push_back(&f);
  if (fit.empty()) return;
  ToolForm& f = *rng.pick(fit);
  f.busy_every = static_cast<int>(rng.between(2, 4));
  f.busy_from = static_cast<int>(rng.between(0, f.busy_every - 1));
}

}  // namespace seedbed::envgen
