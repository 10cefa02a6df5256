// Cuts a text into the pieces within which byte pairs are merged.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/text/pattern.h"
#include "engine/text/splitters.h"
#include "engine/text/tokenizer_spec.h"
#include "engine/text/unicode.h"

namespace seedbed::engine::text {

class PreTokenizer {
 public:
  // `hand_written`: known sequences run by splitters.h instead of PCRE2 (the pieces are the same).
  static Result<PreTokenizer> make(const std::vector<PreTokenizerStep>& steps,
                                   std::string_view at,
                                   bool hand_written = true);

  // emit(const char* begin, const char* end, const char* readable_end) for each piece of a
  // well-formed text, in order; the pointers hold during the call.
  template <class Emit>
  void run(std::string_view text, Emit&& emit) const {
    if (text.empty()) return;
    const auto piece = [&emit](const char* end) {
      return [&emit, end](const char* b, const char* e) { emit(b, e, end); };
    };
    const char* const end = text.data() + text.size();
    if (way_ == Way::deepseek) return split_deepseek(text.data(), end, piece(end));
    if (way_ == Way::gpt2) return split_gpt2(text.data(), end, piece(end));
    Pieces pieces{std::string(text), {{0, text.size()}}};
    for (const auto& step : steps_) apply(step, pieces);
    const char* const data = pieces.text.data();
    for (const auto& span : pieces.spans)
      emit(data + span.begin, data + span.end, data + pieces.text.size());
  }

  // The same for any bytes: well-formed stretches as texts of their own, what lies between as
  // pieces.
  template <class Emit>
  void run_bytes(std::string_view text, Emit&& emit) const {
    while (!text.empty()) {
      const auto valid = valid_prefix(text);
      run(text.substr(0, valid), emit);
      text.remove_prefix(valid);
      const char* const data = text.data();
      const char* const end = data + text.size();
      const char* p = data;
      while (p < end && utf8_length(p, end) == 0) ++p;
      if (p > data) emit(data, p, end);
      text.remove_prefix(static_cast<std::size_t>(p - data));
    }
  }

  [[nodiscard]] bool is_hand_written() const { return way_ != Way::steps; }

 private:
  enum class Way : std::uint8_t { steps, deepseek, gpt2 };
  struct Span {
    std::size_t begin = 0, end = 0;
  };
  struct Pieces {
    std::string text;
    std::vector<Span> spans;  // none is empty
  };
  struct Step {
    PreTokenizerStep spec;
    std::vector<Pattern> pattern;  // one where the step has a pattern
  };
  static void apply(const Step& step, Pieces& pieces);
  static void split(const Step& step, const std::string& text, Span span, std::vector<Span>& out);

  Way way_ = Way::steps;
  std::vector<Step> steps_;
};

}  // namespace seedbed::engine::text
