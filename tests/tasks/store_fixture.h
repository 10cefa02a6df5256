// A folder of its own for each test, and slots, runs and episodes that are functions of numbers.
#pragma once
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "base/rng.h"
#include "tasks/store.h"
#include "tests/tasks/admission_for_tests.h"

namespace seedbed::tasks {

inline std::string read_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

inline void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

inline schemas::GenRequest request_of(std::int64_t envs = 4, std::int64_t tasks = 4) {
  return {.generator = "1",
          .family = "general",
          .seed = "7",
          .envs = envs,
          .tasks_per_env = tasks,
          .split = "all",
          .packs = content_hash("packs"),
          .mix = {}};
}

inline schemas::Environment environment_of(std::int64_t slot, const std::string& image) {
  schemas::Environment env;
  env.family = "general";
  env.title = "a clinic " + std::to_string(slot);
  env.recipe.generator = "1";
  env.recipe.seed = "7";
  env.recipe.slot = slot;
  env.recipe.schema_class = "class " + std::to_string(slot / 2);  // two slots share one
  env.recipe.core_schema_class = "core " + std::to_string(slot / 5);
  env.recipe.split = "train";
  env.tools.push_back(
      {.name = "find_pet",
       .description = "Finds a pet.",
       .input = schemas::Value::object(),
       .program = {
           .steps = {}, .result = "SELECT 1", .shape = schemas::Shape::object, .page_size = {}}});
  env.policy.handbook = "1. Be kind.";
  env.now_minutes = 100;
  env.image_hash = content_hash(image);
  return env;
}

inline Draft draft_of(const std::string& environment_id, std::int64_t slot, std::int64_t number) {
  Draft draft;
  draft.task.environment_id = environment_id;
  draft.task.kind = "lookup";
  // Numbers 2 and up share their masked skeleton with the same number of other environments.
  draft.task.prompt =
      number < 2
          ? "How many " + std::string(static_cast<std::size_t>(slot + 1), number == 0 ? 'x' : 'y') +
                " are there?"
          : "When is visit " + std::to_string(100 * slot + number) + " of Maria Lopez?";
  draft.task.submit_schema = schemas::Value::object();
  draft.task.number = number;
  draft.verifier.answer.push_back(
      {.name = "count", .type = schemas::AnswerType::integer, .accept = {std::to_string(slot)}});
  draft.gold.steps.push_back({.kind = schemas::GoldKind::call,
                              .tool = "find_pet",
                              .args = schemas::Value::object(),
                              .text = "",
                              .needs = {},
                              .derived = {}});
  return draft;
}

// Slot 3 is one where every attempt was rejected.
inline SlotRecord slot_of(std::int64_t slot, std::int64_t tasks = 5) {
  SlotRecord record;
  record.slot = slot;
  record.rejections = {{"G3", slot % 3}, {"G1", 1}};
  if (slot == 3) return record;
  std::string image =
      "image " + std::to_string(slot) + std::string(3000, static_cast<char>('a' + slot % 26));
  Rng rng = rng_for(7, "image", static_cast<std::uint64_t>(slot), "test");
  for (int i = 0; i < 500; ++i) image.push_back(static_cast<char>(rng.below(256)));
  auto env = environment_of(slot, image);
  record.environment = AdmissionForTests::environment(std::move(env), std::move(image));
  for (std::int64_t n = 0; n < tasks; ++n)
    record.tasks.push_back(AdmissionForTests::task(draft_of(record.environment->id(), slot, n)));
  return record;
}

inline RunInfo run_of(const std::string& policy = "oracle") {
  return {.policy = policy,
          .policy_version = "1",
          .seed = "5",
          .settings = schemas::Value(schemas::Value::Object{{"model", "m"}, {"temperature", 0.5}})};
}

inline schemas::Trajectory trajectory_of(const std::string& environment_id,
                                         const std::string& task_id,
                                         std::int64_t sample) {
  schemas::Trajectory t;
  t.environment_id = environment_id;
  t.task_id = task_id;
  t.policy = "oracle";
  t.policy_version = "1";
  t.sample = sample;
  t.seed = "5";
  t.turns.push_back({.role = "user",
                     .text = "Hello \xC3\xA9",
                     .reasoning = "",
                     .calls = {},
                     .tokens = {},
                     .logprobs = {}});
  schemas::Turn turn{.role = "assistant",
                     .text = "",
                     .reasoning = "hm",
                     .calls = {},
                     .tokens = {1, 2},
                     .logprobs = {-0.5, -1.25}};
  for (int i = 0; i < 6; ++i) {
    schemas::Value args = schemas::Value::object();
    args.set("id", "P-" + task_id.substr(0, 4) + std::to_string(i));
    turn.calls.push_back(
        {.id = "c" + std::to_string(i),
         .tool = "find_pet",
         .args = args,
         .result = {
             .end = schemas::End::ok,
             .out = "{\"id\":\"P-1\",\"status\":\"confirmed\",\"owner\":\"" + task_id + "\"}"}});
  }
  t.turns.push_back(turn);
  t.stop = schemas::Stop::answered;
  t.wall_us = 1000 + sample;
  t.verdict.solved = sample % 2 == 0;
  t.verdict.score = t.verdict.solved ? 1.0 : 0.25;
  t.verdict.parts.push_back({.name = "answer", .holds = t.verdict.solved, .weight = 1.0});
  return t;
}

inline Episode evidence_of(const schemas::Trajectory& t) {
  Episode e;
  for (const auto& call : t.turns[1].calls) {
    e.calls.push_back({.tool = call.tool, .args = call.args});
    e.results.push_back(call.result);
  }
  e.changes.push_back({.call = 1,
                       .table = "pet",
                       .before = {std::int64_t{1}, std::string("a")},
                       .after = {std::int64_t{1}, std::monostate{}}});
  e.stop = t.stop;
  e.submitted = schemas::Value(schemas::Value::Object{{"count", 3}});
  return e;
}

inline Step put(Store& store,
                const std::string& run,
                const std::string& task_id,
                std::int64_t sample) {
  SEEDBED_TRY(const auto task, store.task(task_id));
  const auto t = trajectory_of(task.task.environment_id, task_id, sample);
  return store.put_episode({.run = run, .task_id = task_id, .sample = sample}, t, evidence_of(t));
}

#define ASSERT_FINE(expr)                              \
  do {                                                 \
    auto fine_ = (expr);                               \
    ASSERT_FALSE(fine_.has_value()) << fine_->message; \
  } while (0)

class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "seedbed_store_XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::string at(const std::string& name) const { return folder_ + "/" + name; }
  static std::unique_ptr<Store> must_open(const std::string& path,
                                          const StoreOptions& options = {.create = true}) {
    auto store = Store::open(path, options);
    EXPECT_TRUE(store.ok()) << store.error().message;
    return store.ok() ? *std::move(store) : nullptr;
  }
  static std::string refusal(const std::string& path, const StoreOptions& options = {}) {
    auto store = Store::open(path, options);
    return store.ok() ? "opened" : store.error().message;
  }
  // A store with these slots, selected.
  void fill(const std::string& path,
            const std::vector<std::int64_t>& slots,
            std::int64_t envs = 4) const {
    auto store = must_open(path);
    ASSERT_NE(store, nullptr);
    ASSERT_FINE(store->set_request(request_of(envs)));
    for (const auto slot : slots) ASSERT_FINE(store->put_slot(slot_of(slot)));
    ASSERT_FINE(store->select());
    ASSERT_FINE(store->checkpoint());
  }
  template <class T>
  static T must(Result<T> result) {
    EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().message);
    return result.ok() ? *std::move(result) : T{};
  }

  std::string folder_;
};

}  // namespace seedbed::tasks
