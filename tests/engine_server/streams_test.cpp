// Event streams: what comes out, who is gone, who is too slow, and that nothing is left of them.
#include <atomic>
#include <condition_variable>
#include <mutex>

#include "tests/engine_server/kit.h"

namespace seedbed::engine::server::test {
namespace {

// Keeps exchanges for the test to answer, and counts what on_gone said.
struct Held {
  std::mutex mutex;
  std::vector<Kept> kept;
  std::vector<std::weak_ptr<Exchange>> all;
  std::atomic<int> gone{0};

  service::Handler handler() {
    return [this](Kept exchange) {
      exchange->on_gone([this] { ++gone; });
      const std::lock_guard lock(mutex);
      all.push_back(exchange);
      kept.push_back(std::move(exchange));
    };
  }
  Kept take() {
    Kept exchange;
    soon([&] {
      const std::lock_guard lock(mutex);
      if (kept.empty()) return false;
      exchange = kept.front();
      kept.erase(kept.begin());
      return true;
    });
    return exchange;
  }
  int alive() {
    const std::lock_guard lock(mutex);
    int n = 0;
    for (const auto& exchange : all) n += exchange.expired() ? 0 : 1;
    return n;
  }
};

TEST(ServerStreams, ComeInChunks) {
  Held held;
  Running server(held.handler());
  Client client(server->port());
  client.send(get("/"));
  const auto x = held.take();
  x->begin_stream("text/event-stream");
  x->send("data: 1\n\n");
  ASSERT_TRUE(client.read_until("data: 1\n\n"));  // before the next is made
  x->send("data: 2\n\n");
  x->send("");
  x->send("data: 3\n\n");
  x->end_stream();
  x->send("after the end");
  const auto answer = client.read();
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.whole);
  EXPECT_EQ(answer.body, "data: 1\n\ndata: 2\n\ndata: 3\n\n");
  EXPECT_EQ(answer.fields.at("content-type"), "text/event-stream");
  EXPECT_EQ(answer.fields.at("cache-control"), "no-cache");
  EXPECT_EQ(answer.fields.at("x-accel-buffering"), "no");
  EXPECT_EQ(answer.fields.at("transfer-encoding"), "chunked");
  client.send(get("/next"));  // on the same connection
  held.take()->reply(text("ok"));
  EXPECT_EQ(client.read().body, "ok");
  EXPECT_EQ(held.gone, 0);
}

TEST(ServerStreams, OfHttp10EndWithTheConnection) {
  Held held;
  Running server(held.handler());
  Client client(server->port());
  client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  const auto x = held.take();
  x->begin_stream("text/event-stream");
  x->send("data: 1\n\n");
  x->end_stream();
  const auto answer = client.read();
  EXPECT_EQ(answer.fields.at("connection"), "close");
  EXPECT_EQ(answer.fields.count("transfer-encoding"), 0U);
  EXPECT_EQ(answer.body, "data: 1\n\n");
  EXPECT_TRUE(answer.whole);
}

TEST(ServerStreams, OfHeadAreTheirHead) {
  Held held;
  Running server(held.handler());
  Client client(server->port());
  client.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto x = held.take();
  x->begin_stream("text/event-stream");
  x->send("data: 1\n\n");
  x->end_stream();
  EXPECT_EQ(client.read(true).status, 200);
  client.send(get("/"));
  held.take()->reply(text("ok"));
  EXPECT_EQ(client.read().body, "ok");
}

TEST(ServerStreams, ThatAreDroppedAreCutNotEnded) {
  Held held;
  Running server(held.handler());
  Client client(server->port());
  client.send(get("/"));
  {
    const auto x = held.take();
    x->begin_stream("text/event-stream");
    x->send("data: 1\n\n");
  }
  const auto answer = client.read();
  EXPECT_EQ(answer.body, "data: 1\n\n");
  EXPECT_FALSE(answer.whole);
  EXPECT_TRUE(client.at_end());
}

TEST(ServerStreams, SayAtOnceThatTheClientIsGone) {
  for (const int way : {0, 1, 2}) {  // closed, reset, ended its side
    Held held;
    Running server(held.handler());
    Client client(server->port());
    client.send(get("/"));
    auto x = held.take();
    if (way != 1) {
      x->begin_stream("text/event-stream");
      x->send("data: 1\n\n");
      EXPECT_TRUE(client.read_until("data: 1")) << way;
    }
    if (way == 2)
      client.end_sending();
    else
      client.close(way == 1);
    EXPECT_TRUE(soon([&] { return held.gone == 1; }, 2'000)) << way;  // nothing was being sent
    x->send("data: 2\n\n");
    x->end_stream();
    x->reply({});
    std::atomic<int> late{0};
    x->on_gone([&late] { ++late; });
    EXPECT_TRUE(soon([&] { return late == 1; }, 2'000)) << way;
    EXPECT_TRUE(soon([&] { return server->stats().connections == 0; })) << way;
    EXPECT_EQ(server->stats().gone, 1) << way;
    x.reset();
    EXPECT_EQ(held.alive(), 0) << way;
    EXPECT_EQ(held.gone, 1) << way;
  }
}

TEST(ServerStreams, AnOwnerOfItsOwnExchangeIsLetGo) {
  std::weak_ptr<Exchange> seen;
  std::atomic<bool> ready{false};
  Running server([&](const Kept& x) {
    seen = x;
    x->on_gone([x] { x->end_stream(); });  // owns itself until it is called or dropped
    ready = true;
    if (x->path == "/reply") x->reply(text("ok"));
  });
  Client client(server->port());
  client.send(get("/reply"));
  EXPECT_EQ(client.read().body, "ok");
  EXPECT_TRUE(soon([&] { return seen.expired(); }));
  ready = false;
  client.send(get("/wait"));
  EXPECT_TRUE(soon([&] { return ready.load(); }));
  client.close();
  EXPECT_TRUE(soon([&] { return seen.expired(); }));
}

// More than is read ahead waits in the kernel, so that no read would show the end.
TEST(ServerStreams, AClientBehindRequestsSentAheadIsSeenGoing) {
  Held held;
  Running server(held.handler(), {.read_ms = 200});
  Client client(server->port());
  client.send(get("/"));
  const auto x = held.take();
  for (int i = 0; i < 12; ++i) client.send(post("/", std::string(10'000, 'x')));
  client.close();
  EXPECT_TRUE(soon([&] { return held.gone == 1; }, 5'000));
  EXPECT_EQ(server->stats().requests, 1);
}

TEST(ServerStreams, AClientBehindAFloodIsSeenGoingWhenItIsSentTo) {
  Held held;
  Running server(held.handler());
  Client client(server->port());
  client.send(get("/"));
  const auto x = held.take();
  for (int i = 0; i < 40; ++i) client.send(post("/", std::string(10'000, 'x')));
  client.close();
  x->begin_stream("text/event-stream");
  EXPECT_TRUE(soon(
      [&] {
        x->send("data: 1\n\n");
        return held.gone == 1;
      },
      5'000));
  EXPECT_EQ(server->stats().requests, 1);
}

// A maker that never waits against a client that does not read.
TEST(ServerStreams, AClientThatDoesNotReadIsLetGo) {
  Held held;
  Running server(held.handler(), {.max_unsent_bytes = 200'000});
  Client client(server->port(), 4'096);
  client.send(get("/"));
  auto x = held.take();
  x->begin_stream("text/event-stream");
  const std::string event = "data: " + std::string(10'000, 'x') + "\n\n";
  int sent = 0;
  for (; held.gone == 0 && sent < 10'000; ++sent) {
    x->send(event);
    if (sent % 16 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(held.gone, 1);
  EXPECT_LT(sent, 10'000);
  EXPECT_TRUE(soon([&] { return server->stats().connections == 0; }));
  EXPECT_EQ(server->stats().slow, 1);
  EXPECT_EQ(server->stats().gone, 0);
  x.reset();
  EXPECT_EQ(held.alive(), 0);
}

TEST(ServerStreams, AClientThatStopsReadingRunsOutOfTime) {
  Held held;
  Running server(held.handler(), {.max_unsent_bytes = 64U << 20, .write_ms = 100});
  Client client(server->port(), 4'096);
  client.send(get("/"));
  const auto x = held.take();
  x->begin_stream("text/event-stream");
  for (int i = 0; i < 20; ++i) x->send(std::string(1U << 20, 'x'));  // more than the kernel holds
  EXPECT_TRUE(soon([&] { return held.gone == 1; }, 5'000));
  EXPECT_EQ(server->stats().slow, 1);
}

TEST(ServerStreams, AClientThatReadsSlowlyGetsItAll) {
  const std::string all(12U << 20, 'x');  // more than the kernel holds
  Held held;
  Running server(held.handler(), {.max_unsent_bytes = 64U << 20, .write_ms = 1'500});
  Client client(server->port(), 128 << 10);
  client.send(get("/"));
  {
    const auto x = held.take();
    x->begin_stream("text/event-stream");
    x->send(all);
    x->end_stream();
  }
  for (int i = 0; i < 10; ++i) {  // together longer than write_ms
    client.seen += client.read_some();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  const auto answer = client.read();
  EXPECT_TRUE(answer.whole);
  EXPECT_TRUE(answer.body == all);
  EXPECT_EQ(server->stats().slow, 0);
}

TEST(ServerStreams, FromManyThreadsComeWhole) {
  static constexpr int kStreams = 32, kEvents = 200;
  std::mutex mutex;
  std::vector<Kept> streams;
  Running server([&](Kept x) {
    x->begin_stream("text/event-stream");
    const std::lock_guard lock(mutex);
    streams.push_back(std::move(x));
  });
  std::vector<Client> clients;
  for (int i = 0; i < kStreams; ++i) {
    clients.emplace_back(server->port());
    clients.back().send(get("/"));
  }
  ASSERT_TRUE(soon([&] {
    const std::lock_guard lock(mutex);
    return streams.size() == kStreams;
  }));
  std::vector<std::thread> makers;
  makers.reserve(4);
  for (int t = 0; t < 4; ++t)
    makers.emplace_back([&, t] {
      for (int e = 0; e < kEvents; ++e)
        for (int i = t; i < kStreams; i += 4)
          streams[static_cast<std::size_t>(i)]->send(std::to_string(e) + "\n");
      for (int i = t; i < kStreams; i += 4) streams[static_cast<std::size_t>(i)]->end_stream();
    });
  std::string all;
  for (int e = 0; e < kEvents; ++e) all += std::to_string(e) + "\n";
  for (auto& client : clients) {
    const auto answer = client.read();
    EXPECT_TRUE(answer.whole);
    EXPECT_EQ(answer.body, all);
  }
  for (auto& maker : makers) maker.join();
}

}  // namespace
}  // namespace seedbed::engine::server::test
