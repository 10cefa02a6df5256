#include "envgen/general/laws.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "envgen/general/goal.h"
#include "fixture.h"
#include "tasks/judge.h"

namespace seedbed::envgen {
namespace {

std::unique_ptr<sandbox::ToolHost> host_or_null() {
  auto host = unjailed()(0);
  EXPECT_TRUE(host.ok()) << (host.ok() ? "" : host.error().message);
  return host.ok() ? *std::move(host) : nullptr;
}

TEST(Laws, HoldForRandomWorldsUnderRandomPasses) {
  auto host = host_or_null();
  ASSERT_NE(host, nullptr);
  int worlds = 0, succeeded = 0;
  for (std::uint64_t i = 0; worlds < 40 && i < 120; ++i) {
    const auto drawn = draw_world(i);
    if (!drawn) continue;
    const Rng rng = rng_for(12, "laws", i, "passes");
    auto lowered =
        dress(drawn->world, drawn->facts, built_in(),
              built_in().lexicons[i % built_in().lexicons.size()], draw_passes(rng), rng);
    if (!lowered.ok()) continue;
    auto report = check_laws(*lowered, *host, rng.fork("walk"), 60);
    ASSERT_TRUE(report.ok()) << report.error().message;
    EXPECT_TRUE(report->broken.empty()) << "world " << i << ": " << report->broken[0];
    ++worlds;
    succeeded += report->succeeded;
  }
  EXPECT_EQ(worlds, 40);
  EXPECT_GT(succeeded, 600);
}

// The checks see what they are for: programs that write too much, too little or guard nothing.
TEST(Laws, ABrokenProgramIsFound) {
  auto host = host_or_null();
  ASSERT_NE(host, nullptr);
  int broken = 0, tried = 0;
  for (std::uint64_t i = 0; tried < 12 && i < 60; ++i) {
    const auto drawn = draw_world(i);
    if (!drawn) continue;
    auto lowered =
        dress(drawn->world, drawn->facts, built_in(), built_in().lexicons[0], {}, Rng(i));
    if (!lowered.ok()) continue;
    bool changed = false;
    for (auto& tool : lowered->environment.tools) {
      auto& steps = tool.program.steps;
      for (std::size_t s = steps.size();
           s-- > 0;) {  // the last one: the first guards only ask whether a record exists
        const bool drop = tried % 2 == 0 ? steps[s].run.has_value() : steps[s].require.has_value();
        if (!drop) continue;
        steps.erase(steps.begin() + static_cast<std::ptrdiff_t>(s));
        changed = true;
        break;
      }
    }
    if (!changed) continue;
    ++tried;
    auto report = check_laws(*lowered, *host, Rng(i + 1), 80);
    ASSERT_TRUE(report.ok()) << report.error().message;
    EXPECT_FALSE(report->broken.empty()) << "world " << i;
    broken += report->broken.empty() ? 0 : 1;
  }
  EXPECT_EQ(tried, 12);
  EXPECT_EQ(broken, 12);
}

struct Play {
  std::vector<std::string> operations;  // World transitions with World arguments: the abstract plan
  bool solved = false;
  std::vector<std::pair<std::string, bool>> misses;
};

std::optional<Play> play(const Lowered& l,
                         const Goal& goal,
                         sandbox::ToolHost& host,
                         std::uint64_t key) {
  auto draft = draft_in_other_words(l, goal, Rng(key));
  if (!draft.ok() || !*draft) return std::nullopt;
  auto judge = tasks::Judge::open(l.environment, l.image);
  EXPECT_TRUE(judge.ok()) << (judge.ok() ? "" : judge.error().message);
  if (host.load(l.environment, l.image)) return std::nullopt;
  const auto verdict = [&](const std::vector<schemas::GoldStep>& steps) {
    tasks::Episode e;
    for (const auto& s : steps) {
      if (s.kind == schemas::GoldKind::call) e.calls.push_back({s.tool, s.args});
      if (s.kind == schemas::GoldKind::submit) {
        e.stop = schemas::Stop::answered;
        e.submitted = s.args;
      }
      if (s.kind == schemas::GoldKind::refuse) {
        e.stop = schemas::Stop::refused;
        e.submitted = s.args;
      }
    }
    auto played = host.play({e.calls}, 20'000);
    EXPECT_TRUE(played.ok());
    e.results = (*played)[0].results;
    e.changes = (*played)[0].changes;
    auto v = (*judge)->judge((*draft)->verifier, e);
    EXPECT_TRUE(v.ok()) << (v.ok() ? "" : v.error().message);
    return v.ok() && v->solved;
  };
  Play out;
  Session session(l);
  std::vector<Move> moved;
  for (const auto& s : (*draft)->gold.steps) {
    if (s.kind != schemas::GoldKind::call) continue;
    EXPECT_TRUE(session.play({s.tool, s.args}, &moved)) << s.tool << schemas::dump(s.args);
    for (const auto& m : moved) {
      std::string text = l.world->transitions[static_cast<std::size_t>(m.transition)].symbol;
      for (const auto a : m.args) text += "," + std::to_string(a);
      out.operations.push_back(text);
    }
  }
  out.solved = verdict((*draft)->gold.steps);
  for (const auto& miss : (*draft)->gold.near_misses)
    out.misses.emplace_back(miss.name, verdict(miss.steps));
  return out;
}

// Skin and structure are independent axes: another lexicon, other passes, and neither the abstract
// plan nor any verdict moves.
TEST(Passes, SwappingLexiconAndPassesLeavesPlansAndVerdicts) {
  auto host = host_or_null();
  ASSERT_NE(host, nullptr);
  const char* kinds[] = {"multi", "refuse", "aggregate", "if",       "lookup",
                         "each",  "choose", "ask",       "achieve",  "restore",
                         "saga",  "talk",   "duty",      "fallback", "exception"};
  const std::size_t n = std::size(kinds);
  std::set<std::string> seen;
  int environments = 0, goals = 0, misses = 0, refusals = 0;
  for (std::uint64_t i = 0; environments < 200 && i < 700; ++i) {
    const auto drawn = draw_world(i);
    if (!drawn) continue;
    const Rng rng = rng_for(13, "swap", i, "passes");
    const auto& lexicons = built_in().lexicons;
    auto a = dress(drawn->world, drawn->facts, built_in(), lexicons[i % lexicons.size()],
                   draw_passes(rng.fork("a")), rng.fork("a"));
    auto b = dress(drawn->world, drawn->facts, built_in(), lexicons[(i + 3) % lexicons.size()],
                   draw_passes(rng.fork("b")), rng.fork("b"));
    if (!a.ok() || !b.ok()) continue;
    a->legal = legal_at_start(*a);  // what goals with obstacles are drawn from
    int here = 0;
    for (const char* kind : {kinds[i % n], kinds[(i + 7) % n]}) {
      const auto goal = draw_goal(*a, kind, rng.fork(kind));
      if (!goal) continue;
      const auto x = play(*a, *goal, *host, i), y = play(*b, *goal, *host, i);
      if (!x || !y) continue;  // one surface has no plan within the limits of pages and reads
      ASSERT_TRUE(x->solved && y->solved) << "world " << i << " " << kind;
      ASSERT_EQ(x->operations, y->operations) << "world " << i << " " << kind;
      const bool refused = std::any_of(x->misses.begin(), x->misses.end(),
                                       [](const auto& miss) { return miss.second; });
      refusals += refused ? 1 : 0;
      if (refused) continue;  // a draft that G6 refuses in any dress: its miss is a right way
      for (const auto& [name, solved] : y->misses)
        ASSERT_FALSE(solved) << "world " << i << " " << kind << " " << name;
      misses += static_cast<int>(x->misses.size() + y->misses.size());
      seen.insert(kind);
      ++here;
    }
    goals += here;
    environments += here > 0 ? 1 : 0;
  }
  EXPECT_EQ(environments, 200);
  EXPECT_EQ(seen.size(), n);
  EXPECT_LE(50 * refusals, goals);
  EXPECT_GT(goals, 220);
  EXPECT_GT(misses, 300);
}

}  // namespace
}  // namespace seedbed::envgen
