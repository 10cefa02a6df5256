#include "kernels/ref/ops_here.h"

namespace seedbed::kernels::ref {

void copy_rows(const CopyRowsParams& p) {
  for (std::int64_t i = 0; i < p.rows; ++i)
    for (int j = 0; j < p.dim; ++j) p.out[i * p.ldo + j] = p.x[i * p.ldx + j];
}

}  // namespace seedbed::kernels::ref
