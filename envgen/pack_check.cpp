// seedbed pack check: every mechanism alone and beside another, under every pass alone and in
// pairs.
#include <algorithm>

#include "envgen/general/effects.h"
#include "envgen/general/laws.h"
#include "envgen/generate.h"

namespace seedbed::envgen {
namespace {

struct Checker {
  const Packs& packs;
  sandbox::ToolHost& host;
  std::vector<PackFinding> findings;

  void find(const std::string& pack, const std::string& what) {
    for (const auto& f : findings)
      if (f.pack == pack && f.what == what) return;
    findings.push_back({pack, what});
  }
  Step mechanisms(const std::vector<std::string>& names,
                  std::uint64_t index,
                  const std::vector<PassChoice>& passes);
  void rules(const World& world);
};

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
      for (const auto& e : rule.evidence)
        if (auto term = parse_term(e, names, "evidence of rule " + rule.name); !term.ok())
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
  if (auto e = add_rules_and_gates(**world, *facts, rng.fork("rules"))) {
    if (e->message.rfind("composition:", 0) != 0) find(names[0], e->message);
    return std::nullopt;
  }
  for (std::size_t i = 0; i < passes.size(); ++i) {
    const Lexicon& lexicon = packs.lexicons[i % packs.lexicons.size()];
    auto lowered = dress(*world, *facts, packs, lexicon, passes[i], rng.fork("dress", i));
    if (!lowered.ok()) {
      if (lowered.error().message.rfind("composition:", 0) != 0)
        find(names[0], lowered.error().message);
      continue;
    }
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
  Checker checker{*all, *host, {}};
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
  return checker.findings;
}

}  // namespace seedbed::envgen
