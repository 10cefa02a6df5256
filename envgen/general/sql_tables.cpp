// The tables of a layout, and their DDL.
#include "base/text.h"
#include "envgen/general/sql.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

struct TableMaker {
  const SqlPrinter& sql;
  std::vector<TableDef> tables;  // the concepts' own first, in their order

  [[nodiscard]] bool text(const Domain& d) const {
    return d.type == Type::ref
               ? sql.text_id(d.target)
               : d.type == Type::word || d.type == Type::date || d.type == Type::text;
  }
  // A table beside the concept's own whose rows belong to one fact each, or to one fact and `more`.
  std::size_t side(int c, const std::string& name, const std::vector<ColumnDef>& more) {
    TableDef t;
    t.name = name;
    t.columns.push_back({"record_id", sql.text_id(c), false, true, true, false});
    t.refs.push_back({{"record_id"}, at(c), "owner", false, false, sql.layout.series[at(c)] == 0});
    t.columns.insert(t.columns.end(), more.begin(), more.end());
    tables.push_back(std::move(t));
    return tables.size() - 1;
  }
  void value(std::size_t table, int c, int a);
  void attribute(int c, int a);
  void concept_table(int c);
};

// The attribute's own columns in that table.
void TableMaker::value(std::size_t table, int c, int a) {
  const Attr& attr = sql.world.concepts[at(c)].attrs[at(a)];
  const Domain& d = attr.domain;
  const bool extra = d.nullable || attr.optional, ref = d.type == Type::ref;
  TableDef& t = tables[table];
  RefDef edge{{}, 0, "ref", d.nullable, extra, true};
  if (sql.paired(c, a)) {
    const auto [series, item] = sql.pair_columns(c, a);
    t.columns.push_back({series, false, d.nullable, false, true, extra});
    t.columns.push_back({item, false, d.nullable, false, true, extra});
    edge.columns = {series, item};
    edge.label = "pair";
  } else {
    const std::string& name = sql.skin.concepts[at(c)].columns[at(a)];
    t.columns.push_back({name, text(d), d.nullable, false, ref, extra});
    edge.columns = {name};
    edge.declared = ref && sql.layout.series[at(d.target)] == 0;
  }
  if (!ref) return;
  edge.table = at(d.target);
  t.refs.push_back(std::move(edge));
}

void TableMaker::attribute(int c, int a) {
  const Attr& attr = sql.world.concepts[at(c)].attrs[at(a)];
  const bool extra = attr.domain.nullable || attr.optional;
  const std::string name = sql.side_table(c, a);
  const auto named = [&] {
    for (std::size_t i = sql.world.concepts.size(); i < tables.size(); ++i)
      if (tables[i].name == name) return i;
    return tables.size();
  };
  switch (sql.storage(c, a)) {
    case Storage::base:
      return value(at(c), c, a);
    case Storage::split: {
      std::size_t table = named();
      if (table == tables.size()) table = side(c, name, {});
      return value(table, c, a);
    }
    case Storage::link: {
      const std::size_t table = side(c, name, {});
      value(table, c, a);
      tables[table].extra = extra;
      return;
    }
    case Storage::history: {
      const std::size_t table = side(c, name, {{"seq", false, false, true, false, false}});
      value(table, c, a);
      tables[table].extra = extra;
      return;
    }
    case Storage::log:
      if (named() == tables.size())
        side(c, name,
             {{"field", true, false, true, false, false},
              {"seq", false, false, true, false, false},
              {"value", true, false, false, false, false}});
      return;
    case Storage::lookup: {
      const std::string column = sql.skin.concepts[at(c)].columns[at(a)] + "_no";
      tables[at(c)].columns.push_back({column, false, false, false, true, extra});
      tables[at(c)].refs.push_back({{column}, tables.size(), "kind", false, extra, true});
      TableDef kind;
      kind.name = name;
      kind.leaf = true;
      kind.columns = {{"no", false, false, true, false, false},
                      {"label", true, false, false, false, false}};
      tables.push_back(std::move(kind));
      return;
    }
  }
}

void TableMaker::concept_table(int c) {
  TableDef& t = tables[at(c)];
  t.name = sql.skin.concepts[at(c)].table;
  if (sql.layout.series[at(c)] > 0)
    t.columns = {{"series", false, false, true, false, false},
                 {"item", false, false, true, false, false}};
  else
    t.columns = {{"id", sql.text_id(c), false, true, false, false}};
  const auto n = static_cast<int>(sql.world.concepts[at(c)].attrs.size());
  for (int a = 0; a < n; ++a) attribute(c, a);
  for (const auto& k : sql.layout.counters)
    if (k.parent == c)
      tables[at(c)].columns.push_back({k.column, false, false, false, false, true});
  if (sql.layout.soft_delete[at(c)])
    tables[at(c)].columns.push_back({"deleted_on", true, true, false, false, true});
  if (!sql.layout.archive[at(c)]) return;
  TableDef old;
  old.name = sql.archive_table(c);
  old.extra = true;
  old.columns.push_back({"id", sql.text_id(c), false, true, false, false});
  for (int a = 0; a < n; ++a) {
    const Domain& d = sql.world.concepts[at(c)].attrs[at(a)].domain;
    old.columns.push_back(
        {sql.skin.concepts[at(c)].columns[at(a)], text(d), d.nullable, false, false, false});
  }
  tables.push_back(std::move(old));
}

std::string create(const TableDef& t, const std::vector<TableDef>& all) {
  std::vector<std::string> parts, key;
  for (const auto& c : t.columns)
    if (c.key) key.push_back(c.name);
  std::vector<std::string> pairs;
  for (const auto& c : t.columns) {
    std::string column = c.name + (c.text ? " TEXT" : " INTEGER") + (c.nullable ? "" : " NOT NULL");
    if (c.key && key.size() == 1) column += " PRIMARY KEY";
    for (const auto& r : t.refs) {
      if (!r.declared || r.columns.size() != 1 || r.columns[0] != c.name) continue;
      for (const auto& k : all[r.table].columns)
        if (k.key) column += " REFERENCES " + all[r.table].name + "(" + k.name + ")";
    }
    parts.push_back(std::move(column));
  }
  if (key.size() > 1) parts.push_back("PRIMARY KEY(" + join(key, ", ") + ")");
  for (const auto& r : t.refs) {
    if (!r.declared || r.columns.size() < 2) continue;
    parts.push_back("FOREIGN KEY(" + join(r.columns, ", ") + ") REFERENCES " + all[r.table].name +
                    "(series, item)");
  }
  return "CREATE TABLE " + t.name + "(" + join(parts, ", ") + ") STRICT";
}

}  // namespace

std::vector<TableDef> SqlPrinter::tables() const {
  TableMaker maker{*this, std::vector<TableDef>(world.concepts.size())};
  for (int c = 0; c < static_cast<int>(world.concepts.size()); ++c) maker.concept_table(c);
  return std::move(maker.tables);
}

std::vector<std::string> SqlPrinter::ddl() const {
  std::vector<std::string> out{
      "CREATE TABLE key_counter(name TEXT NOT NULL PRIMARY KEY, next INTEGER NOT NULL) STRICT"};
  const std::vector<TableDef> all = tables();
  for (const auto& t : all) out.push_back(create(t, all));
  for (int c = 0; c < static_cast<int>(world.concepts.size()); ++c) {
    if (layout.series[at(c)] > 0)  // facts are looked for by the joined id
      out.push_back("CREATE UNIQUE INDEX " + skin.concepts[at(c)].table + "_by_id ON " +
                    skin.concepts[at(c)].table + "(" + base_id(c, "") + ")");
    out.push_back("CREATE VIEW " + skin.concepts[at(c)].view + " AS " + view_sql(c));
  }
  return out;
}

std::string SqlPrinter::schema_class(bool core) const {
  return class_of_tables(tables(), core);
}

}  // namespace seedbed::envgen
