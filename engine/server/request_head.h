// Request line and header fields, line by line; the one place that knows Beast.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/server/request_parser.h"

namespace seedbed::engine::server {

// What a head says of the body that follows it.
struct BodyPlan {
  bool chunked = false;
  std::uint64_t length = 0;  // where not chunked
  bool expects_continue = false;
};

class RequestHead {
 public:
  explicit RequestHead(std::size_t max_bytes);
  ~RequestHead();
  RequestHead(const RequestHead&) = delete;
  RequestHead& operator=(const RequestHead&) = delete;

  // Reads whole lines from the front of `bytes` and says how many bytes it took. A fault is final.
  std::size_t read(std::string_view bytes);
  [[nodiscard]] const std::optional<Fault>& fault() const;
  [[nodiscard]] bool begun() const;
  [[nodiscard]] bool done() const;
  [[nodiscard]] BodyPlan plan() const;  // once done
  Request take();                       // once done; without a body

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// "a%20b" -> "a b"; nothing where an escape is broken, or what it says is no UTF-8 or has controls.
std::optional<std::string> percent_decoded(std::string_view text);

}  // namespace seedbed::engine::server
