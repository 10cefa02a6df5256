// Terms and effects printed to SQL: terms over the views, effects through the layout's write
// templates. This and lower.cpp are the only printers of SQL.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "envgen/general/skin.h"
#include "schemas/environment.h"
#include "tasks/image.h"

namespace seedbed::envgen {

// How parameters and variables of a term appear in SQL.
struct SqlNames {
  std::vector<std::string> params;     // by slot, SQL expressions
  std::map<int, std::string> bound;    // variable slot -> SQL expression of its key (each-loops)
  std::map<int, std::string> aliases;  // variable slot -> alias of a view
};

// The tables of a layout: what the DDL and the schema class are printed from.
struct ColumnDef {
  std::string name;
  bool text = false;  // TEXT, else INTEGER
  bool nullable = false, key = false;
  bool ref = false;    // part of a reference: an edge of the schema graph, no column of its class
  bool extra = false;  // optional or invented: the core class leaves it out
};
struct RefDef {
  std::vector<std::string> columns;
  std::size_t table = 0;
  std::string label;  // "ref", "owner", "kind"
  bool nullable = false, extra = false;
  bool declared = true;  // as REFERENCES; an id joined from two columns cannot be
};
struct TableDef {
  std::string name;
  std::vector<ColumnDef> columns;
  std::vector<RefDef> refs;
  bool leaf = false;   // a lookup table
  bool extra = false;  // the core class leaves it out
};
// The class of a table graph, names erased: equal for two graphs exactly where they are isomorphic
// (a canonical form). `core` leaves out what is extra and turns lookups back into words. `exact`
// becomes false where the search for the canonical form was cut short.
std::string class_of_tables(const std::vector<TableDef>& tables, bool core, bool* exact = nullptr);

struct SqlPrinter {
  const World& world;
  const Skin& skin;
  const Layout& layout;
  [[nodiscard]] Renderer renderer() const { return {world, skin, layout}; }

  std::string term(const Term& t, const SqlNames& names) const;
  [[nodiscard]] std::string literal(const Domain& domain, std::int64_t value) const;
  // The SQL expression for the id of the fact numbered `next` (an SQL expression).
  [[nodiscard]] std::string id_expression(int concept_id, const std::string& next) const;
  [[nodiscard]] std::string next_id(int concept_id) const;  // a query for the next key's id
  // Statements for one effect; each-loops become a step with a body.
  void effect(const Effect& e,
              const SqlNames& names,
              const std::string& when,
              std::vector<schemas::ProgramStep>& out) const;

  // ---- the state itself ----
  [[nodiscard]] std::vector<TableDef> tables() const;
  [[nodiscard]] std::vector<std::string> ddl() const;
  [[nodiscard]] std::vector<tasks::Inserts> inserts(const Facts& facts) const;
  [[nodiscard]] schemas::View view(int concept_id) const;
  [[nodiscard]] std::string view_sql(int concept_id) const;
  [[nodiscard]] std::vector<std::string> bookkeeping() const;  // tables outside every fact
  [[nodiscard]] std::string schema_class(bool core) const;

  std::string fact_term(int concept_id, int attribute, const std::string& key, bool alias) const;
  std::vector<std::string> writes(const Effect& e, const SqlNames& names) const;
  [[nodiscard]] Storage storage(int concept_id, int attribute) const;
  [[nodiscard]] bool text_id(int concept_id) const;
  // Whether the attribute is a reference stored as two columns.
  [[nodiscard]] bool paired(int concept_id, int attribute) const;
  [[nodiscard]] std::pair<std::string, std::string> pair_columns(int concept_id,
                                                                 int attribute) const;
  // A row's id from the columns of its table ("" or an alias before them); from two columns.
  [[nodiscard]] std::string base_id(int concept_id, const std::string& alias) const;
  [[nodiscard]] std::string joined_id(int concept_id,
                                      const std::string& series,
                                      const std::string& item) const;
  // The number of an id, and from it the two columns.
  [[nodiscard]] std::string number_of(int concept_id, const std::string& id) const;
  [[nodiscard]] std::pair<std::string, std::string> parts_of(int concept_id,
                                                             const std::string& number) const;
  [[nodiscard]] std::string archive_table(int concept_id) const;
  [[nodiscard]] std::string side_table(int concept_id, int attribute) const;
  [[nodiscard]] std::string counter_update(int child) const;  // "" where nothing counts it
  [[nodiscard]] std::vector<std::string> assign(int concept_id,
                                                int attribute,
                                                const std::string& key,
                                                const std::string& value) const;
  std::vector<std::string> make(const Effect& e, const SqlNames& names) const;
  std::vector<std::string> remove(int concept_id, const std::string& key) const;
};

}  // namespace seedbed::envgen
