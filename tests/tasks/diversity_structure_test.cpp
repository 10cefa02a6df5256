// Structure with names erased: what renaming and repeating must not change, and what must differ.
#include "base/text.h"
#include "tasks/diversity/sql_names.h"
#include "tests/tasks/diversity_fixture.h"

namespace seedbed::tasks::diversity {
namespace {

const std::map<std::string, Role, std::less<>> kRoles = {{"find_x", Role::find},
                                                         {"list_y", Role::list},
                                                         {"list_z", Role::list},
                                                         {"get_x", Role::read},
                                                         {"do_x", Role::write}};

std::uint64_t shape(const std::vector<schemas::GoldStep>& steps) {
  return canonical_hash(solution_shape(kRoles, steps));
}

TEST(DiversityShape, WhatIsRepeatedCountsOnce) {
  const auto once = shape({call("find_x"), call("do_x", {0}), submit({0, 1})});
  const auto thrice =
      shape({call("find_x", {}, args("name", "a")), call("find_x", {}, args("name", "b")),
             call("do_x", {0}), call("find_x", {}, args("name", "c")), call("do_x", {1}),
             call("do_x", {3}), submit({0, 1, 2, 3, 4, 5})});
  EXPECT_EQ(once, thrice);
  const auto paged =
      shape({call("list_y"), call("list_y", {0}, args("offset", 6)),
             call("list_y", {0, 1}, args("offset", 12)), call("do_x", {2}), submit({0, 1, 2, 3})});
  EXPECT_EQ(paged, shape({call("list_y"), call("do_x", {0}), submit({1})}));
}

TEST(DiversityShape, OrderAndToolsOfOneRoleDoNotMatter) {
  const auto a = shape({call("list_y"), call("get_x"), call("do_x", {0, 1}), submit({2})});
  const auto b = shape({call("get_x"), call("list_z"), call("do_x", {0, 1}), submit({0, 1, 2})});
  EXPECT_EQ(a, b);
  // Two tools of a role stay two, whichever comes first.
  const auto two = shape({call("list_y"), call("list_z"), call("do_x", {0}), submit({1, 2})});
  EXPECT_EQ(two, shape({call("list_y"), call("list_z"), call("do_x", {1}), submit({0, 2})}));
  EXPECT_NE(two, shape({call("list_y"), call("list_z"), call("do_x", {0, 1}), submit({2})}));
}

TEST(DiversityShape, DifferentEndsAndFlowsDiffer) {
  auto refuse = submit({0});
  refuse.kind = schemas::GoldKind::refuse;
  const auto a = shape({call("list_y"), submit({0})});
  EXPECT_NE(a, shape({call("list_y"), refuse}));
  EXPECT_NE(a, shape({call("get_x"), submit({0})}));
  EXPECT_NE(shape({call("list_y"), call("get_x", {0}), submit({1})}),
            shape({call("list_y"), call("get_x"), submit({0, 1})}));
}

Graph renumbered(const Graph& g, Rng& rng) {
  std::vector<std::size_t> to(g.labels.size());
  for (std::size_t i = 0; i < to.size(); ++i) to[i] = i;
  rng.shuffle(to);
  Graph out;
  out.labels.resize(to.size());
  for (std::size_t i = 0; i < to.size(); ++i) out.labels[to[i]] = g.labels[i];
  for (const auto& [a, b] : g.edges) out.edges.emplace_back(to[a], to[b]);
  rng.shuffle(out.edges);
  return out;
}

TEST(DiversityGraph, TheCanonicalFormIsOfTheGraphNotOfItsNumbers) {
  Rng rng = rng_for(4, "graph", 0, "test");
  std::set<std::uint64_t> seen;
  for (int round = 0; round < 300; ++round) {
    Graph g;
    const auto n = static_cast<std::size_t>(rng.between(1, 9));
    for (std::size_t i = 0; i < n; ++i) g.labels.emplace_back(rng.chance(1, 3) ? "a" : "b");
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = i + 1; j < n; ++j)
        if (rng.chance(1, 3)) g.edges.emplace_back(i, j);
    const auto hash = canonical_hash(g);
    seen.insert(hash);
    const Graph other = renumbered(g, rng);
    EXPECT_EQ(canonical_hash(other), hash);
    EXPECT_EQ(wl_hash(other), wl_hash(g));
    if (g.edges.empty()) continue;
    Graph less = g;
    less.edges.pop_back();
    EXPECT_NE(canonical_hash(less), hash);
  }
  EXPECT_GT(seen.size(), 200U);
}

// Two triangles and a hexagon: refinement alone takes them for the same.
TEST(DiversityGraph, TellsApartWhatColoursDoNot) {
  Graph hexagon, triangles;
  hexagon.labels.assign(6, "a");
  triangles.labels.assign(6, "a");
  for (std::size_t i = 0; i < 6; ++i) {
    hexagon.edges.emplace_back(i, (i + 1) % 6);
    triangles.edges.emplace_back(i, i / 3 * 3 + (i + 1) % 3);
  }
  EXPECT_EQ(wl_hash(hexagon), wl_hash(triangles));
  EXPECT_NE(canonical_hash(hexagon), canonical_hash(triangles));
}

TEST(DiversityGraph, DepthAndWidthSeeCyclesAsOne) {
  Graph g{{"a", "b", "c", "d", "e"}, {{0, 1}, {1, 2}, {2, 1}, {2, 3}, {0, 4}}};
  EXPECT_EQ(extent_of(g).depth, 3);
  EXPECT_EQ(extent_of(g).width, 2);
  EXPECT_EQ(extent_of({}).depth, 0);
  Graph path{{"a", "b", "c"}, {{0, 1}, {1, 2}, {0, 2}}};
  reduce(path);
  EXPECT_EQ(path.edges.size(), 2U);
}

TEST(DiversitySql, NamesAreRead) {
  const auto names = sql_names(
      "SELECT r.id AS id, r.name, (SELECT name FROM v_b WHERE id = r.b_id) AS b_name, r.x + 1 AS y "
      "FROM v_a r WHERE (:b IS NULL OR r.b_id = :b) AND r.note <> ' FROM nowhere = :z '");
  EXPECT_EQ(names.read, (std::set<std::string>{"v_a", "v_b"}));
  EXPECT_TRUE(names.written.empty());
  EXPECT_EQ(names.width, 4);
  EXPECT_EQ(names.columns, (std::vector<std::string>{"v_a.id", "v_a.name", "v_b.name"}));
  using Pair = std::pair<std::string, std::string>;
  EXPECT_EQ(names.equal, (std::vector<Pair>{{"v_b.id", "v_a.b_id"}, {"v_a.b_id", ":b"}}));
  EXPECT_EQ(sql_names("INSERT INTO t (a) VALUES (:a)").written, std::set<std::string>{"t"});
  EXPECT_EQ(sql_names("UPDATE t SET a = 1 WHERE id = :x").written, std::set<std::string>{"t"});
  EXPECT_EQ(sql_names("DELETE FROM t WHERE id = :x").written, std::set<std::string>{"t"});
  for (const char* broken :
       {"", "(", ")", "))) = ", "SELECT", "SELECT (", "FROM", "= =", "'", "a.b.c = :"})
    sql_names(broken);
}

schemas::Value schema_of(const std::vector<std::pair<std::string, bool>>& arguments) {
  schemas::Value properties = schemas::Value::object(), required = schemas::Value::array();
  for (const auto& [name, must] : arguments) {
    properties.set(name, args("type", "string"));
    if (must) required.push(name);
  }
  schemas::Value out = schemas::Value::object();
  out.set("type", "object").set("properties", properties).set("required", required);
  return out;
}
schemas::Tool tool_of(const std::string& name,
                      const std::vector<std::pair<std::string, bool>>& arguments,
                      const std::string& result,
                      schemas::Shape shape,
                      std::vector<std::string> writes = {}) {
  schemas::Tool out;
  out.name = name;
  out.input = schema_of(arguments);
  out.program.result = result;
  out.program.shape = shape;
  for (auto& sql : writes) {
    schemas::ProgramStep step;
    step.run = std::move(sql);
    out.program.steps.push_back(std::move(step));
  }
  return out;
}

// A pet has an owner: find the owner, list pets by owner, mark a pet.
schemas::Environment clinic(const std::string& owner, const std::string& pet) {
  schemas::Environment env;
  const std::string vo = "v_" + owner, vp = "v_" + pet;
  env.views = {{.concept_name = "Party",
                .view = vo,
                .key = "id",
                .columns = {"name"},
                .attributes = {"name"},
                .tables = {owner}},
               {.concept_name = "Thing",
                .view = vp,
                .key = "id",
                .columns = {owner + "_id"},
                .attributes = {"owner"},
                .tables = {pet}}};
  env.tools = {tool_of("find_" + owner, {{"name", true}},
                       "SELECT r.id AS id, r.name FROM " + vo + " r WHERE r.name = :name",
                       schemas::Shape::rows),
               tool_of("list_" + pet, {{owner + "_id", false}},
                       "SELECT r.id AS id, r." + owner + "_id FROM " + vp + " r WHERE (:" + owner +
                           "_id IS NULL OR r." + owner + "_id = :" + owner + "_id) ORDER BY r.id",
                       schemas::Shape::rows),
               tool_of("mark_" + pet, {{pet + "_id", true}},
                       "SELECT r.id AS id FROM " + vp + " r WHERE r.id = :" + pet + "_id",
                       schemas::Shape::object,
                       {"UPDATE " + pet + " SET marked = 1 WHERE id = :" + pet + "_id"}),
               tool_of("get_" + owner, {{owner + "_id", true}},
                       "SELECT r.id AS id, r.name FROM " + vo + " r WHERE r.id = (SELECT id FROM " +
                           vo + " WHERE id = :" + owner + "_id)",
                       schemas::Shape::object)};
  env.policy.handbook = "1. Today is 2031-03-05.\n2. No " + pet + " may be marked within " +
                        (owner == "owner" ? "5" : "17") + " days of its arrival.\nNot a rule.";
  return env;
}

TEST(DiversityTools, RenamingChangesNothing) {
  const auto a = clinic("owner", "pet"), b = clinic("library", "book");
  EXPECT_EQ(tool_signature(a), tool_signature(b));
  EXPECT_EQ(wl_hash(dependency_graph(a)), wl_hash(dependency_graph(b)));
  EXPECT_EQ(rule_skeletons(a), rule_skeletons(b));
  EXPECT_EQ(rule_skeletons(a).size(), 2U);
  auto reversed = a;
  std::reverse(reversed.tools.begin(), reversed.tools.end());
  EXPECT_EQ(tool_signature(reversed), tool_signature(a));
  EXPECT_EQ(wl_hash(dependency_graph(reversed)), wl_hash(dependency_graph(a)));
}

TEST(DiversityTools, ATableMoreOrAnotherRoleChangesTheSignature) {
  const auto a = clinic("owner", "pet");
  auto other_table = a;
  other_table.tools[2].program.steps[0].run = "UPDATE owner SET marked = 1 WHERE id = :pet_id";
  EXPECT_NE(tool_signature(other_table), tool_signature(a));
  auto read = a;
  read.tools[2].program.steps.clear();
  EXPECT_NE(tool_signature(read), tool_signature(a));
}

TEST(DiversityTools, DependenciesFollowTheKindsOfValues) {
  const auto g = dependency_graph(clinic("owner", "pet"));
  EXPECT_EQ(g.labels, (std::vector<std::string>{"find", "list", "write", "read"}));
  const auto has = [&](std::size_t from, std::size_t to) {
    return std::find(g.edges.begin(), g.edges.end(), std::pair{from, to}) != g.edges.end();
  };
  EXPECT_TRUE(has(0, 1)) << "an owner found lists its pets";
  EXPECT_TRUE(has(0, 3));
  EXPECT_TRUE(has(1, 2)) << "a pet listed is marked";
  EXPECT_TRUE(has(1, 3)) << "a pet tells its owner";
  EXPECT_TRUE(has(3, 0)) << "a name is what find takes";
  EXPECT_FALSE(has(2, 0));
  EXPECT_FALSE(has(2, 1)) << "a pet is no owner";
  EXPECT_FALSE(has(0, 2));
}

TEST(DiversityText, SentencesAndQuestions) {
  const auto t = text_facts("Hello there. Could you book it at 14.30? Thanks!");
  EXPECT_EQ(t.sentences, 3);
  EXPECT_EQ(t.questions, 1);
  EXPECT_EQ(t.words, 9);
  EXPECT_EQ(text_facts("no end").sentences, 1);
  EXPECT_EQ(text_facts("").sentences, 0);
  EXPECT_EQ(opening_of("Hello, there you go"), "hello there you");
}

TEST(DiversityKnobs, PairsAreCountedAndRulesSayWhatCannotBe) {
  const auto domain = knob_table({"history"}, {});
  std::vector<EnvironmentFacts> environments = {environment_with(0, {strange_prompt(1)}),
                                                environment_with(1, {strange_prompt(2)})};
  environments[1].tasks[0].kind = "refuse";
  environments[1].tasks[0].level = 7;
  auto c = coverage_of(domain, environments);
  EXPECT_TRUE(c.contradicted.empty());
  EXPECT_TRUE(c.outside.empty());
  EXPECT_EQ(c.pairs, c.pairs_covered + static_cast<std::int64_t>(c.missing.size()));
  EXPECT_GT(c.excluded.size(), 50U);
  // Twelve knobs, one value of each in a task: 66 pairs, and what the two tasks share counts once.
  const auto shared = [&] {
    std::int64_t same = 0;
    for (std::size_t k = 0; k < c.domain.size(); ++k)
      for (const auto n : c.occupancy[k]) same += n == 2 ? 1 : 0;
    return same;
  }();
  EXPECT_EQ(c.pairs_covered, 2 * 66 - shared * (shared - 1) / 2);
  EXPECT_EQ(c.triples_covered, 2 * 220 - shared * (shared - 1) * (shared - 2) / 6);
  environments[1].tasks[0].writes = 2;  // a refusal that writes: a rule is broken
  environments[1].tasks[0].level = 11;
  c = coverage_of(domain, environments);
  ASSERT_EQ(c.contradicted.size(), 1U);
  EXPECT_EQ(c.contradicted[0].why, "a refusal changes nothing");
  EXPECT_EQ(c.outside, std::vector<std::string>{"level 11: 1"});
}

}  // namespace
}  // namespace seedbed::tasks::diversity
