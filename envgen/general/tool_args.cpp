// Arguments of calls: how World values are written as arguments, and read back in SQL.
#include "envgen/general/tool_args.h"

#include <algorithm>

#include "base/text.h"
#include "envgen/general/goal.h"

namespace seedbed::envgen {
namespace {

using schemas::Value;
using Money = ToolParam::Money;

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

}  // namespace

std::string decimal_text(std::int64_t cents) {
  const std::int64_t size = cents < 0 ? -cents : cents;
  return (cents < 0 ? "-" : "") + std::to_string(size / 100) + "." +
         std::to_string(size / 10 % 10) + std::to_string(size % 10);
}

std::int64_t cents_of_text(const std::string& text) {
  const std::size_t dot = text.find('.');
  if (dot == std::string::npos || dot == 0 || dot > 9 || dot + 3 != text.size()) return kNone;
  std::int64_t out = 0;
  for (const char c : text) {
    if (c == '.') continue;
    if (c < '0' || c > '9') return kNone;
    out = out * 10 + (c - '0');
  }
  return out;
}

std::string decimal_sql(const std::string& cents) {
  return "CASE WHEN " + cents + " < 0 THEN '-' ELSE '' END || (abs(" + cents +
         ") / 100) || '.' || substr('0' || (abs(" + cents + ") % 100), -2)";
}

std::string given_sql(const Lowered& l, const ToolParam& p) {
  const std::string arg = ":" + p.name;
  std::string out = arg;
  if (p.money == Money::decimal) out = "CAST(replace(" + arg + ", '.', '') AS INTEGER)";
  if (p.money == Money::pair) out = "(" + arg + "_whole * 100 + " + arg + "_cents)";
  if (p.fallback == kNone) return out;
  return "COALESCE(" + out + ", " + l.printer().literal(p.domain, p.fallback) + ")";
}

std::string named_where(const Lowered& l, const ToolParam& p) {
  const std::string& view = l.skin.concepts[at(p.domain.target)].view;
  const std::string exact = "name = :" + p.name;
  if (!p.by_part) return " FROM " + view + " WHERE " + exact;
  return " FROM " + view + " WHERE (" + exact + " OR (instr(name, :" + p.name +
         ") > 0 AND NOT EXISTS (SELECT 1 FROM " + view + " n WHERE n." + exact + ")))";
}

std::vector<std::string> argument_names(const ToolParam& p) {
  if (p.money != Money::pair) return {p.name};
  return {p.name + "_whole", p.name + "_cents"};
}

std::string decimal_column(const Lowered& l, int c, int a) {
  const auto& columns = l.skin.concepts[at(c)].columns;
  std::string out = columns[at(a)];
  if (out.ends_with("_cents")) out.resize(out.size() - 6);
  const bool taken = std::find(columns.begin(), columns.end(), out) != columns.end();
  return taken ? columns[at(a)] : out;
}

schemas::Value call_args(const Lowered& l,
                         const ToolForm& form,
                         const std::vector<std::int64_t>& args) {
  Value out = Value::object();
  const Speaker say{l};
  if (!form.action.empty()) out.set("action", form.action);
  for (const auto& p : form.params) {
    const std::int64_t v = args[at(p.index)];
    if (form.batch) {
      Value ids = Value::array();
      ids.push(l.renderer().id(p.domain.target, v));
      out.set(p.name, std::move(ids));
    } else if (p.by_name) {
      const std::string name = say.name(p.domain.target, v);
      out.set(p.name, name.empty() ? "Nobody At All" : name);
    } else if (p.fallback != kNone && p.fallback == v) {
      continue;
    } else if (p.money == Money::decimal) {
      out.set(p.name, decimal_text(v));
    } else if (p.money == Money::pair) {
      out.set(p.name + "_whole", v / 100).set(p.name + "_cents", v % 100);
    } else {
      out.set(p.name, l.renderer().value(p.domain, v));
    }
  }
  return out;
}

std::vector<std::string> converted_args(const Lowered& l, const ToolForm& form) {
  std::vector<std::string> out;
  for (const auto& p : form.params) {
    if (p.domain.type != Type::cents || !l.surface.units) continue;
    for (auto& name : argument_names(p)) out.push_back(std::move(name));
  }
  return out;
}

std::string never_sql(const Lowered& l, const ToolForm& form, const Term& term) {
  const SqlPrinter sql = l.printer();
  const Transition& t = l.world->transitions[at(form.transition)];
  SqlNames names;
  names.params.resize(t.params.size());
  std::string over;
  for (const auto& p : form.params) {
    std::string& place = names.params[at(p.index)];
    if (form.batch) {
      place = "j.value";
      over = p.name;
    } else if (p.by_name) {
      place = "(SELECT id" + named_where(l, p) + " LIMIT 1)";
    } else {
      place = given_sql(l, p);
    }
  }
  for (const auto& [name, let] : t.lets) names.params.push_back("(" + sql.term(*let, names) + ")");
  if (form.batch)
    return "SELECT NOT EXISTS (SELECT 1 FROM json_each(:" + over + ") j WHERE " +
           sql.term(term, names) + ")";
  const std::string not_here =
      form.action.empty() ? "" : ":action <> " + sql_text(form.action) + " OR ";
  return "SELECT " + not_here + "NOT " + sql.term(term, names);
}

}  // namespace seedbed::envgen
