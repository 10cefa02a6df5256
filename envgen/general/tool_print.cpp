// A tool's forms printed: its program and its result. tool_describe.cpp prints what the agent
// reads.
#include <algorithm>

#include "base/text.h"
#include "envgen/general/tool_args.h"
#include "envgen/general/tool_describe.h"

namespace seedbed::envgen {
namespace {

using schemas::ProgramStep;

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

// One form's part of a program. `tag` goes before the names that it binds and `when` is the let
// that its steps hang on, where a tool has several parts.
struct FormPrinter {
  const Lowered& l;
  const ToolForm& form;
  SqlPrinter sql;
  std::vector<ProgramStep>& steps;
  std::string tag, when;

  [[nodiscard]] const ConceptSkin& skin(int c) const { return l.skin.concepts[at(c)]; }
  [[nodiscard]] std::string code(const std::string& c) const { return error_code(l.surface, c); }
  // Each returns the SQL expression of what it binds.
  std::string let(const std::string& name, const std::string& query) {
    ProgramStep s;
    s.let = tag + name;
    s.sql = query;
    put(std::move(s));
    return ":" + tag + name;
  }
  void require(const std::string& query, const std::string& error, const std::string& message) {
    ProgramStep s;
    s.require = query;
    s.code = code(error);
    s.message = message;
    put(std::move(s));
  }
  void put(ProgramStep s) {
    if (!when.empty() && !s.when) s.when = when;
    steps.push_back(std::move(s));
  }
  std::string entity(const ToolParam& p);
  std::string given(const ToolParam& p);
  [[nodiscard]] std::string columns(int concept_id,
                                    const std::vector<int>& shown,
                                    const std::string& alias) const;
  std::string transition(const std::string& batch_id);
  void reaction(const Reaction& r, std::size_t index, const std::vector<std::string>& args);
  [[nodiscard]] std::string rows(const std::string& where) const;
  std::string read();
};

// Resolves a reference and requires that it is there.
std::string FormPrinter::entity(const ToolParam& p) {
  const ConceptSkin& s = skin(p.domain.target);
  if (!p.by_name) {
    require("SELECT 1 FROM " + s.view + " WHERE id = :" + p.name, "not_found",
            "no " + s.singular + " {" + p.name + "}");
    return ":" + p.name;
  }
  const std::string where = named_where(l, p);
  require("SELECT 1" + where, "not_found", "no " + s.singular + " is called {" + p.name + "}");
  require("SELECT 1 WHERE (SELECT COUNT(*)" + where + ") = 1", "ambiguous_name",
          "more than one " + s.singular + " may be meant by {" + p.name + "}");
  return let("id_of_" + p.name, "SELECT id" + where);
}

// Any other argument. What its schema cannot say of it is required here.
std::string FormPrinter::given(const ToolParam& p) {
  if (p.money == ToolParam::Money::cents && p.fallback == kNone) return ":" + p.name;
  const std::string value = let("value_of_" + p.name, "SELECT " + given_sql(l, p));
  if (p.money == ToolParam::Money::cents) return value;
  if (p.money == ToolParam::Money::decimal)  // random callers find no text of a pattern
    require("SELECT 1 WHERE " + decimal_sql(value) + " = :" + p.name, "bad_amount",
            "write the amount with two decimals, like 12.50");
  const std::string most =
      p.domain.hi > p.domain.lo ? " AND " + value + " <= " + std::to_string(p.domain.hi) : "";
  require("SELECT 1 WHERE " + value + " >= " + std::to_string(p.domain.lo) + most, "out_of_range",
          "the amount is out of range");
  return value;
}

std::string FormPrinter::columns(int c,
                                 const std::vector<int>& shown,
                                 const std::string& alias) const {
  std::string out = alias + ".id AS id";
  for (const int a : shown) {
    const std::string& column = skin(c).columns[at(a)];
    const Domain& d = l.world->concepts[at(c)].attrs[at(a)].domain;
    if (d.type == Type::cents && l.surface.decimal[at(c)])
      out += ", " + decimal_sql(alias + "." + column) + " AS " + decimal_column(l, c, a);
    else
      out += ", " + alias + "." + column;
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

void FormPrinter::reaction(const Reaction& r,
                           std::size_t index,
                           const std::vector<std::string>& args) {
  const Transition& t = l.world->reactions[at(r.transition)];
  const std::string name_of = "r" + std::to_string(index) + "_";
  SqlNames names;
  names.params = args;
  for (const auto& [name, term] : t.lets)
    names.params.push_back(let(name_of + name, "SELECT " + sql.term(*term, names)));
  std::string fires;
  for (std::size_t p = 0; p < t.params.size(); ++p)
    fires += (fires.empty() ? "" : " AND ") + args[p] + " IS NOT NULL";
  for (const auto& g : t.guards) fires += (fires.empty() ? "" : " AND ") + sql.term(*g.term, names);
  if (fires.empty()) fires = "1";
  let(name_of + "fires", "SELECT " + fires);
  for (const auto& e : t.effects) sql.effect(e, names, tag + name_of + "fires", steps);
}

// The steps of the transition; the SQL expression of its result's id. In a batch its one parameter
// is `batch_id`.
std::string FormPrinter::transition(const std::string& batch_id) {
  const Transition& t = l.world->transitions[at(form.transition)];
  SqlNames names;
  names.params.resize(t.params.size());
  for (const auto& p : form.params) {
    if (!batch_id.empty()) {
      require("SELECT 1 FROM " + skin(p.domain.target).view + " WHERE id = " + batch_id,
              "not_found", "one of the ids is of no " + skin(p.domain.target).singular);
      names.params[at(p.index)] = batch_id;
      continue;
    }
    if (!form.action.empty() && p.fallback == kNone)
      for (const std::string& part : argument_names(p))
        require("SELECT 1 WHERE :" + part + " IS NOT NULL", "missing_argument",
                form.action + " needs the argument " + part);
    names.params[at(p.index)] = p.domain.type == Type::ref ? entity(p) : given(p);
  }
  std::string result = form.result_param >= 0 ? names.params[at(form.result_param)] : "NULL";
  for (const auto& [name, term] : t.lets)
    names.params.push_back(let("l_" + name, "SELECT " + sql.term(*term, names)));
  const std::string doing = replace_all(t.symbol.substr(t.symbol.find('.') + 1), "_", " ");
  for (const auto& g : t.guards)
    require("SELECT 1 WHERE " + sql.term(*g.term, names), g.code,
            "cannot " + doing + ": " + replace_all(g.code, "_", " "));
  std::vector<std::vector<std::string>> event_args;
  for (std::size_t r = 0; r < t.reactions.size(); ++r) {
    event_args.emplace_back();
    for (std::size_t i = 0; i < t.reactions[r].args.size(); ++i)
      event_args.back().push_back(let("e" + std::to_string(r) + "_" + std::to_string(i),
                                      "SELECT " + sql.term(*t.reactions[r].args[i], names)));
  }
  if (form.makes) result = let("new_id", sql.next_id(form.concept_id));
  for (const auto& e : t.effects) sql.effect(e, names, when, steps);
  for (std::size_t r = 0; r < t.reactions.size(); ++r) reaction(t.reactions[r], r, event_args[r]);
  return result;
}

std::string FormPrinter::rows(const std::string& where) const {
  return "SELECT " + columns(form.concept_id, form.shown, "r") + " FROM " +
         skin(form.concept_id).view + " r WHERE " + where + " ORDER BY r.id";
}

std::string FormPrinter::read() {
  const int c = form.concept_id;
  switch (form.kind) {
    case ToolForm::Kind::get:
    case ToolForm::Kind::find: {
      std::string where;
      if (form.kind == ToolForm::Kind::get) {
        where = "r.id = " + entity(form.params[0]);
      } else {
        const bool part = form.params[0].by_part;
        where = part ? "instr(r.name, :name) > 0" : "r.name = :name";
        require("SELECT 1 FROM " + skin(c).view + " r WHERE " + where, "not_found",
                "no " + skin(c).singular + " is called {name}");
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
      return rows(where) + (form.page_size > 0 ? " LIMIT :page_limit OFFSET :page_offset" : "");
    }
    case ToolForm::Kind::query: {
      SqlNames names;
      names.aliases[0] = "r";
      for (const auto& p : form.params)
        names.params.push_back(p.domain.type == Type::ref ? entity(p) : given(p));
      return rows(sql.term(*l.world->reads[at(form.read)].where, names));
    }
    case ToolForm::Kind::recent:
      return "SELECT " + columns(c, form.shown, "r") + " FROM " + skin(c).view +
             " r ORDER BY r.id DESC LIMIT 3";
    case ToolForm::Kind::transition:
      break;
  }
  return "";
}

void put_let(std::vector<ProgramStep>& steps, const std::string& name, const std::string& query) {
  ProgramStep s;
  s.let = name;
  s.sql = query;
  steps.push_back(std::move(s));
}

// Writes of a tool that is busy at times: its calls are counted, and everything else hangs on
// `awake`.
void count_call(const ToolForm& form, std::vector<ProgramStep>& steps) {
  const std::string mine = " WHERE tool = " + sql_text(form.name);
  ProgramStep count;
  count.run = "UPDATE call_counter SET calls = calls + 1" + mine;
  steps.push_back(std::move(count));
  put_let(steps, "awake",
          "SELECT calls % " + std::to_string(form.busy_every) + " <> 0 FROM call_counter" + mine);
}

std::string transition_program(const Lowered& l,
                               const std::vector<const ToolForm*>& forms,
                               std::vector<ProgramStep>& steps) {
  const ToolForm& form = *forms[0];
  const int c = form.concept_id;
  FormPrinter last{l, form, l.printer(), steps, "", ""};
  const std::string row = "SELECT " + last.columns(c, form.shown, "r") + " FROM " +
                          l.skin.concepts[at(c)].view + " r WHERE r.id ";
  if (form.batch) {
    const std::string ids = "json_each(:" + form.params[0].name + ")";
    for (int i = 0; i < kBatchMost; ++i) {
      const std::string tag = "i" + std::to_string(i) + "_";
      put_let(steps, tag + "id", "SELECT value FROM " + ids + " WHERE key = " + std::to_string(i));
      put_let(steps, tag + "given", "SELECT :" + tag + "id IS NOT NULL");
      FormPrinter one{l, form, l.printer(), steps, tag, tag + "given"};
      one.transition(":" + tag + "id");
    }
    return row + "IN (SELECT value FROM " + ids + ") ORDER BY r.id";
  }
  if (forms.size() > 1) {
    std::string results;
    for (std::size_t i = 0; i < forms.size(); ++i) {
      const std::string tag = "a" + std::to_string(i) + "_";
      put_let(steps, tag + "meant", "SELECT :action = " + sql_text(forms[i]->action));
      FormPrinter one{l, *forms[i], l.printer(), steps, tag, tag + "meant"};
      const std::string id = one.transition("");
      results += (i == 0 ? "" : ", ") + one.let("result", "SELECT " + id);
    }
    return row + "= COALESCE(" + results + ")";
  }
  if (form.busy_every == 0) return row + "= " + last.transition("");
  count_call(form, steps);
  last.when = "awake";
  const std::string id = last.transition("");
  return "SELECT CASE WHEN :awake THEN 'done' ELSE 'busy: nothing has been done, call again' END "
         "AS " +
         busy_column(l, c) + ", " + last.columns(c, form.shown, "r") +
         " FROM (SELECT 1) LEFT JOIN " + l.skin.concepts[at(c)].view +
         " r ON :awake AND r.id = " + id;
}

}  // namespace

schemas::Tool print_tool(const Lowered& l, const std::vector<const ToolForm*>& forms) {
  const ToolForm& form = *forms[0];
  schemas::Tool tool;
  tool.name = form.name;
  tool.description = description_of(l, forms);
  tool.input = input_of(l, forms);
  if (form.kind == ToolForm::Kind::transition) {
    tool.program.result = transition_program(l, forms, tool.program.steps);
  } else {
    FormPrinter printer{l, form, l.printer(), tool.program.steps, "", ""};
    tool.program.result = printer.read();
  }
  const bool one =
      form.kind == ToolForm::Kind::get || (form.kind == ToolForm::Kind::transition && !form.batch);
  tool.program.shape = one ? schemas::Shape::object : schemas::Shape::rows;
  if (form.page_size > 0) tool.program.page_size = form.page_size;
  return tool;
}

}  // namespace seedbed::envgen
