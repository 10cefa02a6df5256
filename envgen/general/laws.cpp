#include "envgen/general/laws.h"

#include <algorithm>

#include "envgen/general/goal.h"
#include "tasks/judge.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

// A call of a form with World arguments, now and then made in another way that the form allows:
// more ids, a part of a name.
schemas::ToolCall call_of(const Lowered& l,
                          const ToolForm& form,
                          const std::vector<std::int64_t>& args,
                          const Facts& facts,
                          Rng& rng) {
  schemas::ToolCall call{form.name, call_args(l, form, args)};
  for (const auto& p : form.params) {
    if (form.batch) {
      const auto& rows = facts.tables[at(p.domain.target)].rows;
      schemas::Value ids = *call.args.find(p.name);
      for (std::int64_t more = rng.between(0, kBatchMost - 1); more > 0 && !rows.empty(); --more)
        ids.push(l.renderer().id(p.domain.target, rng.pick(rows).key));
      call.args.set(p.name, std::move(ids));
    } else if (p.by_part && rng.chance(1, 2)) {
      const std::string name = call.args.find(p.name)->as_string();
      const std::size_t space = name.find(' ');
      if (space != std::string::npos)
        call.args.set(p.name, rng.chance(1, 2) ? name.substr(0, space) : name.substr(space + 1));
    }
  }
  return call;
}

// A call of any reading tool.
std::optional<schemas::ToolCall> read_of(const Lowered& l,
                                         const ToolForm& form,
                                         const Facts& facts,
                                         Rng& rng) {
  schemas::ToolCall call{form.name, schemas::Value::object()};
  const Speaker say{l};
  for (const auto& p : form.params) {
    if (form.kind == ToolForm::Kind::list && rng.chance(1, 2)) continue;
    if (form.kind == ToolForm::Kind::find) {
      if (facts.tables[at(form.concept_id)].rows.empty()) return std::nullopt;  // all deleted
      call.args.set(
          p.name, say.name(form.concept_id, rng.pick(facts.tables[at(form.concept_id)].rows).key));
      continue;
    }
    Domain d = p.domain;
    d.nullable = false;
    const std::int64_t v = sample_value(*l.world, d, facts, rng);
    if (v == kNone) return std::nullopt;
    call.args.set(p.name, l.renderer().value(d, v));
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
  std::vector<const ToolForm*> forms, reads;
  for (const auto& f : l.surface.tools)
    (f.kind == ToolForm::Kind::transition ? forms : reads).push_back(&f);
  std::vector<schemas::ToolCall> calls;
  Session session(l);
  if (!invariants_hold(w, session.facts))
    report.broken.push_back("law 3: invariant '" + broken_invariant(w, session.facts) +
                            "' does not hold at the start");
  std::vector<Move> moved;
  for (int i = 0; i < steps; ++i) {
    if (rng.chance(1, 10)) {
      if (const auto call = read_of(l, *rng.pick(reads), session.facts, rng))
        calls.push_back(*call);
      continue;
    }
    const ToolForm& form = *rng.pick(forms);
    const Transition& t = w.transitions[at(form.transition)];
    std::vector<std::int64_t> args = rng.chance(2, 3)
                                         ? legal_args(w, session.facts, form.transition, rng, 30)
                                         : std::vector<std::int64_t>{};
    if (args.size() != t.params.size()) args = sample_args(w, t, session.facts, rng);
    if (args.size() != t.params.size()) continue;
    if (rng.chance(1, 20))
      for (const auto& p : form.params)
        if (p.domain.type == Type::ref) args[at(p.index)] = 900 + i;  // nothing has that key
    calls.push_back(call_of(l, form, args, session.facts, rng));
    if (!session.play(calls.back(), &moved) || moved.empty()) continue;
    ++report.succeeded;
    if (!invariants_hold(w, session.facts))
      report.broken.push_back("law 3: invariant '" + broken_invariant(w, session.facts) +
                              "' fails after " + t.symbol);
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
