// Effects as writes to a layout's tables.
#include <set>

#include "base/text.h"
#include "envgen/general/sql.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

}  // namespace

// A fact that is not there is left alone. `key` and `value` are terms over the views, so the last
// statement that they stand in is the first that writes.
std::vector<std::string> SqlPrinter::assign(int c,
                                            int a,
                                            const std::string& key,
                                            const std::string& value) const {
  const ConceptSkin& s = skin.concepts[at(c)];
  const Domain& d = world.concepts[at(c)].attrs[at(a)].domain;
  const std::string& column = s.columns[at(a)];
  const std::string side = side_table(c, a);
  const std::string row = " WHERE " + base_id(c, "") + " = " + key;
  switch (storage(c, a)) {
    case Storage::base: {
      if (!paired(c, a)) return {"UPDATE " + s.table + " SET " + column + " = " + value + row};
      const auto [series, item] = pair_columns(c, a);
      const auto [first, second] = parts_of(d.target, number_of(d.target, value));
      return {"UPDATE " + s.table + " SET " + series + " = " + first + ", " + item + " = " +
              second + row};
    }
    case Storage::split:
      return {"UPDATE " + side + " SET " + column + " = " + value + " WHERE record_id = " + key};
    case Storage::lookup:
      return {"UPDATE " + s.table + " SET " + column + "_no = (SELECT no FROM " + side +
              " WHERE label = " + value + ")" + row};
    case Storage::link: {
      std::vector<std::string> out{
          "INSERT INTO " + side + "(record_id, " + column + ") SELECT " + base_id(c, "b") + ", " +
          value + " FROM " + s.table + " b WHERE " + base_id(c, "b") + " = " + key +
          " ON CONFLICT(record_id) DO UPDATE SET " + column + " = excluded." + column};
      if (d.nullable) out.push_back("DELETE FROM " + side + " WHERE " + column + " IS NULL");
      return out;
    }
    case Storage::history:
      return {"INSERT INTO " + side + "(record_id, seq, " + column +
              ") SELECT l.record_id, MAX(l.seq) + 1, " + value + " FROM " + side +
              " l WHERE l.record_id = " + key + " GROUP BY l.record_id"};
    case Storage::log:
      return {"INSERT INTO " + side +
              "(record_id, field, seq, value) SELECT l.record_id, l.field, MAX(l.seq) + 1, " +
              value + " FROM " + side + " l WHERE l.record_id = " + key +
              " AND l.field = " + sql_text(column) + " GROUP BY l.record_id, l.field"};
  }
  return {};
}

std::string SqlPrinter::counter_update(int child) const {
  std::string out;
  for (const auto& k : layout.counters) {
    if (k.child != child) continue;
    const std::string& parent = skin.concepts[at(k.parent)].table;
    const std::string count = "(SELECT COUNT(*) FROM " + skin.concepts[at(child)].view +
                              " k WHERE k." + skin.concepts[at(child)].columns[at(k.attribute)] +
                              " = " + base_id(k.parent, parent) + ")";
    if (!out.empty()) out += ";";
    out += "UPDATE " + parent + " SET " + k.column + " = " + count + " WHERE " + k.column + " <> " +
           count;
  }
  return out;
}

std::vector<std::string> SqlPrinter::make(const Effect& e, const SqlNames& names) const {
  const int c = e.concept_id;
  const ConceptSkin& s = skin.concepts[at(c)];
  const std::string counter = " FROM key_counter WHERE name = " + sql_text(s.table);
  const std::string id = id_expression(c, "next");
  std::vector<std::string> values(s.columns.size(), "NULL");
  for (const auto& [a, t] : e.row) values[at(a)] = term(*t, names);
  std::string columns = "id", list = id, split_columns = "record_id", split_list = id;
  if (layout.series[at(c)] > 0) {
    columns = "series, item";
    const auto [series, item] = parts_of(c, "next");
    list = series + ", " + item;
  }
  std::vector<std::string> out, sides;
  for (int a = 0; a < static_cast<int>(s.columns.size()); ++a) {
    const std::string& column = s.columns[at(a)];
    const std::string& value = values[at(a)];
    const std::string into = "INSERT INTO " + side_table(c, a);
    switch (storage(c, a)) {
      case Storage::base: {
        if (!paired(c, a)) {
          columns += ", " + column;
          list += ", " + value;
          break;
        }
        const int target = world.concepts[at(c)].attrs[at(a)].domain.target;
        const auto [series, item] = pair_columns(c, a);
        const auto [first, second] = parts_of(target, number_of(target, value));
        columns += ", " + series + ", " + item;
        list += ", " + first + ", " + second;
        break;
      }
      case Storage::split:
        split_columns += ", " + column;
        split_list += ", " + value;
        break;
      case Storage::lookup:
        columns += ", " + column + "_no";
        list += ", (SELECT no FROM " + side_table(c, a) + " WHERE label = " + value + ")";
        break;
      case Storage::link:
        sides.push_back(into + "(record_id, " + column + ") SELECT " + id + ", " + value + counter +
                        " AND " + value + " IS NOT NULL");
        break;
      case Storage::history:
        sides.push_back(into + "(record_id, seq, " + column + ") SELECT " + id + ", 1, " + value +
                        counter);
        break;
      case Storage::log:
        sides.push_back(into + "(record_id, field, seq, value) SELECT " + id + ", " +
                        sql_text(column) + ", 1, " + value + counter);
        break;
    }
  }
  for (const auto& k : layout.counters)
    if (k.parent == c) {
      columns += ", " + k.column;
      list += ", 0";
    }
  // Side rows first: until the base row is there, no view shows the half-made fact to the terms of
  // later statements.
  if (split_list != id)
    out.push_back("INSERT INTO " + s.table + "_detail(" + split_columns + ") SELECT " + split_list +
                  counter);
  for (auto& side : sides) out.push_back(side);
  out.push_back("INSERT INTO " + s.table + "(" + columns + ") SELECT " + list + counter);
  out.push_back("UPDATE key_counter SET next = next + 1 WHERE name = " + sql_text(s.table));
  return out;
}

std::vector<std::string> SqlPrinter::remove(int c, const std::string& key) const {
  const ConceptSkin& s = skin.concepts[at(c)];
  const std::string row = " WHERE " + base_id(c, "") + " = " + key;
  if (layout.soft_delete[at(c)])
    return {"UPDATE " + s.table + " SET deleted_on = " + sql_text(iso_date(world.now)) + row};
  std::vector<std::string> out;
  if (layout.archive[at(c)])
    out.push_back("INSERT INTO " + archive_table(c) + " SELECT * FROM " + s.view +
                  " WHERE id = " + key);
  // The base row before its side rows: `key` may be a term over the view.
  std::set<std::string> sides;
  for (int a = 0; a < static_cast<int>(s.columns.size()); ++a)
    if (storage(c, a) != Storage::base && storage(c, a) != Storage::lookup)
      sides.insert(side_table(c, a));
  out.push_back("DELETE FROM " + s.table + row);
  for (const auto& side : sides)
    out.push_back("DELETE FROM " + side + " WHERE record_id NOT IN (SELECT " + base_id(c, "") +
                  " FROM " + s.table + ")");
  return out;
}

std::vector<std::string> SqlPrinter::writes(const Effect& e, const SqlNames& names) const {
  const int c = e.concept_id;
  std::vector<std::string> out;
  switch (e.kind) {
    case Effect::Kind::set:
      out = assign(c, e.attribute, term(*e.target, names), term(*e.value, names));
      break;
    case Effect::Kind::add: {
      const std::string key = term(*e.target, names);
      return assign(
          c, e.attribute, key,
          "(" + fact_term(c, e.attribute, key, false) + " + " + term(*e.value, names) + ")");
    }
    case Effect::Kind::make:
      out = make(e, names);
      break;
    case Effect::Kind::remove:
      out = remove(c, term(*e.target, names));
      break;
    case Effect::Kind::each:
      return {};
  }
  for (const auto& update : split(counter_update(c), ';'))
    if (!update.empty()) out.push_back(update);
  return out;
}

void SqlPrinter::effect(const Effect& e,
                        const SqlNames& names,
                        const std::string& when,
                        std::vector<schemas::ProgramStep>& out) const {
  if (e.kind != Effect::Kind::each) {
    for (const auto& sql : writes(e, names)) {
      schemas::ProgramStep step;
      step.run = sql;
      if (!when.empty()) step.when = when;
      out.push_back(step);
    }
    return;
  }
  const std::string column = "each_" + std::to_string(e.variable);
  SqlNames query = names, body = names;
  query.aliases[e.variable] = "e";
  body.bound[e.variable] = ":" + column;
  schemas::ProgramStep step;
  step.each = "SELECT e.id AS " + column + " FROM " + skin.concepts[at(e.concept_id)].view +
              " e WHERE " + term(*e.condition, query) + " ORDER BY e.id";
  step.body.emplace();
  for (const auto& inner : e.body)
    for (const auto& sql : writes(inner, body)) step.body->push_back(sql);
  if (!when.empty()) step.when = when;
  out.push_back(step);
}

}  // namespace seedbed::envgen
