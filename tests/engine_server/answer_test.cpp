// The answer between its makers and the server's thread, without a socket.
#include "engine/server/answer.h"

#include <gtest/gtest.h>

#include "tests/engine_server/kit.h"

namespace seedbed::engine::server::test {
namespace {

struct Way {
  Way() = default;
  Way(const Way&) = delete;
  Way& operator=(const Way&) = delete;
  ~Way() { hub->take(); }  // who waits there holds the hub
  int woken = 0;
  std::shared_ptr<Hub> hub = std::make_shared<Hub>([this] { ++woken; });
  std::shared_ptr<Answer> make(std::size_t max_unsent = 1'000) {
    return std::make_shared<Answer>(hub, max_unsent);
  }
};

TEST(Answer, ManySendsAreOneWakeAndOneUpdate) {
  Way way;
  const auto one = way.make(), other = way.make();
  for (const auto& answer : {one, other}) {
    answer->begin("text/event-stream");
    for (int i = 0; i < 100; ++i) answer->send("x");
  }
  EXPECT_EQ(way.woken, 1);
  EXPECT_EQ(way.hub->take().size(), 2U);
  const auto update = one->take();
  EXPECT_EQ(update.begin, "text/event-stream");
  EXPECT_EQ(update.bytes, std::string(100, 'x'));
  EXPECT_FALSE(update.ended);
  one->send("y");
  one->end();
  EXPECT_EQ(way.woken, 2);
  EXPECT_EQ(way.hub->take().size(), 1U);
  const auto last = one->take();
  EXPECT_EQ(last.bytes, "y");
  EXPECT_TRUE(last.ended);
  EXPECT_FALSE(last.begin.has_value());
}

TEST(Answer, HoldsNoMoreThanItMay) {
  Way way;
  const auto answer = way.make(10);
  answer->begin("a/b");
  answer->send("0123456789");
  answer->send("x");
  answer->send("y");
  const auto update = answer->take();
  EXPECT_TRUE(update.overrun);
  EXPECT_EQ(update.bytes, "");
}

TEST(Answer, KeepsToTheOrder) {
  Way way;
  const auto answer = way.make();
  answer->send("before it began");
  answer->end();
  EXPECT_TRUE(way.hub->take().empty());
  answer->begin("a/b");
  answer->begin("c/d");
  answer->reply(text("not after a beginning"));
  answer->end();
  answer->send("after the end");
  const auto update = answer->take();
  EXPECT_EQ(update.begin, "a/b");
  EXPECT_EQ(update.bytes, "");
  EXPECT_FALSE(update.reply.has_value());
}

TEST(Answer, IsGivenUpWithTheLastCopyOfItsFunctions) {
  Way way;
  const auto answer = way.make();
  auto exchange = make_exchange({}, answer);
  auto send = exchange->send;
  exchange.reset();
  EXPECT_TRUE(way.hub->take().empty());
  EXPECT_FALSE(answer->take().given_up);
  send = nullptr;
  EXPECT_TRUE(answer->take().given_up);
}

TEST(Answer, SaysOnceThatTheClientIsGone) {
  Way way;
  const auto answer = way.make();
  int first = 0, second = 0, late = 0;
  answer->on_gone([&first] { ++first; });
  answer->on_gone([&second] { ++second; });  // in the place of the one before
  answer->client_gone();
  answer->client_gone();
  EXPECT_EQ(first, 0);
  EXPECT_EQ(second, 1);
  answer->begin("a/b");
  answer->send("x");
  EXPECT_TRUE(way.hub->take().empty());
  answer->on_gone([&late] { ++late; });
  EXPECT_EQ(late, 0);  // on the server's thread, which is told
  for (const auto& told : way.hub->take()) told->client_gone();
  EXPECT_EQ(late, 1);
  way.hub->close();
  answer->on_gone([&late] { ++late; });  // nobody else is left to say it
  EXPECT_EQ(late, 2);
}

TEST(Answer, ThatIsCompleteAsksNobody) {
  Way way;
  const auto answer = way.make();
  int gone = 0;
  answer->on_gone([&gone] { ++gone; });
  answer->reply(text("ok"));
  answer->client_gone();
  answer->on_gone([&gone] { ++gone; });
  EXPECT_EQ(gone, 0);
}

}  // namespace
}  // namespace seedbed::engine::server::test
