#include "tasks/admit_known.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/text.h"
#include "tasks/normal.h"

namespace seedbed::tasks {
namespace {

using schemas::Value;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_word_char(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c & 0x80) != 0 ||
         c == '_';
}

// Whether text[begin, end) stands alone: "15" does not in 1500, 15.5, 2031-15 or a15; "b-3" does
// not in b-3-1.
bool stands_alone(std::string_view text, std::size_t begin, std::size_t end) {
  const auto joins = [&](char c) {
    return c == '-' || c == '.' || c == ',' || c == '/' || c == ':';
  };
  if (begin > 0 && is_word_char(text[begin - 1])) return false;
  if (end < text.size() && is_word_char(text[end])) return false;
  if (begin > 1 && joins(text[begin - 1]) && is_digit(text[begin - 2]) && is_digit(text[begin]))
    return false;
  if (begin > 1 && text[begin - 1] == '-' && is_word_char(text[begin - 2])) return false;
  if (end + 1 < text.size() && joins(text[end]) && is_digit(text[end + 1]) &&
      is_digit(text[end - 1]))
    return false;
  return !(end + 1 < text.size() && text[end] == '-' && is_word_char(text[end + 1]));
}

std::string grouped(const std::string& digits) {
  std::string out;
  const std::size_t sign = digits[0] == '-' ? 1 : 0;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > sign && (digits.size() - i) % 3 == 0) out.push_back(',');
    out.push_back(digits[i]);
  }
  return out;
}

std::string spaced_lower(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool space = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    if (space && (out.empty() || out.back() == ' ')) continue;
    out.push_back(space ? ' ' : c);
  }
  return lower_ascii(out);
}

}  // namespace

void Known::read(std::string_view prose) {
  prose_.push_back(spaced_lower(prose));
}

void Known::see(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::array:
      for (const auto& item : value.items()) see(item);
      break;
    case Value::Kind::object:
      for (const auto& [name, inner] : value.members()) see(inner);
      break;
    case Value::Kind::string:
      values_.insert(normal_text(value.as_string()));
      break;
    case Value::Kind::integer:
      values_.insert(std::to_string(value.as_int()));
      break;
    default:
      break;
  }
}

void Known::see(const schemas::ToolResult& result) {
  if (const auto seen = schemas::parse_json(result.out); seen.ok()) see(*seen);
}

void Known::see_choices(const Value& schema) {
  if (schema.is_array())
    for (const auto& item : schema.items()) see_choices(item);
  if (!schema.is_object()) return;
  for (const auto& [name, inner] : schema.members()) {
    if (name == "enum" || name == "const" || name == "default")
      see(inner);
    else
      see_choices(inner);
  }
}

bool Known::says(const std::string& word) const {
  for (const auto& text : prose_)
    for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1))
      if (stands_alone(text, at, at + word.size())) return true;
  return false;
}

bool Known::has(const Value& scalar) const {
  constexpr std::array<const char*, 13> kWords = {"zero", "one",    "two",   "three", "four",
                                                  "five", "six",    "seven", "eight", "nine",
                                                  "ten",  "eleven", "twelve"};
  if (scalar.is_null() || scalar.is_bool()) return true;
  if (scalar.kind() == Value::Kind::number && std::trunc(scalar.as_double()) != scalar.as_double())
    return says(dump(scalar));
  if (scalar.is_number()) {
    const auto form = normal_form(schemas::AnswerType::integer, scalar);
    if (!form) return false;
    if (values_.contains(*form) || says(*form) || (form->size() > 3 && says(grouped(*form))))
      return true;
    const std::int64_t n = scalar.is_int() ? scalar.as_int() : -1;
    return n >= 0 && n < static_cast<std::int64_t>(kWords.size()) &&
           says(kWords[static_cast<std::size_t>(n)]);
  }
  if (!scalar.is_string()) return false;
  const std::string word = normal_text(scalar.as_string());
  return word.empty() || values_.contains(word) || says(word);
}

bool is_id_like(std::string_view word) {
  const bool digit = std::any_of(word.begin(), word.end(), is_digit);
  return digit && std::any_of(word.begin(), word.end(),
                              [](char c) { return !is_digit(c) && (is_word_char(c) || c == '-'); });
}

std::vector<std::string> echo_words(std::string_view prompt) {
  std::vector<std::string> out;
  const auto add = [&](std::string_view word) {
    while (!word.empty() &&
           (word.back() == '.' || word.back() == ',' || word.back() == ' ' || word.back() == '-'))
      word.remove_suffix(1);
    if (!word.empty() && out.size() < 64 && std::find(out.begin(), out.end(), word) == out.end())
      out.emplace_back(word);
  };
  for (const char quote : {'"', '\''})
    for (std::size_t a = prompt.find(quote); a != std::string_view::npos;
         a = prompt.find(quote, a + 1)) {
      const auto b = prompt.find(quote, a + 1);
      if (b != std::string_view::npos && b - a < 80) add(prompt.substr(a + 1, b - a - 1));
    }
  std::size_t name_begin = 0, name_end = 0;  // a run of capitalised words
  for (std::size_t i = 0; i < prompt.size();) {
    if (!is_word_char(prompt[i])) {
      ++i;
      continue;
    }
    std::size_t end = i;
    while (end < prompt.size() &&
           (is_word_char(prompt[end]) ||
            (end + 1 < prompt.size() && is_word_char(prompt[end + 1]) &&
             (prompt[end] == '-' || prompt[end] == ',' || prompt[end] == '.' ||
              prompt[end] == '/' || prompt[end] == ':'))))
      ++end;
    const auto word = prompt.substr(i, end - i);
    if (std::any_of(word.begin(), word.end(), is_digit)) add(word);
    if (word[0] >= 'A' && word[0] <= 'Z') {
      add(word);
      if (name_end > 0 && i == name_end + 1)
        add(prompt.substr(name_begin, end - name_begin));
      else
        name_begin = i;
      name_end = end;
    } else {
      name_end = 0;
    }
    i = end;
  }
  return out;
}

}  // namespace seedbed::tasks
