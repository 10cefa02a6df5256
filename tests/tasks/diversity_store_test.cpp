// A tiny store, read and measured: every number below follows from store_fixture.h.
#include "tests/tasks/diversity_fixture.h"
#include "tests/tasks/store_fixture.h"

namespace seedbed::tasks::diversity {
namespace {

class DiversityStore : public StoreTest {
 protected:
  Report measured(const std::string& path, int threads = 1) {
    auto options = options_with(threads);
    auto evidence = must(read_evidence(path, options));
    return report(evidence, options);
  }
};

TEST_F(DiversityStore, TheNumbersOfATinyStore) {
  fill(at("a.db"), {0, 1, 2, 4});
  const auto store = must_open(at("a.db"), {.read_only = true});
  const auto r = measured(at("a.db"));
  EXPECT_EQ(r.environments, static_cast<std::int64_t>(must(store->environment_ids()).size()));
  EXPECT_EQ(r.tasks, static_cast<std::int64_t>(must(store->task_ids()).size()));
  EXPECT_EQ(r.environments, 3) << "slots 0 and 1 share a class";
  EXPECT_EQ(r.tasks, 12);
  EXPECT_EQ(r.schema_classes.distinct, 3);
  EXPECT_EQ(r.core_schema_classes.distinct, 1);
  EXPECT_EQ(r.tool_signatures.distinct, 1) << "one tool, the same in each";
  EXPECT_EQ(r.dependency_depth, (std::map<std::int64_t, std::int64_t>{{1, 3}}));
  EXPECT_EQ(r.policies.distinct, 1);
  EXPECT_EQ(r.rules.observations, 3) << "a handbook of one rule";
  EXPECT_EQ(r.shapes.distinct, 1) << "one call, no end";
  EXPECT_EQ(r.shapes.observations, 12);
  EXPECT_EQ(r.kinds, (Histogram{{"lookup", 12}}));
  EXPECT_EQ(r.plan_calls, (std::map<std::int64_t, std::int64_t>{{1, 12}}));
  // "How many xx are there?" is five words: one gram. "When is visit 2 of Maria Lopez?" has three,
  // two of which hold the number, and its masked form is always the same.
  EXPECT_EQ(r.words, (std::map<std::int64_t, std::int64_t>{{5, 6}, {7, 6}}));
  EXPECT_EQ(r.questions, (std::map<std::int64_t, std::int64_t>{{1, 12}}));
  EXPECT_EQ(r.near_raw.texts, 12);
  EXPECT_EQ(r.near_raw.near50, 0);
  EXPECT_EQ(r.near_masked.near80, 6);
  EXPECT_EQ(r.masked_prompts.distinct, 7);
  EXPECT_EQ(r.sample_raw.texts, 12);
  EXPECT_EQ(r.crossing, 0);
  EXPECT_EQ(r.leakage.train, 3);
  EXPECT_EQ(r.leakage.heldout, 0);
}

TEST_F(DiversityStore, ThreadsAndTheOrderOfWritingChangeNothing) {
  fill(at("a.db"), {0, 1, 2, 4, 5, 6, 8}, 9);
  fill(at("b.db"), {8, 5, 4, 6, 2, 0, 1}, 9);
  const auto a = schemas::dump(to_json(measured(at("a.db"))));
  EXPECT_EQ(schemas::dump(to_json(measured(at("a.db"), 3))), a);
  EXPECT_EQ(schemas::dump(to_json(measured(at("b.db"), 2))), a);
}

TEST_F(DiversityStore, AStopAndAMissingStoreAreErrors) {
  fill(at("a.db"), {0, 1, 2, 4});
  auto options = options_with();
  options.stop = [] { return true; };
  const auto stopped = read_evidence(at("a.db"), options);
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().where, Where::interrupted);
  const auto missing = read_evidence(at("none.db"), options_with());
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().where, Where::store);
}

// What is kept of a sample is the same whatever is read first.
TEST_F(DiversityStore, TheSampleIsTheLowestKeys) {
  fill(at("a.db"), {0, 1, 2, 4, 5, 6, 8}, 9);
  auto all = options_with(), few = options_with(2);
  few.sample = 5;
  const auto whole = must(read_evidence(at("a.db"), all));
  const auto part = must(read_evidence(at("a.db"), few));
  ASSERT_EQ(part.sample.size(), 5U);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(part.sample[i].text, whole.sample[i].text);
}

}  // namespace
}  // namespace seedbed::tasks::diversity
