// The http policy against endpoints that misbehave: the run ends in bounded time with a message
// that names the endpoint, and nothing of it counts as an episode.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <thread>

#include "program.h"

namespace seedbed::e2e {
namespace {

// Answers every connection with `reply` (nothing at all where it is empty), and keeps what was
// asked.
class Endpoint {
 public:
  explicit Endpoint(std::string reply)
      : reply_(std::move(reply)), listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    bind(listener_, reinterpret_cast<sockaddr*>(&address), size);
    listen(listener_, 64);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    server_ = std::thread([this] { serve(); });
  }
  ~Endpoint() {
    stop_ = true;
    server_.join();
    close(listener_);
  }
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;
  [[nodiscard]] std::string url() const {
    return "http://127.0.0.1:" + std::to_string(port_) + "/v1";
  }
  [[nodiscard]] int asked() const { return asked_; }

 private:
  void serve() {
    std::vector<int> silent;
    while (!stop_) {
      pollfd waiting{listener_, POLLIN, 0};
      if (poll(&waiting, 1, 50) <= 0) continue;
      const int peer = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (peer < 0) continue;
      ++asked_;
      if (reply_.empty()) {
        silent.push_back(peer);
        continue;
      }
      std::array<char, 65536> request{};
      (void)!read(peer, request.data(), request.size());
      (void)!write(peer, reply_.data(), reply_.size());
      shutdown(peer, SHUT_WR);
      while (read(peer, request.data(), request.size()) > 0) {
      }
      close(peer);
    }
    for (const int peer : silent) close(peer);
  }

  std::string reply_;
  int listener_, port_ = 0;
  std::atomic<int> asked_{0};
  std::atomic<bool> stop_{false};
  std::thread server_;
};

struct Bad {
  const char* name;
  std::string reply;
};

TEST(Endpoint, ThatMisbehavesEndsTheRunWithAMessage) {
  ASSERT_TRUE(exists(small_store())) << small_store();
  const std::string html = "<html><body>Welcome to the proxy</body></html>";
  const std::string half = R"({"choices":[{"message":{"role":"assistant","content":"he)";
  const Bad table[] = {
      {"HTML", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: " +
                   std::to_string(html.size()) + "\r\nConnection: close\r\n\r\n" + html},
      {"half a JSON", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
                          std::to_string(half.size()) + "\r\nConnection: close\r\n\r\n" + half},
      {"nothing for ever", ""},
      {"not allowed",
       "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
  };
  setenv("SEEDBED_E2E_KEY", "sk-a-secret-of-this-test", 1);  // NOLINT(concurrency-mt-unsafe)
  for (const auto& bad : table) {
    Folder folder;
    const auto store = folder.file("a.db");
    copy_file(small_store(), store);
    const Endpoint endpoint(bad.reply);
    const auto ended = seedbed({"run", store, "--policy", "http", "--base-url", endpoint.url(),
                                "--model-name", "m", "--api-key-env", "SEEDBED_E2E_KEY", "--limit",
                                "2", "--timeout-ms", "1500", "--concurrency", "2"},
                               120);
    EXPECT_EQ(ended.code, 3) << bad.name << ": " << ended.out << ended.err;
    EXPECT_GT(endpoint.asked(), 0) << bad.name;
    EXPECT_NE(ended.err.find("127.0.0.1"), std::string::npos) << bad.name << ": " << ended.err;
    EXPECT_EQ(digest(store), digest(small_store())) << bad.name << " left episodes";
    EXPECT_EQ((ended.out + ended.err + read_text(store)).find("sk-a-secret"), std::string::npos)
        << "the key leaked";
  }
  const auto nobody = seedbed({"run", small_store(), "--policy", "http", "--base-url",
                               "http://127.0.0.1:1/v1", "--model-name", "m", "--limit", "1"},
                              120);
  EXPECT_EQ(nobody.code, 3) << nobody.err;
  const auto keyless =
      seedbed({"run", small_store(), "--policy", "http", "--base-url", "http://127.0.0.1:1/v1",
               "--model-name", "m", "--api-key-env", "SEEDBED_NO_SUCH_KEY"},
              60);
  EXPECT_EQ(keyless.code, 2) << keyless.err;
  EXPECT_NE(keyless.err.find("SEEDBED_NO_SUCH_KEY"), std::string::npos) << keyless.err;
}

}  // namespace
}  // namespace seedbed::e2e
