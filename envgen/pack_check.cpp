// seedbed pack check: every mechanism alone and beside another, under every pass alone and in
// pairs.
#include <algorithm>

#include "base/text.h"
#include "envgen/general/effects.h"
#include "envgen/general/goal.h"
#include "envgen/general/laws.h"
#include "envgen/general/sentence.h"
#include "envgen/generate.h"

namespace seedbed::envgen {
namespace {

struct Checker {
  const Packs& packs;
  sandbox::ToolHost& host;
  std::vector<PackFinding> findings = {};

  // The first of a pack in full; what many compositions show alike is counted.
  void find(const std::string& pack, const std::string& what) {
    constexpr int kShown = 12;
    for (const auto& f : findings)
      if (f.pack == pack && f.what == what) return;
    if (++found_of[pack] <= kShown) findings.push_back({pack, what});
  }
  std::map<std::string, int> found_of = {};
  Step mechanisms(const std::vector<std::string>& names,
                  std::uint64_t index,
                  const std::vector<PassChoice>& passes);
  void rules(const World& world);
  void duties(const World& world);
  void goals(const Lowered& lowered, const Rng& rng);
  void sentences(const Lowered& lowered);
  void guards(const World& world, const Facts& facts, Rng rng);
  void unreached(const std::vector<std::string>& names);
  std::map<std::string, std::map<std::string, bool>> reached = {};  // mechanism -> what -> seen
  std::map<std::string, int> drawn = {};        // goals that could be planned, by symbol
  std::map<std::string, std::string> why = {};  // the last reason why one could not
};

// Every guard must be what stops some call, every transition must succeed, every rule must come to
// stand in some handbook: seen on random calls from facts that random legal calls move on.
void Checker::guards(const World& world, const Facts& facts, Rng rng) {
  constexpr int kCalls = 260;
  for (std::size_t i = 0; i < world.transitions.size(); ++i) {
    const Transition& t = world.transitions[i];
    auto& seen = reached[world.mechanisms[static_cast<std::size_t>(t.mechanism)]];
    bool& done = seen["transition '" + t.symbol + "' never succeeds"];
    Facts moved = facts;
    std::vector<bool*> stopped;
    for (const auto& g : t.guards)
      stopped.push_back(
          g.edge < 0 && g.rule < 0
              ? &seen["transition '" + t.symbol + "': no call is stopped by guard '" + g.code + "'"]
              : nullptr);
    for (int call = 0; call < kCalls; ++call) {
      const auto args = sample_args(world, t, moved, rng);
      if (args.size() != t.params.size()) break;
      Facts trial = moved;
      const Applied applied = apply(world, static_cast<int>(i), args, trial);
      done = done || applied.ok;
      if (applied.guard >= 0 && stopped[static_cast<std::size_t>(applied.guard)] != nullptr)
        *stopped[static_cast<std::size_t>(applied.guard)] = true;
      if (applied.ok && rng.chance(1, 3)) moved = std::move(trial);
    }
  }
  for (std::size_t m = 0; m < world.packs.size(); ++m) {
    auto& seen = reached[world.mechanisms[m]];
    for (const auto& r : world.packs[m]->rules) {
      const std::string symbol = world.mechanisms[m] + "." + r.name;
      bool& stands =
          seen["rule '" + symbol + "' forbids no legal call, or too many, wherever it is tried"];
      for (const auto& rule : world.rules) stands = stands || rule.symbol == symbol;
    }
    for (const auto& d : world.packs[m]->duties) {
      const std::string symbol = world.mechanisms[m] + "." + d.name;
      bool& stands =
          seen["duty '" + symbol + "' applies to no legal call, or to all, wherever it is tried"];
      for (const auto& duty : world.duties) stands = stands || duty.symbol == symbol;
    }
  }
}

void Checker::unreached(const std::vector<std::string>& names) {
  for (const auto& name : names) {
    for (const auto& [what, seen] : reached[name])
      if (!seen) find(name, what);
    for (const auto& [symbol, count] : drawn)
      if (count == 0 && symbol.substr(0, symbol.find('.')) == name)
        find(name, "goal '" + symbol + "' was never planned: " + why[symbol]);
  }
}

// Every slot of a sentence must have its word, whatever the lexicon.
void Checker::sentences(const Lowered& l) {
  const World& w = *l.world;
  const auto check = [&](int mechanism, const std::string& what, const SlotNames& slots,
                         std::string text) {
    for (const auto& [name, domain] : slots) text = replace_all(text, "{" + name + "}", "");
    if (const std::string open = open_slot(text); !open.empty())
      find(w.mechanisms[static_cast<std::size_t>(mechanism)],
           what + ": nothing fills the slot " + open + " in '" + text + "'");
  };
  const auto each_once = [&](int mechanism, const std::string& what, const SlotNames& slots,
                             const std::string& text) {
    for (const auto& [name, domain] : slots) {
      const auto first = text.find("{" + name + "}");
      if (first == std::string::npos || text.find("{" + name + "}", first + 1) != std::string::npos)
        find(w.mechanisms[static_cast<std::size_t>(mechanism)],
             what + ": '" + text + "' must name {" + name + "} exactly once");
    }
  };
  for (std::size_t t = 0; t < w.transitions.size(); ++t)
    for (const auto& text : l.skin.says[t]) {
      const SlotNames slots = slot_names(w.transitions[t].params);
      check(w.transitions[t].mechanism, w.transitions[t].symbol, slots, text);
      each_once(w.transitions[t].mechanism, w.transitions[t].symbol, slots, text);
    }
  for (std::size_t g = 0; g < w.goals.size(); ++g)
    for (const auto& text : l.skin.goal_says[g]) {
      const SlotNames slots = slot_names(w.goals[g].given);
      check(w.goals[g].mechanism, w.goals[g].symbol, slots, text);
      each_once(w.goals[g].mechanism, w.goals[g].symbol, slots, text);
    }
  for (std::size_t r = 0; r < w.reads.size(); ++r)
    check(w.reads[r].mechanism, w.reads[r].symbol, slot_names(w.reads[r].params),
          l.skin.read_says[r]);
  for (const auto& line : split(l.environment.policy.handbook, '\n'))
    if (const std::string open = open_slot(line); !open.empty())
      find(w.mechanisms[0], "the handbook: nothing fills the slot " + open + " in '" + line + "'");
}

// Each goal of the packs must be drawn and planned somewhere.
void Checker::goals(const Lowered& l, const Rng& rng) {
  const World& w = *l.world;
  for (int g = 0; g < static_cast<int>(w.goals.size()); ++g) {
    const std::string& symbol = w.goals[static_cast<std::size_t>(g)].symbol;
    int& count = drawn[symbol];
    for (std::uint64_t attempt = 0; attempt < 12 && count < 3; ++attempt) {
      const auto goal = draw_scheme(l, g, rng.fork(symbol, attempt));
      if (!goal) {
        if (why[symbol].empty()) why[symbol] = "no facts were found that fit it";
        continue;
      }
      const Plan plan = plan_goal(l, *goal);
      if (plan.ok)
        ++count;
      else
        why[symbol] = plan.why;
    }
  }
}

// Composing leaves out what does not parse where an optional attribute is missing; here nothing is
// missing.
void Checker::rules(const World& world) {
  for (std::size_t m = 0; m < world.packs.size(); ++m)
    for (const auto& rule : world.packs[m]->rules) {
      const std::string symbol = world.mechanisms[m] + "." + rule.on;
      const auto t = std::find_if(world.transitions.begin(), world.transitions.end(),
                                  [&](const Transition& x) { return x.symbol == symbol; });
      if (t == world.transitions.end()) {
        find(world.mechanisms[m], "rule '" + rule.name + "': no transition '" + rule.on + "'");
        continue;
      }
      Rng rng(1);
      Names names = names_for(world, static_cast<int>(m));
      for (const auto& [name, v] : draw_constants(rule.params, rng))
        names.values["?" + name] = constant_of(v, {Type::integer, -1, -1, 0, 0, false});
      for (std::size_t i = 0; i < t->params.size(); ++i)
        names.values[t->params[i].name] = param_of(static_cast<int>(i), t->params[i].domain);
      if (auto term = parse_term(rule.never_if, names, "rule " + rule.name); !term.ok())
        find(world.mechanisms[m], term.error().message);
      if (!rule.unless.empty())
        if (auto term = parse_term(rule.unless, names, "exception of rule " + rule.name);
            !term.ok())
          find(world.mechanisms[m], term.error().message);
      for (const auto& e : rule.evidence)
        if (auto term = parse_term(e, names, "evidence of rule " + rule.name); !term.ok())
          find(world.mechanisms[m], term.error().message);
    }
}

void Checker::duties(const World& world) {
  for (std::size_t m = 0; m < world.packs.size(); ++m)
    for (const auto& duty : world.packs[m]->duties) {
      const std::string symbol = world.mechanisms[m] + "." + duty.on;
      const auto t = std::find_if(world.transitions.begin(), world.transitions.end(),
                                  [&](const Transition& x) { return x.symbol == symbol; });
      if (t == world.transitions.end()) continue;  // named when it is drawn
      Rng rng(1);
      Names names = names_for(world, static_cast<int>(m));
      for (const auto& [name, v] : draw_constants(duty.params, rng))
        names.values["?" + name] = constant_of(v, {Type::integer, -1, -1, 0, 0, false});
      for (std::size_t i = 0; i < t->params.size(); ++i)
        names.values[t->params[i].name] = param_of(static_cast<int>(i), t->params[i].domain);
      if (auto term = parse_term(duty.condition, names, "duty " + duty.name); !term.ok())
        find(world.mechanisms[m], term.error().message);
    }
}

Step Checker::mechanisms(const std::vector<std::string>& names,
                         std::uint64_t index,
                         const std::vector<PassChoice>& passes) {
  ComposeKnobs knobs;
  knobs.only = names;
  const Rng rng = rng_for(1, "pack check " + names[0], index, "world");
  auto world = compose(packs, rng.fork("compose"), knobs);
  if (!world.ok()) {
    find(names[0], world.error().message);
    return std::nullopt;
  }
  auto facts = make_facts(**world, rng.fork("facts"));
  if (!facts.ok()) {
    find(names[0], facts.error().message);
    return std::nullopt;
  }
  rules(**world);
  duties(**world);
  if (auto e = add_rules_and_gates(**world, *facts, rng.fork("rules"))) {
    if (e->message.rfind("composition:", 0) != 0) find(names[0], e->message);
    return std::nullopt;
  }
  guards(**world, *facts, rng.fork("guards"));
  for (std::size_t i = 0; i < passes.size(); ++i) {
    const Lexicon& lexicon = packs.lexicons[i % packs.lexicons.size()];
    auto lowered = dress(*world, *facts, packs, lexicon, passes[i], rng.fork("dress", i));
    if (!lowered.ok()) {
      if (lowered.error().message.rfind("composition:", 0) != 0)
        find(names[0], lowered.error().message);
      continue;
    }
    sentences(*lowered);
    goals(*lowered, rng.fork("goals", i));
    auto report = check_laws(*lowered, host, rng.fork("walk", i), 40);
    if (!report.ok()) {
      if (report.error().where == Where::sandbox) return report.error();
      find(names[0], report.error().message);
      continue;
    }
    for (const auto& broken : report->broken) find(names[0], broken);
  }
  return std::nullopt;
}

std::vector<PassChoice> alone_and_pairs() {
  std::vector<PassChoice> out{{}};
  for (std::size_t i = 0; i < std::size(kLayoutPasses); ++i) {
    out.push_back({{kLayoutPasses[i]}, {}});
    for (std::size_t j = 0; j < std::size(kLayoutPasses); ++j)
      out.push_back({{kLayoutPasses[i], kLayoutPasses[j]}, {}});
  }
  for (std::size_t i = 0; i < std::size(kSurfacePasses); ++i) {
    out.push_back({{}, {kSurfacePasses[i]}});
    for (std::size_t j = 0; j < i; ++j)
      out.push_back({{kLayoutPasses[(i + j) % std::size(kLayoutPasses)]},
                     {kSurfacePasses[i], kSurfacePasses[j]}});
  }
  return out;
}

}  // namespace

Result<std::vector<PackFinding>> check_packs(
    const std::vector<std::string>& dirs,
    const HostFactory& hosts,
    const std::function<void(std::int64_t, std::int64_t)>& progress,
    const std::atomic<bool>& stop) {
  SEEDBED_TRY(const std::shared_ptr<const Packs> all, load_packs(dirs));
  std::vector<std::string> names;
  if (dirs.empty()) {
    for (const auto& m : all->mechanisms) names.push_back(m.name);
  } else {
    SEEDBED_TRY(const std::shared_ptr<const Packs> own, load_packs_from(dirs));
    for (const auto& m : own->mechanisms) names.push_back(m.name);
  }
  SEEDBED_TRY(const std::unique_ptr<sandbox::ToolHost> host, hosts(0));
  Checker checker{*all, *host};
  const std::vector<PassChoice> passes = alone_and_pairs();
  const std::vector<PassChoice> few(passes.begin(), passes.begin() + 8);
  std::int64_t done = 0;
  for (const auto& name : names) {
    if (stop) return Error{Where::interrupted, "stopped"};
    if (auto e = checker.mechanisms({name}, 0, passes)) return *std::move(e);
    for (std::size_t i = 0; i < all->mechanisms.size(); ++i)
      if (all->mechanisms[i].name != name)
        if (auto e = checker.mechanisms({name, all->mechanisms[i].name}, i + 1, few))
          return *std::move(e);
    if (progress) progress(++done, static_cast<std::int64_t>(names.size()));
  }
  checker.unreached(names);
  for (const auto& [pack, count] : checker.found_of)
    if (count > 12)
      checker.findings.push_back({pack, "and " + std::to_string(count - 12) + " more"});
  return checker.findings;
}

}  // namespace seedbed::envgen
