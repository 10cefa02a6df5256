#include "sandbox/sql/json_out.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"

namespace seedbed::sandbox::sql {
namespace {

bool is_plain(char c) {
  const auto u = static_cast<unsigned char>(c);
  return u >= 0x20 && u < 0x80 && c != '"' && c != '\\';
}

void append_escaped(char c, std::string& out) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default: {
      static constexpr char kHex[] = "0123456789abcdef";
      const auto u = static_cast<unsigned char>(c);
      out += "\\u00";
      out += kHex[u >> 4];
      out += kHex[u & 15];
    }
  }
}

}  // namespace

void append_string(std::string_view text, std::string& out) {
  out += '"';
  while (!text.empty()) {
    const auto stop = std::find_if_not(text.begin(), text.end(), is_plain);
    const auto plain = static_cast<std::size_t>(stop - text.begin());
    out.append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) break;
    if (static_cast<unsigned char>(text.front()) < 0x80) {
      append_escaped(text.front(), out);
      text.remove_prefix(1);
    } else if (const std::size_t size = utf8_length(text); size != 0) {
      out.append(text.substr(0, size));
      text.remove_prefix(size);
    } else {
      out += "\xef\xbf\xbd";
      text.remove_prefix(1);
    }
  }
  out += '"';
}

void append_int(std::int64_t x, std::string& out) {
  std::array<char, 24> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), x);
  out.append(digits.data(), end.ptr);
}

std::string error_text(std::string_view code, std::string_view message) {
  std::string out = R"({"error":{"code":)";
  append_string(code, out);
  out += R"(,"message":)";
  append_string(message, out);
  return out += "}}";
}

}  // namespace seedbed::sandbox::sql
