#include "engine/grammar/schema_rules.h"

#include <algorithm>
#include <limits>

#include "base/text.h"
#include "engine/chat/markers.h"

namespace seedbed::engine::grammar {

using schemas::Value;

namespace {

constexpr std::size_t kMaxChoices = 4096;
constexpr std::size_t kMaxChoiceBytes = 1U << 20;
constexpr std::size_t kMaxPrefix = 1024;
constexpr std::size_t kMaxRules = 20'000;

std::uint32_t count32(std::size_t n) {
  return static_cast<std::uint32_t>(std::min<std::size_t>(n, 0x7fffffff));
}

bool says_nothing(const Value& schema) {
  static constexpr std::string_view kWords[] = {"type",
                                                "enum",
                                                "const",
                                                "pattern",
                                                "format",
                                                "uniqueItems",
                                                "required",
                                                "properties",
                                                "patternProperties",
                                                "minimum",
                                                "maximum",
                                                "multipleOf",
                                                "exclusiveMinimum",
                                                "exclusiveMaximum",
                                                "minLength",
                                                "maxLength",
                                                "minItems",
                                                "maxItems",
                                                "minProperties",
                                                "maxProperties",
                                                "items",
                                                "prefixItems",
                                                "additionalProperties",
                                                "propertyNames",
                                                "allOf",
                                                "anyOf",
                                                "oneOf",
                                                "$ref",
                                                "not",
                                                "if",
                                                "contains",
                                                "dependentRequired",
                                                "dependentSchemas"};
  if (schema.is_bool()) return schema.as_bool();
  return std::none_of(std::begin(kWords), std::end(kWords),
                      [&](auto word) { return schema.find(word) != nullptr; });
}

}  // namespace

std::vector<Symbol> RuleShop::markup(std::string_view text) const {
  std::vector<Symbol> out;
  while (!text.empty()) {
    if (dsml_is_token && text.starts_with(chat::kDsml)) {
      out.push_back(kDsmlSymbol);
      text.remove_prefix(chat::kDsml.size());
      continue;
    }
    out.push_back(static_cast<unsigned char>(text[0]));
    text.remove_prefix(1);
  }
  return out;
}

std::string RuleShop::json(const Value& value) const {
  auto text = schemas::dump(value);
  return no_bar() ? replace_all(std::move(text), "\xef\xbd\x9c", "\\uff5c") : text;
}

std::vector<std::string> RuleShop::forbidden() const {
  if (dsml_is_token) return {std::string(chat::kEos)};
  return {std::string(chat::kEos), std::string(chat::kOpenTag), std::string(chat::kCloseTag)};
}

SchemaRules::SchemaRules(RuleShop& shop, const Value& schema, std::string at)
    : shop_(shop), p_(shop.program), root_(schema), view_(schema, std::move(at)) {}

std::uint32_t SchemaRules::document() {
  return value({&root_});
}

std::uint32_t SchemaRules::finish(const RuleBuilder& rule, std::uint32_t id, const Value& at) {
  if (p_.rules.size() > kMaxRules || !rule.finish(p_, id))
    view_.fail(at, "", "found a schema whose automaton is too big, wanted a smaller one",
               "take fewer or shorter properties, constants and patterns");
  return id;
}

std::uint32_t SchemaRules::shared(const std::string& name,
                                  const std::function<void(RuleBuilder&, int, Rule&)>& make) {
  const auto known = shop_.shared.find(name);
  if (known != shop_.shared.end()) return known->second;
  RuleBuilder rule;
  const int end = rule.add();
  rule.accept(end);
  const auto id = p_.new_rule();
  make(rule, end, p_.rules[id]);
  shop_.shared.emplace(name, id);
  return finish(rule, id, root_);
}

Goal SchemaRules::normal(Goal goal) const {
  std::erase_if(goal, [](const Value* s) { return says_nothing(*s); });
  Goal out;  // the order tells how members are ordered
  for (const auto* s : goal)
    if (std::find(out.begin(), out.end(), s) == out.end()) out.push_back(s);
  return out;
}

std::uint32_t SchemaRules::value(const Goal& any_goal, unsigned kinds) {
  const auto goal = normal(any_goal);
  const auto [it, fresh] = values_.emplace(std::pair{goal, kinds}, kNone);
  if (!fresh) return it->second;
  const auto id = it->second = p_.new_rule();
  RuleBuilder rule;
  const int end = rule.add();
  rule.accept(end);
  for (const auto& flat : view_.alternatives(goal)) {
    if (failed()) return id;
    add_flat(rule, end, flat, kinds);
  }
  if (failed()) return id;
  return finish(rule, id, goal.empty() ? root_ : *goal[0]);
}

void SchemaRules::add_flat(RuleBuilder& rule, int end, const Goal& flat, unsigned kinds) {
  const auto d = view_.demands(flat);
  const auto& at = flat.empty() ? root_ : *flat[0];
  if (d.choices) {
    std::size_t bytes = 0;
    for (const auto& choice : *d.choices) {
      if ((kind_of(choice) & kinds) == 0 || !view_.holds(flat, choice)) continue;
      const auto text = shop_.json(choice);
      bytes += text.size();
      if (d.choices->size() > kMaxChoices || bytes > kMaxChoiceBytes)
        return view_.fail(at, "enum",
                          "found too many constants, wanted at most " + std::to_string(kMaxChoices),
                          "describe them by a pattern or a range");
      rule.skip(rule.text(rule.start(), text), end);
    }
    return;
  }
  kinds &= d.kinds;
  const auto word = [&](std::string_view text) { rule.skip(rule.text(rule.start(), text), end); };
  const auto call = [&](std::uint32_t called) {
    if (called != kNone) rule.call(rule.start(), called, end);
  };
  if ((kinds & kNull) != 0) word("null");
  if ((kinds & kBool) != 0) {
    word("true");
    word("false");
  }
  if ((kinds & (kInteger | kFraction)) != 0) {
    auto numbers = d;
    numbers.numbers.whole = (kinds & kFraction) == 0;
    if (!add_number(rule, end, numbers, at)) return;
  }
  if ((kinds & kString) != 0) call(string(d, at));
  if ((kinds & kArray) != 0) call(array(d, at));
  if ((kinds & kObject) != 0) call(object(flat, d, false));
}

bool SchemaRules::add_number(RuleBuilder& rule, int end, const Demands& d, const Value& at) {
  if (!d.numbers.bounded()) {
    const auto id = shared(
        d.numbers.whole ? "integer" : "number",
        [&](RuleBuilder& own, int to, Rule&) { add_numbers(own, own.start(), to, d.numbers); });
    rule.call(rule.start(), id, end);
    return true;
  }
  if (add_numbers(rule, rule.start(), end, d.numbers) != Numbers::too_hard) return true;
  view_.fail(at, "multipleOf", "found a divisor that is too big for its range, wanted at most 1000",
             "narrow minimum and maximum, or leave multipleOf out");
  return false;
}

std::uint32_t SchemaRules::string(const Demands& d, const Value& at) {
  if (d.max_length && *d.max_length < d.min_length) return kNone;
  if (d.plain_text()) {
    const bool counted = d.min_length > 0 || d.max_length;
    const auto max = d.max_length ? count32(*d.max_length) : kNone;
    const auto name =
        !counted ? "string" : "string " + std::to_string(d.min_length) + " " + std::to_string(max);
    return shared(name, [&](RuleBuilder& rule, int end, Rule& made) {
      made.min = count32(d.min_length);
      made.max = max;
      const int open = rule.add();
      rule.edge(rule.start(), '"', '"', open);
      add_string_body(rule, open, counted, end, shop_.no_bar());
    });
  }
  // The same demands are met by the same rule.
  std::string name = "text " + std::to_string(d.min_length) + " " +
                     (d.max_length ? std::to_string(*d.max_length) : "") + (d.date ? "d" : "") +
                     (d.date_time ? "t" : "");
  for (const auto* pattern : d.patterns) name += "\n" + pattern->as_string();
  if (const auto known = shop_.shared.find(name); known != shop_.shared.end()) return known->second;
  const auto text = view_.text(d, at);
  if (!text || text->states.empty()) return kNone;
  return shared(name, [&](RuleBuilder& rule, int end, Rule&) {
    const int open = rule.add(), close = rule.add();
    rule.edge(rule.start(), '"', '"', open);
    add_text(rule, open, *text, Spelling::json, close, kPlain, shop_.no_bar());
    rule.edge(close, '"', '"', end);
  });
}

std::uint32_t SchemaRules::array(const Demands& d, const Value& at) {
  std::size_t prefix = 0;
  for (const auto* s : d.arrays) {
    const auto& list = SchemaView::keyword(*s, "prefixItems");
    if (list.is_array()) prefix = std::max(prefix, list.items().size());
  }
  if (prefix > kMaxPrefix) {
    view_.fail(at, "prefixItems",
               "found too many items, wanted at most " + std::to_string(kMaxPrefix));
    return kNone;
  }
  std::size_t max = d.max_items.value_or(std::numeric_limits<std::size_t>::max());
  if (d.unique && max > 1) {
    view_.fail(at, "uniqueItems", "found items that must differ, which no mask can hold",
               "leave it out, or bound maxItems by 1");
    return kNone;
  }
  for (std::size_t i = 0; i < std::min(prefix + 1, max); ++i)
    if (const auto goal = SchemaView::item(d, i); std::any_of(
            goal.begin(), goal.end(), [](const Value* s) { return s->is_bool() && !s->as_bool(); }))
      max = i;
  if (d.min_items > max) return kNone;
  const auto id = p_.new_rule();
  RuleBuilder rule;
  const int end = rule.add();
  rule.accept(end);
  int state = rule.text(rule.start(), "[");
  const auto listed = std::min(prefix, max);
  for (std::size_t i = 0; i < listed; ++i) {
    if (i >= d.min_items) rule.edge(state, ']', ']', end);
    const int item = i == 0 ? state : rule.text(state, ",");
    state = rule.add();
    rule.call(item, value(SchemaView::item(d, i)), state);
  }
  const auto min = d.min_items > listed ? d.min_items - listed : 0;
  const auto rest = max - listed;
  if (rest == 0) {
    rule.edge(state, ']', ']', end);
  } else {  // what counts is the comma; without a prefix the first item has none
    const auto first = listed == 0 ? std::size_t{1} : std::size_t{0};
    const auto items = value(SchemaView::item(d, listed));
    const int item = rule.add(), after = rule.add();
    if (first == 1) {
      if (d.min_items == 0) rule.edge(state, ']', ']', end);
      rule.call(state, items, after);
    } else {
      rule.skip(state, after);
    }
    rule.edge(after, ',', ',', item, kCounts);
    rule.call(item, items, after);
    rule.edge(after, ']', ']', end, kNeedsEnough);
    p_.rules[id].min = count32(min > first ? min - first : 0);
    p_.rules[id].max = d.max_items ? count32(rest - first) : kNone;
  }
  p_.rules[id].container = true;
  if (failed()) return kNone;
  return finish(rule, id, at);
}

}  // namespace seedbed::engine::grammar
