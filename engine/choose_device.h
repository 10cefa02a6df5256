// Which device computes: what `--device` says.
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "kernels/device.h"

namespace seedbed::engine {

struct ChosenDevice {
  std::shared_ptr<kernels::Device> device;
  std::string note;  // to be told once: why a build for GPUs uses the host; else empty
};
// choice: "auto" (a GPU where there is one, else the host), "cpu", "cuda". Error{usage}: another
// word; Error{config}: cuda, and there is none.
Result<ChosenDevice> choose_device(std::string_view choice);

}  // namespace seedbed::engine
