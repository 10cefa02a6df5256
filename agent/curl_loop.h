// libcurl's multi interface driven by an Asio loop: many transfers, one thread, no polling.
//
//   (1) curl tells which sockets and which timer it waits for; the loop waits, and hands each event
//   to curl. (2) A socket is curl's: its descriptor is released, never closed, when curl drops it.
//   (3) `done` is posted to the loop, once a transfer; a loop that is destroyed first drops its
//   transfers silently.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace boost::asio {
class io_context;
}

namespace seedbed::agent {

struct HttpRequest {
  std::string url, body;
  std::vector<std::string> headers;
  int connect_timeout_ms = 10'000, timeout_ms = 120'000;
  std::int64_t max_response_bytes = 8 << 20;
};
struct HttpResponse {
  enum class Fault : std::uint8_t { none, connection, timed_out, too_big };
  Fault fault = Fault::none;
  std::string why;  // of a fault
  long status = 0;
  std::string body;
  std::int64_t retry_after_ms = 0;  // 0 where the server named no time
};

class CurlLoop {
 public:
  static Result<std::unique_ptr<CurlLoop>> open(boost::asio::io_context& io);
  ~CurlLoop();
  CurlLoop(const CurlLoop&) = delete;
  CurlLoop& operator=(const CurlLoop&) = delete;

  void post(HttpRequest request, std::function<void(HttpResponse)> done);
  struct State;

 private:
  explicit CurlLoop(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace seedbed::agent
