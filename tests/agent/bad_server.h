// A local HTTP server that behaves as badly as it is told. Plain sockets: it must be able to break
// the protocol.
#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace seedbed::test {

struct Asked {
  std::string head, body;
};
struct Answer {
  int status = 200;
  std::string body = {};
  std::string headers = "Content-Type: application/json\r\n";
  int delay_ms = 0;
  bool silent = false;  // never answers
  bool cut = false;     // announces more than it sends
  int drip_ms = 0;      // pause between bytes
};

class BadServer {
 public:
  // `answer` gets the request and its number, from 0; called from many threads.
  explicit BadServer(std::function<Answer(const Asked&, int)> answer) : answer_(std::move(answer)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0 ||
        ::listen(listener_, 64) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size) != 0)
      std::abort();
    port_ = ntohs(at.sin_port);
    acceptor_ = std::thread([this] { accept_all(); });
  }
  ~BadServer() {
    stop_ = true;
    acceptor_.join();
    for (auto& t : serving_) t.join();
    ::close(listener_);
  }
  BadServer(const BadServer&) = delete;
  BadServer& operator=(const BadServer&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/v1"; }
  std::string url_with_user() const {
    return "http://ada:hunter2@127.0.0.1:" + std::to_string(port_) + "/v1";
  }
  int port() const { return port_; }
  std::vector<Asked> asked() const {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

 private:
  bool readable(int fd) const {
    while (!stop_) {
      pollfd p{fd, POLLIN, 0};
      if (::poll(&p, 1, 20) > 0) return true;
    }
    return false;
  }
  void accept_all() {
    while (readable(listener_)) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd >= 0)
        serving_.emplace_back([this, fd] {
          serve(fd);
          ::close(fd);
        });
    }
  }
  void pause(int ms) const {
    for (int spent = 0; spent < ms && !stop_; spent += 5)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  void serve(int fd) {
    std::string buffer;
    for (;;) {
      std::size_t head_end;
      while ((head_end = buffer.find("\r\n\r\n")) == std::string::npos)
        if (!more(fd, buffer)) return;
      Asked request{buffer.substr(0, head_end), ""};
      const std::size_t length_at = request.head.find("Content-Length: ");
      const std::size_t length =
          length_at == std::string::npos ? 0 : std::stoul(request.head.substr(length_at + 16));
      while (buffer.size() < head_end + 4 + length)
        if (!more(fd, buffer)) return;
      request.body = buffer.substr(head_end + 4, length);
      buffer.erase(0, head_end + 4 + length);
      int number;
      {
        const std::lock_guard lock(mutex_);
        number = static_cast<int>(asked_.size());
        asked_.push_back(request);
      }
      if (!reply(fd, answer_(request, number))) return;
    }
  }
  bool more(int fd, std::string& buffer) const {
    char block[16384];
    if (!readable(fd)) return false;
    const ssize_t n = ::recv(fd, block, sizeof block, 0);
    if (n <= 0) return false;
    buffer.append(block, static_cast<std::size_t>(n));
    return true;
  }
  bool reply(int fd, const Answer& a) const {
    pause(a.delay_ms);
    if (a.silent) {
      while (!stop_) pause(20);
      return false;
    }
    const std::string text =
        "HTTP/1.1 " + std::to_string(a.status) + " X\r\n" + a.headers +
        "Content-Length: " + std::to_string(a.body.size() + (a.cut ? 100 : 0)) + "\r\n\r\n" +
        a.body;
    if (a.drip_ms == 0) return ::send(fd, text.data(), text.size(), MSG_NOSIGNAL) >= 0 && !a.cut;
    for (const char c : text) {
      if (::send(fd, &c, 1, MSG_NOSIGNAL) < 0) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(a.drip_ms));
    }
    return !a.cut;
  }

  std::function<Answer(const Asked&, int)> answer_;
  int listener_ = -1, port_ = 0;
  std::atomic<bool> stop_{false};
  mutable std::mutex mutex_;
  std::vector<Asked> asked_;
  std::thread acceptor_;
  std::vector<std::thread> serving_;
};

}  // namespace seedbed::test
