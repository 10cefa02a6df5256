// An orderly end: what runs may end, what idles is closed, and nothing is left.
#include <atomic>
#include <mutex>

#include "tests/engine_server/kit.h"

namespace seedbed::engine::server::test {
namespace {

std::int64_t ms_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                               begin)
      .count();
}

struct One {  // the exchange that a test answers by hand
  std::mutex mutex;
  Kept exchange;
  std::atomic<int> gone{0};
  service::Handler handler() {
    return [this](Kept x) {
      x->on_gone([this] { ++gone; });
      const std::lock_guard lock(mutex);
      exchange = std::move(x);
    };
  }
  Kept take() {
    Kept out;
    soon([&] {
      const std::lock_guard lock(mutex);
      out = std::move(exchange);
      exchange = nullptr;
      return out != nullptr;
    });
    return out;
  }
};

TEST(ServerStop, ClosesIdleConnectionsAndReturns) {
  const int before = open_descriptors();
  {
    Running server(echo);
    std::vector<Client> clients;
    for (int i = 0; i < 20; ++i) {
      clients.emplace_back(server->port());
      if (i % 2 == 0) {
        clients.back().send(get("/"));
        EXPECT_EQ(clients.back().read().status, 200);
      }
    }
    EXPECT_TRUE(soon([&] { return server->stats().connections == 20; }));
    const auto begin = std::chrono::steady_clock::now();
    server->stop();
    server.join();
    EXPECT_LT(ms_since(begin), 1'000);
    EXPECT_EQ(server->stats().connections, 0);
    for (auto& client : clients) EXPECT_TRUE(client.at_end());
    EXPECT_FALSE(Client(server->port()).connected());
  }
  EXPECT_EQ(open_descriptors(), before);
}

TEST(ServerStop, LetsARunningStreamEnd) {
  One one;
  Running server(one.handler());
  Client client(server->port()), idle(server->port());
  client.send(get("/"));
  const auto x = one.take();
  x->begin_stream("text/event-stream");
  x->send("data: 1\n\n");
  EXPECT_TRUE(client.read_until("data: 1"));
  server->stop();
  EXPECT_TRUE(idle.at_end());
  EXPECT_TRUE(soon([&] { return !Client(server->port()).connected(); }));
  x->send("data: 2\n\n");
  EXPECT_TRUE(client.read_until("data: 2"));
  EXPECT_TRUE(soon([&] { return server->stats().connections == 1; }));
  x->end_stream();
  const auto answer = client.read();
  EXPECT_TRUE(answer.whole);
  EXPECT_EQ(answer.body, "data: 1\n\ndata: 2\n\n");
  EXPECT_TRUE(client.at_end());
  client.close();
  server.join();
  EXPECT_EQ(one.gone, 0);
}

TEST(ServerStop, AnswersWhatIsBegunAndSaysThatItCloses) {
  One one;
  Running server(one.handler());
  Client client(server->port()), half(server->port());
  client.send(get("/"));
  const auto x = one.take();
  half.send("GET /half HTTP/1.1\r\nHo");
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  server->stop();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  half.send("st: x\r\n\r\n");
  const auto y = one.take();
  ASSERT_NE(y, nullptr);
  for (const auto& exchange : {x, y}) exchange->reply(text("ok"));
  for (auto* c : {&client, &half}) {
    const auto answer = c->read();
    EXPECT_EQ(answer.body, "ok");
    EXPECT_EQ(answer.fields.at("connection"), "close");
    EXPECT_TRUE(c->at_end());
    c->close();
  }
  server.join();
}

TEST(ServerStop, ClosesWhatIsLeftWhenItsTimeIsUp) {
  One one;
  Running server(one.handler(), {.drain_ms = 100});
  Client client(server->port());
  client.send(get("/"));
  const auto x = one.take();
  x->begin_stream("text/event-stream");
  const auto begin = std::chrono::steady_clock::now();
  server->stop();
  server.join();
  EXPECT_GE(ms_since(begin), 90);
  EXPECT_LT(ms_since(begin), 2'000);
  EXPECT_EQ(one.gone, 1);
  EXPECT_FALSE(client.read().whole);
  x->send("after the end");  // nobody is there, and nothing happens
  x->end_stream();
  std::atomic<int> late{0};
  x->on_gone([&late] { ++late; });
  EXPECT_EQ(late, 1);
}

TEST(ServerStop, AgainClosesAtOnce) {
  One one;
  Running server(one.handler());
  Client client(server->port());
  client.send(get("/"));
  const auto x = one.take();
  const auto begin = std::chrono::steady_clock::now();
  server->stop();
  server->stop();
  server.join();
  EXPECT_LT(ms_since(begin), 2'000);
  EXPECT_EQ(one.gone, 1);
  EXPECT_TRUE(client.at_end());
  server->stop();  // a third is nothing
}

TEST(ServerStop, BeforeServingIsHeard) {
  auto server = Server::open({.port = 0}, echo);
  ASSERT_TRUE(server.ok());
  (*server)->stop();
  (*server)->serve();
  EXPECT_EQ((*server)->stats().connections, 0);
}

TEST(ServerStop, AServerThatNeverServedLeavesNothing) {
  const int before = open_descriptors();
  {
    auto server = Server::open({.host = "localhost", .port = 0}, echo);
    ASSERT_TRUE(server.ok());
    Client waiting((*server)->port());
    EXPECT_TRUE(waiting.connected());
  }
  EXPECT_EQ(open_descriptors(), before);
}

TEST(ServerStop, AnExchangeOutlivesItsServer) {
  One one;
  Kept x;
  {
    Running server(one.handler());
    Client client(server->port());
    client.send(get("/"));
    x = one.take();
  }
  EXPECT_EQ(one.gone, 1);
  x->begin_stream("a/b");
  x->send("c");
  x->end_stream();
  x->reply({});
}

}  // namespace
}  // namespace seedbed::engine::server::test
