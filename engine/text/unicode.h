// Classes of code points for pre-tokenizers, and UTF-8 as they need it. The table is of the Unicode
// version that HF tokenizers' regular expressions have (unicode_ranges.cpp says which).
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/utf8.h"

namespace seedbed::engine::text {

// A run: first code point << 4 | class; it goes on to the next run.
extern const std::uint32_t kClassRuns[];
extern const std::size_t kClassRunCount;
enum class Category : std::uint8_t { other, l, m, nd, nl, no, pc, p, s };

// Bits of one code point. `cjk` is the range set of DeepSeek's second pattern.
enum ClassBit : std::uint8_t {
  kLetter = 1,
  kMark = 2,
  kNumber = 4,
  kPunctSymbol = 8,
  kSpace = 16,    // White_Space, as \s
  kNewline = 32,  // \r \n; kSpace too
  kCjk = 64,
  kWord = 128  // \w of Rust's regular expressions, for single_word tokens
};

// Bits of every code point, 0x110000 bytes; made at the first call, never freed.
const std::uint8_t* class_table();

struct CodePoint {
  std::uint32_t value;
  unsigned length;  // bytes
};
// The code point at p; the text must be well-formed from here.
inline CodePoint decode_utf8(const char* p) {
  const auto b = [p](int i) { return static_cast<unsigned char>(p[i]); };
  const std::uint32_t c = b(0);
  if (c < 0x80) return {c, 1};
  if (c < 0xe0) return {(c & 0x1fU) << 6 | (b(1) & 0x3fU), 2};
  if (c < 0xf0) return {(c & 0x0fU) << 12 | (b(1) & 0x3fU) << 6 | (b(2) & 0x3fU), 3};
  return {(c & 0x07U) << 18 | (b(1) & 0x3fU) << 12 | (b(2) & 0x3fU) << 6 | (b(3) & 0x3fU), 4};
}
using seedbed::append_utf8;

// Length of the well-formed sequence at p (1..4), or 0 where none begins or the text ends in it.
unsigned utf8_length(const char* p, const char* end);
// Bytes of the longest well-formed text at the front.
std::size_t valid_prefix(std::string_view text);
// Bytes at the end that are the beginning of a sequence which more bytes could complete (0..3).
std::size_t unfinished_suffix(std::string_view text);

}  // namespace seedbed::engine::text
