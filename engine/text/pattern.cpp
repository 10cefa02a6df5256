#define PCRE2_CODE_UNIT_WIDTH 8
#include "engine/text/pattern.h"

#include <pcre2.h>

#include <array>
#include <cstdio>

#include "base/check.h"
#include "base/text.h"
#include "engine/text/unicode.h"
#include "engine/text/unicode_delta.h"

namespace seedbed::engine::text {
namespace {

struct CompileContext {
  pcre2_compile_context* p = pcre2_compile_context_create(nullptr);
  CompileContext() {
    pcre2_set_newline(p, PCRE2_NEWLINE_LF);
    pcre2_set_parens_nest_limit(p, 100);
  }
  ~CompileContext() { pcre2_compile_context_free(p); }
  CompileContext(const CompileContext&) = delete;
  CompileContext& operator=(const CompileContext&) = delete;
};
// Multi-line: Oniguruma's ^ and $ are of lines.
constexpr std::uint32_t kOptions =
    PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C | PCRE2_MULTILINE;

// What one thread needs to match: result and stack. Kept per thread, since making them costs more
// than a match.
struct MatchState {
  pcre2_match_data* data = pcre2_match_data_create(1, nullptr);
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  pcre2_jit_stack* stack = pcre2_jit_stack_create(32U << 10, 4U << 20, nullptr);
  MatchState() {
    pcre2_jit_stack_assign(context, nullptr, stack);
    pcre2_set_heap_limit(context, 64U << 10);  // KiB
  }
  ~MatchState() {
    pcre2_jit_stack_free(stack);
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
  }
  MatchState(const MatchState&) = delete;
  MatchState& operator=(const MatchState&) = delete;
};

// The one-letter class that a category belongs to.
char letter_of(Category category) {
  constexpr char kLetters[] = {'\0', 'L', 'M', 'N', 'N', 'N', 'P', 'P', 'S'};
  return kLetters[static_cast<std::size_t>(category)];
}

std::string find_delta(char category) {
  const std::string pattern = std::string("\\p{") + category + "}";
  int error = 0;
  std::size_t offset = 0;
  auto* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), kOptions,
                             &error, &offset, nullptr);
  SEEDBED_CHECK(code != nullptr, pattern, error);
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
  auto* data = pcre2_match_data_create(1, nullptr);
  std::string out, text;
  const auto missing = [&](std::uint32_t c) {
    text.clear();
    append_utf8(text, c);
    return pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0,
                       PCRE2_NO_UTF_CHECK, data, nullptr) < 0;
  };
  for (std::size_t i = 0; i + 1 < kClassRunCount; ++i) {
    if (letter_of(static_cast<Category>(kClassRuns[i] & 15U)) != category) continue;
    const auto end = kClassRuns[i + 1] >> 4;
    for (auto c = kClassRuns[i] >> 4; c < end; ++c) {
      if (!missing(c)) continue;
      auto last = c;
      while (last + 1 < end && missing(last + 1)) ++last;
      std::array<char, 40> buffer{};
      std::snprintf(buffer.data(), buffer.size(), "\\x{%x}-\\x{%x}", c, last);
      out += buffer.data();
      c = last;
    }
  }
  pcre2_match_data_free(data);
  pcre2_code_free(code);
  return out;
}

}  // namespace

const std::string& class_delta(char category) {
  static const std::string none;
  switch (category) {
    case 'L': {
      static const std::string delta = find_delta('L');
      return delta;
    }
    case 'M': {
      static const std::string delta = find_delta('M');
      return delta;
    }
    case 'N': {
      static const std::string delta = find_delta('N');
      return delta;
    }
    case 'P': {
      static const std::string delta = find_delta('P');
      return delta;
    }
    case 'S': {
      static const std::string delta = find_delta('S');
      return delta;
    }
    default:
      return none;
  }
}

struct Pattern::Code {
  pcre2_code* code = nullptr;
  Code() = default;
  ~Code() { pcre2_code_free(code); }
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
};

Result<Pattern> Pattern::compile(std::string_view pattern, std::string_view at) {
  SEEDBED_TRY(const auto translated, translate_pattern(pattern, at));
  return compile_translated(translated, at);
}

Result<Pattern> Pattern::literal(std::string_view text, std::string_view at) {
  if (text.empty() || text.size() > kMaxPatternBytes || !is_valid_utf8(text))
    return make_error(Where::config, "tokenizer pattern", at,
                      "a string of " + std::to_string(text.size()) +
                          " bytes; wanted UTF-8 of 1 to " + std::to_string(kMaxPatternBytes),
                      "correct the pre-tokenizer");
  std::string quoted;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    std::array<char, 8> buffer{};
    if (byte < 0x80 && std::isalnum(byte) == 0) {
      std::snprintf(buffer.data(), buffer.size(), "\\x{%x}", byte);
      quoted += buffer.data();
    } else {
      quoted += c;
    }
  }
  return compile_translated(quoted, at);
}

Result<Pattern> Pattern::compile_translated(const std::string& pattern, std::string_view at) {
  auto made = std::make_shared<Code>();
  int error = 0;
  std::size_t offset = 0;
  const CompileContext context;
  made->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), kOptions,
                             &error, &offset, context.p);
  if (made->code == nullptr) {
    std::array<char, 200> message{};
    pcre2_get_error_message(error, reinterpret_cast<PCRE2_UCHAR*>(message.data()), message.size());
    return make_error(Where::config, "tokenizer pattern", at,
                      std::string("PCRE2 refuses it: ") + message.data(),
                      "use a tokenizer with patterns that it knows");
  }
  pcre2_jit_compile(made->code, PCRE2_JIT_COMPLETE);  // where it fails the interpreter serves
  return Pattern(std::move(made));
}

Pattern::Match Pattern::search(std::string_view text, std::size_t from) const {
  thread_local const MatchState state;
  const auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  int rc = pcre2_match(code_->code, subject, text.size(), from, PCRE2_NO_UTF_CHECK, state.data,
                       state.context);
  if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
    rc = pcre2_match(code_->code, subject, text.size(), from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                     state.data, state.context);
  if (rc == PCRE2_ERROR_NOMATCH) return {};
  if (rc < 0) return {Found::gave_up, 0, 0};
  const auto* at = pcre2_get_ovector_pointer(state.data);
  return {Found::match, at[0], at[1]};
}

}  // namespace seedbed::engine::text
