// Whether a value of an enum meets the other schemas that apply to it.
#include <algorithm>

#include "engine/grammar/schema_view.h"
#include "schemas/json_schema_node.h"

namespace seedbed::engine::grammar {

using schemas::Value;

namespace {
constexpr std::int64_t kMaxWork = 300'000;
}

bool SchemaView::holds(const Goal& goal, const Value& value) {
  return std::all_of(goal.begin(), goal.end(),
                     [&](const Value* s) { return holds_one(*s, value); });
}

bool SchemaView::finds(const Value& pattern, const std::string& text) {
  const auto compiled = schemas::Pattern::compile(pattern.as_string());
  return compiled.ok() && compiled->search(text) == schemas::Pattern::Found::yes;
}

bool SchemaView::holds_one(const Value& schema, const Value& value) {
  if (schema.is_bool()) return schema.as_bool();
  if (!schema.is_object() || !supported(schema)) return false;
  if (++work_ > kMaxWork) {
    fail(schema, "", "found a schema that takes too long to check its constants against");
    return false;
  }
  const Goal alone{&schema};
  const auto d = demands(alone);
  if ((d.kinds & kind_of(value)) == 0) return false;
  if (const auto* one = schema.find("const"); one != nullptr && *one != value) return false;
  if (const auto* list = schema.find("enum"))
    if (std::find(list->items().begin(), list->items().end(), value) == list->items().end())
      return false;
  if (value.is_number()) {
    const auto order = [&](const std::optional<Value>& bound) {
      return schemas::compare_numbers(value, *bound);
    };
    const auto& n = d.numbers;
    if ((n.min && order(n.min) < 0) || (n.max && order(n.max) > 0) ||
        (n.above && order(n.above) <= 0) || (n.below && order(n.below) >= 0))
      return false;
    for (const auto& m : n.multiples)
      if (!schemas::is_multiple(value, m)) return false;
  }
  if (value.is_string()) {
    const auto length = schemas::code_points(value.as_string());
    if (length < d.min_length || (d.max_length && length > *d.max_length) ||
        (d.date && !schemas::is_date(value.as_string())) ||
        (d.date_time && !schemas::is_date_time(value.as_string())))
      return false;
    for (const auto* p : d.patterns)
      if (!finds(*p, value.as_string())) return false;
  }
  if (value.is_array() && !holds_array(schema, value)) return false;
  if (value.is_object() && !holds_object(schema, value)) return false;
  if (const auto* to = target(schema); to != nullptr && !holds_one(*to, value)) return false;
  const auto& all = keyword(schema, "allOf");
  const auto& any = keyword(schema, "anyOf");
  const auto& one = keyword(schema, "oneOf");
  const auto fits = [&](const Value& s) { return holds_one(s, value); };
  return (!all.is_array() || std::all_of(all.items().begin(), all.items().end(), fits)) &&
         (!any.is_array() || std::any_of(any.items().begin(), any.items().end(), fits)) &&
         (!one.is_array() || std::count_if(one.items().begin(), one.items().end(), fits) == 1);
}

bool SchemaView::holds_array(const Value& schema, const Value& value) {
  const auto d = demands({&schema});
  const auto& items = value.items();
  if (items.size() < d.min_items || (d.max_items && items.size() > *d.max_items)) return false;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (!holds(item(d, i), items[i])) return false;
    for (std::size_t j = 0; j < i && d.unique; ++j)
      if (++work_ > kMaxWork || items[i] == items[j]) return false;
  }
  return true;
}

bool SchemaView::holds_object(const Value& schema, const Value& value) {
  const auto d = demands({&schema});
  const auto& members = value.members();
  if (members.size() < d.min_properties || (d.max_properties && members.size() > *d.max_properties))
    return false;
  for (const auto& name : d.required)
    if (value.find(name) == nullptr) return false;
  for (const auto& [name, item] : members)
    if (!holds(d.names, Value(name)) || !holds(member(d, name), item)) return false;
  return true;
}

}  // namespace seedbed::engine::grammar
