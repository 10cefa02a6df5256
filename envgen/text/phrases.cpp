// Words around values: numbers that agree, superlatives that read, particles beside their verbs.
#include <algorithm>
#include <array>

#include "base/text.h"
#include "envgen/from_db/words.h"
#include "envgen/general/sentence.h"
#include "envgen/text/text.h"

namespace seedbed::envgen {
namespace {

bool is_one_of(std::string_view word, std::string_view list) {  // " a b c "
  return !word.empty() && list.find(" " + std::string(word) + " ") != std::string_view::npos;
}
bool lower_word(std::string_view w) {
  return !w.empty() &&
         std::all_of(w.begin(), w.end(), [](char c) { return (c >= 'a' && c <= 'z') || c == '-'; });
}
bool ends(std::string_view w, std::string_view tail) {
  return w.size() >= tail.size() && w.substr(w.size() - tail.size()) == tail;
}

constexpr std::string_view kPrepositions =
    " of in on at to for from by with since until under over per towards after before about "
    "against "
    "as without within into including that still left due owed ";
constexpr std::string_view kNoPlural =
    " this its his has was is does goes as us plus minus towards always besides afterwards thus "
    "yes "
    "perhaps regardless less unless across access process address status bonus basis analysis "
    "series "
    "business gas bus glass class pass loss toss cross press dress focus campus virus surplus "
    "census "
    "canvas lens atlas means news radius diagnosis ";

bool plural_word(std::string_view w) {
  return w.size() > 3 && w.back() == 's' && !ends(w, "ss") && !ends(w, "us") && !ends(w, "is") &&
         !is_one_of(w, kNoPlural);
}

// The word that carries the number: the last one before a preposition or participle.
std::string head_of(const std::string& noun) {
  std::string head;
  for (const auto& w : split(noun, ' ')) {
    if (!head.empty() && (is_one_of(w, kPrepositions) || ends(w, "ed") || ends(w, "ing"))) break;
    head = w;
  }
  return head;
}

constexpr std::string_view kParticiples =
    " sent held paid taken made lost left given begun bought sold drawn built begun done filed ";

// "waiting since", "due until": a day follows at once.
bool hangs_over(const std::string& noun) {
  const auto words = split(noun, ' ');
  return is_one_of(words.back(), " since until from by ");
}
bool participle(const std::string& noun) {
  return noun.find(' ') == std::string::npos &&
         ((ends(noun, "ed") && noun.size() > 4) || is_one_of(noun, kParticiples));
}

// "1 units", with an adjective or without; the number must stand alone and count something.
void singular_after_one(std::string& text) {
  for (std::size_t i = text.find("1 "); i != std::string::npos; i = text.find("1 ", i + 1)) {
    if (i > 0 && text[i - 1] != ' ' && text[i - 1] != '(') continue;
    std::string_view head = std::string_view(text).substr(0, i);
    while (!head.empty() && (head.back() == ' ' || head.back() == '(')) head.remove_suffix(1);
    const auto space = head.rfind(' ');
    const auto before = head.substr(space == std::string_view::npos ? 0 : space + 1);
    if (is_one_of(before,
                  " level grade class stage version number part step line tier row room rank "
                  "level, priority category "))
      continue;
    std::size_t at = i + 2;
    for (int word = 0; word < 2; ++word) {
      std::size_t end = at;
      while (end < text.size() && ((text[end] >= 'a' && text[end] <= 'z') || text[end] == '-'))
        ++end;
      const std::string w = text.substr(at, end - at);
      if (plural_word(w)) {
        text.replace(at, end - at, singular_of(w));
        break;
      }
      if (!is_one_of(w,
                     " more extra further spare full whole new single unused free whole "
                     "additional ") ||
          end >= text.size() || text[end] != ' ')
        break;
      at = end + 1;
    }
  }
}

// "promised promised gifts": the state and the noun. Quoted, it reads as a state again.
void mark_doubles(std::string& text) {
  for (std::size_t begin = 0; begin < text.size();) {
    std::size_t end = text.find(' ', begin);
    if (end == std::string::npos) break;
    const std::string word = text.substr(begin, end - begin);
    const std::size_t next_end = std::min(text.find_first_of(" .,;:", end + 1), text.size());
    if (text.compare(end + 1, next_end - end - 1, word) == 0 && lower_word(word)) {
      if (is_one_of(word, " the a an of to in on for that is at by with and it ")) {
        text.erase(begin, word.size() + 1);
        continue;
      }
      text.replace(begin, word.size(), "\"" + word + "\"");
      end += 2;
    }
    begin = end + 1;
  }
}

constexpr std::string_view kParticles = " off back up out down on away in over through ";

// Whether a lone particle follows the slot that ends at `end`.
std::string particle_after(const std::string& phrase, std::size_t end) {
  if (end >= phrase.size() || phrase[end] != ' ') return "";
  const std::size_t stop = std::min(phrase.find_first_of(" ,;:.", end + 1), phrase.size());
  const std::string word = phrase.substr(end + 1, stop - end - 1);
  if (!is_one_of(word, kParticles)) return "";
  const bool alone = stop == phrase.size() || phrase[stop] != ' ' ||
                     phrase.compare(stop, 5, " and ") == 0 || phrase.compare(stop, 4, " by ") == 0;
  return alone ? word : "";
}

constexpr std::size_t kLong = 36;  // characters that may stand between a verb and its particle
constexpr std::size_t kShortTail = 20;

}  // namespace

bool is_plural(const std::string& noun) {
  return plural_word(head_of(noun));
}
std::string be(const std::string& noun) {
  return is_plural(noun) ? "are" : "is";
}

std::string tidy(const std::string& request) {
  std::string text = with_right_articles(request);
  singular_after_one(text);
  mark_doubles(text);
  return text;
}

namespace {

// "most calls at once" is a limit's name: quoted, it is not taken for a superlative.
std::string as_name(const std::string& noun, std::string_view heads) {
  const bool starts = is_one_of(noun.substr(0, noun.find(' ')), heads);
  return starts ? "\"" + noun + "\"" : noun;
}
constexpr std::string_view kSuperlatives =
    " most fewest highest lowest longest largest best least ";
constexpr std::string_view kAndOrdinals =
    " most fewest highest lowest longest largest best least first last earliest latest ";

}  // namespace

std::string value_words(Type type, const std::string& noun, const std::string& value) {
  if (type == Type::date) {
    if (hangs_over(noun)) return noun + " " + value;
    if (participle(noun)) return noun + " on " + value;
    if (noun == "due") return "due " + value;
    return "whose " + noun + " " + be(noun) + " " + value;
  }
  if (hangs_over(noun)) return "with " + noun + " " + value;
  const std::string name = as_name(noun, kSuperlatives);
  if (name != noun) return "whose " + name + " is " + value;
  if (type == Type::integer && is_plural(noun))
    return "with " + value + " " +
           (value == "1"
                ? replace_all(" " + noun, " " + head_of(noun), " " + singular_of(head_of(noun)))
                      .substr(1)
                : noun);
  return "whose " + noun + " " + be(noun) + " " + value;
}

std::string extreme_words(Type type, const std::string& noun, bool lowest, std::uint64_t choice) {
  const std::string name = as_name(noun, kAndOrdinals);
  if (type == Type::date) return (lowest ? "earliest " : "latest ") + name;
  if (name == noun && type == Type::integer && is_plural(noun))
    return (lowest ? "fewest " : "most ") + noun;
  static constexpr std::array<const char*, 2> kLow = {"lowest ", "smallest "},
                                              kHigh = {"highest ", "largest "};
  const std::size_t i = type == Type::cents ? 0 : static_cast<std::size_t>(choice % 2);
  return (lowest ? kLow[i] : kHigh[i]) + name;
}

std::string extreme_ending(Type type, const std::string& noun, bool lowest) {
  if (type != Type::date) return "";
  const std::string day = std::string("the ") + (lowest ? "earliest" : "latest") + " day";
  if (noun == "due") return std::string("due ") + (lowest ? "earliest" : "latest");
  if (hangs_over(noun)) return noun + " " + day;
  return participle(noun) ? noun + " on " + day : "";
}

std::string pick_phrase(const std::vector<std::string>& phrases,
                        const std::vector<std::pair<std::string, std::string>>& slots,
                        Rng& rng) {
  const auto clumsy = [&](const std::string& phrase) {
    return std::any_of(slots.begin(), slots.end(), [&](const auto& s) {
      const std::string slot = "{" + s.first + "}";
      const auto found = phrase.find(slot);
      if (found == std::string::npos || s.second.size() <= kLong) return false;
      const std::size_t end = found + slot.size();
      // "... for good", "... as paid": a short tail is lost behind many words.
      const std::size_t tail = std::min(phrase.find_first_of(",;:", end), phrase.size()) - end;
      return !particle_after(phrase, end).empty() || (tail > 0 && tail < kShortTail);
    });
  };
  std::vector<std::string> good;
  for (const auto& p : phrases)
    if (!clumsy(p)) good.push_back(p);
  std::string phrase = rng.pick(good.empty() ? phrases : good);
  if (!good.empty()) return phrase;
  // "call {b} off" -> "call off {b}", where the verb stands right before.
  for (const auto& [name, words] : slots) {
    const std::string slot = "{" + name + "}";
    const auto found = phrase.find(slot);
    if (found == std::string::npos || words.size() <= kLong) continue;
    const std::string particle = particle_after(phrase, found + slot.size());
    if (particle.empty() || found < 2 || phrase.find(' ') != found - 1) continue;
    phrase.erase(found + slot.size(), particle.size() + 1);
    phrase.insert(found, particle + " ");
  }
  return phrase;
}

}  // namespace seedbed::envgen
