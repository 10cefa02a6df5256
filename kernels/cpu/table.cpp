#include "kernels/cpu/table.h"

#include "kernels/cpu/ops_here.h"

namespace seedbed::kernels::SEEDBED_ISA {

const Ops& table() {
#if defined(SEEDBED_ISA_avx512)
  static constexpr Ops ops = table_here("cpu.avx512");
#elif defined(SEEDBED_ISA_avx2)
  static constexpr Ops ops = table_here("cpu.avx2");
#else
  static constexpr Ops ops = table_here("cpu.scalar");
#endif
  return ops;
}

}  // namespace seedbed::kernels::SEEDBED_ISA
