// How a layout keeps facts: names of tables, ids from columns, views, the rows of the initial
// state.
#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "envgen/general/sql.h"

namespace seedbed::envgen {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

}  // namespace

Storage SqlPrinter::storage(int c, int a) const {
  return layout.storage[at(c)][at(a)];
}

bool SqlPrinter::text_id(int c) const {
  return layout.ids[at(c)] == IdStyle::code;
}

bool SqlPrinter::paired(int c, int a) const {
  const Domain& d = world.concepts[at(c)].attrs[at(a)].domain;
  return d.type == Type::ref && storage(c, a) == Storage::base && layout.series[at(d.target)] > 0 &&
         layout.pair_refs[at(d.target)];
}

std::pair<std::string, std::string> SqlPrinter::pair_columns(int c, int a) const {
  std::string base = skin.concepts[at(c)].columns[at(a)];
  if (base.size() > 3 && base.ends_with("_id")) base.resize(base.size() - 3);
  return {base + "_series", base + "_item"};
}

std::string SqlPrinter::joined_id(int c, const std::string& series, const std::string& item) const {
  return id_expression(c, "((" + series + " - 1) * " + std::to_string(layout.series[at(c)]) +
                              " + " + item + " - 1)");
}

std::string SqlPrinter::base_id(int c, const std::string& alias) const {
  const std::string dot = alias.empty() ? "" : alias + ".";
  return layout.series[at(c)] > 0 ? joined_id(c, dot + "series", dot + "item") : dot + "id";
}

std::string SqlPrinter::number_of(int c, const std::string& id) const {
  switch (layout.ids[at(c)]) {
    case IdStyle::spread:
      return "((" + id + " - " + std::to_string(10000 * (c + 1)) + ") / 7)";
    case IdStyle::number:
      return "(" + id + " - " + std::to_string(1000 * (c + 1)) + ")";
    case IdStyle::code:
      break;
  }
  return "CAST(substr(" + id + ", " + std::to_string(skin.concepts[at(c)].prefix.size() + 2) +
         ") AS INTEGER)";
}

std::pair<std::string, std::string> SqlPrinter::parts_of(int c, const std::string& number) const {
  const std::string items = std::to_string(layout.series[at(c)]);
  return {number + " / " + items + " + 1", number + " % " + items + " + 1"};
}

std::string SqlPrinter::archive_table(int c) const {
  return "archived_" + skin.concepts[at(c)].table;
}

std::string SqlPrinter::side_table(int c, int a) const {
  const ConceptSkin& s = skin.concepts[at(c)];
  switch (storage(c, a)) {
    case Storage::lookup:
      return s.table + "_" + s.columns[at(a)] + "_kind";
    case Storage::history:
      return s.table + "_" + s.columns[at(a)] + "_log";
    case Storage::link:
      return s.table + "_" + s.columns[at(a)] + "_link";
    case Storage::log:
      return s.table + "_log";
    default:
      return s.table + "_detail";
  }
}

std::string SqlPrinter::view_sql(int c) const {
  const ConceptSkin& s = skin.concepts[at(c)];
  const std::string id = base_id(c, "b");
  std::string columns = id + " AS id", joins;
  bool split = false;
  int n = 0;
  for (int a = 0; a < static_cast<int>(s.columns.size()); ++a) {
    const Domain& d = world.concepts[at(c)].attrs[at(a)].domain;
    const std::string& column = s.columns[at(a)];
    const std::string alias = "s" + std::to_string(n), side = side_table(c, a);
    const Storage kept = storage(c, a);
    if (kept != Storage::base && kept != Storage::split) ++n;
    switch (kept) {
      case Storage::base: {
        if (!paired(c, a)) {
          columns += ", b." + column;
          break;
        }
        const auto [series, item] = pair_columns(c, a);
        columns += ", " + joined_id(d.target, "b." + series, "b." + item) + " AS " + column;
        break;
      }
      case Storage::split:
        columns += ", d." + column;
        split = true;
        break;
      case Storage::lookup:
        joins += " JOIN " + side + " " + alias + " ON " + alias + ".no = b." + column + "_no";
        columns += ", " + alias + ".label AS " + column;
        break;
      case Storage::link:
        joins += std::string(d.nullable ? " LEFT JOIN " : " JOIN ") + side + " " + alias + " ON " +
                 alias + ".record_id = " + id;
        columns += ", " + alias + "." + column;
        break;
      case Storage::history:
      case Storage::log: {
        const bool log = kept == Storage::log;
        const std::string field = log ? "field = " + sql_text(column) + " AND " : "";
        joins += " JOIN " + side + " " + alias + " ON " + alias + ".record_id = " + id + " AND " +
                 (log ? alias + "." + field : "") + alias + ".seq = (SELECT MAX(m.seq) FROM " +
                 side + " m WHERE m.record_id = " + id + (log ? " AND m.field = " : "") +
                 (log ? sql_text(column) : "") + ")";
        columns += ", " + alias + "." + (log ? "value AS " : "") + column;
        break;
      }
    }
  }
  if (split) joins = " JOIN " + s.table + "_detail d ON d.record_id = " + id + joins;
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
  for (int a = 0; a < static_cast<int>(s.columns.size()); ++a)
    if (storage(c, a) != Storage::base) tables.insert(side_table(c, a));
  v.tables.assign(tables.begin(), tables.end());
  return v;
}

std::vector<std::string> SqlPrinter::bookkeeping() const {
  std::vector<std::string> out{"key_counter"};
  for (int c = 0; c < static_cast<int>(world.concepts.size()); ++c)
    if (layout.archive[at(c)]) out.push_back(archive_table(c));
  return out;
}

namespace {

using Cells = std::vector<schemas::Scalar>;

// Rows by table, tables in the order of their first row.
struct RowsMade {
  const SqlPrinter& sql;
  Renderer r;
  std::map<std::string, tasks::Inserts> by_table;
  std::vector<std::string> order;

  void put(const std::string& table, Cells row) {
    auto [it, fresh] = by_table.try_emplace(table);
    if (fresh) {
      order.push_back(table);
      it->second.sql = "INSERT INTO " + table + " VALUES(";
      for (std::size_t i = 0; i < row.size(); ++i)
        it->second.sql += i == 0 ? "?1" : ", ?" + std::to_string(i + 1);
      it->second.sql += ")";
    }
    it->second.rows.push_back(std::move(row));
  }
  [[nodiscard]] schemas::Scalar id(int c, std::int64_t key) const {
    const schemas::Value v = r.id(c, key);
    if (v.is_int()) return v.as_int();
    return v.as_string();
  }
  void pair(int c, std::int64_t key, Cells& out) const {
    const std::int64_t items = sql.layout.series[at(c)];
    if (key == kNone) {
      out.emplace_back(std::monostate{});
      out.emplace_back(std::monostate{});
      return;
    }
    out.emplace_back(key / items + 1);
    out.emplace_back(key % items + 1);
  }
  void lookups(int c);
  void fact(int c, const Row& row, const Facts& facts);
};

void RowsMade::lookups(int c) {
  const auto& attrs = sql.world.concepts[at(c)].attrs;
  for (int a = 0; a < static_cast<int>(attrs.size()); ++a) {
    if (sql.storage(c, a) != Storage::lookup) continue;
    const auto& words = sql.skin.words[at(attrs[at(a)].domain.words)];
    for (std::size_t w = 0; w < words.size(); ++w)
      put(sql.side_table(c, a), {static_cast<std::int64_t>(w) + 1, words[w]});
  }
}

void RowsMade::fact(int c, const Row& row, const Facts& facts) {
  const ConceptSkin& s = sql.skin.concepts[at(c)];
  Cells base, split{id(c, row.key)};
  if (sql.layout.series[at(c)] > 0)
    pair(c, row.key, base);
  else
    base.push_back(id(c, row.key));
  for (int a = 0; a < static_cast<int>(row.values.size()); ++a) {
    const std::int64_t v = row.values[at(a)];
    const schemas::Scalar x = r.scalar(c, a, v);
    switch (sql.storage(c, a)) {
      case Storage::base:
        if (sql.paired(c, a))
          pair(sql.world.concepts[at(c)].attrs[at(a)].domain.target, v, base);
        else
          base.push_back(x);
        break;
      case Storage::split:
        split.push_back(x);
        break;
      case Storage::lookup:
        base.emplace_back(v + 1);
        break;
      case Storage::link:
        if (v != kNone) put(sql.side_table(c, a), {id(c, row.key), x});
        break;
      case Storage::history:
        put(sql.side_table(c, a), {id(c, row.key), std::int64_t{1}, x});
        break;
      case Storage::log:
        put(sql.side_table(c, a), {id(c, row.key), s.columns[at(a)], std::int64_t{1}, x});
        break;
    }
  }
  for (const auto& k : sql.layout.counters) {
    if (k.parent != c) continue;
    const auto& children = facts.tables[at(k.child)].rows;
    base.emplace_back(static_cast<std::int64_t>(
        std::count_if(children.begin(), children.end(),
                      [&](const Row& child) { return child.values[at(k.attribute)] == row.key; })));
  }
  if (sql.layout.soft_delete[at(c)]) base.emplace_back(std::monostate{});
  put(s.table, std::move(base));
  if (split.size() > 1) put(s.table + "_detail", std::move(split));
}

}  // namespace

std::vector<tasks::Inserts> SqlPrinter::inserts(const Facts& facts) const {
  RowsMade made{*this, renderer(), {}, {}};
  for (int c = 0; c < static_cast<int>(world.concepts.size()); ++c) {
    made.put("key_counter", {skin.concepts[at(c)].table, facts.tables[at(c)].next});
    made.lookups(c);
    for (const auto& row : facts.tables[at(c)].rows) made.fact(c, row, facts);
  }
  std::vector<tasks::Inserts> out;
  for (const auto& table : made.order) out.push_back(std::move(made.by_table[table]));
  return out;
}

}  // namespace seedbed::envgen
