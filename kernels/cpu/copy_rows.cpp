#include <cstring>

#include "kernels/cpu/ops_here.h"
#include "kernels/pool.h"

namespace seedbed::kernels::SEEDBED_ISA {

void copy_rows(const CopyRowsParams& p) {
  parallel_for(p.pool, p.rows, 1024, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      std::memcpy(p.out + i * p.ldo, p.x + i * p.ldx, static_cast<std::size_t>(p.dim) * 4);
  });
}

}  // namespace seedbed::kernels::SEEDBED_ISA
