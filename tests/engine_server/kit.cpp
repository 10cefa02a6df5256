#include "tests/engine_server/kit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/text.h"

namespace seedbed::engine::server::test {
namespace {

using Clock = std::chrono::steady_clock;

int left_ms(Clock::time_point end) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
  return static_cast<int>(std::max<std::int64_t>(left.count(), 0));
}

}  // namespace

Running::Running(service::Handler handler, ServerOptions options) {
  options.port = 0;
  auto server = Server::open(options, std::move(handler));
  if (!server.ok()) throw std::runtime_error(server.error().message);
  server_ = *std::move(server);
  thread_ = std::thread([this] { server_->serve(); });
}

Running::~Running() {
  server_->stop();
  server_->stop();
  join();
}

void Running::join() {
  if (thread_.joinable()) thread_.join();
}

Client::Client(int port, int receive_buffer, const char* host) {
  const bool v6 = std::string_view(host).find(':') != std::string_view::npos;
  fd_ = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (receive_buffer > 0)
    setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const timeval limit{10, 0};
  setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  sockaddr_in v4_address{};
  v4_address.sin_family = AF_INET;
  v4_address.sin_port = htons(static_cast<std::uint16_t>(port));
  sockaddr_in6 v6_address{};
  v6_address.sin6_family = AF_INET6;
  v6_address.sin6_port = htons(static_cast<std::uint16_t>(port));
  inet_pton(
      v6 ? AF_INET6 : AF_INET, host,
      v6 ? static_cast<void*>(&v6_address.sin6_addr) : static_cast<void*>(&v4_address.sin_addr));
  const auto* address = v6 ? reinterpret_cast<const sockaddr*>(&v6_address)
                           : reinterpret_cast<const sockaddr*>(&v4_address);
  const auto size = static_cast<socklen_t>(v6 ? sizeof v6_address : sizeof v4_address);
  if (connect(fd_, address, size) != 0) close();
}

Client::~Client() {
  close();
}

Client::Client(Client&& other) noexcept : seen(std::move(other.seen)), fd_(other.fd_) {
  other.fd_ = -1;
}

void Client::close(bool reset) {
  if (fd_ < 0) return;
  if (reset) {
    const linger now{1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  ::close(fd_);
  fd_ = -1;
}

void Client::end_sending() {
  shutdown(fd_, SHUT_WR);
}

bool Client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

std::string Client::read_some(int wait_ms) {
  pollfd ready{fd_, POLLIN, 0};
  if (fd_ < 0 || poll(&ready, 1, wait_ms) <= 0) return "";
  std::string piece(64U << 10, '\0');
  const auto n = recv(fd_, piece.data(), piece.size(), 0);
  piece.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return piece;
}

bool Client::read_until(std::string_view text, int wait_ms) {
  const auto end = Clock::now() + std::chrono::milliseconds(wait_ms);
  while (seen.find(text) == std::string::npos) {
    const auto piece = read_some(left_ms(end));
    if (piece.empty()) return false;
    seen += piece;
  }
  return true;
}

bool Client::at_end(int wait_ms) {
  pollfd ready{fd_, POLLIN, 0};
  if (fd_ < 0 || poll(&ready, 1, wait_ms) <= 0) return false;
  char byte = 0;
  return recv(fd_, &byte, 1, MSG_PEEK) <= 0;
}

Response Client::read(bool head_only, int wait_ms) {
  Response out;
  if (!read_until("\r\n\r\n", wait_ms)) return out;
  const auto head_end = seen.find("\r\n\r\n");
  const auto lines = split(seen.substr(0, head_end), '\n');
  seen.erase(0, head_end + 4);
  out.status = std::stoi(lines[0].substr(9, 3));
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const auto colon = lines[i].find(':');
    out.fields[lower_ascii(lines[i].substr(0, colon))] =
        std::string(trim(std::string_view(lines[i]).substr(colon + 1)));
  }
  if (out.status == 100) return out;
  if (head_only) {
    out.whole = true;
  } else if (out.fields.contains("content-length")) {
    const auto size = std::stoul(out.fields["content-length"]);
    while (seen.size() < size) {
      const auto piece = read_some(wait_ms);
      if (piece.empty()) break;
      seen += piece;
    }
    out.whole = seen.size() >= size;
    out.body = seen.substr(0, size);
    seen.erase(0, size);
  } else if (out.fields.contains("transfer-encoding")) {
    while (read_until("\r\n", wait_ms)) {
      const auto line = seen.find("\r\n");
      const auto size = std::stoul(seen.substr(0, line), nullptr, 16);
      bool here = true;
      while (here && seen.size() < line + 2 + size + 2) {
        const auto piece = read_some(wait_ms);
        here = !piece.empty();
        seen += piece;
      }
      if (!here) break;
      out.body += seen.substr(line + 2, size);
      seen.erase(0, line + 2 + size + 2);
      if (size == 0) {
        out.whole = true;
        break;
      }
    }
  } else {
    out.body = std::move(seen);
    seen.clear();
    for (auto piece = read_some(wait_ms); !piece.empty(); piece = read_some(wait_ms))
      out.body += piece;
    out.whole = at_end(0);
  }
  return out;
}

std::string get(std::string_view path, std::string_view fields) {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n" + std::string(fields) + "\r\n";
}

std::string post(std::string_view path, std::string_view body, std::string_view fields) {
  return "POST " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n" + std::string(fields) +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

int open_descriptors() {
  int n = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    (void)entry;
    ++n;
  }
  return n;
}

bool soon(const std::function<bool()>& holds, int wait_ms) {
  const auto end = Clock::now() + std::chrono::milliseconds(wait_ms);
  while (!holds()) {
    if (Clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

HttpReply text(std::string body) {
  HttpReply reply;
  reply.content_type = "text/plain";
  reply.body = std::move(body);
  return reply;
}

void echo(const Kept& x) {
  x->reply(text(x->method + "\n" + x->path + "\n" + x->query + "\n" + x->body));
}

}  // namespace seedbed::engine::server::test
