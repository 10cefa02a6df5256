// What a box is, as flags of commands that hold one open.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cli/common.h"
#include "cli/options.h"
#include "sandbox/boxes.h"

namespace seedbed::cli {

struct BoxArguments {
  std::int64_t memory_mib = 512, pids = 64;
  std::string net = "none";
  std::vector<std::string> mounts;
  Common common;

  void add_limits(Options& options);  // memory, processes, network, mounts
  void add_to(Options& options);      // those, --isolation and --json
  // A server of boxes and one box. The server goes with the last box.
  Result<std::unique_ptr<sandbox::LiveBox>> open() const;
};

}  // namespace seedbed::cli
