#include "tasks/solvers/words.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "tasks/normal.h"

namespace seedbed::tasks::solvers {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
bool is_word(char c) {
  return is_digit(c) || is_upper(c) || (c >= 'a' && c <= 'z') || (c & 0x80) != 0 || c == '_';
}

const std::set<std::string, std::less<>>& stop_stems() {
  static const std::set<std::string, std::less<>> kStops = [] {
    std::set<std::string, std::less<>> out;
    for (const char* word :
         {"the",  "a",     "an",    "of",    "to",      "for",        "in",       "on",
          "by",   "with",  "and",   "or",    "is",      "be",         "that",     "this",
          "it",   "its",   "has",   "have",  "was",     "were",       "from",     "at",
          "as",   "me",    "my",    "you",   "your",    "please",     "id",       "ids",
          "name", "list",  "lists", "find",  "get",     "i",          "we",       "us",
          "our",  "would", "could", "like",  "their",   "those",      "are",      "so",
          "no",   "not",   "any",   "all",   "given",   "page",       "next",     "offset",
          "lead", "leads", "on",    "order", "ordered", "optionally", "filtered", "exact",
          "rows", "skip",  "one",   "there", "them"})
      out.insert(stem_of(word));
    return out;
  }();
  return kStops;
}

}  // namespace

std::string stem_of(std::string_view word) {
  std::string s = lower_ascii(word);
  const auto cut = [&s](std::string_view ending, std::size_t least, std::string_view with = "") {
    if (s.size() < least || !s.ends_with(ending)) return false;
    s.resize(s.size() - ending.size());
    s += with;
    return true;
  };
  if (!std::all_of(s.begin(), s.end(), [](char c) { return c >= 'a' && c <= 'z'; })) return s;
  if (!cut("ies", 5, "y") && !s.ends_with("ss")) {
    if (!cut("ches", 6, "ch") && !cut("shes", 6, "sh") && !cut("sses", 6, "ss")) cut("s", 4);
  }
  if (!cut("ing", 6)) cut("ed", 5);
  cut("e", 4);
  if (s.size() > 3 && s.back() == s[s.size() - 2] && s.back() != 's') s.pop_back();
  return s;
}

std::vector<Token> tokens_of(std::string_view text) {
  std::vector<Token> out;
  bool begins = true;
  for (std::size_t i = 0; i < text.size();) {
    if (!is_word(text[i])) {
      if (text[i] == '.' || text[i] == '!' || text[i] == '?' || text[i] == '\n' || text[i] == ':' ||
          text[i] == ';')
        begins = true;
      ++i;
      continue;
    }
    std::size_t end = i;
    const auto joins = [&](char c) {
      return c == '-' || c == '\'' || c == ',' || c == '.' || c == '/' || c == ':';
    };
    while (end < text.size() &&
           (is_word(text[end]) ||
            (end + 1 < text.size() && joins(text[end]) && is_word(text[end + 1]) &&
             (text[end] == '\'' || (text[end] == '-' && is_digit(text[end + 1])) ||
              (is_digit(text[end - 1]) && is_digit(text[end + 1]))))))
      ++end;
    Token token;
    token.text = text.substr(i, end - i);
    token.stem = stem_of(token.text.ends_with("'s") ? token.text.substr(0, token.text.size() - 2)
                                                    : token.text);
    token.begin = i;
    token.end = end;
    token.capital = is_upper(text[i]);
    token.begins_sentence = begins;
    begins = false;
    out.push_back(std::move(token));
    i = end;
  }
  return out;
}

std::vector<std::string> stems_of_name(std::string_view name) {
  std::vector<std::string> out;
  std::string part;
  const auto flush = [&] {
    if (!part.empty()) out.push_back(stem_of(part));
    part.clear();
  };
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (!is_word(c) || c == '_') {
      flush();
      continue;
    }
    if (is_upper(c) && i > 0 && !is_upper(name[i - 1])) flush();
    part.push_back(c);
  }
  flush();
  return out;
}

std::vector<std::string> stems_of_text(std::string_view text) {
  std::vector<std::string> out;
  for (auto& token : tokens_of(text))
    if (!is_stop_word(token.stem)) out.push_back(std::move(token.stem));
  return out;
}

bool is_stop_word(std::string_view stem) {
  return stop_stems().contains(stem);
}

std::size_t find_run(const std::vector<std::string>& all,
                     const std::vector<std::string>& part,
                     std::size_t from) {
  if (part.empty() || from >= all.size()) return std::string::npos;
  const auto at = std::search(all.begin() + static_cast<std::ptrdiff_t>(from), all.end(),
                              part.begin(), part.end());
  return at == all.end() ? std::string::npos : static_cast<std::size_t>(at - all.begin());
}

std::size_t find_phrase(std::string_view text, std::string_view phrase, std::size_t from) {
  if (phrase.empty() || phrase.size() > text.size()) return std::string::npos;
  const auto lower = [](char c) { return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c; };
  const char first = lower(phrase[0]);
  for (std::size_t at = from; at + phrase.size() <= text.size(); ++at) {
    if (lower(text[at]) != first) continue;
    if (at > 0 && is_word(text[at - 1])) continue;
    const std::size_t end = at + phrase.size();
    if (end < text.size() && is_word(text[end])) continue;
    std::size_t i = 0;
    while (i < phrase.size() && lower(text[at + i]) == lower(phrase[i])) ++i;
    if (i == phrase.size()) return at;
  }
  return std::string::npos;
}

std::optional<std::int64_t> number_of(std::string_view word) {
  static constexpr std::array<std::string_view, 13> kWords = {
      "zero",  "one",   "two",  "three", "four",   "five",  "six",
      "seven", "eight", "nine", "ten",   "eleven", "twelve"};
  const std::string lower = lower_ascii(word);
  for (std::size_t i = 0; i < kWords.size(); ++i)
    if (lower == kWords[i]) return static_cast<std::int64_t>(i);
  std::string digits;
  for (const char c : lower)
    if (c != ',') digits.push_back(c);
  if (digits.empty() || digits.size() > 15 || !std::all_of(digits.begin(), digits.end(), is_digit))
    return std::nullopt;
  std::int64_t n = 0;
  for (const char c : digits) n = n * 10 + (c - '0');
  return n;
}

std::optional<std::int64_t> day_of(std::string_view text) {
  if (text.size() < 10) return std::nullopt;
  for (std::size_t i = 0; i < 10; ++i)
    if (i == 4 || i == 7 ? text[i] != '-' : !is_digit(text[i])) return std::nullopt;
  const auto part = [&](std::size_t at, std::size_t n) {
    std::int64_t v = 0;
    for (std::size_t i = at; i < at + n; ++i) v = v * 10 + (text[i] - '0');
    return v;
  };
  std::int64_t y = part(0, 4);
  const std::int64_t m = part(5, 2), d = part(8, 2);
  if (m < 1 || m > 12 || d < 1 || d > 31) return std::nullopt;
  y -= m <= 2 ? 1 : 0;  // March-based years of the proleptic Gregorian calendar
  const std::int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
  return y * 365 + y / 4 - y / 100 + y / 400 + doy - 730425;
}

std::vector<std::string> name_candidates(std::string_view text) {
  std::vector<std::string> out;
  const auto add = [&](std::string_view name) {
    if (!name.empty() && name.size() <= 120 && out.size() < 48 &&
        std::find(out.begin(), out.end(), name) == out.end())
      out.emplace_back(name);
  };
  for (std::size_t a = text.find('"'); a != std::string_view::npos; a = text.find('"', a + 1)) {
    const auto b = text.find('"', a + 1);
    if (b == std::string_view::npos) break;
    add(text.substr(a + 1, b - a - 1));
    a = b;
  }
  const auto tokens = tokens_of(text);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (!tokens[i].capital) {
      if (std::any_of(tokens[i].text.begin(), tokens[i].text.end(), is_digit) &&
          !number_of(tokens[i].text))
        add(tokens[i].text);
      continue;
    }
    std::size_t last = i;  // one space or hyphen between, no new sentence
    while (last + 1 < tokens.size() && tokens[last + 1].capital &&
           tokens[last + 1].begin == tokens[last].end + 1 && !tokens[last + 1].begins_sentence)
      ++last;
    if (last > i || !tokens[i].begins_sentence)
      add(text.substr(tokens[i].begin, tokens[last].end - tokens[i].begin));
    if (last > i && tokens[i].begins_sentence)
      add(text.substr(tokens[i + 1].begin, tokens[last].end - tokens[i + 1].begin));
    i = last;
  }
  return out;
}

std::vector<std::string_view> clauses_of(std::string_view text) {
  std::vector<std::string_view> out;
  std::size_t begin = 0;
  const auto cut = [&](std::size_t end) {
    const auto part = trim(text.substr(begin, end - begin));
    if (!part.empty()) out.push_back(part);
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool ends = c == '?' || c == '!' || c == ';' || c == '\n' ||
                      (c == '.' && (i + 1 == text.size() || text[i + 1] == ' ' ||
                                    text[i + 1] == '\n' || text[i + 1] == '"'));
    if (ends) {
      cut(i);
      begin = i + 1;
      continue;
    }
    if (c != ' ') continue;
    for (const std::string_view word :
         {"otherwise", "then", "after that", "afterwards", "and then", "and also"})
      if (i > begin && find_phrase(text.substr(i + 1, word.size() + 1), word) == 0) {
        cut(i);
        begin = i + 1;
        break;
      }
  }
  cut(text.size());
  return out;
}

}  // namespace seedbed::tasks::solvers
