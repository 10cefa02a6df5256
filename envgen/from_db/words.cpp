#include "envgen/from_db/words.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "base/text.h"
#include "envgen/general/sentence.h"
#include "envgen/general/skin.h"

namespace seedbed::envgen {
namespace {

bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool ends_with(const std::string& text, std::string_view tail) {
  return text.size() > tail.size() &&
         text.compare(text.size() - tail.size(), tail.size(), tail) == 0;
}

constexpr std::array<std::pair<const char*, const char*>, 14> kIrregular = {{
    {"person", "people"},
    {"child", "children"},
    {"man", "men"},
    {"woman", "women"},
    {"datum", "data"},
    {"medium", "media"},
    {"criterion", "criteria"},
    {"series", "series"},
    {"species", "species"},
    {"staff", "staff"},
    {"status", "statuses"},
    {"movie", "movies"},
    {"bus", "buses"},
    {"campus", "campuses"},
}};

std::pair<std::string, std::string> last_word(const std::string& phrase) {
  const auto blank = phrase.rfind(' ');
  return blank == std::string::npos ? std::pair<std::string, std::string>{"", phrase}
                                    : std::pair<std::string, std::string>{
                                          phrase.substr(0, blank + 1), phrase.substr(blank + 1)};
}

}  // namespace

std::vector<std::string> words_of_name(std::string_view name) {
  std::vector<std::string> out{""};
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (!is_upper(c) && !is_lower(c) && !is_digit(c)) {
      out.emplace_back();
      continue;
    }
    const char before = i > 0 ? name[i - 1] : ' ', after = i + 1 < name.size() ? name[i + 1] : ' ';
    const bool begins = is_upper(c) && (is_lower(before) || is_digit(before) ||
                                        (is_upper(before) && is_lower(after)));
    if (begins) out.emplace_back();
    out.back().push_back(is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c);
  }
  std::erase(out, "");
  if (out.size() > 1 && (out[0] == "tbl" || out[0] == "table")) out.erase(out.begin());
  return out;
}

std::string phrase_of_name(std::string_view name) {
  const std::string out = join(words_of_name(name), " ");
  return out.empty() ? "record" : out;
}

std::string singular_of(const std::string& phrase) {
  const auto [head, word] = last_word(phrase);
  for (const auto& [one, many] : kIrregular)
    if (word == many || word == one) return head + one;
  if (ends_with(word, "ies") && word.size() > 4)
    return head + word.substr(0, word.size() - 3) + "y";
  for (const char* tail : {"sses", "xes", "ches", "shes", "zes"})
    if (ends_with(word, tail)) return head + word.substr(0, word.size() - 2);
  const bool singular = ends_with(word, "ss") || ends_with(word, "us") || ends_with(word, "is");
  if (ends_with(word, "s") && !singular && word.size() > 2)
    return head + word.substr(0, word.size() - 1);
  return phrase;
}

std::string plural_of_phrase(const std::string& phrase) {
  const auto [head, word] = last_word(phrase);
  for (const auto& [one, many] : kIrregular)
    if (word == one) return head + many;
  return head + plural_of(word);
}

std::string sql_name_of(const std::string& name) {
  static const std::set<std::string> kMore = {"abort",
                                              "alter",
                                              "between",
                                              "cast",
                                              "collate",
                                              "commit",
                                              "constraint",
                                              "create",
                                              "cross",
                                              "current",
                                              "delete",
                                              "distinct",
                                              "drop",
                                              "escape",
                                              "except",
                                              "explain",
                                              "foreign",
                                              "full",
                                              "glob",
                                              "indexed",
                                              "inner",
                                              "insert",
                                              "into",
                                              "intersect",
                                              "isnull",
                                              "like",
                                              "natural",
                                              "nothing",
                                              "notnull",
                                              "null",
                                              "of",
                                              "offset",
                                              "outer",
                                              "over",
                                              "pragma",
                                              "primary",
                                              "raise",
                                              "regexp",
                                              "rename",
                                              "returning",
                                              "rollback",
                                              "savepoint",
                                              "temp",
                                              "union",
                                              "unique",
                                              "update",
                                              "using",
                                              "vacuum",
                                              "virtual",
                                              "window",
                                              "deferred",
                                              "begin",
                                              "database",
                                              "desc",
                                              "asc",
                                              "if",
                                              "do",
                                              "each",
                                              "for",
                                              "filter",
                                              "groups",
                                              "ignore",
                                              "rowid",
                                              "current_date",
                                              "current_time",
                                              "current_timestamp",
                                              "autoincrement",
                                              "deferrable"};
  const bool plain = !name.empty() && name.size() <= 60 && !is_digit(name[0]) &&
                     std::all_of(name.begin(), name.end(), [](char c) {
                       return is_upper(c) || is_lower(c) || is_digit(c) || c == '_';
                     });
  const std::string lower = lower_ascii(name);
  const bool taken = kMore.count(lower) != 0 || lower.rfind("sqlite_", 0) == 0;
  if (plain && !taken && identifier(lower).back() != '_') return name;
  std::string out = identifier(join(words_of_name(name), "_"));
  if (out.size() > 60) out.resize(60);
  return kMore.count(out) != 0 || out.rfind("sqlite_", 0) == 0 ? out + "_" : out;
}

}  // namespace seedbed::envgen
