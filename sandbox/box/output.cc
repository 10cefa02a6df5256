#include "sandbox/box/output.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace seedbed::sandbox::box {
namespace {

// Length of the well-formed UTF-8 sequence at the beginning; 0 where there is none.
std::size_t sequence(std::string_view t) {
  const auto byte = [&t](std::size_t i) { return static_cast<unsigned char>(t[i]); };
  const unsigned char a = byte(0);
  if (a < 0x80) return 1;
  const std::size_t n = a >= 0xC2 && a <= 0xDF   ? 2
                        : (a & 0xF0) == 0xE0     ? 3
                        : a >= 0xF0 && a <= 0xF4 ? 4
                                                 : 0;
  if (n == 0 || t.size() < n) return 0;
  for (std::size_t i = 1; i < n; ++i)
    if ((byte(i) & 0xC0) != 0x80) return 0;
  const unsigned char b = byte(1);
  if ((a == 0xE0 && b < 0xA0) || (a == 0xED && b > 0x9F) || (a == 0xF0 && b < 0x90) ||
      (a == 0xF4 && b > 0x8F))
    return 0;
  return n;
}

}  // namespace

void BoundedText::add(std::string_view bytes) {
  total_ += bytes.size();
  const std::size_t n = std::min(bytes.size(), head_cap_ - head_.size());
  head_.append(bytes.substr(0, n));
  bytes.remove_prefix(n);
  if (bytes.size() > tail_cap_) bytes.remove_prefix(bytes.size() - tail_cap_);
  for (; !bytes.empty() && ring_.size() < tail_cap_;) {
    const std::size_t room = std::min(bytes.size(), tail_cap_ - ring_.size());
    ring_.append(bytes.substr(0, room));
    bytes.remove_prefix(room);
  }
  for (const char c : bytes) {
    ring_[at_] = c;
    at_ = at_ + 1 == ring_.size() ? 0 : at_ + 1;
  }
}

std::string BoundedText::text() const {
  std::string out = head_;
  if (cut())
    out += "\n[... " + std::to_string(total_ - head_cap_ - tail_cap_) + " bytes left out ...]\n";
  out.append(ring_, at_);
  out.append(ring_, 0, at_);
  return out;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t n = sequence(text);
    if (n == 0) return false;
    text.remove_prefix(n);
  }
  return true;
}

std::string json_string(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const std::size_t n = sequence(text);
    const char c = text[0];
    std::array<char, 8> escaped{};
    if (n == 0) {
      out += "\xEF\xBF\xBD";
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (n == 1 && (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)) {
      std::snprintf(escaped.data(), escaped.size(), "\\u%04x", static_cast<unsigned>(c));
      out += escaped.data();
    } else {
      out.append(text.substr(0, n));
    }
    text.remove_prefix(n == 0 ? 1 : n);
  }
  return out + "\"";
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t three = 0;
    const std::size_t n = std::min<std::size_t>(3, bytes.size() - i);
    for (std::size_t k = 0; k < 3; ++k)
      three = three << 8 | (k < n ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    for (std::size_t k = 0; k < 4; ++k)
      out += k <= n ? kLetters[(three >> (18 - 6 * k)) & 63] : '=';
  }
  return out;
}

}  // namespace seedbed::sandbox::box
