#include "tasks/selection.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <tuple>

#include "base/hash.h"
#include "base/text.h"

namespace seedbed::tasks {
namespace {

using Counts = std::map<std::string, int>;

int count_of(const Counts& counts, const std::string& key) {
  const auto at = counts.find(key);
  return at == counts.end() ? 0 : at->second;
}

// The tasks of one environment that may stay, by number: at most tasks_per_env, skeleton caps
// counted over all kept ones.
std::vector<SelectionTask*> survivors(SelectionEnvironment& env,
                                      const SelectionRules& rules,
                                      const Counts& skeletons) {
  std::vector<SelectionTask*> kept;
  Counts own;
  for (auto& task : env.tasks) {
    if (static_cast<std::int64_t>(kept.size()) >= rules.tasks_per_env) break;
    int& n = own[task.masked_skeleton];
    if (n + count_of(skeletons, task.masked_skeleton) >= rules.max_per_masked_skeleton) continue;
    ++n;
    kept.push_back(&task);
  }
  return kept;
}

// ---- masking ----
// A token of the prompt: a word (letters, digits and the signs inside ids, dates and amounts) or
// one sign.
struct Token {
  std::string text;
  bool word = false;
  bool opens = false;  // first word of a sentence
};

bool is_letter(unsigned char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
}
bool is_digit(unsigned char c) {
  return c >= '0' && c <= '9';
}
bool is_alnum(unsigned char c) {
  return is_letter(c) || is_digit(c);
}

// A leading capital: ASCII, or the Latin-1 and Latin Extended-A capitals that names have.
bool is_capital(const std::string& word) {
  const auto a = static_cast<unsigned char>(word[0]);
  if (a >= 'A' && a <= 'Z') return true;
  if (word.size() < 2) return false;
  const auto b = static_cast<unsigned char>(word[1]);
  if (a == 0xC3) return b >= 0x80 && b <= 0x9E;
  return (a == 0xC4 || a == 0xC5) && b % 2 == 0;
}

bool has_digit(const std::string& word) {
  return std::any_of(word.begin(), word.end(),
                     [](char c) { return is_digit(static_cast<unsigned char>(c)); });
}

// A quotation that starts at `at`, or 0: "...", the curly forms, and '...' where it cannot be an
// apostrophe.
std::size_t quotation(std::string_view text, std::size_t at) {
  const auto closed_by = [&](std::string_view open, std::string_view close) -> std::size_t {
    if (text.substr(at, open.size()) != open) return 0;
    const std::size_t end = text.find(close, at + open.size());
    return end == std::string_view::npos || end - at > 200 ? 0 : end + close.size() - at;
  };
  if (const std::size_t n = closed_by("\"", "\"")) return n;
  if (const std::size_t n = closed_by("\xE2\x80\x9C", "\xE2\x80\x9D")) return n;
  if (at > 0 && is_alnum(static_cast<unsigned char>(text[at - 1]))) return 0;
  if (const std::size_t n = closed_by("\xE2\x80\x98", "\xE2\x80\x99")) return n;
  const std::size_t n = closed_by("'", "'");
  const bool apostrophe =
      n != 0 && at + n < text.size() && is_alnum(static_cast<unsigned char>(text[at + n]));
  return apostrophe ? 0 : n;
}

// Whether the sign at `at` belongs to the word around it: 2031-03-05, 14:30, 1,250.50, BK-1042,
// a_b, o'clock.
bool joins(std::string_view text, std::size_t at, std::size_t begin) {
  if (at == begin || at + 1 >= text.size()) return false;
  const auto before = static_cast<unsigned char>(text[at - 1]);
  const auto after = static_cast<unsigned char>(text[at + 1]);
  const char c = text[at];
  if (c == '-' || c == '_' || c == '\'' || c == '#' || c == '@')
    return is_alnum(before) && is_alnum(after);
  if (c == '.' || c == ',' || c == ':' || c == '/') return is_digit(before) && is_digit(after);
  return false;
}

std::vector<Token> tokens_of(std::string_view text) {
  std::vector<Token> out;
  bool opens = true;
  for (std::size_t at = 0; at < text.size();) {
    const auto c = static_cast<unsigned char>(text[at]);
    if (c <= ' ') {
      opens = opens || c == '\n';
      ++at;
    } else if (const std::size_t n = quotation(text, at); n != 0) {
      out.push_back({"\"", false, false});
      at += n;
      opens = false;
    } else if (is_alnum(c)) {
      const std::size_t begin = at;
      while (at < text.size() &&
             (is_alnum(static_cast<unsigned char>(text[at])) || joins(text, at, begin)))
        ++at;
      out.push_back({std::string(text.substr(begin, at - begin)), true, opens});
      opens = false;
    } else {
      out.push_back({std::string(1, static_cast<char>(c)), false, false});
      opens = c == '.' || c == '!' || c == '?' || c == ':' || c == ';' || (opens && c != ',');
      ++at;
    }
  }
  return out;
}

const std::set<std::string, std::less<>>& calendar_words() {
  static const std::set<std::string, std::less<>> words = {
      "january",   "february", "march",     "april",    "may",    "june",     "july",  "august",
      "september", "october",  "november",  "december", "jan",    "feb",      "mar",   "apr",
      "jun",       "jul",      "aug",       "sep",      "sept",   "oct",      "nov",   "dec",
      "monday",    "tuesday",  "wednesday", "thursday", "friday", "saturday", "sunday"};
  return words;
}

bool is_first_person(const std::string& word) {
  return word == "I" || word.rfind("I'", 0) == 0;
}

}  // namespace

void select(std::vector<SelectionEnvironment>& set, const SelectionRules& rules) {
  std::sort(set.begin(), set.end(), [](const auto& a, const auto& b) {
    return std::tie(a.slot, a.id) < std::tie(b.slot, b.id);
  });
  if (rules.written) {
    for (auto& env : set) {
      env.selected = true;
      for (auto& task : env.tasks) task.selected = true;
    }
    return;
  }
  Counts classes, cores, skeletons;
  std::int64_t envs = 0;
  for (auto& env : set) {
    std::sort(env.tasks.begin(), env.tasks.end(), [](const auto& a, const auto& b) {
      return std::tie(a.number, a.id) < std::tie(b.number, b.id);
    });
    env.selected = false;
    for (auto& task : env.tasks) task.selected = false;
    if (envs >= rules.envs || count_of(classes, env.schema_class) >= rules.max_per_schema_class ||
        count_of(cores, env.core_schema_class) >= rules.max_per_core_class)
      continue;
    const auto kept = survivors(env, rules, skeletons);
    if (static_cast<std::int64_t>(2 * kept.size()) < rules.tasks_per_env) continue;
    env.selected = true;
    ++envs;
    ++classes[env.schema_class];
    ++cores[env.core_schema_class];
    for (auto* task : kept) {
      task->selected = true;
      ++skeletons[task->masked_skeleton];
    }
  }
}

std::string masked_text(const std::string& prompt) {
  const auto tokens = tokens_of(prompt);
  // A capital that opens a sentence says nothing by itself: it is a name where the same word is
  // capitalised elsewhere inside a sentence, or where another name follows at once.
  std::set<std::string> names;
  for (const auto& t : tokens)
    if (t.word && !t.opens && is_capital(t.text) && !is_first_person(t.text)) names.insert(t.text);
  std::vector<std::string> masked;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const Token& t = tokens[i];
    std::string mask = lower_ascii(t.text);
    if (t.word) {
      const bool possessive = mask.size() > 2 && mask.compare(mask.size() - 2, 2, "'s") == 0;
      const std::string stem = possessive ? t.text.substr(0, t.text.size() - 2) : t.text;
      const bool name_follows = i + 1 < tokens.size() && tokens[i + 1].word &&
                                is_capital(tokens[i + 1].text) &&
                                !is_first_person(tokens[i + 1].text);
      const bool name = is_capital(stem) && !is_first_person(t.text) &&
                        (!t.opens || names.count(stem) != 0 || name_follows);
      if (has_digit(t.text) || (is_capital(stem) && calendar_words().count(lower_ascii(stem)) != 0))
        mask = "#";
      else if (name)
        mask = "@";
      // A run of names, or of numbers, is one: "Maria Lopez" and "Cher", "5 March 2031" and
      // "2031-03-05".
      const bool repeats = !masked.empty() && masked.back() == mask &&
                           (mask == "#" || mask == "@") && i > 0 && tokens[i - 1].word;
      if (!repeats) masked.push_back(mask);
      if (possessive && name) masked.emplace_back("'s");
    } else {
      masked.push_back(mask);
    }
  }
  return join(masked, " ");
}

std::string masked_skeleton(const std::string& prompt) {
  return content_hash(masked_text(prompt));
}

}  // namespace seedbed::tasks
