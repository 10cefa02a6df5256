#include "envgen/general/sentence.h"

#include <algorithm>

#include "base/text.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

struct Filler {
  const World& world;
  const Skin& skin;
  const Names names;
  const SlotNames& slots;

  // The words for a slot's path, or "" where it leads nowhere.
  std::string words(const std::string& slot) const {
    const bool plural = slot.size() > 2 && slot.compare(slot.size() - 2, 2, " s") == 0;
    const auto path = split(plural ? slot.substr(0, slot.size() - 2) : slot, '.');
    const auto given =
        std::find_if(slots.begin(), slots.end(), [&](const auto& s) { return s.first == path[0]; });
    int c = names.concept_named(path[0]);
    const bool from_slot = c < 0 && given != slots.end() && given->second.type == Type::ref;
    if (from_slot) c = given->second.target;
    if (c < 0) return "";
    for (std::size_t i = 1; i < path.size(); ++i) {
      const int a = names.attribute_named(c, path[i]);
      if (a < 0) return replace_all(path[i], "_", " ");
      const Domain& d = world.concepts[at(c)].attrs[at(a)].domain;
      const bool last = i + 1 == path.size();
      if (d.type == Type::word && !last) {
        const int w = names.word_index(d.words, path[i + 1]);
        return w < 0 ? "" : skin.words[at(d.words)][at(w)];
      }
      if (d.type == Type::ref && (from_slot || !last)) {
        c = d.target;
        continue;
      }
      if (!last) return "";
      const std::string& noun = skin.concepts[at(c)].nouns[at(a)];
      return plural ? plural_of(noun) : noun;
    }
    return plural ? skin.concepts[at(c)].plural : skin.concepts[at(c)].singular;
  }
};

}  // namespace

SlotNames slot_names(const std::vector<Param>& params) {
  SlotNames out;
  for (const auto& p : params) out.emplace_back(p.name, p.domain);
  return out;
}

std::string plural_of(const std::string& noun) {
  if (noun.empty()) return noun;
  const char last = noun.back();
  const char before = noun.size() > 1 ? noun[noun.size() - 2] : ' ';
  const std::string vowels = "aeiou";
  if (last == 'y' && vowels.find(before) == std::string::npos)
    return noun.substr(0, noun.size() - 1) + "ies";
  if (last == 's' || last == 'x' || last == 'z' ||
      (last == 'h' && (before == 'c' || before == 's')))
    return noun + "es";
  return noun + "s";
}

std::string fill_words(const World& world,
                       const Skin& skin,
                       int mechanism,
                       const SlotNames& slots,
                       const std::string& text) {
  const Filler filler{world, skin, names_for(world, mechanism), slots};
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const auto close = text[i] == '{' ? text.find('}', i) : std::string::npos;
    if (close == std::string::npos) {
      out.push_back(text[i++]);
      continue;
    }
    const std::string slot = text.substr(i + 1, close - i - 1);
    const bool own =
        std::any_of(slots.begin(), slots.end(), [&](const auto& s) { return s.first == slot; });
    const std::string words = own ? "" : filler.words(slot);
    out += words.empty() ? "{" + slot + "}" : words;
    i = close + 1;
  }
  return out;
}

namespace {

bool names_each_once(const std::string& text, const SlotNames& slots) {
  return std::all_of(slots.begin(), slots.end(), [&](const auto& s) {
    const std::string slot = "{" + s.first + "}";
    const auto first = text.find(slot);
    return first != std::string::npos && text.find(slot, first + 1) == std::string::npos;
  });
}

}  // namespace

void word_sentences(const World& world, const Lexicon& lexicon, Skin& skin) {
  const auto phrases = [&](const std::string& symbol, int mechanism, const SlotNames& slots,
                           const std::vector<std::string>& own) {
    std::vector<std::string> out;
    if (const auto it = lexicon.says.find(symbol); it != lexicon.says.end())
      for (const auto& text : it->second)
        if (names_each_once(text, slots))
          out.push_back(fill_words(world, skin, mechanism, slots, text));
    if (out.empty())
      for (const auto& text : own) out.push_back(fill_words(world, skin, mechanism, slots, text));
    return out;
  };
  for (const auto& t : world.transitions)
    skin.says.push_back(phrases(t.symbol, t.mechanism, slot_names(t.params), t.say));
  for (const auto& g : world.goals)
    skin.goal_says.push_back(phrases(g.symbol, g.mechanism, slot_names(g.given), g.say));
  for (const auto& r : world.reads)
    skin.read_says.push_back(fill_words(world, skin, r.mechanism, slot_names(r.params), r.say));
  skin.registers = lexicon.registers;
}

std::string with_right_articles(const std::string& text) {
  static const char* const kConsonantSound[] = {"one", "uni", "use", "usu", "uti", "eur", "ewe"};
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    out.push_back(text[i]);
    const bool article =
        (text[i] == 'a' || text[i] == 'A') && i + 2 < text.size() && text[i + 1] == ' ' &&
        (i == 0 || text[i - 1] == ' ' || text[i - 1] == '(' || text[i - 1] == '\n');
    if (!article) continue;
    const std::string next = lower_ascii(text.substr(i + 2, 3));
    const bool vowel = next.find_first_of("aeiou") == 0;
    const bool exempt = std::any_of(std::begin(kConsonantSound), std::end(kConsonantSound),
                                    [&](const char* sound) { return next == sound; });
    if (vowel && !exempt) out.push_back('n');
  }
  return out;
}

std::string open_slot(const std::string& text) {
  const auto open = text.find('{');
  if (open == std::string::npos) return "";
  const auto close = text.find('}', open);
  return text.substr(open, close == std::string::npos ? close : close - open + 1);
}

}  // namespace seedbed::envgen
