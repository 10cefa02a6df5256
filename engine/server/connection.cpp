#include "engine/server/connection.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <exception>
#include <utility>

#include "base/clock.h"

namespace seedbed::engine::server {
namespace {

constexpr std::size_t kMaxAhead = 64U << 10;
constexpr std::size_t kMaxLingered = 64U << 20;
constexpr std::int64_t kLingerMs = 2'000;

// Read anew wherever it is kept: a handler, or a long copy, may have taken its time.
std::int64_t time_ms() {
  return monotonic_us() / 1'000;
}

void set(int fd, int level, int option, int value) {
  setsockopt(fd, level, option, &value, sizeof value);  // where it fails the default is good enough
}

}  // namespace

Connection::Connection(Shared& shared, int fd, std::int64_t now_ms)
    : shared_(shared),
      socket_(shared.loop, fd),
      parser_(shared.options.max_header_bytes, shared.options.max_body_bytes),
      since_ms_(now_ms) {
  ++shared_.counters.connections;
  // A peer whose machine is gone sends no end: the kernel asks, and gives up on what it cannot
  // send.
  set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set(fd, IPPROTO_TCP, TCP_KEEPIDLE, 60);
  set(fd, IPPROTO_TCP, TCP_KEEPINTVL, 15);
  set(fd, IPPROTO_TCP, TCP_KEEPCNT, 4);
  set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 2 * shared.options.write_ms + 10'000);
}

Connection::~Connection() {
  --shared_.counters.connections;
}

void Connection::start() {
  watch();
}

void Connection::refuse(const Fault& fault) {
  fail(fault);
  go_on();
  watch();
}

void Connection::watch() {
  if (watching_ || part_ == Part::closed) return;
  if (part_ == Part::answering && parser_.buffered() >= kMaxAhead) return;
  if (part_ == Part::flushing && (last_ || parser_.buffered() >= kMaxAhead)) return;
  watching_ = true;
  socket_.when_readable([self = shared_from_this()] {
    self->watching_ = false;
    self->readable();
  });
}

void Connection::readable() {
  if (part_ == Part::closed) return;
  auto& scratch = shared_.scratch;
  const auto n = recv(socket_.fd(), scratch.data(), scratch.size(), MSG_DONTWAIT);
  if (n > 0)
    take_in({scratch.data(), static_cast<std::size_t>(n)});
  else if (n == 0)
    ended();
  else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
    lost();
  watch();
}

void Connection::take_in(std::string_view bytes) {
  if (part_ == Part::lingering) {
    lingered_ += bytes.size();
    if (lingered_ > kMaxLingered) close();
    return;
  }
  if (part_ == Part::flushing && last_) return;
  parser_.feed(bytes);
  go_on();
}

void Connection::ended() {
  if (part_ == Part::answering) return give_up(shared_.counters.gone);
  if (part_ != Part::flushing) return close();
  last_ = true;  // what is already said may still reach a client that only ended its side
}

void Connection::lost() {
  if (part_ == Part::answering || part_ == Part::flushing) return give_up(shared_.counters.gone);
  close();
}

void Connection::give_up(std::atomic<std::int64_t>& counter) {
  ++counter;
  close();
}

void Connection::close() {
  if (part_ == Part::closed) return;
  const auto self = shared_from_this();
  part_ = Part::closed;
  socket_.close();
  out_ = {};
  const auto answer = std::exchange(answer_, nullptr);
  if (answer) answer->client_gone();
  shared_.closed(*this);
}

void Connection::go_on() {
  if (inside_) return;
  const auto self = shared_from_this();
  inside_ = true;
  while (step()) {
  }
  inside_ = false;
}

bool Connection::step() {
  switch (part_) {
    case Part::reading:
      return read_request();
    case Part::answering:
      return make_answer();
    case Part::flushing:
      return flush();
    case Part::lingering:
    case Part::closed:
      return false;
  }
  return false;
}

bool Connection::read_request() {
  switch (parser_.parse()) {
    case RequestParser::State::ready:
      begin_exchange(parser_.take());
      return true;
    case RequestParser::State::broken:
      fail(parser_.fault());
      return true;
    case RequestParser::State::partial:
      if (!std::exchange(begun_, true)) since_ms_ = time_ms();
      if (parser_.wants_continue()) {
        out_ += kContinue;
        write_out();
      }
      return false;
    case RequestParser::State::idle:
      return false;
  }
  return false;
}

void Connection::fail(const Fault& fault) {
  ++shared_.counters.refused;
  last_ = true;
  out_ += whole_answer(refusal(fault), {.keep_alive = false});
  since_ms_ = time_ms();
  part_ = Part::flushing;
}

void Connection::begin_exchange(Request request) {
  ++shared_.counters.requests;
  last_ = last_ || !request.keep_alive || shared_.draining;
  reader_ = {
      .head_only = request.method == "HEAD", .http_1_0 = request.http_1_0, .keep_alive = !last_};
  stream_ = false;
  part_ = Part::answering;
  since_ms_ = time_ms();
  answer_ = std::make_shared<Answer>(shared_.hub, shared_.options.max_unsent_bytes);
  answer_->connection = weak_from_this();
  const auto answer = answer_;
  auto exchange = make_exchange(std::move(request), answer);
  try {
    shared_.handler(std::move(exchange));
  } catch (const std::exception&) {
    answer->give_up();  // a fault of the handler's costs one answer, not the server
  }
}

void Connection::news(const std::shared_ptr<Answer>& answer) {
  if (answer != answer_) return answer->client_gone();
  go_on();
  watch();
}

// Takes what has gathered. True where the answer is all said.
bool Connection::make_answer() {
  auto update = answer_->take();
  if (update.overrun) {
    give_up(shared_.counters.slow);
    return false;
  }
  if (unsent() == 0) since_ms_ = time_ms();
  const bool draining = shared_.draining;
  if (draining && !stream_) {
    last_ = true;
    reader_.keep_alive = false;
  }
  if (update.given_up && !stream_ && !update.begin)
    update.reply = refusal({500, "the request was dropped before it was answered"});
  if (update.reply) {
    out_ += whole_answer(*update.reply, reader_);
    finish_answer();
    return true;
  }
  if (update.begin) {
    stream_ = true;
    if (reader_.http_1_0 && !reader_.head_only) {
      last_ = true;
      reader_.keep_alive = false;
    }
    out_ += stream_head(*update.begin, reader_);
  }
  if (!update.bytes.empty() && !reader_.head_only) {
    if (reader_.http_1_0)
      out_ += update.bytes;
    else
      add_chunk(out_, update.bytes);
  }
  if (update.ended) {
    // A stream that was dropped in its middle ends without its last chunk: cut, not complete.
    if (update.given_up) last_ = true;
    if (!reader_.http_1_0 && !reader_.head_only && !update.given_up) out_ += kLastChunk;
    finish_answer();
    return true;
  }
  write_out();
  if (part_ == Part::answering && unsent() > shared_.options.max_unsent_bytes)
    give_up(shared_.counters.slow);
  return false;
}

void Connection::finish_answer() {
  last_ = last_ || shared_.draining;
  answer_ = nullptr;
  part_ = Part::flushing;
}

// True where all is sent and a next request may come.
bool Connection::flush() {
  write_out();
  if (part_ != Part::flushing || unsent() > 0) return false;
  if (last_) {
    linger();
    return false;
  }
  part_ = Part::reading;
  begun_ = false;
  since_ms_ = time_ms();
  return true;
}

void Connection::write_out() {
  while (unsent() > 0 && !waiting_out_) {
    const auto n = send(socket_.fd(), out_.data() + out_at_, unsent(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) {
      out_at_ += static_cast<std::size_t>(n);
      since_ms_ = time_ms();
      continue;
    }
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) return lost();
    waiting_out_ = true;
    socket_.when_writable([self = shared_from_this()] {
      self->waiting_out_ = false;
      if (self->part_ == Part::closed) return;
      self->write_out();
      self->go_on();
      self->watch();
    });
  }
  // A buffer that once grew large is given back, a small one is used again.
  if (unsent() == 0) {
    if (out_.capacity() > kMaxAhead) out_ = {};
    out_.clear();
    out_at_ = 0;
  } else if (out_at_ > kMaxAhead) {
    out_.erase(0, out_at_);
    out_at_ = 0;
  }
}

void Connection::linger() {
  part_ = Part::lingering;
  since_ms_ = time_ms();
  if (shutdown(socket_.fd(), SHUT_WR) != 0) close();
}

void Connection::drain() {
  if (part_ == Part::reading && !begun_) close();
}

void Connection::sweep(std::int64_t now_ms) {
  const auto& options = shared_.options;
  const auto passed = now_ms - since_ms_;
  switch (part_) {
    case Part::reading: {
      if (!begun_ && passed > options.idle_ms) return close();
      if (begun_ && passed > options.read_ms) {
        fail({408, "the request did not come whole in " + std::to_string(options.read_ms) + " ms"});
        go_on();
        watch();
      }
      return;
    }
    case Part::answering:
    case Part::flushing: {
      if (unsent() > 0) {
        // The socket wants more only when much of what it holds is gone; a slow client takes less.
        int held = 0;
        if (ioctl(socket_.fd(), SIOCOUTQ, &held) == 0 && held < std::exchange(held_, held))
          since_ms_ = now_ms;
        if (now_ms - since_ms_ > options.write_ms) return give_up(shared_.counters.slow);
      }
      if (watching_) return;
      pollfd state{socket_.fd(), POLLRDHUP, 0};
      const bool ended_now = poll(&state, 1, 0) > 0 && state.revents != 0;
      if (ended_now && (part_ == Part::answering || (state.revents & (POLLERR | POLLHUP)) != 0))
        give_up(shared_.counters.gone);
      return;
    }
    case Part::lingering:
      if (passed > kLingerMs) close();
      return;
    case Part::closed:
      return;
  }
}

}  // namespace seedbed::engine::server
