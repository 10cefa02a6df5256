// The tables of the two builds of this folder's sources. Each exists where its build was made.
#pragma once
#include "kernels/chains.h"

namespace seedbed::kernels {
namespace cuda {
const Ops& table();
const Chains& chains();
}  // namespace cuda
namespace simt {
const Ops& table();
const Chains& chains();
}  // namespace simt
}  // namespace seedbed::kernels
