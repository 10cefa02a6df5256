// Some tables of a model and some of their rows, closed under references: what one environment
// holds.
#pragma once
#include <vector>

#include "base/rng.h"
#include "envgen/from_db/model.h"

namespace seedbed::envgen {

struct CutTable {
  int table = -1;                 // of the model
  std::vector<int> columns;       // of the table: those whose references stay inside the cut
  std::vector<std::size_t> rows;  // of the table, rising
};
struct DbCut {
  const DbModel* model = nullptr;
  std::vector<CutTable> tables;  // by symbol
  [[nodiscard]] const DbTable& table(int i) const {
    return model->tables[static_cast<std::size_t>(tables[static_cast<std::size_t>(i)].table)];
  }
  [[nodiscard]] int place_of(int model_table) const;  // -1: not in the cut
};
struct CutKnobs {
  int tables_min = 4, tables_max = 6;
  std::size_t rows_all = 40;  // a table of so many rows is taken whole
  std::size_t rows_leaf = 34, rows_parent = 18;
};
DbCut draw_cut(const DbModel& model, Rng rng, const CutKnobs& knobs);

}  // namespace seedbed::envgen
