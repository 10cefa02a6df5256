// Every pass alone and layout passes in pairs; what the schema class sees of them.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "fixture.h"

namespace seedbed::envgen {
namespace {

std::unique_ptr<sandbox::ToolHost> host_or_null() {
  auto host = unjailed()(0);
  EXPECT_TRUE(host.ok()) << (host.ok() ? "" : host.error().message);
  return host.ok() ? *std::move(host) : nullptr;
}

// Worlds enough for every pass to find a place in some of them.
const std::vector<Drawn>& worlds() {
  static const std::vector<Drawn> all = [] {
    std::vector<Drawn> out;
    for (std::uint64_t i = 1000; out.size() < 12 && i < 1100; ++i)
      if (auto drawn = draw_world(i)) out.push_back(*std::move(drawn));
    return out;
  }();
  return all;
}

Result<Lowered> dressed(const Drawn& drawn, const PassChoice& passes, std::uint64_t key) {
  const auto& lexicons = built_in().lexicons;
  return dress(drawn.world, drawn.facts, built_in(), lexicons[key % lexicons.size()], passes,
               rng_for(21, "passes", key, "dress"));
}

// The number of worlds in which the passes were applied; the laws hold in all of them.
int hold_under(const PassChoice& passes, sandbox::ToolHost& host, std::size_t first, int wanted) {
  int held = 0;
  for (std::size_t i = 0; held < wanted && i < worlds().size(); ++i) {
    const std::size_t w = (first + i) % worlds().size();
    auto lowered = dressed(worlds()[w], passes, w);
    if (!lowered.ok() || lowered->layout.passes.size() < passes.layout.size()) continue;
    auto report = check_laws(*lowered, host, Rng(w + 7), 70);
    EXPECT_TRUE(report.ok()) << report.error().message;
    if (!report.ok()) return -1;
    for (const auto& b : report->broken) ADD_FAILURE() << "world " << w << ": " << b;
    if (!report->broken.empty()) return -1;
    ++held;
  }
  return held;
}

TEST(Passes, TheLawsHoldUnderEachAlone) {
  auto host = host_or_null();
  ASSERT_NE(host, nullptr);
  std::size_t first = 0;
  for (const char* pass : kLayoutPasses)
    EXPECT_GE(hold_under({{pass}, {}}, *host, first++, 4), 1) << pass;
  for (const char* pass : kSurfacePasses)
    EXPECT_GE(hold_under({{}, {pass}}, *host, first++, 4), 1) << pass;
}

TEST(Passes, TheLawsHoldUnderPairs) {
  auto host = host_or_null();
  ASSERT_NE(host, nullptr);
  std::size_t first = 0;
  int applied = 0;
  for (const char* a : kLayoutPasses)
    for (const char* b : kLayoutPasses)
      applied += hold_under({{a, b}, {}}, *host, first++, 1) > 0 ? 1 : 0;
  EXPECT_GE(applied, 90);
  for (const char* a : kSurfacePasses)
    for (const char* b : kSurfacePasses)
      if (std::string(a) < b) {
        EXPECT_EQ(hold_under({{}, {a, b}}, *host, first++, 1), 1) << a << b;
      }
}

// Each surface pass that changes how calls are made must be seen in some form.
TEST(Passes, EachSurfacePassChangesForms) {
  std::set<std::string> seen;
  for (std::size_t w = 0; w < worlds().size(); ++w) {
    PassChoice all;
    for (const char* pass : kSurfacePasses) all.surface.emplace_back(pass);
    auto lowered = dressed(worlds()[w], all, w);
    if (!lowered.ok()) continue;
    EXPECT_LE(lowered->environment.tools.size(), kMaxTools);
    for (const auto& f : lowered->surface.tools) {
      if (!f.action.empty()) seen.insert("bundle");
      if (f.batch) seen.insert("batch");
      if (f.busy_every > 0) seen.insert("transient");
      if (f.kind == ToolForm::Kind::query) seen.insert("query");
      for (const auto& p : f.params) {
        if (p.money == ToolParam::Money::decimal) seen.insert("decimal");
        if (p.money == ToolParam::Money::pair) seen.insert("pair");
        if (p.fallback != kNone) seen.insert("default");
        if (p.by_part) seen.insert("ambiguous");
      }
    }
  }
  for (const char* what :
       {"bundle", "batch", "transient", "query", "decimal", "pair", "default", "ambiguous"})
    EXPECT_EQ(seen.count(what), 1U) << what;
}

std::vector<TableDef> shuffled(const std::vector<TableDef>& tables, Rng rng) {
  std::vector<std::size_t> place(tables.size());
  for (std::size_t i = 0; i < place.size(); ++i) place[i] = i;
  rng.shuffle(place);
  std::vector<TableDef> out(tables.size());
  for (std::size_t i = 0; i < tables.size(); ++i) {
    TableDef t = tables[i];
    t.name = "t" + std::to_string(place[i]);
    for (auto& r : t.refs) r.table = place[r.table];
    for (auto& c : t.columns) c.name = "c" + std::to_string(rng.below(1000));
    rng.shuffle(t.columns);
    rng.shuffle(t.refs);
    out[place[i]] = std::move(t);
  }
  return out;
}

TEST(SchemaClass, DoesNotDependOnNamesOrOrder) {
  int checked = 0;
  for (std::size_t i = 0; i < 60; ++i) {
    const Drawn& drawn = worlds()[i % worlds().size()];
    Layout layout = plain_layout(*drawn.world);
    Rng rng(i);
    for (const auto& pass : draw_passes(rng.fork("draw")).layout)
      apply_layout_pass(*drawn.world, layout, pass, rng.fork(pass));
    const Skin skin = make_skin(*drawn.world, built_in(), built_in().lexicons[0], rng.fork("skin"));
    const auto tables = SqlPrinter{*drawn.world, skin, layout}.tables();
    for (const bool core : {false, true}) {
      bool exact = false;
      const std::string known = class_of_tables(tables, core, &exact);
      EXPECT_TRUE(exact);
      for (std::uint64_t k = 0; k < 4; ++k, ++checked)
        EXPECT_EQ(class_of_tables(shuffled(tables, rng.fork("order", k)), core), known);
    }
  }
  EXPECT_EQ(checked, 480);
}

TEST(SchemaClass, SeesEachLayoutPass) {
  // What each pass adds to the core: side tables of what may be none, counters, marks, archives and
  // lookups are left out there.
  const std::set<std::string> full_only = {"lookup", "soft_delete", "counter", "archive",
                                           "side_table"};
  for (const char* pass : kLayoutPasses) {
    int applied = 0;
    for (const auto& drawn : worlds()) {
      const Skin skin = make_skin(*drawn.world, built_in(), built_in().lexicons[0], Rng(1));
      const Layout plain = plain_layout(*drawn.world);
      Layout layout = plain;
      if (!apply_layout_pass(*drawn.world, layout, pass, Rng(2))) continue;
      ++applied;
      const SqlPrinter before{*drawn.world, skin, plain}, after{*drawn.world, skin, layout};
      EXPECT_NE(before.schema_class(false), after.schema_class(false)) << pass;
      if (full_only.count(pass) != 0) {
        EXPECT_EQ(before.schema_class(true), after.schema_class(true)) << pass;
      }
    }
    EXPECT_GE(applied, 1) << pass;
  }
}

// Two triangles and a ring of six: every table looks the same from where it stands.
TEST(SchemaClass, TellsApartWhatColoursDoNot) {
  const auto ring = [](const std::vector<std::size_t>& next) {
    std::vector<TableDef> out;
    for (const std::size_t to : next) {
      TableDef t;
      t.columns = {{"id", false, false, true, false, false}};
      t.refs = {{{"r"}, to, "ref", false, false, true}};
      out.push_back(t);
    }
    return out;
  };
  const auto six = ring({1, 2, 3, 4, 5, 0}), three = ring({1, 2, 0, 4, 5, 3});
  EXPECT_NE(class_of_tables(six, false), class_of_tables(three, false));
  for (std::uint64_t k = 0; k < 5; ++k) {
    EXPECT_EQ(class_of_tables(six, false), class_of_tables(shuffled(six, Rng(k)), false));
    EXPECT_EQ(class_of_tables(three, false), class_of_tables(shuffled(three, Rng(k)), false));
  }
}

}  // namespace
}  // namespace seedbed::envgen
