// The CUDA backend under test, in builds that have it. The suite keeps its inputs and outputs in
// ordinary vectors; where the device cannot read those, this program's memory and the stack that
// its tests run on come from memory that both sides see.
#pragma once
#include <string>

#include "kernels/ops.h"

namespace seedbed::kernels::test {

// Empty, or why no case can run on a device.
std::string why_no_device();
// Each op, followed by waiting for the device; an error of the device is an exception.
const Ops& device_ops();

}  // namespace seedbed::kernels::test
