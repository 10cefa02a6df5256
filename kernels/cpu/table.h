// Each instruction set's table; see kernels/CMakeLists.txt for how one source becomes three.
#pragma once
#include "kernels/ops.h"

namespace seedbed::kernels {
namespace scalar {
const Ops& table();
}
namespace avx2 {
const Ops& table();
}
namespace avx512 {
const Ops& table();
}
}  // namespace seedbed::kernels
