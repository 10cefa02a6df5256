#include "envgen/general/tool_describe.h"

#include <algorithm>

#include "base/text.h"
#include "envgen/general/tool_args.h"

namespace seedbed::envgen {
namespace {

using schemas::Value;
using Money = ToolParam::Money;

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

struct Describer {
  const Lowered& l;
  const ToolForm& form;

  [[nodiscard]] const ConceptSkin& skin(int c) const { return l.skin.concepts[at(c)]; }
  [[nodiscard]] const std::string& sentence() const { return l.skin.says[at(form.transition)][0]; }
  [[nodiscard]] std::string place_in_sentence(const ToolParam& p) const;
  [[nodiscard]] Value reference(const ToolParam& p) const;
  [[nodiscard]] Value plain(const ToolParam& p) const;
  void add(const ToolParam& p, Value& properties) const;
  [[nodiscard]] std::string operation() const;
  [[nodiscard]] std::string filters() const;
  [[nodiscard]] std::string query() const;
  [[nodiscard]] std::string text() const;
};

// Two parameters of one kind are told apart by where they stand in the operation's sentence.
std::string Describer::place_in_sentence(const ToolParam& p) const {
  if (form.kind != ToolForm::Kind::transition) return "";
  const auto twins = std::count_if(form.params.begin(), form.params.end(), [&](const ToolParam& o) {
    return o.domain.type == Type::ref && o.domain.target == p.domain.target;
  });
  if (twins < 2) return "";
  const Transition& t = l.world->transitions[at(form.transition)];
  std::string text = sentence();
  for (std::size_t i = 0; i < t.params.size(); ++i)
    text = replace_all(text, "{" + t.params[i].name + "}",
                       static_cast<int>(i) == p.index ? "THIS" : "...");
  return ": THIS in '" + text + "'";
}

Value Describer::reference(const ToolParam& p) const {
  const bool text = p.by_name || l.layout.ids[at(p.domain.target)] == IdStyle::code;
  const std::string what = p.by_part ? "name of the " + skin(p.domain.target).singular +
                                           ", or a part of it that no other name has"
                           : p.by_name ? "name of the " + skin(p.domain.target).singular
                                       : "id of the " + skin(p.domain.target).singular;
  const std::string place = place_in_sentence(p);
  Value one = Value::object();
  one.set("type", text ? "string" : "integer");
  if (!form.batch) {
    if (!form.bare || !place.empty()) one.set("description", what + place);
    return one;
  }
  Value many = Value::object();
  many.set("type", "array")
      .set("items", std::move(one))
      .set("minItems", 1)
      .set("maxItems", kBatchMost)
      .set("description", "ids of the " + skin(p.domain.target).plural);
  return many;
}

Value Describer::plain(const ToolParam& p) const {
  Value v = Value::object();
  switch (p.domain.type) {
    case Type::word: {
      Value words = Value::array();
      for (const auto& w : l.skin.words[at(p.domain.words)]) words.push(w);
      v.set("type", "string").set("enum", std::move(words));
      break;
    }
    case Type::date:
      v.set("type", "string").set("format", "date");
      break;
    case Type::text:
      v.set("type", "string").set("minLength", 1).set("maxLength", 120);
      break;
    default:
      v.set("type", "integer").set("minimum", p.domain.lo);
      if (p.domain.hi > p.domain.lo) v.set("maximum", p.domain.hi);
      if (p.domain.type == Type::cents && (!form.bare || l.surface.units))
        v.set("description", "in cents");
  }
  if (p.fallback != kNone) {
    v.set("default", l.renderer().value(p.domain, p.fallback));
    const std::string said =
        "if left out: " + (v.find("default")->is_string() ? v.find("default")->as_string()
                                                          : std::to_string(p.fallback));
    const Value* known = v.find("description");
    v.set("description", known == nullptr ? said : known->as_string() + "; " + said);
  }
  return v;
}

void Describer::add(const ToolParam& p, Value& properties) const {
  if (p.domain.type == Type::ref) {
    properties.set(p.name, reference(p));
  } else if (p.money == Money::decimal) {
    Value v = Value::object();
    v.set("type", "string")
        .set("minLength", 4)
        .set("maxLength", 10)
        .set("description", "amount with two decimals: " + decimal_text(1250) + " is 1250 cents");
    properties.set(p.name, std::move(v));
  } else if (p.money == Money::pair) {
    Value whole = Value::object(), rest = Value::object();
    whole.set("type", "integer")
        .set("minimum", 0)
        .set("maximum", 99'999)
        .set("description", "the amount's whole units, of 100 cents each");
    rest.set("type", "integer")
        .set("minimum", 0)
        .set("maximum", 99)
        .set("description", "and its cents beyond them");
    properties.set(p.name + "_whole", std::move(whole)).set(p.name + "_cents", std::move(rest));
  } else {
    properties.set(p.name, plain(p));
  }
}

// The operation as a clause: "cancel a booking".
std::string Describer::operation() const {
  const Transition& t = l.world->transitions[at(form.transition)];
  std::string text = sentence();
  for (const auto& p : t.params) {
    std::string noun = p.domain.type == Type::ref     ? with_article(skin(p.domain.target).singular)
                       : p.domain.type == Type::cents ? "an amount"
                       : p.domain.type == Type::word  ? "given"
                                                      : "a number of";
    if (form.batch) noun = skin(p.domain.target).plural;
    text = replace_all(text, "{" + p.name + "}", noun);
  }
  return text;
}

std::string Describer::filters() const {
  return (form.params.empty() ? "" : ", optionally filtered") +
         (form.page_size > 0
              ? "; " + std::to_string(form.page_size) + " a page, next_offset leads on"
              : std::string()) +
         (l.surface.projected[at(form.concept_id)] ? "; shows only part of each record." : ".");
}

std::string Describer::query() const {
  const NamedRead& read = l.world->reads[at(form.read)];
  std::string said = l.skin.read_says[at(form.read)];
  for (const auto& p : read.params)
    said = replace_all(said, "{" + p.name + "}",
                       p.domain.type == Type::ref ? skin(p.domain.target).singular
                                                  : replace_all(p.name, "_", " "));
  while (!said.empty() && said.back() == '.') said.pop_back();
  return "Lists " + said + ", ordered by id" +
         (l.surface.projected[at(form.concept_id)] ? "; shows only part of each record." : ".");
}

std::string Describer::text() const {
  if (form.bare) return capitalised(replace_all(form.name, "_", " ")) + ".";
  const int c = form.concept_id;
  switch (form.kind) {
    case ToolForm::Kind::get:
      return "Shows " + with_article(skin(c).singular) + " by its id.";
    case ToolForm::Kind::find:
      return "Finds " + with_article(skin(c).singular) +
             (form.params[0].by_part ? " by its name or a part of it." : " by its exact name.");
    case ToolForm::Kind::recent:
      return "The three " + skin(c).plural + " with the highest ids.";
    case ToolForm::Kind::list:
      return "Lists " + skin(c).plural + " ordered by id" + filters();
    case ToolForm::Kind::query:
      return query();
    case ToolForm::Kind::transition:
      break;
  }
  return capitalised(operation()) + ".";
}

}  // namespace

// What changes how a call must be made or read is said even where the rest is dropped.
std::string description_of(const Lowered& l, const std::vector<const ToolForm*>& forms) {
  const ToolForm& form = *forms[0];
  std::string out;
  if (forms.size() > 1) {
    for (const ToolForm* f : forms)
      out += (out.empty() ? "" : "; ") + f->action + ": " + Describer{l, *f}.operation();
    out = "By action: " + out + ".";
  } else {
    out = Describer{l, form}.text();
  }
  if (form.batch)
    out += " Up to " + std::to_string(kBatchMost) + " in one call: all of them or none.";
  if (form.busy_every > 0)
    out += " It is busy now and then: " + busy_column(l, form.concept_id) +
           " says so, and the call has to be made again.";
  if (form.concept_id >= 0 && l.surface.decimal[at(form.concept_id)] &&
      std::any_of(form.shown.begin(), form.shown.end(), [&](int a) {
        return l.world->concepts[at(form.concept_id)].attrs[at(a)].domain.type == Type::cents;
      }))
    out += " Amounts in its result have two decimals: " + decimal_text(1250) + " is 1250 cents.";
  return out;
}

Value input_of(const Lowered& l, const std::vector<const ToolForm*>& forms) {
  const ToolForm& form = *forms[0];
  Value properties = Value::object(), required = Value::array();
  if (forms.size() > 1) {
    Value actions = Value::array(), action = Value::object();
    for (const ToolForm* f : forms) actions.push(f->action);
    action.set("type", "string").set("enum", std::move(actions));
    properties.set("action", std::move(action));
    required.push("action");
  }
  for (const ToolForm* f : forms)
    for (const auto& p : f->params) {
      const bool known = properties.find(argument_names(p)[0]) != nullptr;
      if (!known) Describer{l, *f}.add(p, properties);
      const bool always = std::all_of(forms.begin(), forms.end(), [&](const ToolForm* other) {
        return std::any_of(other->params.begin(), other->params.end(),
                           [&](const ToolParam& q) { return q.name == p.name; });
      });
      if (known || !always || p.fallback != kNone || form.kind == ToolForm::Kind::list) continue;
      for (const auto& name : argument_names(p)) required.push(name);
    }
  if (form.page_size > 0) {
    Value offset = Value::object();
    offset.set("type", "integer").set("minimum", 0).set("description", "rows to skip");
    properties.set("offset", std::move(offset));
  }
  Value out = Value::object();
  out.set("type", "object")
      .set("properties", std::move(properties))
      .set("required", std::move(required))
      .set("additionalProperties", false);
  return out;
}

std::string busy_column(const Lowered& l, int concept_id) {
  const auto& columns = l.skin.concepts[at(concept_id)].columns;
  std::string name = "status";
  while (std::find(columns.begin(), columns.end(), name) != columns.end()) name = "call_" + name;
  return name;
}

}  // namespace seedbed::envgen
