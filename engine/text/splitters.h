// Hand-written pre-tokenizers: the pieces that DeepSeek's pattern sequence and GPT-2's pattern
// give, without a regular-expression engine. The PCRE2 way (pattern.h) is their oracle in tests.
#pragma once
#include "engine/text/unicode.h"

namespace seedbed::engine::text {

// The exact patterns that the splitters stand for.
extern const char* const kDeepSeekPatterns[3];
extern const char* const kGpt2Pattern;

namespace detail {

struct Cursor {
  const std::uint8_t* table;
  const char* end;

  // Class bits of the code point at p (0 at the end), and its length.
  unsigned at(const char* p, unsigned& length) const {
    if (p == end) {
      length = 0;
      return 0;
    }
    const auto c = static_cast<unsigned char>(*p);
    if (c < 0x80) {
      length = 1;
      return table[c];
    }
    const auto point = decode_utf8(p);
    length = point.length;
    return table[point.value];
  }
  // The first place from p on whose class has none of `wanted`, or has one of `unwanted`.
  const char* run(const char* p, unsigned wanted, unsigned unwanted = 0) const {
    for (unsigned length = 0;; p += length) {
      const auto bits = at(p, length);
      if ((bits & wanted) == 0 || (bits & unwanted) != 0) return p;
    }
  }
};

inline bool is_ascii_letter(char c) {
  return static_cast<unsigned>((c | 0x20) - 'a') < 26U;
}

// The end of the piece of white space that begins at p: through its last newline where it has one
// and `newlines`; else the whole run where the part ends after it, else all but its last character
// (at least one).
inline const char* space_piece(const Cursor& text, const char* p, unsigned bound, bool newlines) {
  const char* q = p;
  const char* last = p;
  const char* after_newline = nullptr;
  unsigned length = 0, bits = text.at(q, length);
  while ((bits & kSpace) != 0) {
    last = q;
    q += length;
    if ((bits & kNewline) != 0) after_newline = q;
    bits = text.at(q, length);
  }
  if (newlines && after_newline != nullptr) return after_newline;
  if (q == text.end || (bits & bound) != 0 || last == p) return q;
  return last;
}

// The end of the piece that DeepSeek's third pattern gives at p; `parts`: classes before which the
// part ends.
inline const char* deepseek_word(const Cursor& text, const char* p, unsigned parts) {
  constexpr unsigned kLetters = kLetter | kMark;
  unsigned length = 0, next_length = 0;
  const unsigned bits = text.at(p, length);
  const char* q = p + length;
  if ((bits & kLetters) != 0) return text.run(q, kLetters, parts);
  const unsigned next = text.at(q, next_length);
  const bool inside = (next & parts) == 0;
  if ((bits & kPunctSymbol) != 0) {
    if (length == 1 && q != text.end && is_ascii_letter(*q)) {  // ASCII punctuation and letters
      while (q != text.end && is_ascii_letter(*q)) ++q;
      return q;
    }
    return text.run(text.run(q, kPunctSymbol, parts), kNewline);
  }
  if ((bits & kNewline) == 0 && (next & kLetters) != 0 && inside)
    return text.run(q, kLetters, parts);
  if (*p == ' ' && (next & kPunctSymbol) != 0 && inside)
    return text.run(text.run(q, kPunctSymbol, parts), kNewline);
  if ((bits & kSpace) != 0) return space_piece(text, p, parts, true);
  while (q != text.end) {  // nothing matches here: one piece up to where something does
    const unsigned here = text.at(q, length);
    if ((here & (kLetters | kPunctSymbol | kSpace | parts)) != 0) break;
    const unsigned after = text.at(q + length, next_length);
    if ((after & kLetters) != 0 && (after & parts) == 0) break;
    q += length;
  }
  return q;
}

}  // namespace detail

// emit(begin, end) for each piece, in order; together they are the text, which must be well-formed.
// The first two patterns cut out numbers (by threes) and CJK runs. The third works in each CJK run
// and in each part between, as if nothing stood around it; in numbers it finds nothing.
template <class Emit>
void split_deepseek(const char* p, const char* end, Emit&& emit) {
  using namespace detail;
  const Cursor text{class_table(), end};
  while (p < end) {
    unsigned length = 0;
    const unsigned bits = text.at(p, length);
    const char* q = p + length;
    if ((bits & kNumber) != 0) {
      for (int count = 1; count < 3; ++count) {
        if ((text.at(q, length) & kNumber) == 0) break;
        q += length;
      }
    } else if ((bits & kCjk) != 0) {
      const Cursor run{text.table, text.run(q, kCjk, kNumber)};
      q = deepseek_word(run, p, 0);
      for (; q != run.end; q = deepseek_word(run, p, 0)) {
        emit(p, q);
        p = q;
      }
    } else {
      q = deepseek_word(text, p, kNumber | kCjk);
    }
    emit(p, q);
    p = q;
  }
}

// The same for GPT-2's pattern.
template <class Emit>
void split_gpt2(const char* p, const char* end, Emit&& emit) {
  using namespace detail;
  const Cursor text{class_table(), end};
  const auto contraction = [end](const char* at) -> std::ptrdiff_t {
    if (end - at < 2) return 0;
    switch (at[1]) {
      case 's':
      case 't':
      case 'm':
      case 'd':
        return 2;
      case 'r':
      case 'v':
        return end - at > 2 && at[2] == 'e' ? 3 : 0;
      case 'l':
        return end - at > 2 && at[2] == 'l' ? 3 : 0;
      default:
        return 0;
    }
  };
  while (p < end) {
    const char* q = p;
    unsigned length = 0;
    if (const auto n = *p == '\'' ? contraction(p) : 0; n > 0) {
      q = p + n;
    } else {
      const char* first = *p == ' ' ? p + 1 : p;
      const unsigned bits = text.at(first, length);
      if (first == end || (bits & kSpace) != 0) {
        q = space_piece(text, p, 0, false);
      } else if ((bits & kLetter) != 0) {
        q = text.run(first, kLetter);
      } else if ((bits & kNumber) != 0) {
        q = text.run(first, kNumber);
      } else {
        q = first + length;
        while (q != end && (text.at(q, length) & (kSpace | kLetter | kNumber)) == 0) q += length;
      }
    }
    emit(p, q);
    p = q;
  }
}

}  // namespace seedbed::engine::text
