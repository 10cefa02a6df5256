#include "envgen/from_db/from_db.h"

#include "base/hash.h"
#include "base/text.h"

namespace seedbed::envgen {
namespace {

Result<std::shared_ptr<const Packs>> packs_of(const tasks::ForeignDb& db) {
  SEEDBED_TRY(DbModel model, model_of(db));
  auto packs = std::make_shared<Packs>();
  packs->hash = kDatabaseHash + model.hash;
  packs->database = std::make_shared<const DbModel>(std::move(model));
  return std::shared_ptr<const Packs>(std::move(packs));
}

}  // namespace

Result<std::shared_ptr<const Packs>> load_database(const std::string& path) {
  SEEDBED_TRY(const tasks::ForeignDb db, tasks::read_foreign_db(path));
  return packs_of(db);
}

Result<std::shared_ptr<const Packs>> load_database_bytes(std::string bytes,
                                                         const std::string& name) {
  SEEDBED_TRY(const tasks::ForeignDb db, tasks::read_foreign_bytes(std::move(bytes), name));
  return packs_of(db);
}

std::vector<std::string> database_report(const DbModel& model) {
  const std::size_t all = model.tables.size() + model.left_out.size();
  std::vector<std::string> out{model.name + ": " + std::to_string(model.tables.size()) + " of " +
                               std::to_string(all) + " tables used"};
  for (const auto& [table, why] : model.left_out)
    out.push_back("  table " + table + " left out: " + why);
  for (const auto& t : model.tables) {
    std::string line = "  table " + t.name + ": " + std::to_string(t.rows.size()) + " of " +
                       std::to_string(t.rows_total) + " rows can be drawn from";
    for (const auto& c : t.columns)
      if (c.guessed)
        line += "; " + c.name + " taken for a reference to " +
                model.tables[static_cast<std::size_t>(c.target)].name;
    if (!t.left_out.empty()) line += "; columns left out: " + join(t.left_out, ", ");
    out.push_back(std::move(line));
  }
  return out;
}

}  // namespace seedbed::envgen
