#include "tasks/normal.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>

#include "base/text.h"

namespace seedbed::tasks {
namespace {

using schemas::AnswerType;
using schemas::Value;

constexpr std::size_t kMaxNumberChars = 32;
constexpr std::size_t kMaxDateChars = 64;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_alpha(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

// "1,250,000" without its commas; empty where the groups are not of three.
std::optional<std::string> ungroup(std::string_view digits) {
  if (digits.find(',') == std::string_view::npos) return std::string(digits);
  std::string out;
  std::size_t group = 0;
  bool first = true;
  for (std::size_t i = 0; i <= digits.size(); ++i) {
    if (i < digits.size() && digits[i] != ',') {
      out.push_back(digits[i]);
      ++group;
      continue;
    }
    if (first ? (group < 1 || group > 3) : group != 3) return std::nullopt;
    first = false;
    group = 0;
  }
  return out;
}

std::optional<int> month_of(std::string_view word) {
  constexpr std::array<std::string_view, 12> kMonths = {
      "january", "february", "march",     "april",   "may",      "june",
      "july",    "august",   "september", "october", "november", "december"};
  const std::string w = lower_ascii(word);
  for (std::size_t m = 0; m < kMonths.size(); ++m)
    if (w == kMonths[m] || w == kMonths[m].substr(0, 3) || (m == 8 && w == "sept"))
      return static_cast<int>(m) + 1;
  return std::nullopt;
}

bool is_leap(int year) {
  return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

bool day_exists(int year, int month, int day) {
  constexpr std::array<int, 12> kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (year < 1 || month < 1 || month > 12 || day < 1) return false;
  return day <= kDays[static_cast<std::size_t>(month) - 1] + (month == 2 && is_leap(year) ? 1 : 0);
}

// Reads a date from left to right; every reader moves on only where it succeeds.
class DateReader {
 public:
  explicit DateReader(std::string_view text) : text_(text) {}

  std::optional<std::string> read() {
    if (!iso() && !slashes() && !day_month() && !month_day()) return std::nullopt;
    if (!day_exists(year_, month_, day_)) return std::nullopt;
    if (!end() && !time()) return std::nullopt;
    spaces();
    if (!end()) return std::nullopt;
    std::string out = pad(year_, 4) + "-" + pad(month_, 2) + "-" + pad(day_, 2);
    if (hour_ > 0 || minute_ > 0) out += " " + pad(hour_, 2) + ":" + pad(minute_, 2);
    return out;
  }

 private:
  static std::string pad(int n, std::size_t width) {
    std::string s = std::to_string(n);
    return s.size() < width ? std::string(width - s.size(), '0') + s : s;
  }
  [[nodiscard]] bool end() const { return at_ == text_.size(); }
  bool eat(char c) {
    if (end() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool spaces() {
    const auto begin = at_;
    while (!end() && is_space(text_[at_])) ++at_;
    return at_ > begin;
  }
  bool number(int& out, std::size_t min_digits, std::size_t max_digits) {
    std::size_t n = at_;
    int value = 0;
    while (n < text_.size() && is_digit(text_[n]) && n - at_ < max_digits)
      value = value * 10 + (text_[n++] - '0');
    if (n - at_ < min_digits || (n < text_.size() && is_digit(text_[n]))) return false;
    at_ = n;
    out = value;
    return true;
  }
  bool month_word() {
    std::size_t n = at_;
    while (n < text_.size() && is_alpha(text_[n])) ++n;
    const auto m = month_of(text_.substr(at_, n - at_));
    if (!m) return false;
    at_ = n;
    eat('.');
    month_ = *m;
    return true;
  }
  void ordinal() {
    for (const std::string_view s : {"st", "nd", "rd", "th"})
      if (lower_ascii(text_.substr(at_, 2)) == s) {
        at_ += 2;
        return;
      }
  }
  bool back_to(std::size_t at) {
    at_ = at;
    return false;
  }
  bool iso() {
    const auto begin = at_;
    if (number(year_, 4, 4) && eat('-') && number(month_, 1, 2) && eat('-') && number(day_, 1, 2))
      return true;
    return back_to(begin);
  }
  bool slashes() {
    const auto begin = at_;
    for (const char c : {'/', '.', '-'}) {
      at_ = begin;
      if (number(day_, 1, 2) && eat(c) && number(month_, 1, 2) && eat(c) && number(year_, 4, 4))
        return true;
    }
    return back_to(begin);
  }
  bool day_month() {
    const auto begin = at_;
    if (!number(day_, 1, 2)) return false;
    ordinal();
    spaces();
    const auto word = at_;
    if (lower_ascii(text_.substr(at_, 3)) == "of ") at_ += 3;
    if (!month_word()) {
      at_ = word;
      if (!month_word()) return back_to(begin);
    }
    eat(',');
    spaces();
    return number(year_, 4, 4) || back_to(begin);
  }
  bool month_day() {
    const auto begin = at_;
    if (!month_word()) return false;
    spaces();
    if (!number(day_, 1, 2)) return back_to(begin);
    ordinal();
    eat(',');
    spaces();
    return number(year_, 4, 4) || back_to(begin);
  }
  // "T14:30", " 14:30", ", 14:30", " at 2:30 pm", seconds where they are zero, and a closing Z.
  bool time() {
    eat(',');
    const bool spaced = spaces();
    if (eat('T') || eat('t')) {
    } else if (lower_ascii(text_.substr(at_, 3)) == "at ") {
      at_ += 3;
      spaces();
    } else if (!spaced) {
      return false;
    }
    if (!number(hour_, 1, 2) || !eat(':') || !number(minute_, 2, 2)) return false;
    int second = 0;
    if (eat(':') && (!number(second, 2, 2) || second != 0)) return false;
    if (eat('.') && (!number(second, 1, 6) || second != 0)) return false;
    eat('Z');
    spaces();
    const std::string half = lower_ascii(text_.substr(at_, 2));
    if (half == "am" || half == "pm") {
      if (hour_ < 1 || hour_ > 12) return false;
      hour_ = hour_ % 12 + (half == "pm" ? 12 : 0);
      at_ += 2;
    }
    return hour_ < 24 && minute_ < 60;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int year_ = 0, month_ = 0, day_ = 0, hour_ = 0, minute_ = 0;
};

}  // namespace

std::string normal_text(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool gap = false;
  for (const char c : text) {
    if (is_space(c)) {
      gap = !out.empty();
      continue;
    }
    if (gap) out.push_back(' ');
    gap = false;
    out.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
  }
  while (!out.empty() && (out.back() == '.' || out.back() == ' ')) out.pop_back();
  return out;
}

std::optional<std::string> normal_integer(std::string_view text) {
  text = trim(text);
  if (text.empty() || text.size() > kMaxNumberChars) return std::nullopt;
  const bool negative = text.front() == '-';
  if (negative || text.front() == '+') text.remove_prefix(1);
  if (const auto dot = text.find('.'); dot != std::string_view::npos) {
    const auto fraction = text.substr(dot + 1);
    if (fraction.empty() || fraction.find_first_not_of('0') != std::string_view::npos)
      return std::nullopt;
    text = text.substr(0, dot);
  }
  if (text.empty() || text.find_first_not_of("0123456789,") != std::string_view::npos)
    return std::nullopt;
  auto digits = ungroup(text);
  if (!digits) return std::nullopt;
  if (negative) digits->insert(digits->begin(), '-');
  std::int64_t value = 0;
  const auto [rest, error] =
      std::from_chars(digits->data(), digits->data() + digits->size(), value);
  if (error != std::errc{} || rest != digits->data() + digits->size()) return std::nullopt;
  return std::to_string(value);
}

std::optional<std::string> normal_date(std::string_view text) {
  text = trim(text);
  while (!text.empty() && text.back() == '.') text.remove_suffix(1);
  if (text.empty() || text.size() > kMaxDateChars) return std::nullopt;
  return DateReader(text).read();
}

std::optional<std::string> normal_form(AnswerType type, const Value& value) {
  if (value.kind() == Value::Kind::number) {
    const double d = value.as_double();
    if (type == AnswerType::date || std::trunc(d) != d || std::abs(d) > 9007199254740992.0)
      return std::nullopt;
    return std::to_string(static_cast<std::int64_t>(d));
  }
  if (value.is_int()) {
    if (type == AnswerType::date) return std::nullopt;
    return std::to_string(value.as_int());
  }
  if (value.is_bool() && type == AnswerType::text) return value.as_bool() ? "true" : "false";
  if (!value.is_string()) return std::nullopt;
  switch (type) {
    case AnswerType::integer:
      return normal_integer(value.as_string());
    case AnswerType::date:
      return normal_date(value.as_string());
    case AnswerType::text:
      return normal_text(value.as_string());
    case AnswerType::set:
      break;
  }
  return std::nullopt;
}

std::optional<std::vector<std::string>> normal_set(const Value& value) {
  if (!value.is_array()) return std::nullopt;
  std::vector<std::string> out;
  for (const auto& item : value.items()) {
    auto form = normal_form(AnswerType::text, item);
    if (!form) return std::nullopt;
    out.push_back(*std::move(form));
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

std::optional<std::vector<std::string>> normal_accept(const schemas::AnswerField& field) {
  const auto type = field.type == AnswerType::set ? AnswerType::text : field.type;
  std::vector<std::string> out;
  for (const auto& form : field.accept) {
    auto normal = normal_form(type, Value(form));
    if (!normal) return std::nullopt;
    out.push_back(*std::move(normal));
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

bool accepts(const schemas::AnswerField& field, const Value* submitted) {
  if (submitted == nullptr) return false;
  if (field.type == AnswerType::set) {
    const auto items = normal_set(*submitted);
    return items && items == normal_accept(field);
  }
  const auto form = normal_form(field.type, *submitted);
  if (!form) return false;
  for (const auto& accepted : field.accept)
    if (normal_form(field.type, Value(accepted)) == form) return true;
  return false;
}

}  // namespace seedbed::tasks
