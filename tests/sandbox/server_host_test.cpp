// An MCP server as the host of an environment: episodes begin anew, changes of files are told, and
// what agents and servers break is data or an error of the jail, as it should be.
#include "sandbox/hosts/server_host.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include "base/hash.h"
#include "sandbox/hosts/tree_hash.h"

namespace seedbed::sandbox {
namespace {

using schemas::End;
using schemas::ToolCall;

constexpr const char* kProgram = SEEDBED_SOURCE_DIR "/tests/data/workshop";

class ServerHostTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    place_ = std::make_shared<ServerPlace>(Isolation::strict, read());
    files_.entries = {{WorkEntry::Kind::file, "bracket.json", 0644, R"({"maker": "Harrison"})"},
                      {WorkEntry::Kind::file, "lantern.json", 0644, R"({"maker": "Tompion"})"}};
    env_.title = "a watchmaker";
    env_.image_hash = content_hash(image_);
    env_.server.emplace();
    env_.server->command = {"/usr/bin/python3", "-B", "/srv/m/server.py"};
    env_.server->mounts = {{kProgram, "/srv/m", *tree_hash(kProgram)}};
    schemas::Tool tool;
    tool.name = "list_clocks";
    tool.description = "Lists the clocks in the workshop.";
    tool.input = *schemas::parse_json(
        R"({"type":"object","properties":{},"required":[],"additionalProperties":false})");
    env_.tools = {tool};
  }
  ServerPlace::ReadFiles read() {
    return [this](const std::string&) -> Result<WorkState> { return files_; };
  }
  std::unique_ptr<ServerHost> loaded() {
    auto host = std::make_unique<ServerHost>(place_);
    const auto error = host->load(env_, image_);
    EXPECT_FALSE(error) << error->message;
    return host;
  }
  static ToolCall made(const std::string& tool, const std::string& args = "{}") {
    return {tool, *schemas::parse_json(args)};
  }
  static schemas::ToolResult call(ToolHost& host,
                                  const std::string& tool,
                                  const std::string& args = "{}",
                                  int wall_ms = 10'000) {
    const auto result = host.call(made(tool, args), wall_ms);
    EXPECT_TRUE(result.ok()) << result.error().message;
    return result.ok() ? *result : schemas::ToolResult{};
  }

  std::shared_ptr<ServerPlace> place_;
  schemas::Environment env_;
  WorkState files_;
  std::string image_ = "an image";  // read by nobody: the files are these
};

TEST_F(ServerHostTest, EachEpisodeBeginsWithTheFilesAndAServerOfItsOwn) {
  const auto host = loaded();
  EXPECT_EQ(*host->digest(), env_.image_hash);
  EXPECT_EQ(call(*host, "list_clocks").out, R"({"clocks":["bracket","lantern"]})");
  call(*host, "write_note", R"({"name":"lantern","note":"oil"})");
  EXPECT_EQ(call(*host, "count_calls").out, R"({"calls":3})");
  const auto changes = host->changes();
  ASSERT_TRUE(changes.ok());
  ASSERT_EQ(changes->size(), 1U);
  EXPECT_EQ(changes->front().call, 1);
  EXPECT_EQ(std::get<std::string>(changes->front().after[0]), "lantern.json");
  EXPECT_NE(*host->digest(), env_.image_hash);
  ASSERT_FALSE(host->reset());
  EXPECT_TRUE(host->changes()->empty());
  EXPECT_EQ(*host->digest(), env_.image_hash);
  EXPECT_EQ(call(*host, "count_calls").out, R"({"calls":1})");
}

TEST_F(ServerHostTest, PlansArePlayedFromTheStart) {
  const auto host = loaded();
  const ToolCall write = made("write_note", R"({"name":"lantern","note":"oil"})");
  const auto played = host->play({{write, made("count_calls")}, {made("count_calls")}, {}}, 10'000);
  ASSERT_TRUE(played.ok()) << played.error().message;
  ASSERT_EQ(played->size(), 3U);
  EXPECT_EQ((*played)[0].changes.size(), 1U);
  EXPECT_EQ((*played)[0].results[1].out, R"({"calls":2})");
  EXPECT_EQ((*played)[1].results[0].out, R"({"calls":1})");
  EXPECT_EQ(*host->digest(), env_.image_hash);
}

TEST_F(ServerHostTest, ACallThatIsSentIsAnsweredWhenTheDescriptorSaysSo) {
  const auto host = loaded();
  for (int n = 1; n <= 2; ++n) {
    ASSERT_FALSE(host->send(made("count_calls"), 20'000));
    pollfd ready{host->descriptor(), POLLIN, 0};
    ASSERT_EQ(::poll(&ready, 1, 20'000), 1);
    const auto result = host->receive(1'000);
    ASSERT_TRUE(result.ok()) << result.error().message;
    EXPECT_EQ(result->out, R"({"calls":)" + std::to_string(n) + "}");
    EXPECT_EQ(::poll(&ready, 1, 0), 0) << "read by then";
  }
  ASSERT_FALSE(host->send(made("wait", R"({"ms":5000})"), 200));
  const auto late = host->receive(4'000);
  ASSERT_TRUE(late.ok()) << late.error().message;
  EXPECT_EQ(late->end, End::timed_out);
  EXPECT_FALSE(host->receive(10).ok()) << "nothing is in flight";
}

TEST_F(ServerHostTest, AServerThatEndsIsTheAgentsDoingAndTheNextEpisodeHasAnother) {
  const auto host = loaded();
  EXPECT_EQ(call(*host, "fail_hard").end, End::crashed);
  EXPECT_EQ(call(*host, "list_clocks").end, End::crashed);
  EXPECT_EQ(call(*host, "wait", R"({"ms":1})").end, End::crashed);
  ASSERT_FALSE(host->reset());
  EXPECT_EQ(call(*host, "wait", R"({"ms":5000})", 200).end, End::timed_out);
  ASSERT_FALSE(host->reset());
  EXPECT_EQ(call(*host, "count_calls").out, R"({"calls":1})");
}

TEST_F(ServerHostTest, WhatMakesJailsIsStartedAgainWhereItHasEnded) {
  auto host = loaded();
  EXPECT_EQ(call(*host, "count_calls").out, R"({"calls":1})");
  const int first = place_->pid();
  ASSERT_GT(first, 0);
  ASSERT_EQ(::kill(first, SIGKILL), 0);
  ASSERT_FALSE(host->reset());
  EXPECT_EQ(call(*host, "count_calls").out, R"({"calls":1})");
  EXPECT_NE(place_->pid(), first);
}

TEST_F(ServerHostTest, OtherFilesOrToolsThanTheEnvironmentsAreRefused) {
  auto other = env_;
  other.server->mounts[0].hash = content_hash("other");
  ServerHost host(place_);
  auto error = host.load(other, image_);
  ASSERT_TRUE(error);
  EXPECT_NE(error->message.find("--mount SRC:/srv/m"), std::string::npos) << error->message;
  other = env_;
  other.server->mounts[0].source = "/nowhere/at/all";
  ASSERT_TRUE(host.load(other, image_));
  other = env_;
  other.tools[0].name = "list_watches";
  ASSERT_FALSE(host.load(other, image_));
  const auto missing = host.call(made("list_watches"), 1'000);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().where, Where::tool);
  EXPECT_NE(missing.error().message.find("no tool 'list_watches'"), std::string::npos);
  other = env_;
  other.tools[0].description = "Another.";
  ASSERT_FALSE(host.load(other, image_));
  EXPECT_FALSE(host.call(made("list_clocks"), 1'000).ok());
  ASSERT_FALSE(host.load(env_, image_)) << "and it can be used again";
  EXPECT_EQ(call(host, "count_calls").out, R"({"calls":1})");
}

// The server with another fail_hard.
schemas::Server failing_by(schemas::Server server, const std::string& python) {
  server.command = {
      "/usr/bin/python3", "-B", "-c",
      "exec(open('/srv/m/server.py').read().replace('os._exit(3)', '''" + python + "'''))"};
  return server;
}

TEST_F(ServerHostTest, WhatAServerLeavesIsToldWithinBounds) {
  const auto server = *env_.server;
  env_.server = failing_by(server, R"(os.mkfifo("pipe"); return {"left": 1})");
  auto host = loaded();
  EXPECT_EQ(call(*host, "fail_hard").out, R"({"left":1})");
  auto changes = host->changes();
  ASSERT_EQ(changes->size(), 1U);
  EXPECT_EQ(std::get<std::string>(changes->front().after[1]), "other");
  env_.server = failing_by(
      server, R"([open(f"f{i}", "w").write("x" * 60000) for i in range(600)]; return {})");
  host = loaded();
  const auto much = call(*host, "fail_hard");
  EXPECT_EQ(much.end, End::denied);
  EXPECT_NE(much.out.find("more than 32 MiB"), std::string::npos) << much.out;
  changes = host->changes();
  ASSERT_EQ(changes->size(), 2U) << "its files count as gone";
  EXPECT_TRUE(changes->front().after.empty());
}

// A store comes from anywhere, and pid 1 makes the places of mounts as root.
TEST_F(ServerHostTest, ServersThatNoCommandWouldMakeAreRefused) {
  const auto refused = [&](const auto& change) {
    auto other = env_;
    change(*other.server);
    const auto error = ServerHost(place_).load(other, image_);
    return error && error->where == Where::store;
  };
  const std::string work = "/work";
  const std::vector<std::string> targets = {
      "/../etc/nologin", "/a/../../etc/x", "etc",         "",   "/",
      "/proc/x",         "/dev",           "/etc/passwd", work, work + "/d"};
  for (const std::string& target : targets)
    EXPECT_TRUE(refused([&](auto& s) { s.mounts[0].target = target; })) << target;
  EXPECT_TRUE(refused([](auto& s) { s.mounts[0].source = "relative"; }));
  for (const std::int64_t memory : {-1LL, 0LL, 7LL, 1LL << 32, (1LL << 32) + 512})
    EXPECT_TRUE(refused([&](auto& s) { s.memory_mib = memory; })) << memory;
  for (const std::int64_t pids : {-1LL, 0LL, 1LL << 32, (1LL << 32) + 64})
    EXPECT_TRUE(refused([&](auto& s) { s.pids = pids; })) << pids;
  EXPECT_TRUE(refused([](auto& s) { s.command.clear(); }));
  for (const char* source : {"/dev/null", "/proc/kmsg", "/dev/zero"}) {
    auto other = env_;
    other.server->mounts[0].source = source;
    EXPECT_TRUE(ServerHost(place_).load(other, image_)) << source;
  }
}

TEST_F(ServerHostTest, MountsMayLieElsewhere) {
  env_.server->mounts[0].source = "/nowhere/at/all";
  place_ = std::make_shared<ServerPlace>(Isolation::strict, read(),
                                         std::map<std::string, std::string>{{"/srv/m", kProgram}});
  EXPECT_EQ(call(*loaded(), "count_calls").out, R"({"calls":1})");
}

TEST_F(ServerHostTest, ServersThatDoNotStartAreErrorsOfTheHost) {
  env_.server->command = {"/usr/bin/false"};
  const auto host = loaded();
  EXPECT_FALSE(host->call(made("list_clocks"), 1'000).ok());
  EXPECT_FALSE(host->digest().ok());
  ASSERT_FALSE(host->reset());
  EXPECT_FALSE(host->call(made("list_clocks"), 1'000).ok());
}

}  // namespace
}  // namespace seedbed::sandbox
