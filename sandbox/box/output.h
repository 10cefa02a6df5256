// What a program says, bounded: the head and the tail are kept, what lay between is counted
// exactly. The same bytes in give the same text out, in whatever pieces they came.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace seedbed::sandbox::box {

class BoundedText {
 public:
  explicit BoundedText(std::size_t cap) : head_cap_(cap / 2), tail_cap_(cap - cap / 2) {}
  void add(std::string_view bytes);
  [[nodiscard]] std::uint64_t total() const { return total_; }
  [[nodiscard]] bool cut() const { return total_ > head_cap_ + tail_cap_; }
  // Head, a line "[... N bytes left out ...]" where some are, tail.
  [[nodiscard]] std::string text() const;

 private:
  std::size_t head_cap_, tail_cap_;
  std::uint64_t total_ = 0;
  std::string head_, ring_;  // ring_: the last bytes after the head
  std::size_t at_ = 0;       // where the ring begins once it is full
};

bool is_utf8(std::string_view text);
// A JSON string, quotes included. Bytes that are no UTF-8 become U+FFFD, one each.
std::string json_string(std::string_view text);
std::string base64(std::string_view bytes);

}  // namespace seedbed::sandbox::box
