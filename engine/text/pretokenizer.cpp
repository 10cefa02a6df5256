#include "engine/text/pretokenizer.h"

#include <algorithm>

namespace seedbed::engine::text {

const char* const kDeepSeekPatterns[3] = {
    "\\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|"
    "[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|"
    "\\s*[\r\n]+|\\s+(?!\\S)|\\s+"};
const char* const kGpt2Pattern =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

namespace {

using Kind = PreTokenizerStep::Kind;

bool is_plain_byte_level(const PreTokenizerStep& step) {
  return step.kind == Kind::byte_level && !step.add_prefix_space && !step.use_regex;
}

bool is_isolating(const PreTokenizerStep& step, const char* pattern) {
  return step.kind == Kind::split && !step.literal && !step.invert &&
         step.behavior == Behavior::isolated && step.pattern == pattern;
}

bool is_deepseek(const std::vector<PreTokenizerStep>& steps) {
  if (steps.size() != 4 || !is_plain_byte_level(steps[3])) return false;
  for (std::size_t i = 0; i < 3; ++i)
    if (!is_isolating(steps[i], kDeepSeekPatterns[i])) return false;
  return true;
}

bool is_gpt2(const std::vector<PreTokenizerStep>& steps) {
  if (steps.size() == 1)
    return steps[0].kind == Kind::byte_level && steps[0].use_regex && !steps[0].add_prefix_space;
  return steps.size() == 2 && is_isolating(steps[0], kGpt2Pattern) && is_plain_byte_level(steps[1]);
}

}  // namespace

Result<PreTokenizer> PreTokenizer::make(const std::vector<PreTokenizerStep>& steps,
                                        std::string_view at,
                                        bool hand_written) {
  PreTokenizer out;
  if (hand_written && is_deepseek(steps)) {
    out.way_ = Way::deepseek;
    return out;
  }
  if (hand_written && is_gpt2(steps)) {
    out.way_ = Way::gpt2;
    return out;
  }
  for (const auto& step : steps) {
    Step made{step, {}};
    if (step.kind == Kind::split) {
      SEEDBED_TRY(auto pattern, step.literal ? Pattern::literal(step.pattern, at)
                                             : Pattern::compile(step.pattern, at));
      made.pattern.push_back(std::move(pattern));
    } else if (step.kind == Kind::byte_level && step.use_regex) {
      SEEDBED_TRY(auto pattern, Pattern::compile(kGpt2Pattern, at));
      made.pattern.push_back(std::move(pattern));
    } else if (step.kind == Kind::digits) {
      SEEDBED_TRY(auto pattern, Pattern::compile("\\p{N}", at));
      made.pattern.push_back(std::move(pattern));
      made.spec.behavior = step.individual_digits ? Behavior::isolated : Behavior::contiguous;
    }
    out.steps_.push_back(std::move(made));
  }
  return out;
}

namespace {

struct Part {
  std::size_t begin = 0, end = 0;
  bool match = false;
};

// The text cut at matches, in order and without gaps; empty parts mark empty matches.
std::vector<Part> parts_of(const Pattern& pattern, std::string_view text) {
  std::vector<Part> parts;
  std::size_t done = 0, from = 0;
  bool after_match = false;
  while (from <= text.size()) {
    const auto found = pattern.search(text, from);
    if (found.found != Pattern::Found::match) break;  // given up: the rest stays one part
    if (found.begin == found.end && after_match && found.end == done) {
      // An empty match right behind the last one: on by a character, or it would never end.
      const auto here = text.substr(from);
      from += here.empty() ? 1 : std::max(1U, utf8_length(here.data(), here.data() + here.size()));
      continue;
    }
    if (found.begin > done) parts.push_back({done, found.begin, false});
    parts.push_back({found.begin, found.end, true});
    done = from = found.end;
    after_match = true;
  }
  if (done < text.size()) parts.push_back({done, text.size(), false});
  return parts;
}

}  // namespace

void PreTokenizer::split(const Step& step,
                         const std::string& text,
                         Span span,
                         std::vector<Span>& out) {
  const auto view = std::string_view(text).substr(span.begin, span.end - span.begin);
  auto parts = parts_of(step.pattern[0], view);
  if (step.spec.invert)
    for (auto& part : parts) part.match = !part.match;
  std::vector<Part> joined;
  bool before = false;  // whether the part before was a match
  for (const auto& part : parts) {
    const bool first = joined.empty();
    switch (step.spec.behavior) {
      case Behavior::removed:
        if (!part.match) joined.push_back(part);
        break;
      case Behavior::isolated:
        joined.push_back(part);
        break;
      case Behavior::contiguous:
        if (!first && before == part.match)
          joined.back().end = part.end;
        else
          joined.push_back(part);
        break;
      case Behavior::merged_with_previous:
        if (!first && part.match && !before)
          joined.back().end = part.end;
        else
          joined.push_back(part);
        break;
      case Behavior::merged_with_next:
        if (!first && !part.match && before)
          joined.back().end = part.end;
        else
          joined.push_back(part);
        break;
    }
    before = part.match;
  }
  for (const auto& part : joined)
    if (part.end > part.begin) out.push_back({span.begin + part.begin, span.begin + part.end});
}

void PreTokenizer::apply(const Step& step, Pieces& pieces) {
  if (step.spec.add_prefix_space) {
    Pieces spaced;
    for (const auto& span : pieces.spans) {
      const auto begin = spaced.text.size();
      if (pieces.text[span.begin] != ' ') spaced.text += ' ';
      spaced.text.append(pieces.text, span.begin, span.end - span.begin);
      spaced.spans.push_back({begin, spaced.text.size()});
    }
    pieces = std::move(spaced);
  }
  if (step.pattern.empty()) return;
  std::vector<Span> out;
  for (const auto& span : pieces.spans) split(step, pieces.text, span, out);
  pieces.spans = std::move(out);
}

}  // namespace seedbed::engine::text
