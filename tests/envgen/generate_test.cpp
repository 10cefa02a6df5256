#include "envgen/generate.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "envgen/general/goal.h"
#include "fixture.h"
#include "tasks/selection.h"

namespace seedbed::envgen {
namespace {

namespace fs = std::filesystem;

struct Folder {
  fs::path path =
      fs::temp_directory_path() / ("seedbed-envgen-" + std::to_string(::getpid()) + "-" +
                                   ::testing::UnitTest::GetInstance()->current_test_info()->name());
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] std::string file(const std::string& name) const { return (path / name).string(); }
};

std::string generate_digest(const std::string& path,
                            int jobs,
                            std::int64_t shard = 0,
                            std::int64_t shards = 1) {
  auto store = tasks::Store::open(path, {.create = true});
  EXPECT_TRUE(store.ok()) << (store.ok() ? "" : store.error().message);
  GenOptions options;
  options.request = request_of(6, 6);
  options.jobs = jobs;
  options.shard = shard;
  options.shards = shards;
  EXPECT_FALSE((*store)->set_request(options.request));
  const std::atomic<bool> stop{false};
  auto summary = generate(**store, load_packs({}).value(), options, unjailed(), nullptr, stop);
  EXPECT_TRUE(summary.ok()) << (summary.ok() ? "" : summary.error().message);
  EXPECT_FALSE((*store)->select());
  EXPECT_FALSE((*store)->checkpoint());
  return (*store)->content_digest().value();
}

TEST(Generate, SameBytesOnOneLaneTwoLanesAndTwoShards) {
  const Folder f;
  const std::string one = generate_digest(f.file("one.db"), 1);
  EXPECT_EQ(generate_digest(f.file("two.db"), 2), one);
  generate_digest(f.file("s0.db"), 1, 0, 2);
  generate_digest(f.file("s1.db"), 1, 1, 2);
  auto merged = tasks::Store::open(f.file("m.db"), {.create = true});
  ASSERT_TRUE(merged.ok());
  ASSERT_FALSE((*merged)->set_request(request_of(6, 6)));
  for (const char* part : {"s1.db", "s0.db"}) {
    auto e = (*merged)->absorb(f.file(part));
    ASSERT_FALSE(e) << e->message;
  }
  ASSERT_FALSE((*merged)->select());
  EXPECT_EQ((*merged)->content_digest().value(), one);
  EXPECT_EQ((*merged)->environment_ids()->size(), 6U);
}

TEST(Generate, AStoreIsVerifiedFromItsSeeds) {
  const Folder f;
  generate_digest(f.file("a.db"), 2);
  auto store = tasks::Store::open(f.file("a.db"), {});
  ASSERT_TRUE(store.ok());
  const std::atomic<bool> stop{false};
  auto summary = verify_pack(**store, load_packs({}).value(), 3, unjailed(), nullptr, stop);
  ASSERT_TRUE(summary.ok()) << summary.error().message;
  EXPECT_EQ(summary->checked, 18);
  EXPECT_TRUE(summary->failed.empty()) << summary->failed[0].task << summary->failed[0].why;
}

TEST(Generate, ASlotCoversTheKindsAndItsTasksCrossMechanisms) {
  auto bench = open_bench(unjailed(), 0);
  ASSERT_TRUE(bench.ok()) << bench.error().message;
  std::set<std::string> kinds, passes;
  std::set<std::string> classes;
  std::size_t tasks = 0, crossing = 0, environments = 0;
  for (std::int64_t slot = 0; slot < 14; ++slot) {
    auto record = make_slot(built_in(), request_of(14, 10), slot, *bench);
    ASSERT_TRUE(record.ok()) << record.error().message;
    if (!record->environment) continue;
    ++environments;
    const auto& env = record->environment->environment();
    EXPECT_GE(env.tools.size(), 8U);
    EXPECT_LE(env.tools.size(), 40U);
    EXPECT_GE(env.policy.reasons.size(), 6U);
    EXPECT_FALSE(env.policy.handbook.empty());
    EXPECT_EQ(env.policy.handbook.find('{'), std::string::npos) << env.policy.handbook;
    classes.insert(env.recipe.core_schema_class);
    for (const auto& p : env.recipe.layout_passes) passes.insert(p.substr(0, p.find(':')));
    for (const auto& p : env.recipe.surface_passes) passes.insert(p);
    for (const auto& t : record->tasks) {
      ++tasks;
      kinds.insert(t.draft().task.kind);
      crossing += t.draft().gold.interactions > 0 && t.draft().gold.mechanisms > 1 ? 1U : 0U;
      EXPECT_EQ(t.draft().task.prompt.find('{'), std::string::npos) << t.draft().task.prompt;
      std::set<std::string> gates;
      for (const auto& g : t.certificate().gates) gates.insert(g.gate);
      for (const char* g : {"G1", "G2", "G3", "G4", "G5", "G6", "G7", "G8", "G9", "G10", "G11",
                            "G12", "G13", "G14", "G15", "G17", "G18"})
        EXPECT_EQ(gates.count(g), 1U) << g;
    }
  }
  EXPECT_GE(environments, 12U);
  EXPECT_EQ(kinds, (std::set<std::string>{"achieve", "aggregate", "ask", "choose", "duty", "each",
                                          "exception", "fallback", "if", "lookup", "multi",
                                          "refuse", "restore", "saga", "talk"}));
  EXPECT_GE(10 * crossing, 7 * tasks);
  EXPECT_GE(10 * classes.size(), 9 * environments);
  EXPECT_GE(passes.size(), 20U);
}

// Raw slots, before any selection: what the generator draws, not what a filter leaves.
TEST(Generate, AHundredSlotsAreNotShallow) {
  auto bench = open_bench(unjailed(), 0);
  ASSERT_TRUE(bench.ok()) << bench.error().message;
  std::set<std::string> classes, core;
  std::map<std::string, int> prompts;
  int environments = 0, tasks = 0, crossing = 0;
  for (std::int64_t slot = 0; environments < 100 && slot < 120; ++slot) {
    auto record = make_slot(built_in(), request_of(100, 10, "21"), slot, *bench);
    ASSERT_TRUE(record.ok()) << record.error().message;
    if (!record->environment) continue;
    ++environments;
    classes.insert(record->environment->environment().recipe.schema_class);
    core.insert(record->environment->environment().recipe.core_schema_class);
    for (const auto& t : record->tasks) {
      ++tasks;
      crossing += t.draft().gold.interactions > 0 && t.draft().gold.mechanisms > 1 ? 1 : 0;
      ++prompts[tasks::masked_skeleton(t.draft().task.prompt)];
    }
  }
  int crowded = 0;
  for (const auto& [skeleton, n] : prompts) crowded += n > 11 ? n : 0;
  std::printf(
      "environments %d, schema classes %zu, core classes %zu, tasks %d, crossing %d, crowded "
      "prompts %d\n",
      environments, classes.size(), core.size(), tasks, crossing, crowded);
  EXPECT_EQ(environments, 100);
  EXPECT_GE(classes.size(), 90U);
  EXPECT_GE(core.size(), 60U);
  EXPECT_GE(tasks, 1000);
  EXPECT_GE(2 * crossing, tasks);
  EXPECT_LE(20 * crowded, tasks);
}

TEST(Packs, ACyclicRoleIsRefusedByName) {
  const Folder f;
  fs::create_directories(f.path / "mechanisms");
  std::ofstream(f.file("mechanisms/loop.json"))
      << R"({"mechanism": "loop", "about": "x", "roles": {"p": "Party"},
    "concepts": {"a": {"words": [["a", "as"]], "attrs": {"b": {"type": "ref b"}}}, "b": {"words": [["b", "bs"]], "attrs": {"a": {"type": "ref a"}}}},
    "transitions": {}})";
  auto packs = load_packs({f.path.string()});
  ASSERT_FALSE(packs.ok());
  EXPECT_NE(packs.error().message.find("cyclic role"), std::string::npos) << packs.error().message;
}

TEST(Packs, AnUnknownKeyNamesTheNearest) {
  const Folder f;
  fs::create_directories(f.path / "mechanisms");
  std::ofstream(f.file("mechanisms/x.json")) << R"({"mechanism": "x", "abuot": "x"})";
  auto packs = load_packs({f.path.string()});
  ASSERT_FALSE(packs.ok());
  EXPECT_NE(packs.error().message.find("about"), std::string::npos) << packs.error().message;
}

TEST(Packs, ASecondDutyOnOneOperationIsRefused) {
  for (const auto& [on, found] : {std::pair{"open", "a second duty on open"},
                                  std::pair{"close", "a duty on close, which a duty has done"}}) {
    const Folder f;
    fs::create_directories(f.path / "mechanisms");
    const std::string head =
        R"json({"mechanism": "door", "about": "x", "roles": {"p": "Party"},
    "concepts": {"d": {"words": [["door", "doors"]], "attrs": {"owner": {"type": "ref p"}}}}, "transitions": {}, "duties": {
    "shut": {"on": "open", "if": "1 = 1", "then": "close(d)", "say": ["Also close it."]}, "more": {"on": ")json";
    std::ofstream(f.file("mechanisms/door.json"))
        << head << on
        << R"json(", "if": "1 = 1", "then": "lock(d)", "say": ["Also lock it."]}}})json";
    auto packs = load_packs({f.path.string()});
    ASSERT_FALSE(packs.ok());
    EXPECT_NE(packs.error().message.find(found), std::string::npos) << packs.error().message;
  }
}

TEST(Packs, TheBuiltInOnesAreEnough) {
  EXPECT_GE(built_in().mechanisms.size(), 48U);
  EXPECT_GE(built_in().lexicons.size(), 80U);
  std::set<std::string> archetypes;
  for (const auto& m : built_in().mechanisms)
    for (const auto& [role, archetype] : m.roles) archetypes.insert(archetype);
  EXPECT_EQ(archetypes.size(), 5U);
}

TEST(References, ADescriptionThatFitsTwoFactsIsFound) {
  int loosened = 0, found = 0, whole = 0;
  for (std::uint64_t i = 0; i < 30; ++i) {
    const auto drawn = draw_world(i);
    if (!drawn) continue;
    auto l = dress(drawn->world, drawn->facts, built_in(), built_in().lexicons[0], {}, Rng(i));
    if (!l.ok()) continue;
    for (int c = 0; c < static_cast<int>(l->world->concepts.size()); ++c) {
      Rng rng(i + 7);
      auto r = refer(*l, l->facts, c, 1, rng);
      if (!r) continue;
      ++whole;
      EXPECT_TRUE(fits_one(*l, l->facts, *r)) << r->phrase;
      if (r->filters.empty()) continue;
      Reference loose = *r;  // without filters and superlative it fits every fact
      loose.filters.clear();
      loose.extreme = -1;
      ++loosened;
      found += fits_one(*l, l->facts, loose) ? 0 : 1;
    }
  }
  EXPECT_GT(whole, 60);
  EXPECT_GT(loosened, 30);
  EXPECT_EQ(found, loosened);
}

// An interaction is counted only where taking it away changes what the goal comes to.
TEST(Interactions, AblationChangesWhatTheyAreCountedFor) {
  int counted = 0;
  for (std::uint64_t i = 0; i < 30; ++i) {
    const auto drawn = draw_world(i);
    if (!drawn) continue;
    auto l = dress(drawn->world, drawn->facts, built_in(), built_in().lexicons[0], {}, Rng(i));
    if (!l.ok()) continue;
    const auto goal = draw_goal(*l, "multi", Rng(i + 100));
    if (!goal || goal->answers.empty()) continue;
    int mechanisms = 0;
    const int n = interactions_of(*l, *goal, mechanisms);
    EXPECT_GE(n, 1);
    EXPECT_GE(mechanisms, 2);
    ++counted;
  }
  EXPECT_GE(counted, 10);
}

}  // namespace
}  // namespace seedbed::envgen
