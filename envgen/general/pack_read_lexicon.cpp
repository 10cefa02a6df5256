// From JSON to a lexicon.
#include <cstdlib>

#include "base/text.h"
#include "envgen/general/pack_reader.h"

namespace seedbed::envgen {
namespace {

Step read_skin(const Value& v,
               const std::string& where,
               const std::string& pointer,
               ArchetypeSkin& out) {
  Reader r(v, where, pointer);
  std::vector<std::string> noun;
  r.read("noun", noun, true);
  if (noun.size() == 2) {
    out.singular = noun[0];
    out.plural = noun[1];
  } else
    r.fail(schemas::wrong_kind(where, pointer + "/noun", Value(join(noun, ", ")),
                               "[singular, plural]"));
  const Value* names = r.get("names", true);
  if (names != nullptr && names->is_string()) {
    out.person = names->as_string() == "person";
    if (!out.person)
      r.fail(schemas::wrong_word(where, pointer + "/names", names->as_string(), {"person"}));
  } else if (names != nullptr) {
    if (auto e = schemas::from_value(*names, out.names, where, pointer + "/names")) r.fail(*e);
    std::size_t product = out.names.empty() ? 0 : 1;
    for (const auto& part : out.names) product *= part.size();
    if (product < 40)
      r.fail(schemas::wrong_kind(where, pointer + "/names",
                                 Value(static_cast<std::int64_t>(product)),
                                 "at least 40 distinct names"));
  }
  return r.done();
}

// "800..2400 step 50".
Step read_values(const std::string& text,
                 const Value& v,
                 const std::string& where,
                 const std::string& pointer,
                 PackValues& out) {
  const auto dots = text.find(".."), step = text.find(" step ");
  if (dots != std::string::npos) {
    out.lo = std::atoll(text.c_str());
    out.hi = std::atoll(text.c_str() + dots + 2);
    out.step = step == std::string::npos ? 1 : std::atoll(text.c_str() + step + 6);
  }
  if (dots == std::string::npos || out.hi < out.lo || out.step < 1)
    return schemas::wrong_kind(where, pointer, v, "LO..HI or LO..HI step N, with LO <= HI, N >= 1");
  return std::nullopt;
}

}  // namespace

Result<Lexicon> read_lexicon(const Value& json, const std::string& where) {
  Lexicon x;
  Reader r(json, where, "");
  r.read("lexicon", x.name, true);
  r.read("title", x.title, true);
  r.read("heldout", x.heldout);
  r.each(
      "archetypes",
      [&](const std::string& archetype, const Value& v, const std::string& p) -> Step {
        if (!v.is_array() || v.items().size() < 2)
          return schemas::wrong_kind(where, p, v, "array of 2 or 3 entries");
        for (std::size_t i = 0; i < v.items().size(); ++i) {
          x.archetypes[archetype].emplace_back();
          if (auto e = read_skin(v.items()[i], where, p + "/" + std::to_string(i),
                                 x.archetypes[archetype].back()))
            return e;
        }
        return std::nullopt;
      },
      true);
  for (const char* a : kArchetypes)
    if (x.archetypes.count(a) == 0) r.fail(schemas::missing_key(where, "/archetypes", a));
  r.each("concepts", [&](const std::string& symbol, const Value& v, const std::string& p) -> Step {
    std::vector<std::string> words;
    if (auto e = schemas::from_value(v, words, where, p)) return e;
    if (words.size() != 2) return schemas::wrong_kind(where, p, v, "[singular, plural]");
    x.concepts[symbol] = {words[0], words[1]};
    return std::nullopt;
  });
  Texts attributes, enums, ids;
  r.texts("attributes", attributes);
  r.texts("enums", enums);
  r.texts("ids", ids);
  r.each("says", [&](const std::string& symbol, const Value& v, const std::string& p) -> Step {
    return schemas::from_value(v, x.says[symbol], where, p);
  });
  r.each("tools", [&](const std::string& symbol, const Value& v, const std::string& p) -> Step {
    return schemas::from_value(v, x.tools[symbol], where, p);
  });
  r.each("values", [&](const std::string& symbol, const Value& v, const std::string& p) -> Step {
    std::string text;
    if (auto e = schemas::from_value(v, text, where, p)) return e;
    return read_values(text, v, where, p, x.values[symbol]);
  });
  r.read("registers", x.registers);
  for (const auto& [k, v] : attributes) x.attributes[k] = v;
  for (const auto& [k, v] : enums) x.enums[k] = v;
  for (const auto& [k, v] : ids) x.ids[k] = v;
  r.read("asides", x.asides);
  if (auto e = r.done()) return *e;
  return x;
}

}  // namespace seedbed::envgen
