// What this machine gives, layer by layer: each is tried for real in a child that ends at once.
#pragma once
#include <array>

#include "sandbox/broker/cgroup.h"
#include "sandbox/broker/launch.h"
#include "sandbox/broker/wire.h"

namespace seedbed::sandbox {

struct Probe {
  wire::Hello hello;
  Plan plan;
};
Probe probe_machine(Cgroups& groups, unsigned first_uid);

}  // namespace seedbed::sandbox
