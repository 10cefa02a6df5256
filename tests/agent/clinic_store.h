// A store of two clinics with four tasks each, and a host that runs their tools in the test's
// process.
#pragma once
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/run.h"
#include "fixtures.h"
#include "tasks/store.h"
#include "tests/tasks/admission_for_tests.h"
#include "tests/tasks/judge_clinic.h"

namespace seedbed::test {

namespace clinic_world = tasks::clinic;

// Plays the prefix anew for each call: slow, and right by construction.
class ClinicHost final : public sandbox::ToolHost {
 public:
  explicit ClinicHost(int dies_at_call = -1) : dies_at_call_(dies_at_call) {
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair_) != 0) std::abort();
  }
  ~ClinicHost() override {
    ::close(pair_[0]);
    ::close(pair_[1]);
  }
  Step load(const schemas::Environment& env, const std::string& image) override {
    env_ = env;
    image_ = image;
    return reset();
  }
  Step reset() override {
    calls_.clear();
    return std::nullopt;
  }
  Result<schemas::ToolResult> call(const schemas::ToolCall& call, int) override {
    if (dies_at_call_ >= 0 && made_++ >= dies_at_call_)
      return Error{Where::sandbox, "jail 'test': it died, wanted an answer; nothing"};
    calls_.push_back(call);
    SEEDBED_TRY(const auto played, clinic_world::play(env_, image_, {calls_}));
    return played[0].results.back();
  }
  Result<std::vector<schemas::RowChange>> changes() override {
    SEEDBED_TRY(const auto played, clinic_world::play(env_, image_, {calls_}));
    return played[0].changes;
  }
  Result<std::vector<sandbox::Played>> play(const std::vector<std::vector<schemas::ToolCall>>&,
                                            int) override {
    return std::vector<sandbox::Played>{};
  }
  Result<std::string> digest() override { return env_.image_hash; }
  Step send(const schemas::ToolCall& made, int wall_ms) override {
    auto result = call(made, wall_ms);
    if (!result.ok()) return std::move(result).error();
    sent_ = *std::move(result);
    if (::write(pair_[1], "x", 1) != 1) return Error{Where::sandbox, "write"};
    return std::nullopt;
  }
  Result<schemas::ToolResult> receive(int) override {
    char byte = 0;
    if (::read(pair_[0], &byte, 1) != 1) return Error{Where::sandbox, "read"};
    return sent_;
  }
  int descriptor() const override { return pair_[0]; }

 private:
  schemas::Environment env_;
  std::string image_;
  std::vector<schemas::ToolCall> calls_;
  schemas::ToolResult sent_;
  int dies_at_call_, made_ = 0, pair_[2] = {-1, -1};
};

inline agent::HostFactory clinic_hosts() {
  return [](int) -> Result<std::unique_ptr<sandbox::ToolHost>> {
    return std::unique_ptr<sandbox::ToolHost>(std::make_unique<ClinicHost>());
  };
}

inline schemas::GoldStep gold_call(const std::string& tool, std::string_view args) {
  return {schemas::GoldKind::call, tool, json(args), "", {}, {}};
}
inline tasks::Draft draft(const std::string& environment_id,
                          const std::string& kind,
                          const std::string& prompt,
                          std::int64_t number) {
  tasks::Draft d;
  d.task.environment_id = environment_id;
  d.task.kind = kind;
  d.task.prompt = prompt;
  d.task.number = number;
  d.task.submit_schema = json(R"({"type":"object","properties":{},"additionalProperties":false})");
  return d;
}

inline std::vector<tasks::Draft> clinic_tasks(const std::string& env) {
  const auto fee = json(
      R"({"type":"object","properties":{"fee":{"type":"integer"}},"required":["fee"],"additionalProperties":false})");
  const schemas::GoldStep person = gold_call("find_person", R"({"name":"Bo AHal"})");
  const schemas::GoldStep list = gold_call("list_bookings", R"({"person_id":"P-102"})");
  const schemas::GoldStep submit_fee{
      schemas::GoldKind::submit, "", json(R"({"fee":1037})"), "", {}, {}};
  tasks::Draft lookup = draft(env, "lookup", "What does the booking of Bo AHal cost, in cents?", 0);
  lookup.task.submit_schema = fee;
  lookup.gold.steps = {person, list, submit_fee};
  lookup.verifier.answer = {{"fee", schemas::AnswerType::integer, {"1037"}}};

  tasks::Draft achieve = draft(env, "achieve", "Please cancel the booking of Bo AHal.", 1);
  achieve.gold.steps = {person,
                        list,
                        gold_call("cancel", R"({"booking_id":"B-302"})"),
                        {schemas::GoldKind::submit, "", json("{}"), "", {}, {}}};
  achieve.verifier.delta = {
      {schemas::ChangeKind::set, "booking", "B-302", "state", "cancelled", {}},
      {schemas::ChangeKind::set, "slot", "S-202", "free", 3, {}}};
  const schemas::GoldStep done{schemas::GoldKind::submit, "", json("{}"), "", {}, {}};
  achieve.gold.near_misses = {
      {"sibling_row", {person, list, gold_call("cancel", R"({"booking_id":"B-303"})"), done}},
      {"no_such_row", {person, gold_call("cancel", R"({"booking_id":"B-999"})"), done}}};

  tasks::Draft refuse = draft(env, "refuse", "Please cancel the booking of Ada AAda.", 2);
  refuse.gold.steps = {gold_call("find_person", R"({"name":"Ada AAda"})"),
                       gold_call("list_bookings", R"({"person_id":"P-101"})"),
                       {schemas::GoldKind::refuse,
                        "",
                        json(R"({"reason_code":"gold_member","evidence_ids":["P-101","B-301"]})"),
                        "",
                        {},
                        {}}};
  refuse.verifier.outcome = schemas::Outcome::refuse;
  refuse.verifier.refuse_codes = {"gold_member"};
  refuse.verifier.refuse_evidence = {"P-101", "B-301"};
  refuse.gold.near_misses = {{"rule_ignored",
                              {refuse.gold.steps[0], refuse.gold.steps[1],
                               gold_call("cancel", R"({"booking_id":"B-301"})"), done}}};

  tasks::Draft ask = lookup;
  ask.task.kind = "ask";
  ask.task.number = 3;
  ask.task.prompt = "What does my booking cost, in cents?";
  ask.task.user = schemas::UserScript{{{{"name"}, "I am Bo AHal."}}, "I do not know.", 3};
  ask.gold.steps.insert(ask.gold.steps.begin(),
                        {schemas::GoldKind::say, "", {}, "What is your name?", {}, {}});
  return {lookup, achieve, refuse, ask};
}

class ClinicStore : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    folder = std::filesystem::temp_directory_path() /
             (std::string("seedbed-agent-") + std::to_string(::getpid()) + "-" + info->name());
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    store = fresh("a.db");
  }
  void TearDown() override {
    store.reset();
    std::filesystem::remove_all(folder);
  }

  std::unique_ptr<tasks::Store> fresh(const std::string& name) {
    auto opened =
        tasks::Store::open((folder / name).string(),
                           {.create = true, .fresh = false, .upgrade = false, .read_only = false});
    EXPECT_TRUE(opened.ok()) << opened.error().message;
    auto made = *std::move(opened);
    EXPECT_FALSE(made->set_request({.generator = "1",
                                    .family = "general",
                                    .seed = "7",
                                    .envs = 2,
                                    .tasks_per_env = 4,
                                    .split = "all",
                                    .packs = "p",
                                    .mix = {},
                                    .tools = {}}));
    for (std::int64_t slot = 0; slot < 2; ++slot) {
      schemas::Environment env = clinic_world::environment();
      env.title += slot == 0 ? " in the north" : " in the south";
      env.recipe.slot = slot;
      env.recipe.schema_class = "class " + std::to_string(slot);
      env.recipe.core_schema_class = "core " + std::to_string(slot);
      env.recipe.split = slot == 0 ? "train" : "heldout";
      tasks::SlotRecord record;
      record.slot = slot;
      record.rejections = {{"G3", 5}};
      record.environment =
          tasks::AdmissionForTests::environment(std::move(env), clinic_world::image());
      for (auto& d : clinic_tasks(record.environment->id()))
        record.tasks.push_back(tasks::AdmissionForTests::task(std::move(d)));
      auto failed = made->put_slot(std::move(record));
      EXPECT_FALSE(failed) << failed->message;
    }
    EXPECT_FALSE(made->select());
    EXPECT_FALSE(made->flush());
    return made;
  }
  static agent::RunOptions options(const std::string& policy) {
    agent::RunOptions o;
    o.policy = policy;
    o.seed = 5;
    return o;
  }
  agent::RunSummary run(const agent::RunOptions& o) {
    auto made = agent::run_policy(*store, o, clinic_hosts());
    EXPECT_TRUE(made.ok()) << made.error().message;
    return made.ok() ? *std::move(made) : agent::RunSummary{};
  }
  std::vector<tasks::StoredEpisode> episodes() {
    std::vector<tasks::StoredEpisode> out;
    const auto failed = store->for_each_episode([&](const tasks::StoredEpisode& e) -> Step {
      out.push_back(e);
      return std::nullopt;
    });
    EXPECT_FALSE(failed) << failed->message;
    return out;
  }
  static std::string runs_digest(tasks::Store& s) {
    auto digest = s.runs_digest();
    EXPECT_TRUE(digest.ok());
    return digest.ok() ? *digest : "";
  }

  std::filesystem::path folder;
  std::unique_ptr<tasks::Store> store;
};

}  // namespace seedbed::test
