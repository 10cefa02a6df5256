// HTTP/1.1 on a socket: connections, limits, event streams, an orderly end. What the requests mean
// is the handler's business.
//
//   (1) A connection holds at most max_header + max_body bytes of a request and max_unsent bytes of
//       a stream; who sends more, or reads too slowly, is answered or closed.
//   (2) A client that goes away is noticed while its answer is being made (Exchange::on_gone).
//   (3) stop() accepts nothing more, lets exchanges end for drain_ms, then closes them.
//   (4) When serve() returns, no descriptor and no memory of a connection is left.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "engine/service/exchange.h"

namespace seedbed::engine::server {

struct ServerOptions {
  std::string host = "127.0.0.1";
  int port = 8000;  // 0: any free one
  int max_connections = 4'096;
  std::size_t max_header_bytes = 16U << 10;
  std::size_t max_body_bytes = 16U << 20;
  std::size_t max_unsent_bytes = 4U << 20;
  int read_ms = 30'000;   // for a whole request, once its first byte came
  int idle_ms = 75'000;   // between requests
  int write_ms = 30'000;  // without any byte taken by the client
  int drain_ms = 30'000;
};

struct ServerStats {
  std::int64_t connections = 0;  // open now
  std::int64_t accepted = 0, requests = 0;
  std::int64_t refused = 0;         // answered with a fault by the server itself
  std::int64_t gone = 0, slow = 0;  // clients that did not get the whole of their answer
};

class Server {
 public:
  // Error{config}: the address cannot be had.
  static Result<std::unique_ptr<Server>> open(const ServerOptions& options,
                                              service::Handler handler);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  [[nodiscard]] int port() const;
  void serve();  // until stop(); on the caller's thread, which is the server's only one
  void stop();   // from any thread or signal handler's thread; again: at once
  [[nodiscard]] ServerStats stats() const;

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace seedbed::engine::server
