#include "engine/choose_device.h"

namespace seedbed::engine {

Result<ChosenDevice> choose_device(std::string_view choice) {
  if (choice != "auto" && choice != "cpu" && choice != "cuda")
    return make_error(Where::usage, "option", "--device",
                      "found '" + std::string(choice) + "', wanted auto, cpu or cuda",
                      "change the value");
  if (choice == "cpu" || (choice == "auto" && !kernels::built_with_cuda()))
    return ChosenDevice{kernels::host_device(), ""};
  std::string why;
  if (auto device = kernels::open_cuda_device(why)) return ChosenDevice{std::move(device), ""};
  if (choice == "auto") return ChosenDevice{kernels::host_device(), "no GPU: " + why};
  return make_error(Where::config, "device", "cuda", why,
                    "use --device cpu, or a machine and a build with a GPU");
}

}  // namespace seedbed::engine
