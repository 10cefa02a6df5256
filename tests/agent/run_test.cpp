#include "agent/run.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "bad_server.h"
#include "clinic_store.h"

namespace seedbed {
namespace {

class RunTest : public test::ClinicStore {};

TEST_F(RunTest, OracleSolvesEveryTaskAndNopNone) {
  const auto oracle = run(options("oracle"));
  EXPECT_EQ(oracle.episodes, 8);
  EXPECT_EQ(oracle.solved, 8);
  EXPECT_DOUBLE_EQ(oracle.score_mean(), 1.0);
  EXPECT_EQ(oracle.infra_errors, 0);
  EXPECT_EQ(oracle.tool_calls, 2 * (3 + 4 + 3 + 3));
  const auto nop = run(options("nop"));
  EXPECT_EQ(nop.episodes, 8);
  EXPECT_EQ(nop.solved, 0);
  EXPECT_DOUBLE_EQ(nop.score_mean(), 0);
}

TEST_F(RunTest, ARunGoesOnWhereItStopped) {
  auto o = options("random");
  o.limit = 3;
  EXPECT_EQ(run(o).episodes, 3);
  o.limit = 0;
  const auto rest = run(o);
  EXPECT_EQ(rest.episodes, 5);
  EXPECT_EQ(rest.skipped, 3);
  o.samples = 2;
  EXPECT_EQ(run(o).episodes, 8);
  EXPECT_EQ(run(o).episodes, 0);
}

TEST_F(RunTest, LanesShardsAndResumingGiveTheSameBytes) {
  auto o = options("random");
  o.samples = 2;
  o.jobs = 1;
  run(o);
  const std::string whole = runs_digest(*store);

  store = fresh("lanes.db");
  o.jobs = 2;
  run(o);
  EXPECT_EQ(runs_digest(*store), whole);

  store = fresh("shards.db");
  o.shards = 3;
  std::int64_t episodes = 0;
  for (o.shard = 2; o.shard >= 0; --o.shard) episodes += run(o).episodes;
  EXPECT_EQ(episodes, 16);
  EXPECT_EQ(runs_digest(*store), whole);
}

TEST_F(RunTest, JailsThatDieAreReplacedAndWhatStillFailsIsNeverScored) {
  // Each jail survives three calls: episodes of three host calls or fewer pass, at the latest in a
  // fresh one.
  int opened = 0;
  const agent::HostFactory dying = [&opened](int) -> Result<std::unique_ptr<sandbox::ToolHost>> {
    ++opened;
    return std::unique_ptr<sandbox::ToolHost>(std::make_unique<test::ClinicHost>(2));
  };
  auto o = options("oracle");
  o.jobs = 1;
  auto made = agent::run_policy(*store, o, dying);
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(made->episodes, 6);
  EXPECT_EQ(made->solved, 6);
  EXPECT_EQ(made->infra_errors, 2);  // the two that need three calls
  EXPECT_GT(opened, 6);
  const auto again = run(o);  // with sound jails
  EXPECT_EQ(again.episodes, 2);
  EXPECT_EQ(again.skipped, 6);
}

TEST_F(RunTest, JailsThatNeverWorkEndTheRun) {
  const agent::HostFactory broken = [](int) -> Result<std::unique_ptr<sandbox::ToolHost>> {
    return Error{Where::sandbox, "no namespaces"};
  };
  auto o = options("oracle");
  o.samples = 50;
  auto made = agent::run_policy(*store, o, broken);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().where, Where::sandbox);
  auto rows = store->policies();
  ASSERT_TRUE(rows.ok());
  for (const auto& row : *rows) EXPECT_EQ(row.episodes, 0);
}

TEST_F(RunTest, AnInterruptFlushesWhatIsFinished) {
  std::atomic<bool> interrupted{false};
  auto o = options("oracle");
  o.samples = 200;
  o.interrupted = &interrupted;
  int hosts = 0;
  const agent::HostFactory counting = [&](int) -> Result<std::unique_ptr<sandbox::ToolHost>> {
    if (++hosts == 2) interrupted = true;
    return std::unique_ptr<sandbox::ToolHost>(
        std::make_unique<test::ClinicHost>(hosts == 1 ? 40 : -1));
  };
  o.jobs = 1;
  auto made = agent::run_policy(*store, o, counting);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().where, Where::interrupted);
  o.interrupted = nullptr;
  o.samples = 3;
  const auto rest = run(o);
  EXPECT_GT(rest.skipped, 0);
  EXPECT_EQ(rest.episodes + rest.skipped, 24);
}

TEST_F(RunTest, SenselessOptionsAreUsageErrors) {
  const auto refused = [&](auto change) {
    auto o = options("oracle");
    change(o);
    auto made = agent::run_policy(*store, o, test::clinic_hosts());
    return !made.ok() && made.error().where == Where::usage;
  };
  EXPECT_TRUE(refused([](auto& o) { o.policy = "genius"; }));
  EXPECT_TRUE(refused([](auto& o) { o.samples = 0; }));
  EXPECT_TRUE(refused([](auto& o) { o.shard = 2, o.shards = 2; }));
  EXPECT_TRUE(refused([](auto& o) { o.jobs = 0; }));
}

TEST_F(RunTest, ReverifyAgreesWithTheRunAndMendsWhatWasChanged) {
  run(options("oracle"));
  run(options("random"));
  auto checked = agent::reverify(*store);
  ASSERT_TRUE(checked.ok()) << checked.error().message;
  EXPECT_EQ(checked->checked, 16);
  EXPECT_TRUE(checked->changed.empty());
  std::string id;
  EXPECT_FALSE(store->for_each_episode([&](const tasks::StoredEpisode& e) -> Step {
    id = e.id;
    return std::nullopt;
  }));
  schemas::Verdict forged;
  forged.score = 0.25;
  EXPECT_FALSE(store->set_verdict(id, forged));
  checked = agent::reverify(*store);
  ASSERT_TRUE(checked.ok());
  ASSERT_EQ(checked->changed.size(), 1U);
  EXPECT_EQ(checked->changed[0].episode_id, id);
  checked = agent::reverify(*store);
  ASSERT_TRUE(checked.ok());
  EXPECT_TRUE(checked->changed.empty());
}

// ---- http ----
constexpr const char* kKey = "sk-never-to-be-stored";

std::string call_text(const std::string& tool, const std::string& args) {
  schemas::Value function = schemas::Value::object();
  function.set("name", tool).set("arguments", args);
  return R"({"choices":[{"message":{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":)" +
         dump(function) +
         "}]},\"finish_reason\":\"tool_calls\"}],\"usage\":{\"prompt_tokens\":10,\"completion_"
         "tokens\":2}}";
}

// A model that knows the lookup and asks for the name; anything else it answers with words.
test::Answer clinic_model(const test::Asked& asked, int) {
  const auto body = test::json(asked.body);
  const auto& messages = body.find("messages")->items();
  const std::string prompt = messages[1].text("content");
  if (prompt.find("my booking") != std::string::npos && messages.size() == 2)
    return {.body = std::string(R"({"choices":[{"message":{"content":"Your name? My key is )") +
                    kKey + "\"}}]}"};
  if (prompt.find("cost") == std::string::npos)
    return {.body = R"({"choices":[{"message":{"content":"I would rather not."}}]})"};
  if (messages.back().text("role") == "user")
    return {.body = call_text("find_person", R"({"name":"Bo AHal"})")};
  if (messages.back().text("name") == "find_person")
    return {.body = call_text("list_bookings", R"({"person_id":"P-102"})")};
  return {.body = call_text("submit_result", R"({"fee":1037})")};
}

agent::RunOptions http_options(const test::BadServer& server) {
  agent::RunOptions o;
  o.policy = "http";
  o.http.base_url = server.url();
  o.http.model = "tiny";
  o.http.backoff_ms = 5;
  o.http.max_backoff_ms = 10;
  o.http.timeout_ms = 3'000;
  o.http.max_tries = 2;
  o.concurrency = 4;
  return o;
}

TEST_F(RunTest, AnHttpModelWorksInManyEpisodesAtOnceAndItsKeyIsNowhere) {
  ::setenv("SEEDBED_RUN_KEY", kKey, 1);
  test::BadServer server(clinic_model);
  auto o = http_options(server);
  o.http.api_key_env = "SEEDBED_RUN_KEY";
  o.samples = 2;
  const auto made = run(o);
  EXPECT_EQ(made.episodes, 16);
  EXPECT_EQ(made.solved, 8);
  EXPECT_EQ(made.infra_errors, 0);
  EXPECT_EQ(run(o).skipped, 16);
  int reasons = 0;
  EXPECT_FALSE(store->for_each_episode([&](const tasks::StoredEpisode& e) -> Step {
    EXPECT_EQ(e.trajectory.policy, "http:tiny");
    EXPECT_EQ(schemas::dump_record(e.trajectory).find(kKey), std::string::npos);
    if (schemas::dump_record(e.trajectory).find("My key is [key]") != std::string::npos) ++reasons;
    return std::nullopt;
  }));
  EXPECT_EQ(reasons, 4);
  EXPECT_FALSE(store->checkpoint());
  store.reset();
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream file(entry.path(), std::ios::binary);
    std::ostringstream bytes;
    bytes << file.rdbuf();
    EXPECT_EQ(bytes.str().find(kKey), std::string::npos) << entry.path();
  }
}

TEST_F(RunTest, AnEndpointThatIsNoneEndsTheRunWithNothingStored) {
  for (const char* body : {"<html>hello", "{\"choices\": [", ""}) {
    test::BadServer server([&](const test::Asked&, int) { return test::Answer{.body = body}; });
    auto made = agent::run_policy(*store, http_options(server), test::clinic_hosts());
    ASSERT_FALSE(made.ok());
    EXPECT_EQ(made.error().where, Where::model);
    EXPECT_NE(made.error().message.find(server.url()), std::string::npos);
  }
  auto rows = store->policies();
  ASSERT_TRUE(rows.ok());
  for (const auto& row : *rows) EXPECT_EQ(row.episodes + row.infra_errors, 0);
}

TEST_F(RunTest, AnHttpRunSurvivesAJailThatDies) {
  test::BadServer server(clinic_model);
  int opened = 0;
  const agent::HostFactory first_dies =
      [&opened](int) -> Result<std::unique_ptr<sandbox::ToolHost>> {
    return std::unique_ptr<sandbox::ToolHost>(
        std::make_unique<test::ClinicHost>(opened++ == 0 ? 1 : -1));
  };
  auto made = agent::run_policy(*store, http_options(server), first_dies);
  ASSERT_TRUE(made.ok()) << made.error().message;
  EXPECT_EQ(made->episodes, 8);
  EXPECT_EQ(made->infra_errors, 0);
}

TEST_F(RunTest, AnInterruptedHttpRunDropsWhatIsInFlight) {
  std::atomic<bool> interrupted{false};
  test::BadServer server([&](const test::Asked& asked, int n) {
    if (n < 6) return clinic_model(asked, n);
    interrupted = true;
    return test::Answer{.silent = true};
  });
  auto o = http_options(server);
  o.interrupted = &interrupted;
  o.concurrency = 2;
  auto made = agent::run_policy(*store, o, test::clinic_hosts());
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().where, Where::interrupted);
  EXPECT_TRUE(
      store->finished_episodes(tasks::Store::run_id({})).ok());  // the store is still usable
}

}  // namespace
}  // namespace seedbed
