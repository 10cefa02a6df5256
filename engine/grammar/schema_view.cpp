#include "engine/grammar/schema_view.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "schemas/json_schema_node.h"

namespace seedbed::engine::grammar {

using schemas::Value;

namespace {

constexpr std::size_t kMaxAlternatives = 256;
constexpr std::size_t kMaxOneOf = 64;
constexpr std::int64_t kMaxWork = 300'000;
constexpr std::size_t kMaxAllTextStates = 80'000;  // made for one schema
constexpr std::size_t kMaxPatternLength = 512;
constexpr int kMaxProof = 6;  // levels of members looked into to show that nothing fits

std::string escaped(const std::string& key) {
  return replace_all(replace_all(key, "~", "~0"), "/", "~1");
}

unsigned kinds_named(const Value& type) {
  static const std::map<std::string, unsigned, std::less<>> kNames = {
      {"null", kNull},
      {"boolean", kBool},
      {"integer", kInteger},
      {"string", kString},
      {"number", kInteger | kFraction},
      {"array", kArray},
      {"object", kObject}};
  const auto one = [](const Value& name) {
    const auto it = name.is_string() ? kNames.find(name.as_string()) : kNames.end();
    return it == kNames.end() ? 0U : it->second;
  };
  if (!type.is_array()) return one(type);
  unsigned out = 0;
  for (const auto& name : type.items()) out |= one(name);
  return out;
}

std::size_t count_of(const Value& v) {
  return static_cast<std::size_t>(v.as_double());
}
void raise(std::size_t& to, const Value* v) {
  if (v != nullptr) to = std::max(to, count_of(*v));
}
void lower(std::optional<std::size_t>& to, const Value* v) {
  if (v != nullptr) to = std::min(to.value_or(count_of(*v)), count_of(*v));
}

}  // namespace

unsigned kind_of(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::null:
      return kNull;
    case Value::Kind::boolean:
      return kBool;
    case Value::Kind::integer:
      return kInteger;
    case Value::Kind::number:
      return schemas::is_multiple(value, Value(1)) ? kInteger : kFraction;
    case Value::Kind::string:
      return kString;
    case Value::Kind::array:
      return kArray;
    default:
      return kObject;
  }
}

SchemaView::SchemaView(const Value& root, std::string at) : root_(root), at_(std::move(at)) {
  note(root, "#", 0);
}

// Every value of the document gets its pointer: any of them may be a schema.
void SchemaView::note(const Value& schema, const std::string& at, int depth) {
  pointers_.emplace(&schema, at);
  if (depth > 128) return;
  if (schema.is_object())
    for (const auto& [key, value] : schema.members())
      note(value, at + "/" + escaped(key), depth + 1);
  if (schema.is_array())
    for (std::size_t i = 0; i < schema.items().size(); ++i)
      note(schema.items()[i], at + "/" + std::to_string(i), depth + 1);
}

void SchemaView::fail(const Value& schema,
                      std::string_view keyword,
                      std::string_view found,
                      std::string_view todo) {
  if (failed_) return;
  auto at = pointers_[&schema];
  if (!keyword.empty()) at += "/" + std::string(keyword);
  failed_ = make_error(Where::usage, at_, at, found, todo);
}

const Value& SchemaView::keyword(const Value& schema, std::string_view name) {
  static const Value none;
  const auto* found = schema.find(name);
  return found == nullptr ? none : *found;
}

bool SchemaView::supported(const Value& schema) {
  if (failed_ || !schema.is_object()) return !failed_;
  if (!supported_.insert(&schema).second) return true;
  for (const char* name : {"not", "if", "dependentRequired", "dependentSchemas", "contains"})
    if (schema.find(name) != nullptr)
      fail(schema, name, "found a keyword that no mask can hold, wanted none",
           "leave it out, or say it by anyOf");
  return !failed_;
}

// Compiled already, so every reference leads somewhere.
const Value* SchemaView::target(const Value& schema) {
  const auto* ref = schema.find("$ref");
  if (ref == nullptr) return nullptr;
  const Value* at = &root_;
  if (ref->as_string().size() > 1)
    for (const auto& raw : split(std::string_view(ref->as_string()).substr(2), '/')) {
      if (raw.find('%') != std::string::npos) {
        fail(schema, "$ref", "found a reference with percent signs, wanted plain names");
        return nullptr;
      }
      const auto step = replace_all(replace_all(raw, "~1", "/"), "~0", "~");
      at = at->is_array() ? &at->items()[std::stoul(step)] : at->find(step);
      if (at == nullptr) return nullptr;
    }
  return at;
}

std::vector<Goal> SchemaView::alternatives(const Goal& goal) {
  struct Work {
    Goal done, next;  // `next` in reverse
    std::vector<const Value*> choices;
  };
  std::vector<Goal> out;
  std::vector<Work> stack;
  stack.push_back({{}, {goal.rbegin(), goal.rend()}, {}});
  while (!stack.empty() && !failed_) {
    auto work = std::move(stack.back());
    stack.pop_back();
    if (++work_ > kMaxWork || stack.size() + out.size() > kMaxAlternatives) {
      fail(goal.empty() ? root_ : *goal[0], "",
           "found more than " + std::to_string(kMaxAlternatives) +
               " alternatives for one value, wanted fewer");
      break;
    }
    bool lost = false;
    while (!work.next.empty() && !lost && !failed_) {
      const Value* s = work.next.back();
      work.next.pop_back();
      if (s->is_bool()) lost = !s->as_bool();
      if (!s->is_object() || std::find(work.done.begin(), work.done.end(), s) != work.done.end())
        continue;
      if (!supported(*s)) break;
      work.done.push_back(s);
      const auto& all = keyword(*s, "allOf");
      if (all.is_array())
        for (auto it = all.items().rbegin(); it != all.items().rend(); ++it)
          work.next.push_back(&*it);
      if (const auto* to = target(*s)) work.next.push_back(to);
      if (const auto* any = s->find("anyOf")) work.choices.push_back(any);
      if (const auto* one = s->find("oneOf")) {
        check_apart(*s);
        work.choices.push_back(one);
      }
    }
    if (lost || failed_) continue;
    if (work.choices.empty()) {
      out.push_back(std::move(work.done));
      continue;
    }
    const auto* choice = work.choices.back();
    work.choices.pop_back();
    for (auto it = choice->items().rbegin(); it != choice->items().rend(); ++it) {
      auto next = work;
      next.next.push_back(&*it);
      stack.push_back(std::move(next));
    }
  }
  return out;
}

void SchemaView::check_apart(const Value& schema) {
  if (!apart_.insert(&schema).second) return;
  const auto& list = keyword(schema, "oneOf").items();
  if (list.size() > kMaxOneOf)
    return fail(schema, "oneOf",
                "found more than " + std::to_string(kMaxOneOf) + " alternatives, wanted fewer",
                "use anyOf");
  for (std::size_t i = 0; i < list.size() && !failed_; ++i)
    for (std::size_t j = 0; j < i && !failed_; ++j)
      if (!impossible({&list[j], &list[i]}) && !failed_)
        fail(schema, "oneOf",
             "found alternatives " + std::to_string(j) + " and " + std::to_string(i) +
                 " that may hold together, wanted types or constants that tell them apart",
             "use anyOf, or give each a required property with a const of its own");
}

Demands SchemaView::demands(const Goal& flat) {
  Demands out;
  for (const auto* s : flat) {
    if (const auto* type = s->find("type")) out.kinds &= kinds_named(*type);
    const auto* one = s->find("const");
    const auto* list = s->find("enum");
    for (const auto* choices : {one, list}) {
      if (choices == nullptr || out.choices) continue;
      out.choices = choices == one ? Value::Array{*one} : list->items();
    }
    static constexpr std::pair<std::string_view, std::optional<Value> NumberRange::*> kBounds[] = {
        {"minimum", &NumberRange::min},
        {"maximum", &NumberRange::max},
        {"exclusiveMinimum", &NumberRange::above},
        {"exclusiveMaximum", &NumberRange::below}};
    for (const auto& [name, member] : kBounds) {
      const auto* v = s->find(name);
      auto& to = out.numbers.*member;
      const bool lower_bound = name == "minimum" || name == "exclusiveMinimum";
      if (v != nullptr && (!to || (schemas::compare_numbers(*v, *to) > 0) == lower_bound)) to = *v;
    }
    if (const auto* v = s->find("multipleOf")) out.numbers.multiples.push_back(*v);
    raise(out.min_length, s->find("minLength"));
    lower(out.max_length, s->find("maxLength"));
    raise(out.min_items, s->find("minItems"));
    lower(out.max_items, s->find("maxItems"));
    raise(out.min_properties, s->find("minProperties"));
    lower(out.max_properties, s->find("maxProperties"));
    if (const auto* v = s->find("pattern")) out.patterns.push_back(v);
    if (const auto* v = s->find("format")) {
      out.date = out.date || v->as_string() == "date";
      out.date_time = out.date_time || v->as_string() == "date-time";
    }
    if (const auto* v = s->find("uniqueItems")) out.unique = out.unique || v->as_bool();
    if (s->find("items") != nullptr || s->find("prefixItems") != nullptr) out.arrays.push_back(s);
    if (s->find("properties") != nullptr || s->find("patternProperties") != nullptr ||
        s->find("additionalProperties") != nullptr)
      out.objects.push_back(s);
    if (const auto* v = s->find("propertyNames")) out.names.push_back(v);
    if (const auto* v = s->find("required"))
      for (const auto& name : v->items())
        if (std::find(out.required.begin(), out.required.end(), name.as_string()) ==
            out.required.end())
          out.required.push_back(name.as_string());
  }
  return out;
}

Goal SchemaView::item(const Demands& d, std::size_t index) {
  Goal out;
  for (const auto* s : d.arrays) {
    const auto& prefix = keyword(*s, "prefixItems");
    if (prefix.is_array() && index < prefix.items().size())
      out.push_back(&prefix.items()[index]);
    else if (const auto* rest = s->find("items"))
      out.push_back(rest);
  }
  return out;
}

Goal SchemaView::member(const Demands& d, const std::string& name) {
  Goal out;
  for (const auto* s : d.objects) {
    bool known = false;
    if (const auto* own = keyword(*s, "properties").find(name)) {
      out.push_back(own);
      known = true;
    }
    const auto& patterns = keyword(*s, "patternProperties");
    if (patterns.is_object())
      for (const auto& [pattern, schema] : patterns.members())
        if (finds(Value(pattern), name)) {
          out.push_back(&schema);
          known = true;
        }
    if (const auto* rest = s->find("additionalProperties"); rest != nullptr && !known)
      out.push_back(rest);
  }
  return out;
}

bool SchemaView::impossible(const Goal& goal, int depth) {
  if (depth > kMaxProof || failed_) return false;
  for (const auto& flat : alternatives(goal))
    if (!flat_impossible(flat, depth)) return false;
  return !failed_;
}

bool SchemaView::flat_impossible(const Goal& flat, int depth) {
  const auto d = demands(flat);
  if (d.choices)
    return std::none_of(d.choices->begin(), d.choices->end(),
                        [&](const Value& v) { return holds(flat, v); });
  auto kinds = d.kinds;
  const auto& n = d.numbers;
  const auto apart = [](const std::optional<Value>& lo, const std::optional<Value>& hi, int least) {
    return lo && hi && schemas::compare_numbers(*lo, *hi) > least;
  };
  if (apart(n.min, n.max, 0) || apart(n.min, n.below, -1) || apart(n.above, n.max, -1) ||
      apart(n.above, n.below, -1))
    kinds &= ~static_cast<unsigned>(kInteger | kFraction);
  if (d.max_length && d.min_length > *d.max_length) kinds &= ~static_cast<unsigned>(kString);
  if ((kinds & kArray) != 0) {
    bool none = d.max_items && d.min_items > *d.max_items;
    for (std::size_t i = 0; i < std::min<std::size_t>(d.min_items, 8) && !none; ++i)
      none = impossible(item(d, i), depth + 1);
    if (none) kinds &= ~static_cast<unsigned>(kArray);
  }
  if ((kinds & kObject) != 0) {
    bool none =
        d.max_properties && std::max(d.min_properties, d.required.size()) > *d.max_properties;
    for (std::size_t i = 0; i < d.required.size() && !none; ++i)
      none = impossible(member(d, d.required[i]), depth + 1);
    if (none) kinds &= ~static_cast<unsigned>(kObject);
  }
  return kinds == 0;
}

void SchemaView::charge(const TextDfa& made, const Value& schema) {
  text_states_ += made.states.size() + 8;
  if (text_states_ > kMaxAllTextStates)
    fail(schema, "", "found patterns and lengths that make too big automata together",
         "use fewer or simpler patterns");
}

const TextDfa* SchemaView::pattern(const Value& text, const Value& schema) {
  const auto known = patterns_.find(text.as_string());
  if (known != patterns_.end()) return &known->second;
  auto made = text_matching(text.as_string());
  if (!made.ok()) {
    if (!failed_) {
      fail(schema, "", "found '" + text.as_string() + "': " + made.error().message,
           "use a simpler pattern");
    }
    return nullptr;
  }
  charge(*made, schema);
  return &patterns_.emplace(text.as_string(), *std::move(made)).first->second;
}

std::optional<TextDfa> SchemaView::text(const Demands& d, const Value& schema) {
  TextDfa out = any_text();
  const auto meet = [&](const TextDfa& with) {
    auto made = both(out, with);
    if (!made) {
      fail(schema, "", "found patterns and lengths that make too big an automaton together",
           "bound the length inside the pattern, or leave one of them out");
      return false;
    }
    charge(*made, schema);
    out = minimal(*made);
    return !failed_;
  };
  for (const auto* p : d.patterns) {
    const auto* dfa = pattern(*p, *p);
    if (dfa == nullptr || !meet(*dfa)) return std::nullopt;
  }
  if (d.date && !meet(date_text())) return std::nullopt;
  if (d.date_time && !meet(date_time_text())) return std::nullopt;
  if (d.max_length && *d.max_length < d.min_length) return TextDfa{};
  if (d.min_length > kMaxPatternLength) {
    fail(schema, "minLength",
         "found more characters than a pattern can be kept for, wanted at most " +
             std::to_string(kMaxPatternLength));
    return std::nullopt;
  }
  if (d.min_length > 0 || d.max_length) {  // fewer than what is allowed where that is many
    auto max = d.max_length;
    if (max) max = std::min(*max, d.min_length + kMaxPatternLength);
    if (!meet(text_of_length(d.min_length, max))) return std::nullopt;
  }
  return out;
}

}  // namespace seedbed::engine::grammar
