#include "base/check.h"
#include "envgen/general/sql.h"

namespace seedbed::envgen {
namespace {

bool nullable(const Term& t) {
  return t.domain.nullable || (t.op == Op::constant && t.value == kNone);
}

const char* operator_text(Op op) {
  switch (op) {
    case Op::lt:
      return " < ";
    case Op::le:
      return " <= ";
    case Op::gt:
      return " > ";
    case Op::ge:
      return " >= ";
    case Op::add:
      return " + ";
    case Op::sub:
      return " - ";
    case Op::mul:
      return " * ";
    default:
      return " / ";
  }
}

}  // namespace

std::string SqlPrinter::literal(const Domain& domain, std::int64_t value) const {
  const schemas::Value v = renderer().value(domain, value);
  if (v.is_null()) return "NULL";
  return v.is_int() ? std::to_string(v.as_int()) : sql_text(v.as_string());
}

std::string SqlPrinter::fact_term(int concept_id,
                                  int attribute,
                                  const std::string& key,
                                  bool alias) const {
  const ConceptSkin& c = skin.concepts[static_cast<std::size_t>(concept_id)];
  const std::string& column = c.columns[static_cast<std::size_t>(attribute)];
  if (alias) return key + "." + column;
  return "(SELECT " + column + " FROM " + c.view + " WHERE id = " + key + ")";
}

std::string SqlPrinter::term(const Term& t, const SqlNames& names) const {
  const auto kid = [&](std::size_t i) { return term(*t.kids[i], names); };
  switch (t.op) {
    case Op::constant:
      if (t.value == kNone) return "NULL";
      return t.domain.type == Type::boolean ? std::to_string(t.value) : literal(t.domain, t.value);
    case Op::now:
      return sql_text(iso_date(world.now));
    case Op::param:
      return names.params[static_cast<std::size_t>(t.index)];
    case Op::variable: {
      const auto alias = names.aliases.find(t.index);
      if (alias != names.aliases.end()) return alias->second + ".id";
      const auto bound = names.bound.find(t.index);
      SEEDBED_CHECK(bound != names.bound.end(), t.index);
      return bound->second;
    }
    case Op::attribute: {
      const Term& of = *t.kids[0];
      if (of.op == Op::variable) {
        const auto alias = names.aliases.find(of.index);
        if (alias != names.aliases.end())
          return fact_term(t.concept_id, t.index, alias->second, true);
      }
      return fact_term(t.concept_id, t.index, term(of, names), false);
    }
    case Op::load:
      return kid(0);
    case Op::reach: {
      SqlNames inner = names;
      const std::string alias = "t" + std::to_string(names.aliases.size() + 1), r = "r" + alias;
      inner.aliases[t.index] = alias;
      return "(SELECT EXISTS(WITH RECURSIVE " + r + "(id, n) AS (SELECT " + kid(3) +
             ", 0 UNION SELECT " + term(*t.kids[2], inner) + ", " + r + ".n + 1 FROM " +
             skin.concepts[static_cast<std::size_t>(t.concept_id)].view + " " + alias + ", " + r +
             " WHERE " + term(*t.kids[1], inner) + " = " + r + ".id AND " + r + ".n < 8 AND " +
             term(*t.kids[0], inner) + ") SELECT 1 FROM " + r + " WHERE id = " + kid(4) + "))";
    }
    case Op::count:
    case Op::sum:
    case Op::min:
    case Op::max:
    case Op::argmin:
    case Op::argmax: {
      SqlNames inner = names;
      const std::string alias = "t" + std::to_string(names.aliases.size() + 1);
      inner.aliases[t.index] = alias;
      const std::string from = " FROM " +
                               skin.concepts[static_cast<std::size_t>(t.concept_id)].view + " " +
                               alias + " WHERE " + term(*t.kids[0], inner);
      if (t.op == Op::count) return "(SELECT COUNT(*)" + from + ")";
      const std::string value = term(*t.kids[1], inner);
      if (t.op == Op::sum) return "(SELECT COALESCE(SUM(" + value + "), 0)" + from + ")";
      if (t.op == Op::min || t.op == Op::max)
        return std::string("(SELECT ") + (t.op == Op::min ? "MIN(" : "MAX(") + value + ")" + from +
               ")";
      return "(SELECT " + alias + ".id" + from +
             (nullable(*t.kids[1]) ? " AND " + value + " IS NOT NULL" : "") + " ORDER BY " + value +
             (t.op == Op::argmin ? " ASC, " : " DESC, ") + alias + ".id LIMIT 1)";
    }
    case Op::eq:
    case Op::ne: {
      const bool is = nullable(*t.kids[0]) || nullable(*t.kids[1]);
      const char* op = t.op == Op::eq ? (is ? " IS " : " = ") : (is ? " IS NOT " : " <> ");
      return "(" + kid(0) + op + kid(1) + ")";
    }
    case Op::lt:
    case Op::le:
    case Op::gt:
    case Op::ge: {
      const std::string text = kid(0) + operator_text(t.op) + kid(1);
      return nullable(*t.kids[0]) || nullable(*t.kids[1]) ? "COALESCE(" + text + ", 0)"
                                                          : "(" + text + ")";
    }
    case Op::both:
      return "(" + kid(0) + " AND " + kid(1) + ")";
    case Op::either:
      return "(" + kid(0) + " OR " + kid(1) + ")";
    case Op::negate:
      return "(NOT " + kid(0) + ")";
    case Op::add:
    case Op::sub:
      if (t.domain.type == Type::date)  // only now +- N
        return sql_text(
            iso_date(world.now + (t.op == Op::add ? t.kids[1]->value : -t.kids[1]->value)));
      return "(" + kid(0) + operator_text(t.op) + kid(1) + ")";
    case Op::mul:
    case Op::div:
      return "(" + kid(0) + operator_text(t.op) + kid(1) + ")";
  }
  return "NULL";
}

std::string SqlPrinter::id_expression(int concept_id, const std::string& next) const {
  switch (layout.ids[static_cast<std::size_t>(concept_id)]) {
    case IdStyle::spread:
      return std::to_string(10000 * (concept_id + 1)) + " + 7 * " + next;
    case IdStyle::number:
      return std::to_string(1000 * (concept_id + 1)) + " + " + next;
    case IdStyle::code:
      break;
  }
  return sql_text(skin.concepts[static_cast<std::size_t>(concept_id)].prefix + "-") +
         " || substr('0000' || " + next + ", -4)";
}

std::string SqlPrinter::next_id(int concept_id) const {
  return "SELECT " + id_expression(concept_id, "next") + " FROM key_counter WHERE name = " +
         sql_text(skin.concepts[static_cast<std::size_t>(concept_id)].table);
}

}  // namespace seedbed::envgen
