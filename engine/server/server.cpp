#include "engine/server/server.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <unordered_map>
#include <utility>

#include "base/clock.h"
#include "engine/server/connection.h"
#include "engine/server/listener.h"

namespace seedbed::engine::server {
namespace {

constexpr int kAcceptsInARow = 64;
constexpr std::size_t kMaxRefusals = 256;  // connections beyond the limit that still get an answer
constexpr std::size_t kScratch = 64U << 10;

std::int64_t now_ms() {
  return monotonic_us() / 1'000;
}

// Often enough that no limit is overdrawn by more than a quarter, and rarely enough to cost
// nothing.
int sweep_period(const ServerOptions& o) {
  return std::clamp(std::min({o.read_ms, o.idle_ms, o.write_ms, o.drain_ms}) / 4, 5, 250);
}

}  // namespace

struct Server::Impl {
  Shared shared;
  std::vector<std::unique_ptr<Watched>> listeners;
  int port = 0;
  int spare = -1;  // a descriptor to let go where none is left, so that a client can be told
  bool paused = false;
  std::atomic<int> stops{0};
  std::int64_t stopped_ms = 0;
  struct Open {
    std::shared_ptr<Connection> connection;
    bool admitted;  // else it is there to be told that there is no room
  };
  std::unordered_map<Connection*, Open> connections;
  std::size_t admitted = 0;

  Impl() = default;
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    end_answers();
    if (spare >= 0) ::close(spare);
  }

  void accept_all() {
    for (auto& listener : listeners) accept_next(*listener);
  }

  void accept_next(Watched& listener) {
    listener.when_readable([this, &listener] {
      if (shared.draining) return;  // the listener is gone, this call was on its way
      if (accept_some(listener.fd()))
        accept_next(listener);
      else
        paused = true;  // the next sweep tries again
    });
  }

  // False where the machine lacks what a connection needs.
  bool accept_some(int listener) {
    for (int i = 0; i < kAcceptsInARow; ++i) {
      const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) {
        admit(fd);
        continue;
      }
      if (errno == EAGAIN || errno == EWOULDBLOCK) return true;
      if (errno == EMFILE || errno == ENFILE) {
        const auto turned = turn_away(listener);
        if (turned == Turned::away) continue;
        return turned == Turned::nobody;
      }
      if (errno == ENOBUFS || errno == ENOMEM) return false;
    }
    return true;
  }

  void admit(int fd) {
    ++shared.counters.accepted;
    const auto limit = static_cast<std::size_t>(std::max(shared.options.max_connections, 1));
    if (connections.size() >= limit + kMaxRefusals) return tell_full(fd);
    auto connection = std::make_shared<Connection>(shared, fd, now_ms());
    const bool room = admitted < limit;
    if (room) ++admitted;
    connections.emplace(connection.get(), Open{connection, room});
    if (room)
      connection->start();
    else
      connection->refuse({503, "too many connections"});
  }

  void tell_full(int fd) {
    ++shared.counters.refused;
    const auto answer = whole_answer(refusal({503, "too many connections"}), {.keep_alive = false});
    (void)send(fd, answer.data(), answer.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    ::close(fd);
  }

  // Accepting says that descriptors lack before it looks whether anybody waits.
  enum class Turned : std::uint8_t { away, nobody, impossible };
  Turned turn_away(int listener) {
    if (spare < 0) return Turned::impossible;
    ::close(spare);
    const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    const bool nobody = fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    if (fd >= 0) {
      ++shared.counters.accepted;
      tell_full(fd);
    }
    spare = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd >= 0 ? Turned::away : nobody ? Turned::nobody : Turned::impossible;
  }

  void hear_answers() {
    for (auto& answer : shared.hub->take()) {
      if (const auto connection = answer->connection.lock())
        connection->news(answer);
      else
        answer->client_gone();
    }
  }

  // Nobody sends them any more.
  void end_answers() {
    shared.hub->close();
    for (auto& answer : shared.hub->take()) answer->client_gone();
  }

  std::vector<std::shared_ptr<Connection>> open_now() const {
    std::vector<std::shared_ptr<Connection>> all;
    all.reserve(connections.size());
    for (const auto& [key, open] : connections) all.push_back(open.connection);
    return all;
  }

  void sweep() {
    const auto now = now_ms();
    if (spare < 0) spare = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (std::exchange(paused, false) && !shared.draining) accept_all();
    for (const auto& connection : open_now()) connection->sweep(now);
    if (shared.draining && now - stopped_ms > shared.options.drain_ms) close_connections();
  }

  void close_connections() {
    for (const auto& connection : open_now()) connection->close();
  }

  void hear_stop() {
    if (!std::exchange(shared.draining, true)) {
      stopped_ms = now_ms();
      listeners.clear();
      for (const auto& connection : open_now()) connection->drain();
    }
    if (stops.load() > 1) close_connections();
    finish_if_done();
  }

  void forget(Connection& connection) {
    const auto at = connections.find(&connection);
    if (at == connections.end()) return;
    if (at->second.admitted) --admitted;
    connections.erase(at);
    finish_if_done();
  }

  void finish_if_done() {
    if (shared.draining && connections.empty()) shared.loop.finish();
  }
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::open(const ServerOptions& options,
                                             service::Handler handler) {
  SEEDBED_TRY(auto listening, listen_on(options.host, options.port));
  auto impl = std::make_unique<Impl>();
  auto* raw = impl.get();
  auto& shared = impl->shared;
  shared.options = options;
  shared.handler = std::move(handler);
  shared.scratch.resize(kScratch);
  shared.hub =
      std::make_shared<Hub>([raw] { raw->shared.loop.post([raw] { raw->hear_answers(); }); });
  shared.closed = [raw](Connection& connection) { raw->forget(connection); };
  impl->port = listening.port;
  impl->spare = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  for (const int fd : listening.fds)
    impl->listeners.push_back(std::make_unique<Watched>(shared.loop, fd));
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

int Server::port() const {
  return impl_->port;
}

void Server::serve() {
  impl_->shared.loop.every(sweep_period(impl_->shared.options), [this] { impl_->sweep(); });
  impl_->accept_all();
  impl_->shared.loop.run();
  impl_->end_answers();
}

void Server::stop() {
  ++impl_->stops;
  impl_->shared.loop.post([raw = impl_.get()] { raw->hear_stop(); });
}

ServerStats Server::stats() const {
  const auto& c = impl_->shared.counters;
  return {c.connections.load(), c.accepted.load(), c.requests.load(),
          c.refused.load(),     c.gone.load(),     c.slow.load()};
}

}  // namespace seedbed::engine::server
