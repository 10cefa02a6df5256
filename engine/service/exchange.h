// One request over HTTP and its answer, without any network: what the server hands to the API, and
// what a test can make by hand.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace seedbed::engine::service {

struct HttpReply {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;  // besides type and length
};

// The functions may be called from any thread, after the client is gone too (then they do nothing).
// Exactly one of: reply once; or begin_stream, any number of send, end_stream.
struct Exchange {
  std::string method, path, query;  // path without query, percent-decoded
  std::string body;
  std::string authorization, content_type;  // headers, empty where absent
  std::string session;                      // X-Session-ID
  std::string accept;
  std::function<void(HttpReply)> reply;
  std::function<void(std::string content_type)> begin_stream;  // status 200
  std::function<void(std::string bytes)> send;                 // queued; never blocks
  std::function<void()> end_stream;
  // Calls `gone` once when the client is gone or too slow before the answer is complete (at once
  // where it already is), from the server's thread.
  std::function<void(std::function<void()> gone)> on_gone;
};

using Handler = std::function<void(std::shared_ptr<Exchange>)>;  // must not block

}  // namespace seedbed::engine::service
