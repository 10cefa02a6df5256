// Runs a compiled schema over a value. On success nothing is allocated: places are frames on the
// stack, and words are made only for a violation that is kept.
//
// Bounded whatever schema and value are: depth of the value, steps in all (a diamond of references
// costs 2^n), backtracking of patterns. What hits a bound is invalid, under `not` too.
#include "schemas/json_schema.h"

#include <algorithm>
#include <functional>

#include "base/text.h"
#include "schemas/json_schema_node.h"

namespace seedbed::schemas {

namespace {

using Node = JsonSchema::Node;
using Kind = Value::Kind;

constexpr int kMaxInstanceDepth = 64;
constexpr std::int64_t kMaxSteps = 2'000'000;
constexpr std::size_t kShownBytes = 60;
constexpr std::size_t kShownChoices = 12;

std::string cut(std::string_view text) {
  if (text.size() <= kShownBytes) return std::string(text);
  std::size_t end = kShownBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80)
    --end;  // whole characters
  return std::string(text.substr(0, end)) + "...";
}

std::string shown(const Value& value) {
  if (value.is_string()) return dump(Value(cut(value.as_string())));
  if (value.is_array()) return "an array of " + std::to_string(value.items().size());
  if (value.is_object()) return "an object of " + std::to_string(value.members().size());
  return dump(value);
}

std::string pointer_of(const Path* path, bool escape) {
  std::vector<std::string> steps;
  for (; path != nullptr && path->up != nullptr; path = path->up) {
    if (path->key == nullptr)
      steps.push_back(std::to_string(path->index));
    else if (escape)
      steps.push_back(replace_all(replace_all(*path->key, "~", "~0"), "/", "~1"));
    else
      steps.push_back(cut(*path->key));
  }
  std::reverse(steps.begin(), steps.end());
  return join(steps, "/");
}

class Run {
 public:
  explicit Run(std::size_t max) : max_(std::max<std::size_t>(max, 1)) {}

  std::vector<Violation> root(const Node& node, const Value& value) {
    const Path path;
    check(node, value, path, true);
    if (fault_ != nullptr) {
      if (kept_.size() >= max_) kept_.resize(max_ - 1);
      kept_.push_back({"", fault_});
    }
    return std::move(kept_);
  }

 private:
  // Whether `value` is valid. `keep`: violations are recorded and the check goes on until there are
  // enough; otherwise it stops at the first.
  bool check(const Node& node, const Value& value, const Path& path, bool keep) {
    if (++steps_ > kMaxSteps) fault_ = "arguments: checking them against the schema takes too long";
    if (path.depth > kMaxInstanceDepth) fault_ = "arguments: nested too deep";
    if (fault_ != nullptr) return false;
    if (node.nothing)
      return no(path, keep, [&] { return " = " + shown(value) + ", nothing is allowed here"; });
    if (!type(node, value))
      return no(path, keep,
                [&] { return " = " + shown(value) + ", must be " + types_in_words(node); });
    bool ok = generic(node, value, path, keep);
    if (stop(ok, keep)) return false;
    switch (value.kind()) {
      case Kind::integer:
      case Kind::number:
        ok &= number(node, value, path, keep);
        break;
      case Kind::string:
        ok &= string(node, value.as_string(), path, keep);
        break;
      case Kind::array:
        ok &= array(node, value.items(), path, keep);
        break;
      case Kind::object:
        ok &= object(node, value, path, keep);
        break;
      default:
        break;
    }
    if (node.in_place && !stop(ok, keep)) ok &= in_place(node, value, path, keep);
    return ok;
  }

  [[nodiscard]] bool stop(bool ok, bool keep) const {
    return fault_ != nullptr || (!ok && (!keep || kept_.size() >= max_));
  }

  // Records a violation at `path` (words: what follows its name); always false.
  template <class Words>
  bool no(const Path& path, bool keep, Words&& words) {
    if (!keep || kept_.size() >= max_) return false;
    std::string name = pointer_of(&path, false);
    name = name.empty() ? "arguments" : "argument '" + name + "'";
    std::string pointer = pointer_of(&path, true);
    if (path.up != nullptr) pointer.insert(0, "/");
    kept_.push_back({std::move(pointer), name + words()});
    return false;
  }

  static bool type(const Node& node, const Value& value) {
    if (node.types == 0) return true;
    const auto bit = 1U << static_cast<unsigned>(value.kind());
    if ((node.types & bit) != 0) return true;
    return node.whole_numbers && value.kind() == Kind::number && is_multiple(value, Value(1));
  }

  static std::string types_in_words(const Node& node) {
    std::vector<std::string> names;
    for (unsigned k = 0; k < 7; ++k) {
      if ((node.types & 1U << k) == 0) continue;
      if (static_cast<Kind>(k) == Kind::integer && !node.whole_numbers)
        continue;  // `number` says it
      names.emplace_back(kind_name(static_cast<Kind>(k)));
    }
    return (names.size() > 1 ? "one of: " : "of type ") + join(names, ", ");
  }

  bool generic(const Node& node, const Value& value, const Path& path, bool keep) {
    bool ok = true;
    if (node.choices) {
      const auto& choices = *node.choices;
      steps_ += static_cast<std::int64_t>(choices.size() / 16);
      if (std::find(choices.begin(), choices.end(), value) == choices.end())
        ok = no(path, keep, [&] {
          return " = " + shown(value) + ", must be " + choices_in_words(choices, value);
        });
    }
    if (node.constant && *node.constant != value && !stop(ok, keep))
      ok = no(path, keep,
              [&] { return " = " + shown(value) + ", must be " + shown(*node.constant); });
    return ok;
  }

  static std::string choices_in_words(const std::vector<Value>& choices, const Value& value) {
    std::vector<std::string> names, words;
    for (const auto& c : choices) {
      if (names.size() < kShownChoices) names.push_back(shown(c));
      if (c.is_string() && words.size() < 200) words.push_back(cut(c.as_string()));
    }
    std::string out = "one of " + join(names, ", ");
    if (names.size() < choices.size())
      out += " and " + std::to_string(choices.size() - names.size()) + " more";
    if (!value.is_string()) return out;
    const auto near = nearest(cut(value.as_string()), words);
    return near.empty() ? out : out + "; did you mean " + dump(Value(near)) + "?";
  }

  bool number(const Node& node, const Value& value, const Path& path, bool keep) {
    bool ok = true;
    const auto bound = [&](const std::optional<Value>& limit, const char* sign, auto&& holds) {
      if (!limit || stop(ok, keep) || holds(compare_numbers(value, *limit))) return;
      ok = no(path, keep,
              [&] { return " = " + shown(value) + ", must be " + sign + " " + shown(*limit); });
    };
    bound(node.minimum, ">=", [](int c) { return c >= 0; });
    bound(node.above, ">", [](int c) { return c > 0; });
    bound(node.maximum, "<=", [](int c) { return c <= 0; });
    bound(node.below, "<", [](int c) { return c < 0; });
    if (node.multiple_of && !stop(ok, keep) && !is_multiple(value, *node.multiple_of))
      ok = no(path, keep, [&] {
        return " = " + shown(value) + ", must be a multiple of " + shown(*node.multiple_of);
      });
    return ok;
  }

  // A count against its two bounds; `of` names what is counted.
  bool counted(std::size_t n,
               const std::optional<std::size_t>& least,
               const std::optional<std::size_t>& most,
               const char* of,
               const Path& path,
               bool keep) {
    bool ok = true;
    if (least && n < *least)
      ok = no(path, keep, [&] {
        return " has " + std::to_string(n) + of + ", must have at least " + std::to_string(*least);
      });
    if (most && n > *most && !stop(ok, keep))
      ok = no(path, keep, [&] {
        return " has " + std::to_string(n) + of + ", must have at most " + std::to_string(*most);
      });
    return ok;
  }

  bool matches(const Pattern& pattern, const std::string& text) {
    const auto found = pattern.search(text);
    if (found == Pattern::Found::too_costly)
      fault_ = "arguments: matching a pattern of the schema takes too long";
    return found == Pattern::Found::yes;
  }

  bool string(const Node& node, const std::string& text, const Path& path, bool keep) {
    bool ok = true;
    if (node.min_length || node.max_length)
      ok = counted(code_points(text), node.min_length, node.max_length, " characters", path, keep);
    if (node.pattern && !stop(ok, keep) && !matches(*node.pattern, text))
      ok = no(path, keep,
              [&] { return " = " + shown(text) + ", must match " + node.pattern->text(); });
    if (node.format == Format::none || stop(ok, keep)) return ok;
    if (node.format == Format::date && !is_date(text))
      ok = no(path, keep, [&] { return " = " + shown(text) + ", must be a date as 2031-03-05"; });
    if (node.format == Format::date_time && !is_date_time(text))
      ok = no(path, keep, [&] {
        return " = " + shown(text) + ", must be a date-time as 2031-03-05T14:30:00Z";
      });
    return ok;
  }

  bool array(const Node& node, const Value::Array& items, const Path& path, bool keep) {
    bool ok = counted(items.size(), node.min_items, node.max_items, " items", path, keep);
    if (node.unique_items && !stop(ok, keep)) {
      if (const auto [a, b] = equal_pair(items); b > 0)
        ok = no(path, keep, [&, first = a, second = b] {
          return " has the same item at " + std::to_string(first) + " and " +
                 std::to_string(second) + ", must have each once";
        });
    }
    const std::size_t prefix = node.prefix_items.size();
    for (std::size_t i = 0; i < items.size() && !stop(ok, keep); ++i) {
      const Node* one = i < prefix ? node.prefix_items[i] : node.items;
      if (one == nullptr) break;
      ok &= check(*one, items[i], {&path, nullptr, i, path.depth + 1}, keep);
    }
    if (node.contains == nullptr || stop(ok, keep)) return ok;
    std::size_t found = 0;
    for (std::size_t i = 0; i < items.size() && fault_ == nullptr; ++i)
      found +=
          check(*node.contains, items[i], {&path, nullptr, i, path.depth + 1}, false) ? 1U : 0U;
    return counted(found, node.min_contains, node.max_contains, " items of the form wanted", path,
                   keep) &&
           ok;
  }

  // Order-blind and blind to 1 against 1.0, as equality is.
  static std::uint64_t hash(const Value& value) {
    const auto mix = [](std::uint64_t h, std::uint64_t x) {
      return (h ^ x) * 0x9e3779b97f4a7c15ULL + (h >> 29);
    };
    const std::hash<std::string_view> of_text;
    std::uint64_t h = static_cast<std::uint64_t>(value.kind());
    switch (value.kind()) {
      case Kind::boolean:
        return mix(h, value.as_bool() ? 1 : 0);
      case Kind::integer:
      case Kind::number:
        return mix(11, std::hash<double>()(value.as_double()));
      case Kind::string:
        return mix(h, of_text(value.as_string()));
      case Kind::array:
        for (const auto& item : value.items()) h = mix(h, hash(item));
        return h;
      case Kind::object:
        for (const auto& [key, member] : value.members()) h += mix(of_text(key), hash(member));
        return h;
      default:
        return h;
    }
  }

  // Indices of two equal items, or (0, 0).
  std::pair<std::size_t, std::size_t> equal_pair(const Value::Array& items) {
    if (items.size() <= 16) {
      for (std::size_t b = 1; b < items.size(); ++b)
        for (std::size_t a = 0; a < b; ++a)
          if (items[a] == items[b]) return {a, b};
      return {0, 0};
    }
    std::vector<std::pair<std::uint64_t, std::size_t>> order;
    order.reserve(items.size());
    for (std::size_t i = 0; i < items.size(); ++i) order.emplace_back(hash(items[i]), i);
    std::sort(order.begin(), order.end());
    for (std::size_t b = 1; b < order.size(); ++b)
      for (std::size_t a = b; a-- > 0 && order[a].first == order[b].first;) {
        if (++steps_ > kMaxSteps) return {0, 0};  // check() turns it into a fault
        if (items[order[a].second] == items[order[b].second])
          return {order[a].second, order[b].second};
      }
    return {0, 0};
  }

  static const Value* member(const Value::Object& members, std::string_view name) {
    for (const auto& [key, value] : members)
      if (key == name) return &value;
    return nullptr;
  }

  static const Node* property(const Node& node, const std::string& key) {
    const auto& list = node.properties;
    if (list.size() <= 8) {
      for (const auto& p : list)
        if (p.name == key) return p.schema;
      return nullptr;
    }
    const auto at =
        std::lower_bound(list.begin(), list.end(), key,
                         [](const auto& p, const std::string& k) { return p.name < k; });
    return at != list.end() && at->name == key ? at->schema : nullptr;
  }

  bool object(const Node& node, const Value& value, const Path& path, bool keep) {
    const auto& members = value.members();
    bool ok =
        counted(members.size(), node.min_properties, node.max_properties, " members", path, keep);
    if (!stop(ok, keep)) ok &= required(node.required, members, path, keep);
    if (!node.properties.empty() || node.additional != nullptr ||
        !node.pattern_properties.empty() || node.property_names != nullptr)
      for (const auto& [key, item] : members) {
        if (stop(ok, keep)) return false;
        ok &= one_member(node, key, item, path, keep);
      }
    for (const auto& d : node.dependencies) {
      if (stop(ok, keep)) return false;
      if (member(members, d.name) == nullptr) continue;
      ok &= required(d.required, members, path, keep);
      if (d.schema != nullptr && !stop(ok, keep)) ok &= check(*d.schema, value, path, keep);
    }
    return ok;
  }

  bool required(const std::vector<std::string>& names,
                const Value::Object& members,
                const Path& path,
                bool keep) {
    bool ok = true;
    for (const auto& name : names) {
      if (stop(ok, keep)) return false;
      steps_ += static_cast<std::int64_t>(members.size() / 64);
      if (member(members, name) != nullptr) continue;
      const Path missing{&path, &name, 0, path.depth + 1};
      ok = no(missing, keep, [] { return std::string(" is missing, must be given"); });
    }
    return ok;
  }

  bool one_member(
      const Node& node, const std::string& key, const Value& value, const Path& path, bool keep) {
    const Path here{&path, &key, 0, path.depth + 1};
    bool ok = true;
    if (node.property_names != nullptr && !check(*node.property_names, Value(key), here, false))
      ok = no(here, keep, [] { return std::string(" has a name that the schema does not allow"); });
    bool known = false;
    if (const Node* own = property(node, key)) {
      known = true;
      ok &= check(*own, value, here, keep);
    }
    for (const auto& [pattern, schema] : node.pattern_properties) {
      if (stop(ok, keep)) return false;
      if (!matches(pattern, key)) continue;
      known = true;
      ok &= check(*schema, value, here, keep);
    }
    if (known || node.additional == nullptr || stop(ok, keep)) return ok;
    if (!node.additional->nothing) return check(*node.additional, value, here, keep) && ok;
    return no(here, keep, [&] {
      std::vector<std::string> names;
      for (const auto& p : node.properties) names.push_back(p.name);
      const auto near = nearest(cut(key), names);
      if (!near.empty()) return " is unknown; did you mean '" + near + "'?";
      return names.empty() ? std::string(" is unknown; no arguments are taken here")
                           : " is unknown; known are " + cut_list(names);
    });
  }

  static std::string cut_list(std::vector<std::string> names) {
    const auto all = names.size();
    if (all > kShownChoices) names.resize(kShownChoices);
    return join(names, ", ") + (all > kShownChoices ? ", ..." : "");
  }

  bool in_place(const Node& node, const Value& value, const Path& path, bool keep) {
    bool ok = true;
    if (node.ref != nullptr) ok = check(*node.ref, value, path, keep);
    for (const auto* one : node.all_of) {
      if (stop(ok, keep)) return false;
      ok &= check(*one, value, path, keep);
    }
    if (!node.any_of.empty() && !stop(ok, keep)) ok &= any_of(node, value, path, keep);
    if (!node.one_of.empty() && !stop(ok, keep)) {
      std::size_t fits = 0;
      for (const auto* one : node.one_of) fits += check(*one, value, path, false) ? 1U : 0U;
      if (fits != 1 && fault_ == nullptr)
        ok = no(path, keep, [&] {
          return " = " + shown(value) + " fits " + std::to_string(fits) + " of " +
                 std::to_string(node.one_of.size()) + " alternatives, must fit exactly one";
        });
    }
    if (node.none_of != nullptr && !stop(ok, keep) && check(*node.none_of, value, path, false))
      ok = no(path, keep, [&] { return " = " + shown(value) + " has the form that is excluded"; });
    if (node.condition != nullptr && !stop(ok, keep)) {
      const Node* then =
          check(*node.condition, value, path, false) ? node.then_schema : node.else_schema;
      if (then != nullptr && fault_ == nullptr) ok &= check(*then, value, path, keep);
    }
    return ok && fault_ == nullptr;
  }

  bool any_of(const Node& node, const Value& value, const Path& path, bool keep) {
    const Node* near = nullptr;  // the only alternative of the right type says best what is wrong
    std::size_t near_count = 0;
    for (const auto* one : node.any_of) {
      if (check(*one, value, path, false)) return true;
      if (fault_ != nullptr) return false;
      if (one->nothing || !type(*one, value)) continue;
      near = one;
      ++near_count;
    }
    if (keep && near_count == 1) return check(*near, value, path, true);
    return no(path, keep, [&] {
      return " = " + shown(value) + ", must fit one of " + std::to_string(node.any_of.size()) +
             " alternatives";
    });
  }

  std::size_t max_;
  std::vector<Violation> kept_;
  std::int64_t steps_ = 0;
  const char* fault_ = nullptr;
};

}  // namespace

std::vector<Violation> JsonSchema::validate(const Value& instance, std::size_t max) const {
  return Run(max).root(*root_, instance);
}

}  // namespace seedbed::schemas
