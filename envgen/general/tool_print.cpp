// A tool's form printed: description, input schema, program.
#include <algorithm>
#include <set>

#include "base/text.h"
#include "envgen/general/surface.h"

namespace seedbed::envgen {
namespace {

using schemas::ProgramStep;
using schemas::Value;

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

ProgramStep let(const std::string& name, const std::string& sql) {
  ProgramStep s;
  s.let = name;
  s.sql = sql;
  return s;
}
ProgramStep require(const std::string& sql, const std::string& code, const std::string& message) {
  ProgramStep s;
  s.require = sql;
  s.code = code;
  s.message = message;
  return s;
}

struct ToolPrinter {
  const Lowered& l;
  const ToolForm& form;
  SqlPrinter sql;
  std::vector<ProgramStep> steps;

  [[nodiscard]] const ConceptSkin& skin(int c) const { return l.skin.concepts[at(c)]; }
  [[nodiscard]] std::string code(const std::string& c) const { return error_code(l.surface, c); }
  Value input() const;
  Value property(const ToolParam& p) const;
  std::string place_in_sentence(const ToolParam& p) const;
  std::string entity(
      const ToolParam& p);  // resolves and requires; gives the SQL expression of the id
  std::string columns(int concept_id,
                      const std::vector<int>& shown,
                      const std::string& alias) const;
  void transition();
  void reaction(const Reaction& r, std::size_t index, const std::vector<std::string>& args);
  std::string result();
  std::string description() const;
};

// Two parameters of one kind are told apart by where they stand in the operation's sentence.
std::string ToolPrinter::place_in_sentence(const ToolParam& p) const {
  if (form.kind != ToolForm::Kind::transition) return "";
  const auto twins = std::count_if(form.params.begin(), form.params.end(), [&](const ToolParam& o) {
    return o.domain.type == Type::ref && o.domain.target == p.domain.target;
  });
  if (twins < 2) return "";
  const Transition& t = l.world->transitions[at(form.transition)];
  std::string sentence = l.skin.says[at(form.transition)][0];
  for (std::size_t i = 0; i < t.params.size(); ++i)
    sentence = replace_all(sentence, "{" + t.params[i].name + "}",
                           static_cast<int>(i) == p.index ? "THIS" : "...");
  return ": THIS in '" + sentence + "'";
}

Value ToolPrinter::property(const ToolParam& p) const {
  Value v = Value::object();
  switch (p.domain.type) {
    case Type::ref: {
      const bool text = p.by_name || l.layout.ids[at(p.domain.target)] == IdStyle::code;
      v.set("type", text ? "string" : "integer");
      const std::string what =
          (p.by_name ? "name of the " : "id of the ") + skin(p.domain.target).singular;
      const std::string place = place_in_sentence(p);
      if (!form.bare || !place.empty()) v.set("description", what + place);
      break;
    }
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
      if (p.domain.type == Type::cents && !form.bare) v.set("description", "in cents");
  }
  return v;
}

Value ToolPrinter::input() const {
  Value properties = Value::object(), required = Value::array();
  const bool list = form.kind == ToolForm::Kind::list;
  for (const auto& p : form.params) {
    properties.set(p.name, property(p));
    if (!list) required.push(p.name);
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

std::string ToolPrinter::entity(const ToolParam& p) {
  const ConceptSkin& s = skin(p.domain.target);
  if (!p.by_name) {
    steps.push_back(require("SELECT 1 FROM " + s.view + " WHERE id = :" + p.name, code("not_found"),
                            "no " + s.singular + " {" + p.name + "}"));
    return ":" + p.name;
  }
  const std::string where = " FROM " + s.view + " WHERE name = :" + p.name;
  steps.push_back(require("SELECT 1" + where, code("not_found"),
                          "no " + s.singular + " is called {" + p.name + "}"));
  steps.push_back(require("SELECT 1 WHERE (SELECT COUNT(*)" + where + ") = 1",
                          code("ambiguous_name"),
                          "more than one " + s.singular + " is called {" + p.name + "}"));
  steps.push_back(let("id_of_" + p.name, "SELECT id" + where));
  return ":id_of_" + p.name;
}

std::string ToolPrinter::columns(int c,
                                 const std::vector<int>& shown,
                                 const std::string& alias) const {
  std::string out = alias + ".id AS id";
  for (const int a : shown) {
    const std::string& column = skin(c).columns[at(a)];
    out += ", " + alias + "." + column;
    const Domain& d = l.world->concepts[at(c)].attrs[at(a)].domain;
    if (l.surface.expand && d.type == Type::ref && l.world->concepts[at(d.target)].named()) {
      std::string base = column;
      if (base.size() > 3 && base.compare(base.size() - 3, 3, "_id") == 0)
        base.resize(base.size() - 3);
      out += ", (SELECT name FROM " + skin(d.target).view + " WHERE id = " + alias + "." + column +
             ") AS " + base + "_name";
    }
  }
  return out;
}

void ToolPrinter::reaction(const Reaction& r,
                           std::size_t index,
                           const std::vector<std::string>& args) {
  const Transition& t = l.world->reactions[at(r.transition)];
  const std::string tag = "r" + std::to_string(index) + "_";
  SqlNames names;
  names.params = args;
  for (const auto& [name, term] : t.lets) {
    steps.push_back(let(tag + name, "SELECT " + sql.term(*term, names)));
    names.params.push_back(":" + tag + name);
  }
  std::string fires;
  for (std::size_t p = 0; p < t.params.size(); ++p)
    fires += (fires.empty() ? "" : " AND ") + args[p] + " IS NOT NULL";
  for (const auto& g : t.guards) fires += (fires.empty() ? "" : " AND ") + sql.term(*g.term, names);
  if (fires.empty()) fires = "1";
  steps.push_back(let(tag + "fires", "SELECT " + fires));
  for (const auto& e : t.effects) sql.effect(e, names, tag + "fires", steps);
}

void ToolPrinter::transition() {
  const Transition& t = l.world->transitions[at(form.transition)];
  SqlNames names;
  names.params.resize(t.params.size());
  for (const auto& p : form.params)
    names.params[at(p.index)] = p.domain.type == Type::ref ? entity(p) : ":" + p.name;
  for (const auto& [name, term] : t.lets) {
    steps.push_back(let("l_" + name, "SELECT " + sql.term(*term, names)));
    names.params.push_back(":l_" + name);
  }
  const std::string doing = replace_all(t.symbol.substr(t.symbol.find('.') + 1), "_", " ");
  for (const auto& g : t.guards)
    steps.push_back(require("SELECT 1 WHERE " + sql.term(*g.term, names), code(g.code),
                            "cannot " + doing + ": " + replace_all(g.code, "_", " ")));
  std::vector<std::vector<std::string>> event_args;
  for (std::size_t r = 0; r < t.reactions.size(); ++r) {
    event_args.emplace_back();
    for (std::size_t i = 0; i < t.reactions[r].args.size(); ++i) {
      const std::string name = "e" + std::to_string(r) + "_" + std::to_string(i);
      steps.push_back(let(name, "SELECT " + sql.term(*t.reactions[r].args[i], names)));
      event_args.back().push_back(":" + name);
    }
  }
  if (form.makes) steps.push_back(let("new_id", sql.next_id(form.concept_id)));
  for (const auto& e : t.effects) sql.effect(e, names, "", steps);
  for (std::size_t r = 0; r < t.reactions.size(); ++r) reaction(t.reactions[r], r, event_args[r]);
}

std::string ToolPrinter::result() {
  const int c = form.concept_id;
  switch (form.kind) {
    case ToolForm::Kind::transition: {
      transition();
      std::vector<int> all;
      for (int a = 0; a < static_cast<int>(l.world->concepts[at(c)].attrs.size()); ++a)
        all.push_back(a);
      std::string id = ":new_id";
      if (!form.makes)
        for (const auto& p : form.params)
          if (p.index == form.result_param) id = (p.by_name ? ":id_of_" : ":") + p.name;
      return "SELECT " + columns(c, all, "r") + " FROM " + skin(c).view + " r WHERE r.id = " + id;
    }
    case ToolForm::Kind::get:
    case ToolForm::Kind::find: {
      std::string where;
      if (form.kind == ToolForm::Kind::get)
        where = "r.id = " + entity(form.params[0]);
      else {
        steps.push_back(require("SELECT 1 FROM " + skin(c).view + " WHERE name = :name",
                                code("not_found"), "no " + skin(c).singular + " is called {name}"));
        where = "r.name = :name";
      }
      std::string out = columns(c, form.shown, "r");
      for (std::size_t i = 0; i < form.derived.size(); ++i) {
        SqlNames names;
        names.aliases[0] = "r";
        out += ", " + sql.term(*l.world->derived[at(form.derived[i])].term, names) + " AS " +
               form.derived_columns[i];
      }
      return "SELECT " + out + " FROM " + skin(c).view + " r WHERE " + where + " ORDER BY r.id";
    }
    case ToolForm::Kind::list: {
      std::string where = "1";
      for (const auto& p : form.params) {
        const std::string& column = skin(c).columns[at(p.index)];
        where += " AND (:" + p.name + " IS NULL OR r." + column + " = :" + p.name + ")";
      }
      return "SELECT " + columns(c, form.shown, "r") + " FROM " + skin(c).view + " r WHERE " +
             where + " ORDER BY r.id" +
             (form.page_size > 0 ? " LIMIT :page_limit OFFSET :page_offset" : "");
    }
    case ToolForm::Kind::recent:
      return "SELECT " + columns(c, form.shown, "r") + " FROM " + skin(c).view +
             " r ORDER BY r.id DESC LIMIT 3";
  }
  return "";
}

std::string ToolPrinter::description() const {
  if (form.bare) return capitalised(replace_all(form.name, "_", " ")) + ".";
  const int c = form.concept_id;
  switch (form.kind) {
    case ToolForm::Kind::get:
      return "Shows " + with_article(skin(c).singular) + " by its id.";
    case ToolForm::Kind::find:
      return "Finds " + with_article(skin(c).singular) + " by its exact name.";
    case ToolForm::Kind::recent:
      return "The three " + skin(c).plural + " with the highest ids.";
    case ToolForm::Kind::list:
      return "Lists " + skin(c).plural + " ordered by id" +
             (form.params.empty() ? "" : ", optionally filtered") +
             (form.page_size > 0
                  ? "; " + std::to_string(form.page_size) + " a page, next_offset leads on"
                  : "") +
             (l.surface.projected[at(c)] ? "; shows only part of each record." : ".");
    case ToolForm::Kind::transition:
      break;
  }
  const Transition& t = l.world->transitions[at(form.transition)];
  std::string text = l.skin.says[at(form.transition)][0];
  for (const auto& p : t.params) {
    std::string noun = p.domain.type == Type::ref     ? with_article(skin(p.domain.target).singular)
                       : p.domain.type == Type::cents ? "an amount"
                       : p.domain.type == Type::word  ? "given"
                                                      : "a number of";
    text = replace_all(text, "{" + p.name + "}", noun);
  }
  return capitalised(text) + ".";
}

}  // namespace

schemas::Tool print_tool(const Lowered& l, const ToolForm& form) {
  ToolPrinter printer{l, form, l.printer(), {}};
  schemas::Tool tool;
  tool.name = form.name;
  tool.description = printer.description();
  tool.input = printer.input();
  tool.program.result = printer.result();
  tool.program.steps = std::move(printer.steps);
  tool.program.shape = form.kind == ToolForm::Kind::get || form.kind == ToolForm::Kind::transition
                           ? schemas::Shape::object
                           : schemas::Shape::rows;
  if (form.page_size > 0) tool.program.page_size = form.page_size;
  return tool;
}

}  // namespace seedbed::envgen
