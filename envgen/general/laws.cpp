#include "envgen/general/laws.h"

#include <algorithm>

#include "envgen/general/goal.h"
#include "tasks/judge.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

// A call of a transition's tool with World arguments.
schemas::ToolCall call_of(const Lowered& l,
                          const ToolForm& form,
                          const std::vector<std::int64_t>& args) {
  schemas::ToolCall call{form.name, schemas::Value::object()};
  const Speaker say{l};
  for (const auto& p : form.params) {
    const std::int64_t v = args[at(p.index)];
    if (p.by_name)
      call.args.set(p.name, say.name(p.domain.target, v).empty() ? "Nobody At All"
                                                                 : say.name(p.domain.target, v));
    else
      call.args.set(p.name, l.renderer().value(p.domain, v));
  }
  return call;
}

}  // namespace

Result<Lowered> dress(std::shared_ptr<const World> world,
                      const Facts& facts,
                      const Packs& packs,
                      const Lexicon& lexicon,
                      const PassChoice& passes,
                      Rng rng) {
  Skin skin = make_skin(*world, packs, lexicon, rng.fork("skin"));
  Layout layout = plain_layout(*world);
  for (std::size_t i = 0; i < passes.layout.size(); ++i)
    apply_layout_pass(*world, layout, passes.layout[i], rng.fork("layout", i));
  Surface surface = make_surface(*world, skin, passes.surface, rng.fork("surface"));
  return lower(std::move(world), facts, std::move(skin), std::move(layout), std::move(surface), {});
}

Result<LawReport> check_laws(const Lowered& l, sandbox::ToolHost& host, Rng rng, int steps) {
  LawReport report;
  const World& w = *l.world;
  std::vector<const ToolForm*> forms;
  for (const auto& f : l.surface.tools)
    if (f.kind == ToolForm::Kind::transition) forms.push_back(&f);
  std::vector<schemas::ToolCall> calls;
  Facts facts = l.facts;
  if (!invariants_hold(w, facts))
    report.broken.emplace_back("law 3: an invariant does not hold at the start");
  for (int i = 0; i < steps; ++i) {
    const ToolForm& form = *rng.pick(forms);
    std::vector<std::int64_t> args = rng.chance(2, 3)
                                         ? legal_args(w, facts, form.transition, rng, 30)
                                         : std::vector<std::int64_t>{};
    if (args.size() != w.transitions[at(form.transition)].params.size())
      args = sample_args(w, w.transitions[at(form.transition)], facts, rng);
    if (args.size() != w.transitions[at(form.transition)].params.size()) continue;
    if (rng.chance(1, 20))
      for (const auto& p : form.params)
        if (p.domain.type == Type::ref) args[at(p.index)] = 900 + i;  // nothing has that key
    calls.push_back(call_of(l, form, args));
    if (!apply(w, form.transition, args, facts).ok) continue;
    ++report.succeeded;
    if (!invariants_hold(w, facts))
      report.broken.push_back("law 3: an invariant fails after " +
                              w.transitions[at(form.transition)].symbol);
  }
  report.steps = static_cast<int>(calls.size());
  if (auto e = host.load(l.environment, l.image)) return *std::move(e);
  SEEDBED_TRY(auto played, host.play({calls}, 20'000));
  SEEDBED_TRY(auto judge, tasks::Judge::open(l.environment, l.image));
  SEEDBED_TRY(auto expected, make_oracle(std::make_shared<Lowered>(l)).run(calls));
  tasks::LineDiff now;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const bool ok = played[0].results[i].end == schemas::End::ok;
    const std::string what = " at call " + std::to_string(i + 1) + ", " + calls[i].tool +
                             schemas::dump(calls[i].args) + ": " + played[0].results[i].out;
    if (ok != expected[i].ok) {
      report.broken.push_back("law 2: the tool " + std::string(ok ? "succeeds" : "fails") +
                              " and the World does not" + what);
      break;
    }
    SEEDBED_TRY(auto diff, judge->difference(played[0].changes, static_cast<int>(i) + 1));
    if (expected[i].changed) now = {expected[i].gone, expected[i].come};
    if (diff != now) {
      std::string first;
      for (const auto& line : diff.come)
        if (std::find(now.come.begin(), now.come.end(), line) == now.come.end() && first.empty())
          first = "; the database shows " + line;
      for (const auto& line : now.come)
        if (std::find(diff.come.begin(), diff.come.end(), line) == diff.come.end())
          first += "; the World shows " + line;
      report.broken.push_back("law 1: facts differ" + what + first);
      break;
    }
  }
  return report;
}

}  // namespace seedbed::envgen
