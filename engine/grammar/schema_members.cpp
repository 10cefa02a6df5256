// Objects: which members may come, in what order, and what stands between them.
#include <algorithm>

#include "base/text.h"
#include "base/utf8.h"
#include "engine/chat/markers.h"
#include "engine/grammar/schema_rules.h"

namespace seedbed::engine::grammar {

using schemas::Value;

namespace {

constexpr std::size_t kMaxDeclared = 1000;
constexpr std::size_t kMaxPatterns = 4;
constexpr std::uint64_t kFewKeys = 16;         // so many are listed like properties
constexpr std::uint64_t kManyKeys = 10'000;    // so many are never used up
constexpr std::uint32_t kMaxNameBytes = 512;   // of a parameter
constexpr std::size_t kMaxFreeNameChars = 64;  // of a parameter that the schema does not list

// Characters that engines do not agree on in patterns.
const CharSet kSureChars = complement(normal_set({{0x85, 0x85},
                                                  {0xa0, 0xa0},
                                                  {0x1680, 0x1680},
                                                  {0x2000, 0x200a},
                                                  {0x2028, 0x2029},
                                                  {0x202f, 0x202f},
                                                  {0x205f, 0x205f},
                                                  {0x3000, 0x3000},
                                                  {0xfeff, 0xfeff},
                                                  {0, 0x1f}}));

TextDfa of_chars(const CharSet& set) {
  TextDfa out;
  auto& state = out.states.emplace_back();
  state.accept = true;
  for (const auto& r : set) state.edges.push_back({r.lo, r.hi, 0});
  return out;
}

bool is_false(const Goal& goal) {
  return std::any_of(goal.begin(), goal.end(),
                     [](const Value* s) { return s->is_bool() && !s->as_bool(); });
}

// All texts of an automaton that has few.
void list_texts(const TextDfa& dfa,
                std::uint32_t state,
                const std::string& begin,
                std::vector<std::string>& out) {
  if (dfa.states[state].accept) out.push_back(begin);
  for (const auto& e : dfa.states[state].edges)
    for (auto c = e.lo; c <= e.hi; ++c) {
      auto text = begin;
      append_utf8(text, c);
      list_texts(dfa, e.to, text, out);
    }
}

// A name that stands in a tag as it is.
bool fits_tag(const std::string& name) {
  return !name.empty() && name.size() <= kMaxNameBytes && is_valid_utf8(name) &&
         std::none_of(name.begin(), name.end(), [](char c) {
           return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '<' || c == '>' ||
                  c == 0x7f;
         });
}

}  // namespace

// How members are written.
struct SchemaRules::Style {
  bool dsml;
  std::vector<Symbol> separator, before_name, after_name, close;
};

// The first member that must come has no separator, so it is not counted.
bool SchemaRules::first_is_sure(const Members& m) {
  return m.free_min > 0 && m.declared.empty();
}

std::uint32_t SchemaRules::object(const Goal& flat, const Demands& d, bool dsml) {
  auto m = members(flat, d, dsml);
  if (m.none || failed()) return kNone;
  Style style{dsml, {','}, {'"'}, {'"', ':'}, {'}'}};
  if (dsml)
    style = {true,
             {'\n'},
             shop_.markup(std::string(chat::kOpenParameter) + " name=\""),
             shop_.markup("\" string=\""),
             shop_.markup("\n" + std::string(chat::kCloseInvoke))};
  const auto id = p_.new_rule();
  RuleBuilder rule;
  const int end = rule.add();
  rule.accept(end);
  const int open = dsml ? rule.start() : rule.text(rule.start(), "{");
  write_members(rule, open, end, m, style);
  p_.rules[id].container = true;
  const bool uncounted = first_is_sure(m);
  p_.rules[id].min = m.free_min - (uncounted ? 1 : 0);
  p_.rules[id].max = m.free_max - (uncounted && m.free_max != kNone ? 1 : 0);
  if (failed()) return kNone;
  return finish(rule, id, flat.empty() ? root_ : *flat[0]);
}

SchemaRules::Members SchemaRules::members(const Goal& flat, const Demands& d, bool dsml) {
  Members out;
  std::vector<std::string> names;
  const auto add = [&](const std::string& name) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  };
  for (const auto* s : d.objects) {
    const auto& list = SchemaView::keyword(*s, "properties");
    if (list.is_object())
      for (const auto& [name, schema] : list.members()) add(name);
  }
  for (const auto& name : d.required) add(name);
  if (names.size() > kMaxDeclared) {
    view_.fail(*d.objects[0], "properties",
               "found too many properties, wanted at most " + std::to_string(kMaxDeclared));
    return out;
  }
  for (const auto& name : names) {
    const bool required = std::find(d.required.begin(), d.required.end(), name) != d.required.end();
    const auto goal = view_.member(d, name);
    if (is_false(goal) || !view_.holds(d.names, Value(name))) {
      out.none = out.none || required;
      continue;
    }
    if (dsml && !fits_tag(name)) {
      view_.fail(
          d.objects.empty() ? root_ : *d.objects[0], "properties",
          "found a name that a tag cannot hold, wanted no quotes, angle brackets and control "
          "characters, and at most " +
              std::to_string(kMaxNameBytes) + " bytes",
          "rename the property");
      return out;
    }
    out.declared.push_back({name, goal, required});
  }
  if (!out.none) add_free(flat, d, out, names, dsml);
  if (!out.none && !failed()) count_members(flat, d, out);
  return out;
}

// Keys fall into classes by the patterns that find them; a class has its own schemas.
void SchemaRules::add_free(
    const Goal& flat, const Demands& d, Members& out, std::vector<std::string> names, bool dsml) {
  struct Named {
    const Value* owner;
    const TextDfa* dfa;
    const Value* schema;
  };
  std::vector<Named> patterns;
  bool open = false, closed = false;
  for (const auto* s : d.objects) {
    const auto& list = SchemaView::keyword(*s, "patternProperties");
    if (list.is_object())
      for (const auto& [text, schema] : list.members()) {
        const auto* dfa = view_.pattern(Value(text), *s);
        if (dfa == nullptr) return;
        patterns.push_back({s, dfa, &schema});
      }
    const auto* rest = s->find("additionalProperties");
    if (rest != nullptr)
      open = true;
    else
      closed = true;
  }
  if (patterns.size() > kMaxPatterns)
    return view_.fail(
        *patterns[0].owner, "patternProperties",
        "found too many patterns for one object, wanted at most " + std::to_string(kMaxPatterns));
  closed = closed && !open;
  if (closed && patterns.empty()) return;
  auto base = not_among(names);
  const auto meet = [&](TextDfa& to, const TextDfa& with) {
    auto made = both(to, with);
    if (made) {
      view_.charge(*made, flat.empty() ? root_ : *flat[0]);
      to = minimal(*made);
      return !failed();
    }
    view_.fail(flat.empty() ? root_ : *flat[0], "patternProperties",
               "found patterns that make too big an automaton together", "use simpler patterns");
    return false;
  };
  if (!patterns.empty() && !meet(base, of_chars(kSureChars))) return;
  if (dsml && !meet(base, text_of_length(1, kMaxFreeNameChars))) return;
  if (!d.names.empty()) {
    const auto goals = view_.alternatives(d.names);
    if (goals.size() != 1)
      return view_.fail(*d.names[0], "", "found alternatives for names, wanted one form");
    const auto n = view_.demands(goals[0]);
    if ((n.kinds & kString) == 0) return;
    std::vector<std::string> words;
    if (n.choices)
      for (const auto& c : *n.choices)
        if (c.is_string() && view_.holds(goals[0], c)) words.push_back(c.as_string());
    const auto text = n.choices ? text_among(words) : view_.text(n, *d.names[0]);
    if (!text || !meet(base, of_chars(kSureChars)) || !meet(base, *text)) return;
  }
  for (std::size_t set = 0; set < std::size_t{1} << patterns.size(); ++set) {
    Free free{base, {}};
    bool possible = true;
    for (std::size_t i = 0; i < patterns.size(); ++i) {
      const bool found = (set >> i & 1) != 0;
      if (!meet(free.keys, found ? *patterns[i].dfa : neither(*patterns[i].dfa))) return;
      if (found) free.goal.push_back(patterns[i].schema);
    }
    for (const auto* s : d.objects) {
      bool found = false;
      for (std::size_t i = 0; i < patterns.size(); ++i)
        found = found || (patterns[i].owner == s && (set >> i & 1) != 0);
      if (found) continue;
      if (const auto* rest = s->find("additionalProperties"))
        free.goal.push_back(rest);
      else if (!open)
        possible = false;
    }
    if (!possible || free.keys.states.empty() || is_false(free.goal)) continue;
    if (count_texts(free.keys, kFewKeys + 1) <= kFewKeys) {
      std::vector<std::string> few;
      list_texts(free.keys, 0, "", few);
      for (auto& name : few)
        if (!dsml || fits_tag(name)) out.declared.push_back({std::move(name), free.goal, false});
    } else {
      out.free.push_back(std::move(free));
    }
  }
}

// Keeps only keys of such a length that there are enough of the shortest: then the way to the end
// is as short as it looks, whichever of them are used already.
bool SchemaRules::enough_short(TextDfa& keys, std::size_t wanted) {
  const auto plain = of_chars({{' ', '!'}, {'#', ';'}, {'=', '='}, {'?', '['}, {']', '~'}});
  for (std::size_t length = 0; length < 4; ++length) {
    const auto longer = both(keys, text_of_length(length, std::nullopt));
    const auto ascii = longer ? both(*longer, plain) : std::nullopt;
    if (!ascii || count_shortest(*ascii, wanted) < wanted) continue;
    keys = minimal(*longer);
    return true;
  }
  return false;
}

// How many members the schema does not list may and must come. Where the counts depend on which
// optional ones are there, the first ones are always there, or the last ones never.
void SchemaRules::count_members(const Goal& flat, const Demands& d, Members& out) {
  const auto& at = flat.empty() ? root_ : *flat[0];
  auto required = static_cast<std::size_t>(
      std::count_if(out.declared.begin(), out.declared.end(), [](auto& m) { return m.required; }));
  for (auto& m : out.declared)
    if (required < d.min_properties && !m.required) {
      m.required = true;
      ++required;
    }
  if (d.max_properties) {
    if (required > *d.max_properties) {
      out.none = true;
      return;
    }
    while (out.declared.size() > *d.max_properties) {
      const auto last = std::find_if(out.declared.rbegin(), out.declared.rend(),
                                     [](auto& m) { return !m.required; });
      out.declared.erase(std::next(last).base());
    }
    const auto left = *d.max_properties - out.declared.size();
    if (left == 0) out.free.clear();
    out.free_max = static_cast<std::uint32_t>(std::min<std::size_t>(left, 0x7fffffff));
  }
  const auto missing = d.min_properties > required ? d.min_properties - required : 0;
  if (missing > 0 && out.free.empty()) {
    out.none = true;
    return;
  }
  if (missing > 0 && (out.free.size() > 1 || !enough_short(out.free[0].keys, missing)))
    return view_.fail(at, "minProperties",
                      "found more members than names of one kind are sure to give, wanted fewer",
                      "list the properties");
  out.free_min = static_cast<std::uint32_t>(missing);
  for (const auto& free : out.free) {
    const auto count = count_texts(free.keys, kManyKeys);
    if (count >= kManyKeys) continue;
    if (out.free.size() > 1)
      return view_.fail(at, "patternProperties",
                        "found patterns some of which few names match, wanted many for each",
                        "list those names as properties");
    out.free_max = std::min(out.free_max, static_cast<std::uint32_t>(count));
  }
  if (out.free_min > out.free_max) out.none = true;
}

std::uint32_t SchemaRules::key(const TextDfa& keys, Spelling spelling) {
  RuleBuilder rule;
  const int quote = rule.add(), end = rule.add();
  add_text(rule, rule.start(), keys, spelling, quote, kPlain, shop_.no_bar());
  rule.edge(quote, '"', '"', end);
  rule.accept(end);
  const auto id = p_.new_rule();
  p_.rules[id].key = true;
  return finish(rule, id, root_);
}

void SchemaRules::add_value(
    RuleBuilder& rule, int from, int to, const Goal& goal, const Style& style) {
  if (!style.dsml) return rule.call(from, value(goal), to);
  const auto as_text = shop_.markup("true\">"), as_json = shop_.markup("false\">");
  rule.call(rule.text(from, as_text), raw(goal), to);
  const int after = rule.add();
  rule.call(rule.text(from, as_json), value(goal, kAnyKind & ~static_cast<unsigned>(kString)),
            after);
  rule.skip(rule.text(after, shop_.markup(chat::kCloseParameter)), to);
}

void SchemaRules::write_members(
    RuleBuilder& rule, int from, int end, const Members& m, const Style& style) {
  const auto count = m.declared.size();
  // at[any][i]: the next may be member i; any: one is there already.
  std::vector<int> at[2];
  for (auto& row : at)
    for (std::size_t i = 0; i <= count; ++i) row.push_back(rule.add());
  rule.skip(from, at[0][0]);
  for (std::size_t i = 0; i < count && !failed(); ++i) {
    const auto& member = m.declared[i];
    auto name = style.before_name;
    const auto text = style.dsml ? "\"" + member.name + "\"" : shop_.json(Value(member.name));
    for (const char c : std::string_view(text).substr(1, text.size() - 2))
      name.push_back(static_cast<unsigned char>(c));
    name.insert(name.end(), style.after_name.begin(), style.after_name.end());
    const int named = rule.add();
    rule.skip(rule.text(at[0][i], name), named);
    rule.skip(rule.text(rule.text(at[1][i], style.separator), name), named);
    add_value(rule, named, at[1][i + 1], member.goal, style);
    if (!member.required)
      for (auto& row : at) rule.skip(row[i], row[i + 1]);
  }
  const bool uncounted_first = first_is_sure(m);
  const std::uint8_t enough = m.free_min > 0 ? kNeedsEnough : kPlain;
  if (!uncounted_first) rule.skip(rule.text(at[0][count], style.close, enough), end);
  rule.skip(rule.text(at[1][count], style.close, enough), end);
  if (m.free.empty()) return;
  const bool counted = m.free_min > 0 || m.free_max != kNone;
  const std::uint8_t counts = counted ? kCounts : kPlain;
  const int name = rule.add();
  rule.skip(
      rule.text(at[0][count], style.before_name, uncounted_first ? std::uint8_t{kPlain} : counts),
      name);
  rule.skip(rule.text(rule.text(at[1][count], style.separator, counts), style.before_name), name);
  for (const auto& free : m.free) {
    const auto spelling = style.dsml ? Spelling::attribute : Spelling::key;
    const int named = rule.add();
    rule.call(name, key(free.keys, spelling), named);
    const auto after = std::span(style.after_name).subspan(1);  // the key has its own quote
    add_value(rule, rule.text(named, after), at[1][count], free.goal, style);
  }
}

}  // namespace seedbed::engine::grammar
