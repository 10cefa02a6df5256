// Parameters of a call, and their values that stand as they are: no quotes, no escapes, up to the
// closing tag, which they must not spell.
#include <algorithm>

#include "engine/chat/markers.h"
#include "engine/grammar/schema_rules.h"

namespace seedbed::engine::grammar {

using schemas::Value;

void SchemaRules::close_raw(RuleBuilder& rule, int from, int end, std::uint8_t flags) {
  rule.skip(rule.text(from, shop_.markup(chat::kCloseParameter), flags), end);
}

std::uint32_t SchemaRules::raw(const Goal& any_goal) {
  const auto goal = normal(any_goal);
  const auto [it, fresh] = raws_.emplace(goal, kNone);
  if (!fresh) return it->second;
  const auto id = it->second = p_.new_rule();
  RuleBuilder rule;
  const int end = rule.add();
  rule.accept(end);
  for (const auto& flat : view_.alternatives(goal)) {
    if (failed()) return id;
    add_raw(rule, end, flat);
  }
  if (failed()) return id;
  return finish(rule, id, goal.empty() ? root_ : *goal[0]);
}

void SchemaRules::add_raw(RuleBuilder& rule, int end, const Goal& flat) {
  const auto d = view_.demands(flat);
  const auto& at = flat.empty() ? root_ : *flat[0];
  const auto allowed = text_without(shop_.forbidden());
  if ((d.kinds & kString) == 0) return;
  if (!d.choices && d.plain_text()) {
    if (d.max_length && *d.max_length < d.min_length) return;
    const bool counted = d.min_length > 0 || d.max_length;
    const auto cut = [](std::size_t n) {
      return static_cast<std::uint32_t>(std::min<std::size_t>(n, 0x7fffffff));
    };
    const auto max = d.max_length ? cut(*d.max_length) : kNone;
    const auto name =
        !counted ? "raw" : "raw " + std::to_string(d.min_length) + " " + std::to_string(max);
    const auto called = shared(name, [&](RuleBuilder& own, int to, Rule& made) {
      made.min = cut(d.min_length);
      made.max = max;
      const int close = own.add();
      add_text(own, own.start(), allowed, Spelling::raw, close, counted ? kCounts : kPlain);
      close_raw(own, close, to, counted ? kNeedsEnough : kPlain);
    });
    return rule.call(rule.start(), called, end);
  }
  std::optional<TextDfa> text;
  if (d.choices) {
    std::vector<std::string> words;
    for (const auto& choice : *d.choices)
      if (choice.is_string() && view_.holds(flat, choice)) words.push_back(choice.as_string());
    if (words.size() > 4096)
      return view_.fail(at, "enum", "found too many constants, wanted at most 4096",
                        "describe them by a pattern");
    text = text_among(words);
  } else {
    text = view_.text(d, at);
  }
  if (!text) return;
  text = both(*text, allowed);
  if (!text)
    return view_.fail(at, "pattern", "found a pattern that makes too big an automaton",
                      "use a simpler pattern");
  const int close = rule.add();
  add_text(rule, rule.start(), *text, Spelling::raw, close);
  close_raw(rule, close, end, kPlain);
}

std::uint32_t SchemaRules::parameters() {
  const auto id = p_.new_rule();
  RuleBuilder rule;
  const int end = rule.add();
  rule.accept(end);
  for (const auto& flat : view_.alternatives({&root_})) {
    const auto d = view_.demands(flat);
    if (d.choices)
      view_.fail(root_, "enum", "found whole objects as constants, wanted properties",
                 "put the constants into the properties");
    if (failed()) return kNone;
    if ((d.kinds & kObject) == 0) continue;
    if (const auto one = object(flat, d, true); one != kNone) rule.call(rule.start(), one, end);
    if (failed()) return kNone;
  }
  if (failed()) return kNone;
  return finish(rule, id, root_);
}

}  // namespace seedbed::engine::grammar
