#include "engine/text/unicode.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace seedbed::engine::text {
namespace {

struct Range {
  std::uint32_t first, last;
};
constexpr Range kSpaces[] = {{0x9, 0xd},       {0x20, 0x20},     {0x85, 0x85},     {0xa0, 0xa0},
                             {0x1680, 0x1680}, {0x2000, 0x200a}, {0x2028, 0x2029}, {0x202f, 0x202f},
                             {0x205f, 0x205f}, {0x3000, 0x3000}};
constexpr Range kCjkRanges[] = {{0x3040, 0x309f}, {0x30a0, 0x30ff}, {0x4e00, 0x9fa5}};
// Symbols that are Alphabetic, and the two joiners.
constexpr Range kWordExtra[] = {
    {0x200c, 0x200d}, {0x24b6, 0x24e9}, {0x1f130, 0x1f149}, {0x1f150, 0x1f169}, {0x1f170, 0x1f189}};

std::uint8_t bits_of(Category category) {
  switch (category) {
    case Category::l:
      return kLetter | kWord;
    case Category::m:
      return kMark | kWord;
    case Category::nd:
    case Category::nl:
      return kNumber | kWord;
    case Category::no:
      return kNumber;
    case Category::pc:
      return kPunctSymbol | kWord;
    case Category::p:
    case Category::s:
      return kPunctSymbol;
    case Category::other:
      break;
  }
  return 0;
}

std::vector<std::uint8_t> make_table() {
  std::vector<std::uint8_t> table(0x110000, 0);
  for (std::size_t i = 0; i < kClassRunCount; ++i) {
    const std::size_t first = kClassRuns[i] >> 4;
    const std::size_t end = i + 1 < kClassRunCount ? kClassRuns[i + 1] >> 4 : table.size();
    const auto bits = bits_of(static_cast<Category>(kClassRuns[i] & 15U));
    std::fill(table.begin() + static_cast<std::ptrdiff_t>(first),
              table.begin() + static_cast<std::ptrdiff_t>(end), bits);
  }
  const auto add = [&table](const Range& range, std::uint8_t bits) {
    for (auto c = range.first; c <= range.last; ++c) table[c] |= bits;
  };
  for (const auto& range : kSpaces) add(range, kSpace);
  add({'\n', '\n'}, kNewline);
  add({'\r', '\r'}, kNewline);
  for (const auto& range : kCjkRanges) add(range, kCjk);
  for (const auto& range : kWordExtra) add(range, kWord);
  return table;
}

}  // namespace

const std::uint8_t* class_table() {
  static const auto& table = *new std::vector<std::uint8_t>(make_table());
  return table.data();
}

namespace {

// How many bytes at p follow the form of one sequence (up to its length), and that length.
struct Form {
  unsigned good = 0, length = 0;
};
Form form_at(const char* p, const char* end) {
  const auto byte = [p](unsigned i) { return static_cast<unsigned char>(p[i]); };
  const auto left = static_cast<std::size_t>(end - p);
  if (left == 0) return {};
  const auto c = byte(0);
  if (c < 0x80) return {1, 1};
  if (c < 0xc2 || c > 0xf4) return {};
  const unsigned length = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
  if (left < 2) return {1, length};
  const unsigned lo = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
  const unsigned hi = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
  if (byte(1) < lo || byte(1) > hi) return {0, length};
  for (unsigned i = 2; i < length; ++i) {
    if (i == left) return {i, length};
    if ((byte(i) & 0xc0U) != 0x80U) return {0, length};
  }
  return {length, length};
}

}  // namespace

unsigned utf8_length(const char* p, const char* end) {
  const auto form = form_at(p, end);
  return form.good == form.length ? form.length : 0;
}

std::size_t valid_prefix(std::string_view text) {
  const char* p = text.data();
  const char* const end = p + text.size();
  while (p < end) {
    if (end - p >= 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, p, 8);
      if ((word & 0x8080808080808080U) == 0) {
        p += 8;
        continue;
      }
    }
    const auto length = utf8_length(p, end);
    if (length == 0) break;
    p += length;
  }
  return static_cast<std::size_t>(p - text.data());
}

std::size_t unfinished_suffix(std::string_view text) {
  const char* const end = text.data() + text.size();
  for (std::size_t n = std::min<std::size_t>(3, text.size()); n > 0; --n) {
    const auto form = form_at(end - n, end);
    if (form.good == n && form.length > n) return n;
  }
  return 0;
}

}  // namespace seedbed::engine::text
