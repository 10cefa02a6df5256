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
  [[nodiscard]] std::vector<std::string> ddl() const;
  [[nodiscard]] std::vector<tasks::Inserts> inserts(const Facts& facts) const;
  [[nodiscard]] schemas::View view(int concept_id) const;
  [[nodiscard]] std::string view_sql(int concept_id) const;
  [[nodiscard]] std::string schema_class(bool core) const;

  std::string fact_term(int concept_id, int attribute, const std::string& key, bool alias) const;
  std::vector<std::string> writes(const Effect& e, const SqlNames& names) const;
  [[nodiscard]] std::string side_table(int concept_id,
                                       int attribute) const;  // lookup, history or split table
  [[nodiscard]] std::string counter_update(int child) const;  // "" where nothing counts it
  std::string assign(int concept_id,
                     int attribute,
                     const std::string& key,
                     const std::string& value) const;
  std::vector<std::string> make(const Effect& e, const SqlNames& names) const;
};

}  // namespace seedbed::envgen
