#include "engine/text/byte_alphabet.h"

#include <array>
#include <cstdint>

#include "engine/text/unicode.h"

namespace seedbed::engine::text {
namespace {

// Bytes that are printable in Latin-1 stand for themselves; the others are numbered from U+0100.
constexpr bool is_itself(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

struct Alphabet {
  std::array<std::uint16_t, 256> spelled{};
  std::array<std::int16_t, 0x144> byte{};
  constexpr Alphabet() {
    for (auto& b : byte) b = -1;
    unsigned next = 0x100;
    for (unsigned b = 0; b < 256; ++b) {
      const unsigned c = is_itself(b) ? b : next++;
      spelled[b] = static_cast<std::uint16_t>(c);
      byte[c] = static_cast<std::int16_t>(b);
    }
  }
};
constexpr Alphabet kAlphabet;

}  // namespace

std::string spell_bytes(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) append_utf8(out, kAlphabet.spelled[static_cast<unsigned char>(c)]);
  return out;
}

std::optional<std::string> read_spelling(std::string_view spelling) {
  std::string out;
  const char* p = spelling.data();
  const char* const end = p + spelling.size();
  while (p < end) {
    const auto length = utf8_length(p, end);
    if (length == 0) return std::nullopt;
    const auto c = decode_utf8(p).value;
    if (c >= kAlphabet.byte.size() || kAlphabet.byte[c] < 0) return std::nullopt;
    out += static_cast<char>(kAlphabet.byte[c]);
    p += length;
  }
  return out;
}

}  // namespace seedbed::engine::text
