// A server on a thread, and a raw blocking client with time limits: tests write bytes, not
// requests.
#pragma once
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "engine/server/server.h"

namespace seedbed::engine::server::test {

using service::Exchange;
using service::HttpReply;
using Kept = std::shared_ptr<Exchange>;

// What a test's server does: serves until it goes out of scope.
class Running {
 public:
  explicit Running(service::Handler handler, ServerOptions options = {});
  ~Running();
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  Server& operator*() { return *server_; }
  Server* operator->() { return server_.get(); }
  void join();  // waits for serve() to return by itself
  [[nodiscard]] bool serving() const { return thread_.joinable(); }

 private:
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

struct Response {
  int status = 0;
  std::map<std::string, std::string> fields;  // names in lower case
  std::string body;                           // chunks joined
  bool whole = false;                         // by its length or its last chunk
};

class Client {
 public:
  explicit Client(int port, int receive_buffer = 0, const char* host = "127.0.0.1");
  ~Client();
  Client(Client&& other) noexcept;
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool send(std::string_view bytes);  // false where the connection is gone
  // The next answer; status 0 where the connection ends or the time does before its head is here.
  Response read(bool head_only = false, int wait_ms = 10'000);
  std::string read_some(int wait_ms = 10'000);  // "" at the end
  bool read_until(std::string_view text, int wait_ms = 10'000);
  bool at_end(int wait_ms = 10'000);  // nothing more comes, and the server ended its side
  void end_sending();
  void close(bool reset = false);
  [[nodiscard]] bool connected() const { return fd_ >= 0; }
  std::string seen;  // read, and not part of an answer yet

 private:
  int fd_ = -1;
};

std::string get(std::string_view path, std::string_view fields = "");
std::string post(std::string_view path, std::string_view body, std::string_view fields = "");

int open_descriptors();
bool soon(const std::function<bool()>& holds, int wait_ms = 10'000);

HttpReply text(std::string body);  // a reply of 200
// Answers with what it was asked: method, path, query and body, a line each.
void echo(const Kept& x);

}  // namespace seedbed::engine::server::test
