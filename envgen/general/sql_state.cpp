// Tables, views, rows and writes of a layout.
#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "base/check.h"
#include "base/hash.h"
#include "base/text.h"
#include "envgen/general/sql.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

const char* sql_type(const Layout& layout, const Domain& d) {
  if (d.type == Type::ref) return layout.ids[at(d.target)] == IdStyle::code ? "TEXT" : "INTEGER";
  return d.type == Type::integer || d.type == Type::cents || d.type == Type::boolean ? "INTEGER"
                                                                                     : "TEXT";
}

}  // namespace

std::string SqlPrinter::side_table(int c, int a) const {
  const ConceptSkin& s = skin.concepts[at(c)];
  switch (layout.storage[at(c)][at(a)]) {
    case Storage::lookup:
      return s.table + "_" + s.columns[at(a)] + "_kind";
    case Storage::history:
      return s.table + "_" + s.columns[at(a)] + "_log";
    default:
      return s.table + "_detail";
  }
}

std::vector<std::string> SqlPrinter::ddl() const {
  std::vector<std::string> out{
      "CREATE TABLE key_counter(name TEXT NOT NULL PRIMARY KEY, next INTEGER NOT NULL) STRICT"};
  for (int c = 0; c < static_cast<int>(world.concepts.size()); ++c) {
    const Concept& concept_ = world.concepts[at(c)];
    const ConceptSkin& s = skin.concepts[at(c)];
    const std::string id_type = layout.ids[at(c)] == IdStyle::code ? "TEXT" : "INTEGER";
    std::string base = "CREATE TABLE " + s.table + "(id " + id_type + " NOT NULL PRIMARY KEY";
    std::string split;
    std::vector<std::string> sides;
    for (int a = 0; a < static_cast<int>(concept_.attrs.size()); ++a) {
      const Domain& d = concept_.attrs[at(a)].domain;
      std::string column =
          s.columns[at(a)] + " " + sql_type(layout, d) + (d.nullable ? "" : " NOT NULL");
      if (d.type == Type::ref)
        column += " REFERENCES " + skin.concepts[at(d.target)].table + "(id)";
      switch (layout.storage[at(c)][at(a)]) {
        case Storage::base:
          base += ", " + column;
          break;
        case Storage::split:
          split += ", " + column;
          break;
        case Storage::lookup:
          base += ", " + s.columns[at(a)] + "_no INTEGER NOT NULL REFERENCES " + side_table(c, a) +
                  "(no)";
          sides.push_back("CREATE TABLE " + side_table(c, a) +
                          "(no INTEGER NOT NULL PRIMARY KEY, label TEXT NOT NULL) STRICT");
          break;
        case Storage::history:
          sides.push_back("CREATE TABLE " + side_table(c, a) + "(owner_id " + id_type +
                          " NOT NULL REFERENCES " + s.table + "(id), seq INTEGER NOT NULL, " +
                          column + ", PRIMARY KEY(owner_id, seq)) STRICT");
          break;
      }
    }
    for (const auto& k : layout.counters)
      if (k.parent == c) base += ", " + k.column + " INTEGER NOT NULL";
    if (layout.soft_delete[at(c)]) base += ", deleted_on TEXT";
    out.push_back(base + ") STRICT");
    if (!split.empty())
      out.push_back("CREATE TABLE " + s.table + "_detail(owner_id " + id_type +
                    " NOT NULL PRIMARY KEY REFERENCES " + s.table + "(id)" + split + ") STRICT");
    for (const auto& side : sides) out.push_back(side);
  }
  for (int c = 0; c < static_cast<int>(world.concepts.size()); ++c)
    out.push_back("CREATE VIEW " + skin.concepts[at(c)].view + " AS " + view_sql(c));
  return out;
}

std::string SqlPrinter::view_sql(int c) const {
  const Concept& concept_ = world.concepts[at(c)];
  const ConceptSkin& s = skin.concepts[at(c)];
  std::string columns = "b.id AS id", joins;
  bool split = false;
  int n = 0;
  for (int a = 0; a < static_cast<int>(concept_.attrs.size()); ++a) {
    const std::string& column = s.columns[at(a)];
    const std::string alias = "s" + std::to_string(n);
    switch (layout.storage[at(c)][at(a)]) {
      case Storage::base:
        columns += ", b." + column;
        break;
      case Storage::split:
        columns += ", d." + column;
        split = true;
        break;
      case Storage::lookup:
        ++n;
        joins += " JOIN " + side_table(c, a) + " " + alias + " ON " + alias + ".no = b." + column +
                 "_no";
        columns += ", " + alias + ".label AS " + column;
        break;
      case Storage::history:
        ++n;
        joins += " JOIN " + side_table(c, a) + " " + alias + " ON " + alias +
                 ".owner_id = b.id AND " + alias + ".seq = (SELECT MAX(m.seq) FROM " +
                 side_table(c, a) + " m WHERE m.owner_id = b.id)";
        columns += ", " + alias + "." + column;
        break;
    }
  }
  if (split) joins = " JOIN " + s.table + "_detail d ON d.owner_id = b.id" + joins;
  return "SELECT " + columns + " FROM " + s.table + " b" + joins +
         (layout.soft_delete[at(c)] ? " WHERE b.deleted_on IS NULL" : "");
}

schemas::View SqlPrinter::view(int c) const {
  const ConceptSkin& s = skin.concepts[at(c)];
  schemas::View v;
  v.concept_name = world.concepts[at(c)].symbol;
  v.view = s.view;
  v.key = "id";
  v.columns = s.columns;
  for (const auto& a : world.concepts[at(c)].attrs) v.attributes.push_back(a.name);
  std::set<std::string> tables{s.table};
  for (int a = 0; a < static_cast<int>(world.concepts[at(c)].attrs.size()); ++a)
    if (layout.storage[at(c)][at(a)] != Storage::base) tables.insert(side_table(c, a));
  v.tables.assign(tables.begin(), tables.end());
  return v;
}

std::vector<tasks::Inserts> SqlPrinter::inserts(const Facts& facts) const {
  const Renderer r = renderer();
  std::map<std::string, tasks::Inserts> by_table;
  std::vector<std::string> order;
  const auto put = [&](const std::string& table, std::vector<schemas::Scalar> row) {
    auto [it, fresh] = by_table.try_emplace(table);
    if (fresh) {
      order.push_back(table);
      it->second.sql = "INSERT INTO " + table + " VALUES(";
      for (std::size_t i = 0; i < row.size(); ++i)
        it->second.sql += i == 0 ? "?1" : ", ?" + std::to_string(i + 1);
      it->second.sql += ")";
    }
    it->second.rows.push_back(std::move(row));
  };
  const auto scalar_id = [&](int c, std::int64_t key) -> schemas::Scalar {
    const schemas::Value v = r.id(c, key);
    if (v.is_int()) return v.as_int();
    return v.as_string();
  };
  for (int c = 0; c < static_cast<int>(world.concepts.size()); ++c) {
    const FactTable& table = facts.tables[at(c)];
    const ConceptSkin& s = skin.concepts[at(c)];
    const auto& storage = layout.storage[at(c)];
    put("key_counter", {s.table, table.next});
    for (int a = 0; a < static_cast<int>(storage.size()); ++a)
      if (storage[at(a)] == Storage::lookup) {
        const auto& words = skin.words[at(world.concepts[at(c)].attrs[at(a)].domain.words)];
        for (std::size_t w = 0; w < words.size(); ++w)
          put(side_table(c, a), {static_cast<std::int64_t>(w) + 1, words[w]});
      }
    for (const auto& row : table.rows) {
      std::vector<schemas::Scalar> base{scalar_id(c, row.key)}, split{scalar_id(c, row.key)};
      for (int a = 0; a < static_cast<int>(storage.size()); ++a) {
        const std::int64_t v = row.values[at(a)];
        const schemas::Scalar x = r.scalar(c, a, v);
        if (storage[at(a)] == Storage::base)
          base.push_back(x);
        else if (storage[at(a)] == Storage::split)
          split.push_back(x);
        else if (storage[at(a)] == Storage::lookup)
          base.emplace_back(v + 1);
        else
          put(side_table(c, a), {scalar_id(c, row.key), std::int64_t{1}, x});
      }
      for (const auto& k : layout.counters) {
        if (k.parent != c) continue;
        const auto& children = facts.tables[at(k.child)].rows;
        base.emplace_back(static_cast<std::int64_t>(std::count_if(
            children.begin(), children.end(),
            [&](const Row& child) { return child.values[at(k.attribute)] == row.key; })));
      }
      if (layout.soft_delete[at(c)]) base.emplace_back(std::monostate{});
      put(s.table, std::move(base));
      if (split.size() > 1) put(s.table + "_detail", std::move(split));
    }
  }
  std::vector<tasks::Inserts> out;
  for (const auto& table : order) out.push_back(std::move(by_table[table]));
  return out;
}

std::string SqlPrinter::assign(int c,
                               int a,
                               const std::string& key,
                               const std::string& value) const {
  const ConceptSkin& s = skin.concepts[at(c)];
  const std::string& column = s.columns[at(a)];
  switch (layout.storage[at(c)][at(a)]) {
    case Storage::base:
      return "UPDATE " + s.table + " SET " + column + " = " + value + " WHERE id = " + key;
    case Storage::split:
      return "UPDATE " + s.table + "_detail SET " + column + " = " + value +
             " WHERE owner_id = " + key;
    case Storage::lookup:
      return "UPDATE " + s.table + " SET " + column + "_no = (SELECT no FROM " + side_table(c, a) +
             " WHERE label = " + value + ") WHERE id = " + key;
    case Storage::history:
      return "INSERT INTO " + side_table(c, a) + "(owner_id, seq, " + column +
             ") SELECT l.owner_id, MAX(l.seq) + 1, " + value + " FROM " + side_table(c, a) +
             " l WHERE l.owner_id = " + key + " GROUP BY l.owner_id";
  }
  return "";
}

std::string SqlPrinter::counter_update(int child) const {
  std::string out;
  for (const auto& k : layout.counters) {
    if (k.child != child) continue;
    const std::string count = "(SELECT COUNT(*) FROM " + skin.concepts[at(child)].view +
                              " k WHERE k." + skin.concepts[at(child)].columns[at(k.attribute)] +
                              " = " + skin.concepts[at(k.parent)].table + ".id)";
    if (!out.empty()) out += ";";
    out += "UPDATE " + skin.concepts[at(k.parent)].table + " SET " + k.column + " = " + count +
           " WHERE " + k.column + " <> " + count;
  }
  return out;
}

std::vector<std::string> SqlPrinter::make(const Effect& e, const SqlNames& names) const {
  const int c = e.concept_id;
  const ConceptSkin& s = skin.concepts[at(c)];
  const auto& storage = layout.storage[at(c)];
  const std::string counter = " FROM key_counter WHERE name = " + sql_text(s.table);
  const std::string id = id_expression(c, "next");
  std::vector<std::string> values(storage.size(), "NULL");
  for (const auto& [a, t] : e.row) values[at(a)] = term(*t, names);
  std::string columns = "id", list = id, split_columns = "owner_id", split_list = id;
  std::vector<std::string> out, sides;
  for (int a = 0; a < static_cast<int>(storage.size()); ++a) {
    switch (storage[at(a)]) {
      case Storage::base:
        columns += ", " + s.columns[at(a)];
        list += ", " + values[at(a)];
        break;
      case Storage::split:
        split_columns += ", " + s.columns[at(a)];
        split_list += ", " + values[at(a)];
        break;
      case Storage::lookup:
        columns += ", " + s.columns[at(a)] + "_no";
        list += ", (SELECT no FROM " + side_table(c, a) + " WHERE label = " + values[at(a)] + ")";
        break;
      case Storage::history:
        sides.push_back("INSERT INTO " + side_table(c, a) + "(owner_id, seq, " + s.columns[at(a)] +
                        ") SELECT " + id + ", 1, " + values[at(a)] + counter);
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

std::vector<std::string> SqlPrinter::writes(const Effect& e, const SqlNames& names) const {
  const int c = e.concept_id;
  const ConceptSkin& s = skin.concepts[at(c)];
  std::vector<std::string> out;
  bool counts = false;
  switch (e.kind) {
    case Effect::Kind::set:
      out.push_back(assign(c, e.attribute, term(*e.target, names), term(*e.value, names)));
      counts = true;
      break;
    case Effect::Kind::add: {
      const std::string key = term(*e.target, names);
      out.push_back(assign(
          c, e.attribute, key,
          "(" + fact_term(c, e.attribute, key, false) + " + " + term(*e.value, names) + ")"));
      break;
    }
    case Effect::Kind::make:
      out = make(e, names);
      counts = true;
      break;
    case Effect::Kind::remove: {
      const std::string key = term(*e.target, names);
      if (layout.soft_delete[at(c)]) {
        out.push_back("UPDATE " + s.table + " SET deleted_on = " + sql_text(iso_date(world.now)) +
                      " WHERE id = " + key);
      } else {
        // The base row last: `key` may be a term over the view.
        std::set<std::string> sides;
        for (int a = 0; a < static_cast<int>(world.concepts[at(c)].attrs.size()); ++a)
          if (layout.storage[at(c)][at(a)] == Storage::history ||
              layout.storage[at(c)][at(a)] == Storage::split)
            sides.insert(side_table(c, a));
        out.push_back("DELETE FROM " + s.table + " WHERE id = " + key);
        for (const auto& side : sides)
          out.push_back("DELETE FROM " + side + " WHERE owner_id NOT IN (SELECT id FROM " +
                        s.table + ")");
      }
      counts = true;
      break;
    }
    case Effect::Kind::each:
      break;
  }
  if (counts)
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

// Colour refinement over the typed table graph: a table's first colour is the multiset of its
// columns' roles, then each round mixes in the colours at the other ends of its references. Names
// never enter.
std::string SqlPrinter::schema_class(bool core) const {
  struct Table {
    std::vector<std::string> columns;
    std::vector<std::pair<std::size_t, std::string>> refs;
    std::string colour;
  };
  std::vector<Table> tables(world.concepts.size());
  const auto add_table = [&](std::vector<std::string> columns) {
    tables.push_back({std::move(columns), {}, ""});
    return tables.size() - 1;
  };
  for (int c = 0; c < static_cast<int>(world.concepts.size()); ++c) {
    std::size_t split = 0;
    for (int a = 0; a < static_cast<int>(world.concepts[at(c)].attrs.size()); ++a) {
      const Domain& d = world.concepts[at(c)].attrs[at(a)].domain;
      const Storage storage = layout.storage[at(c)][at(a)];
      if (core && (d.nullable || world.concepts[at(c)].attrs[at(a)].optional)) continue;
      std::size_t holder = at(c);
      if (storage == Storage::split) {
        if (split == 0) {
          split = add_table({});
          tables[split].refs.emplace_back(at(c), "owner");
        }
        holder = split;
      } else if (storage == Storage::history) {
        holder = add_table({"seq"});
        tables[holder].refs.emplace_back(at(c), "owner");
      } else if (storage == Storage::lookup) {
        if (core) {
          tables[at(c)].columns.emplace_back("TEXT");
          continue;
        }
        const std::size_t kind = add_table({"no", "label"});
        tables[at(c)].refs.emplace_back(kind, "kind");
        continue;
      }
      if (d.type == Type::ref)
        tables[holder].refs.emplace_back(at(d.target), d.nullable ? "ref?" : "ref");
      else
        tables[holder].columns.push_back(std::string(sql_type(layout, d)) +
                                         (d.nullable ? "?" : ""));
    }
    tables[at(c)].columns.push_back(layout.ids[at(c)] == IdStyle::code ? "id TEXT" : "id INTEGER");
    if (layout.soft_delete[at(c)] && !core) tables[at(c)].columns.emplace_back("deleted?");
    for (const auto& k : layout.counters)
      if (k.parent == c && !core) tables[at(c)].columns.emplace_back("INTEGER");
  }
  for (auto& t : tables) {
    std::sort(t.columns.begin(), t.columns.end());
    t.colour = content_hash(join(t.columns, ","));
  }
  for (int round = 0; round < 6; ++round) {
    std::vector<std::vector<std::string>> marks(tables.size());
    for (std::size_t i = 0; i < tables.size(); ++i)
      for (const auto& [to, label] : tables[i].refs) {
        marks[i].push_back(">" + label + tables[to].colour);
        marks[to].push_back("<" + label + tables[i].colour);
      }
    for (std::size_t i = 0; i < tables.size(); ++i) {
      std::sort(marks[i].begin(), marks[i].end());
      tables[i].colour = content_hash(tables[i].colour + join(marks[i], ";"));
    }
  }
  std::vector<std::string> colours;
  for (const auto& t : tables) colours.push_back(t.colour);
  std::sort(colours.begin(), colours.end());
  return content_hash(join(colours, ""));
}

}  // namespace seedbed::envgen
