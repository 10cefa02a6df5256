// Pre-tokenizer patterns: written for Oniguruma (as HF tokenizers run them), run by PCRE2 with JIT.
#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace seedbed::engine::text {

inline constexpr std::size_t kMaxPatternBytes = 32'768;

// The same pattern in PCRE2's dialect, with \s and the classes L M N P S as in class_table(). An
// error names the construct that is not translated; `at` says where the pattern stands.
Result<std::string> translate_pattern(std::string_view pattern, std::string_view at);

// A compiled pattern; const use from several threads is safe.
class Pattern {
 public:
  static Result<Pattern> compile(std::string_view pattern, std::string_view at);
  // Matches exactly these bytes, which must be well-formed UTF-8 and not empty.
  static Result<Pattern> literal(std::string_view text, std::string_view at);

  enum class Found : unsigned char { match, none, gave_up };
  struct Match {
    Found found = Found::none;
    std::size_t begin = 0, end = 0;
  };
  // The first match at or after `from` (a character's boundary) in a well-formed text. `gave_up`:
  // a limit of steps or memory was met.
  [[nodiscard]] Match search(std::string_view text, std::size_t from) const;

 private:
  struct Code;
  explicit Pattern(std::shared_ptr<const Code> code) : code_(std::move(code)) {}
  static Result<Pattern> compile_translated(const std::string& pattern, std::string_view at);
  std::shared_ptr<const Code> code_;
};

}  // namespace seedbed::engine::text
