#include "cli/box_arguments.h"

namespace seedbed::cli {

void BoxArguments::add_limits(Options& options) {
  options.integer("--memory-mib", memory_mib, 8, 1 << 20, "of the jail");
  options.integer("--pids", pids, 8, 32'768, "processes in the jail");
  options.choice("--net", net, {"none", "loopback"},
                 "no network, or an interface of its own with nobody else on it");
  options.texts("--mount", mounts, "SRC:DST[:rw]",
                "a file or folder of the host to be seen inside");
}

void BoxArguments::add_to(Options& options) {
  add_limits(options);
  isolation_option(options, common);
  json_option(options, common);
}

Result<std::unique_ptr<sandbox::LiveBox>> BoxArguments::open() const {
  sandbox::BoxSpec spec;
  spec.limits.memory_mib = static_cast<int>(memory_mib);
  spec.limits.pids = static_cast<int>(pids);
  spec.net = net == "loopback" ? sandbox::box::Net::loopback : sandbox::box::Net::none;
  for (const auto& mount : mounts) {
    SEEDBED_TRY(auto one, mount_of(mount));
    spec.mounts.push_back(std::move(one));
  }
  SEEDBED_TRY(const auto boxes, sandbox::Boxes::start(isolation_of(common.isolation)));
  return boxes->open(spec);
}

}  // namespace seedbed::cli
