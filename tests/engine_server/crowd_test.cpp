// Many at once: a thousand streams, half of whose clients leave in the middle.
#include <sys/resource.h>

#include <atomic>
#include <mutex>

#include "tests/engine_server/kit.h"

namespace seedbed::engine::server::test {
namespace {

constexpr std::size_t kCrowd = 1'000;

// What makes tokens: one thread that sends an event to every stream in turn, as a batch does.
class Maker {
 public:
  explicit Maker(int events) : events_(events), thread_([this] { work(); }) {}
  ~Maker() {
    stop_ = true;
    thread_.join();
  }
  Maker(const Maker&) = delete;
  Maker& operator=(const Maker&) = delete;

  service::Handler handler() {
    return [this](Kept x) {
      auto stream = std::make_shared<Stream>();
      stream->exchange = x;
      x->on_gone([this, stream] {
        stream->gone = true;
        ++gone;
      });
      x->begin_stream("text/event-stream");
      const std::lock_guard lock(mutex_);
      seen_.push_back(x);
      streams_.push_back(std::move(stream));
    };
  }
  std::size_t streams() {
    const std::lock_guard lock(mutex_);
    return seen_.size();
  }
  int alive() {
    const std::lock_guard lock(mutex_);
    int n = 0;
    for (const auto& exchange : seen_) n += exchange.expired() ? 0 : 1;
    return n;
  }
  std::atomic<bool> go{false};
  std::atomic<int> gone{0};

 private:
  struct Stream {
    Kept exchange;
    std::atomic<bool> gone{false};
    int sent = 0;
  };
  void work() {
    while (!stop_) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      if (!go) continue;
      const std::lock_guard lock(mutex_);
      std::erase_if(streams_, [this](const std::shared_ptr<Stream>& stream) {
        if (!stream->gone && stream->sent < events_) {
          stream->exchange->send("data: " + std::to_string(stream->sent++) + "\n\n");
          return false;
        }
        if (!stream->gone) stream->exchange->end_stream();
        stream->exchange = nullptr;
        return true;
      });
    }
  }
  const int events_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<Stream>> streams_;
  std::vector<std::weak_ptr<Exchange>> seen_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

TEST(ServerCrowd, OfAThousandStreamsHalfDroppedLeavesNothing) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < 2 * kCrowd + 100) {
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 2 * kCrowd + 100);
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  }
  static constexpr int kEvents = 60;
  std::string all;
  for (int i = 0; i < kEvents; ++i) all += "data: " + std::to_string(i) + "\n\n";
  const int before = open_descriptors();
  {
    Maker maker(kEvents);
    Running server(maker.handler());
    {
      std::vector<Client> clients;
      for (std::size_t i = 0; i < kCrowd; ++i) {
        clients.emplace_back(server->port());
        ASSERT_TRUE(clients.back().send(post("/", "{}")));
      }
      ASSERT_TRUE(soon([&] { return maker.streams() == kCrowd; }));
      EXPECT_EQ(server->stats().connections, static_cast<std::int64_t>(kCrowd));
      maker.go = true;
      for (std::size_t i = 0; i < kCrowd; i += 2) {
        EXPECT_TRUE(clients[i].read_until("data: 0\n\n"));
        clients[i].close(i % 4 == 0);
      }
      for (std::size_t i = 1; i < kCrowd; i += 2) {
        const auto answer = clients[i].read();
        ASSERT_TRUE(answer.whole) << i;
        ASSERT_EQ(answer.body, all) << i;
      }
    }
    EXPECT_TRUE(soon([&] { return server->stats().connections == 0; }));
    EXPECT_TRUE(soon([&] { return maker.alive() == 0; }));
    EXPECT_EQ(server->stats().requests, static_cast<std::int64_t>(kCrowd));
    EXPECT_EQ(server->stats().slow, 0);
    EXPECT_GT(server->stats().gone, 0);
    EXPECT_LE(server->stats().gone, static_cast<std::int64_t>(kCrowd) / 2);
    Client client(server->port());  // and it still serves
    client.send(get("/"));
    EXPECT_TRUE(client.read().whole);
  }
  EXPECT_EQ(open_descriptors(), before);
}

}  // namespace
}  // namespace seedbed::engine::server::test
