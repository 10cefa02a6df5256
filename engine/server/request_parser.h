// Bytes of one connection, in any pieces, become requests or one fault. No socket and no time here.
//
//   (1) What comes out depends on the bytes alone, not on where they were cut.
//   (2) Held are at most max_header bytes of a head, max_body of a body and what was fed ahead.
//   (3) Strings of a request are valid UTF-8 without NUL, its body excepted: that is any bytes.
//   (4) After a fault nothing more is read: where a next request would begin is not known.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace seedbed::engine::server {

struct Request {
  std::string method, path, query;  // path percent-decoded, query as it came
  std::string body;
  std::string authorization, content_type, session, accept;  // empty where absent
  bool http_1_0 = false;
  bool keep_alive = true;
};

struct Fault {
  int status = 400;
  std::string message;
};

class RequestParser {
 public:
  enum class State : std::uint8_t { idle, partial, ready, broken };

  RequestParser(std::size_t max_header_bytes, std::size_t max_body_bytes);
  ~RequestParser();
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  void feed(std::string_view bytes);  // keeps them; parse() reads
  // Idle: no byte of a next request. Partial: feed more. Ready: take() it. Broken: see fault().
  State parse();
  Request take();  // only where ready; what was fed ahead stays for the next one
  [[nodiscard]] const Fault& fault() const;
  // The client holds its body back until it reads `100 Continue`. True once a request.
  bool wants_continue();
  [[nodiscard]] std::size_t buffered() const;  // bytes fed and not read

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace seedbed::engine::server
