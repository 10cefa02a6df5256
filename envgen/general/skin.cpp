#include "envgen/general/skin.h"

#include <algorithm>
#include <cstdlib>
#include <set>

#include "base/text.h"
#include "envgen/general/sentence.h"

namespace seedbed::envgen {
namespace {

std::vector<std::string> person_names(const Packs& packs, Rng& rng) {
  std::vector<std::string> first = packs.first_names, last = packs.last_names;
  rng.shuffle(first);
  rng.shuffle(last);
  std::vector<std::string> out;
  for (std::size_t i = 0; i < 40; ++i)
    out.push_back(first[i % first.size()] + " " + last[i % last.size()]);
  return out;
}

std::vector<std::string> grammar_names(const std::vector<std::vector<std::string>>& parts,
                                       Rng& rng) {
  std::vector<std::string> all{""};
  for (const auto& part : parts) {
    std::vector<std::string> next;
    for (const auto& head : all)
      for (const auto& word : part) next.push_back(head.empty() ? word : head + " " + word);
    all = std::move(next);
    if (all.size() > 4000) break;
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  rng.shuffle(all);
  if (all.size() > 40) all.resize(40);
  return all;
}

std::string unique_in(std::set<std::string>& taken, const std::string& wanted) {
  std::string name = wanted;
  for (int i = 2; !taken.insert(name).second; ++i) name = wanted + "_" + std::to_string(i);
  return name;
}

std::string column_name(const Attr& a, const std::string& noun) {
  std::string base = identifier(noun);
  const auto ends = [&](std::string_view tail) {
    return base.size() >= tail.size() &&
           base.compare(base.size() - tail.size(), tail.size(), tail) == 0;
  };
  if (a.domain.type == Type::ref && !ends("_id")) base += "_id";
  if (a.domain.type == Type::cents && base.find("cents") == std::string::npos) base += "_cents";
  if (a.domain.type == Type::date && !ends("date") && !ends("day") && !ends("_on")) base += "_date";
  return base;
}

std::string override_of(const std::map<std::string, std::string>& map,
                        const std::string& key,
                        const std::string& fallback) {
  const auto it = map.find(key);
  return it == map.end() ? fallback : it->second;
}

}  // namespace

std::string slug(const std::string& words) {
  std::string out;
  for (const char c : lower_ascii(words)) {
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
      out.push_back(c);
    else if (!out.empty() && out.back() != '_')
      out.push_back('_');
  }
  while (!out.empty() && out.back() == '_') out.pop_back();
  return out.empty() || (out[0] >= '0' && out[0] <= '9') ? "x" + out : out;
}

std::string identifier(const std::string& words) {
  static const std::set<std::string> kKeywords = {
      "order",      "group",       "case",   "index",  "table",   "check",   "default", "values",
      "references", "transaction", "limit",  "to",     "from",    "in",      "is",      "on",
      "not",        "by",          "set",    "select", "where",   "having",  "join",    "left",
      "right",      "as",          "and",    "or",     "add",     "all",     "plan",    "key",
      "column",     "row",         "rows",   "when",   "then",    "else",    "end",     "with",
      "range",      "action",      "exists", "match",  "release", "replace", "view",    "trigger"};
  std::string out = slug(words);
  if (kKeywords.count(out) != 0) out += "_";
  return out;
}

std::string capitalised(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z')
    text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text;
}
std::string with_article(const std::string& noun) {
  const bool vowel = !noun.empty() && std::string("aeiou").find(
                                          static_cast<char>(noun[0] | 0x20)) != std::string::npos;
  return (vowel ? "an " : "a ") + noun;
}

std::string sql_text(const std::string& text) {
  return "'" + replace_all(text, "'", "''") + "'";
}

Skin make_skin(const World& world, const Packs& packs, const Lexicon& lexicon, Rng rng) {
  Skin skin;
  skin.lexicon = lexicon.name;
  skin.title = lexicon.title;
  skin.asides = lexicon.asides;
  for (const auto& set : world.words) {
    skin.words.emplace_back();
    for (const auto& w : set.words)
      skin.words.back().push_back(
          override_of(lexicon.enums, set.symbol + "." + w, replace_all(w, "_", " ")));
    std::set<std::string> distinct(skin.words.back().begin(), skin.words.back().end());
    if (distinct.size() != set.words.size()) skin.words.back() = set.words;
  }
  std::set<std::string> tables{"key_counter", "call_counter"}, prefixes, nouns;
  const auto& case_names = lexicon.archetypes.at("Case")[0].names;
  for (std::size_t i = 0; i < world.concepts.size(); ++i) {
    const Concept& c = world.concepts[i];
    ConceptSkin s;
    Rng draw = rng.fork(c.symbol);
    if (c.named()) {
      const auto& entries = lexicon.archetypes.at(c.archetype);
      const auto& entry = entries[static_cast<std::size_t>(c.archetype_number) % entries.size()];
      s.singular = entry.singular;
      s.plural = entry.plural;
      s.names = entry.person ? person_names(packs, draw) : grammar_names(entry.names, draw);
    } else {
      const auto it = lexicon.concepts.find(c.symbol);
      const auto words = it != lexicon.concepts.end()
                             ? it->second
                             : c.words[static_cast<std::size_t>(draw.below(c.words.size()))];
      s.singular = words.first;
      s.plural = words.second;
      if (!nouns.insert(s.singular).second) {
        const std::string qualifier =
            replace_all(world.mechanisms[static_cast<std::size_t>(c.mechanism)], "_", " ") + " ";
        s.singular = qualifier + s.singular;
        s.plural = qualifier + s.plural;
      }
      s.names = grammar_names(case_names, draw);
    }
    nouns.insert(s.singular);
    s.table = unique_in(tables, identifier(s.plural));
    s.view = "v_" + s.table;
    tables.insert(s.view);
    std::string prefix = override_of(lexicon.ids, c.symbol, c.id_prefix);
    if (prefix.empty())
      for (const char ch : s.singular)
        if (prefix.size() < 2 && ((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z')))
          prefix.push_back(static_cast<char>(ch & ~0x20));
    while (!prefixes.insert(prefix).second)
      prefix.push_back(static_cast<char>('A' + draw.below(26)));
    s.prefix = prefix;
    // Names that layouts use beside a concept's own columns.
    std::set<std::string> columns{"id",     "deleted_on", "record_id", "seq",
                                  "series", "item",       "field",     "value"};
    for (const auto& a : c.attrs) {
      std::string noun = override_of(lexicon.attributes, c.symbol + "." + a.short_name, a.noun);
      if (a.mechanism >= 0)  // what a role gained, by the role's name
        for (const auto& [role, id] : world.roles[static_cast<std::size_t>(a.mechanism)])
          if (id == static_cast<int>(i))
            noun = override_of(lexicon.attributes,
                               world.mechanisms[static_cast<std::size_t>(a.mechanism)] + "." +
                                   role + "." + a.short_name,
                               noun);
      s.nouns.push_back(noun);
      s.columns.push_back(a.name == "name" ? unique_in(columns, "name")
                                           : unique_in(columns, column_name(a, noun)));
    }
    skin.concepts.push_back(std::move(s));
  }
  for (const auto& t : world.transitions)
    skin.verbs.push_back(
        slug(override_of(lexicon.tools, t.symbol, t.symbol.substr(t.symbol.find('.') + 1))));
  word_sentences(world, lexicon, skin);
  return skin;
}

std::int64_t day_of_iso(const std::string& text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return kNone;
  for (const std::size_t i : {0U, 1U, 2U, 3U, 5U, 6U, 8U, 9U})
    if (text[i] < '0' || text[i] > '9') return kNone;
  const std::int64_t y0 = std::atoll(text.substr(0, 4).c_str()),
                     m = std::atoll(text.substr(5, 2).c_str()),
                     d = std::atoll(text.substr(8, 2).c_str());
  const std::int64_t y = m <= 2 ? y0 - 1 : y0;
  const std::int64_t era = y / 400, yoe = y - era * 400;
  const std::int64_t doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
  const std::int64_t day = era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 730425;
  return iso_date(day) == text ? day : kNone;
}

schemas::Value Renderer::id(int concept_id, std::int64_t key) const {
  if (key == kNone) return nullptr;
  const auto c = static_cast<std::size_t>(concept_id);
  const auto& given = skin.concepts[c].ids;
  if (key >= 1 && static_cast<std::size_t>(key) <= given.size())
    return given[static_cast<std::size_t>(key) - 1];
  if (layout.ids[c] == IdStyle::spread) return 10000 * (concept_id + 1) + 7 * key;
  if (layout.ids[c] == IdStyle::number) return 1000 * (concept_id + 1) + key;
  std::string digits = std::to_string(key);
  return skin.concepts[c].prefix + "-" +
         std::string(digits.size() < 4 ? 4 - digits.size() : 0, '0') + digits;
}

schemas::Value Renderer::value(const Domain& domain, std::int64_t v) const {
  if (v == kNone) return nullptr;
  switch (domain.type) {
    case Type::ref:
      return id(domain.target, v);
    case Type::word:
      return skin.words[static_cast<std::size_t>(domain.words)][static_cast<std::size_t>(v)];
    case Type::date:
      return iso_date(v);
    default:
      return v;
  }
}

schemas::Value Renderer::attribute(int concept_id, int attribute, std::int64_t v) const {
  const auto c = static_cast<std::size_t>(concept_id);
  const Domain& d = world.concepts[c].attrs[static_cast<std::size_t>(attribute)].domain;
  if (d.type == Type::text && v != kNone)
    return skin.concepts[c].names[static_cast<std::size_t>(v) % skin.concepts[c].names.size()];
  return value(d, v);
}

schemas::Scalar Renderer::scalar(int concept_id, int attr, std::int64_t v) const {
  const schemas::Value x = attribute(concept_id, attr, v);
  if (x.is_null()) return std::monostate{};
  if (x.is_int()) return x.as_int();
  return x.as_string();
}

std::int64_t Renderer::key_of(int concept_id, const schemas::Value& v) const {
  const auto c = static_cast<std::size_t>(concept_id);
  if (layout.ids[c] == IdStyle::code) {
    if (!v.is_string()) return kNone;
    const std::string& text = v.as_string();
    const auto& given = skin.concepts[c].ids;
    if (const auto it = std::lower_bound(given.begin(), given.end(), text);
        it != given.end() && *it == text)
      return it - given.begin() + 1;
    const std::string head = skin.concepts[c].prefix + "-";
    if (text.rfind(head, 0) != 0 || text.size() < head.size() + 4 || text.size() > head.size() + 9)
      return kNone;
    const std::int64_t key = std::atoll(text.c_str() + head.size());
    return id(concept_id, key) == v ? key : kNone;
  }
  if (!v.is_int()) return kNone;
  if (layout.ids[c] == IdStyle::number) return v.as_int() - 1000 * (concept_id + 1);
  const std::int64_t scaled = v.as_int() - 10000 * (concept_id + 1);
  return scaled % 7 == 0 ? scaled / 7 : kNone;
}

std::int64_t Renderer::value_of(const Domain& domain, const schemas::Value& v) const {
  switch (domain.type) {
    case Type::ref:
      return key_of(domain.target, v);
    case Type::word: {
      if (!v.is_string()) return kNone;
      const auto& words = skin.words[static_cast<std::size_t>(domain.words)];
      const auto it = std::find(words.begin(), words.end(), v.as_string());
      return it == words.end() ? kNone : it - words.begin();
    }
    case Type::date:
      return v.is_string() ? day_of_iso(v.as_string()) : kNone;
    default:
      return v.is_int() ? v.as_int() : kNone;
  }
}

std::int64_t Renderer::key_of_name(int concept_id,
                                   const Facts& facts,
                                   const std::string& name) const {
  const auto c = static_cast<std::size_t>(concept_id);
  const int attr = world.concepts[c].attr("name");
  if (attr < 0) return kNone;
  for (const auto& row : facts.tables[c].rows)
    if (attribute(concept_id, attr, row.values[static_cast<std::size_t>(attr)]).as_string() == name)
      return row.key;
  return kNone;
}

}  // namespace seedbed::envgen
