// The tables of the two builds of this folder's sources. Each exists where its build was made.
#pragma once
#include "kernels/ops.h"

namespace seedbed::kernels {
namespace cuda {
const Ops& table();
}
namespace simt {
const Ops& table();
}
}  // namespace seedbed::kernels
