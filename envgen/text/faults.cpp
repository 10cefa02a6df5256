// What a careful reader would mark in a prompt. Written apart from the code that writes prompts, so
// that both must agree.
#include <algorithm>

#include "base/text.h"
#include "envgen/text/text.h"

namespace seedbed::envgen {
namespace {

bool in(std::string_view word, std::string_view list) {  // " a b c "
  return !word.empty() && list.find(" " + std::string(word) + " ") != std::string_view::npos;
}
bool lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool upper(char c) {
  return c >= 'A' && c <= 'Z';
}

// Words without the marks around them; what stood behind the word is kept.
struct Word {
  std::string text;
  char mark = ' ';  // the punctuation behind, or a space
};
std::vector<Word> words_of(const std::string& prompt) {
  std::vector<Word> out;
  for (const auto& raw : split(replace_all(prompt, "\n", " \n "), ' ')) {
    if (raw.empty()) continue;
    Word w{raw, ' '};
    while (!w.text.empty() && (w.text[0] == '(' || w.text[0] == '"')) w.text.erase(0, 1);
    while (!w.text.empty() &&
           std::string_view(".,;:?!)\"").find(w.text.back()) != std::string_view::npos) {
      w.mark = w.text.back();
      w.text.pop_back();
    }
    if (raw == "\n") w.mark = '\n';
    if (raw.front() == '"') w.text = "\"" + w.text;
    out.push_back(std::move(w));
  }
  return out;
}

constexpr std::string_view kOpeners =
    " of for if from among all the what which whoever nobody everybody whenever in ";
// Frames that end in "to" or a subject want a verb next.
bool wants_verb(const std::vector<Word>& w, std::size_t i) {
  const std::string& x = w[i].text;
  if (x == "please" || x == "Please" || x == "kindly" || x == "Kindly") return true;
  if (x == "to" && i > 0)
    return in(w[i - 1].text, " agreed decided resolved asked requested necessary expected ") ||
           (w[i - 1].text == "you" && i > 1 &&
            in(w[i - 2].text, " ask asking need want like require expect trouble "));
  return x == "you" && i > 0 && in(w[i - 1].text, " could Could can Can would Would ");
}

void pairs(const Word& a, const Word& b, std::vector<std::string>& out) {
  const bool joined = a.mark == ' ';
  if (!joined) return;
  if (lower_ascii(a.text) == b.text && !b.text.empty() && lower(b.text[0]) &&
      !in(a.text, " that had "))
    out.push_back("doubled word '" + a.text + "'");
  if (in(a.text, " the a an every each ") && in(b.text, " the a an every each whichever "))
    out.push_back("two articles '" + a.text + " " + b.text + "'");
  if (in(a.text, " two three ") && b.text == "the") out.push_back("'" + a.text + " the'");
  if (a.text == "1" && b.text.size() > 3 && b.text.back() == 's' &&
      b.text[b.text.size() - 2] != 's' && std::all_of(b.text.begin(), b.text.end(), lower) &&
      is_plural(b.text))
    out.push_back("'1 " + b.text + "'");
  if (a.text == "an" && !b.text.empty() &&
      std::string_view("bcdfgjkpqtvwxz").find(b.text[0]) != std::string_view::npos)
    out.push_back("'an " + b.text + "'");
  if (a.text == "a" && !b.text.empty() &&
      std::string_view("aeio").find(b.text[0]) != std::string_view::npos &&
      b.text.rfind("one", 0) != 0 && b.text.rfind("eu", 0) != 0 && b.text.rfind("ewe", 0) != 0)
    out.push_back("'a " + b.text + "'");
}

}  // namespace

std::vector<std::string> faults_of(const std::string& prompt) {
  std::vector<std::string> out;
  for (const char* bad : {"{", "}", "  ", " ,", " .", " ;", ",,", ";;", "?.", "!.", ":.", ",.",
                          ";.", "? ?", "..?", ". .", "STOP STOP"})
    if (prompt.find(bad) != std::string::npos) out.push_back("'" + std::string(bad) + "'");
  for (std::size_t i = 0, end = 0; (i = prompt.find("..", end)) != std::string::npos;) {
    end = std::min(prompt.find_first_not_of('.', i), prompt.size());
    if (end - i != 3) out.push_back("'..'");
  }
  const auto words = words_of(prompt);
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    const Word &a = words[i], &b = words[i + 1];
    pairs(a, b, out);
    if (a.mark == ' ' && wants_verb(words, i) && in(b.text, kOpeners))
      out.push_back("'" + a.text + " " + b.text + "' where a verb belongs");
    if (a.mark == ':' && !b.text.empty() && upper(b.text[0]) &&
        in(b.text,
           " If Of For From Among All The What Which Whoever Nobody Everybody In Whenever "))
      out.push_back("': " + b.text + "'");
    if (in(a.text, " earliest latest highest lowest most fewest ") && i + 2 < words.size() &&
        a.mark == ' ' && b.mark == ' ' && in(words[i + 2].text, " since until "))
      out.push_back("'" + a.text + " " + b.text + " " + words[i + 2].text + "'");
  }
  return out;
}

}  // namespace seedbed::envgen
