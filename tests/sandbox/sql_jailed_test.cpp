// The SQL host inside a real jail: the same program, the same answers, and no host lost by a
// hostile tool.
#include "sandbox/jail.h"
#include "tests/sandbox/sql_testing.h"

namespace seedbed::sandbox {
namespace {

using schemas::End;

class SqlJailed : public SqlHostTest {
 protected:
  void SetUp() override {
    auto broker = Broker::start(Isolation::strict);
    if (!broker.ok()) GTEST_SKIP() << broker.error().message;
    broker_ = *std::move(broker);
    auto opened = open_sql_host(*broker_);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    host_.reset(dynamic_cast<SqlHostClient*>(opened->release()));
    ASSERT_NE(host_, nullptr);
  }
  void TearDown() override { host_.reset(); }

  std::shared_ptr<Broker> broker_;
};

constexpr const char* kState =
    "CREATE TABLE t(k INTEGER PRIMARY KEY, v TEXT NOT NULL) STRICT; INSERT INTO t "
    "VALUES(1,'a'),(2,'b');";

TEST_F(SqlJailed, AnEpisodeRunsAndResetsInside) {
  load(kState, {{"get", "", "", {}, "SELECT k, v FROM t ORDER BY k", schemas::Shape::rows},
                {"set", "", "", {run("UPDATE t SET v = 'c' WHERE k = 1")}}});
  EXPECT_EQ(call("set").end, End::ok);
  EXPECT_EQ(out("get"), R"({"items":[{"k":1,"v":"c"},{"k":2,"v":"b"}]})");
  ASSERT_EQ(changes().size(), 1U);
  EXPECT_NE(digest(), env_.image_hash);
  reset();
  EXPECT_EQ(digest(), env_.image_hash);
  auto played =
      host_->play({{{"set", json("{}")}, {"get", json("{}")}}, {{"get", json("{}")}}}, 1000);
  ASSERT_TRUE(played.ok()) << played.error().message;
  EXPECT_EQ((*played)[1].results[0].out, R"({"items":[{"k":1,"v":"a"},{"k":2,"v":"b"}]})");
}

TEST_F(SqlJailed, EndlessAndGreedyToolsEndInsideAndTheHostStays) {
  load(kState, {{"loop",
                 "",
                 "",
                 {run("INSERT INTO t WITH RECURSIVE r(n) AS (SELECT 10 UNION ALL SELECT n + 0 FROM "
                      "r) SELECT n, 'x' FROM r WHERE n > 10")}},
                {"hog",
                 "",
                 "",
                 {},
                 "WITH RECURSIVE r(n, s) AS (SELECT 1, replace(printf('%1000d', 1), ' ', "
                 "printf('%100d', 1)) UNION ALL SELECT n + 1, s FROM r LIMIT 20000)"
                 " SELECT count(*) AS n FROM (SELECT n, s || n AS s FROM r ORDER BY s DESC)"},
                {"get", "", "", {}, "SELECT count(*) AS n FROM t"}});
  EXPECT_EQ(call("loop", "{}", 10'000).end, End::timed_out);
  EXPECT_EQ(call("hog", "{}", 10'000).end, End::out_of_memory);
  EXPECT_EQ(out("get"), R"({"n":2})");
}

}  // namespace
}  // namespace seedbed::sandbox
