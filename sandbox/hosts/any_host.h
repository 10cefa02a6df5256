// The host that an environment asks for: SQL in a jail, or a server of somebody else.
#pragma once
#include <memory>

#include "sandbox/hosts/server_host.h"
#include "sandbox/jail.h"

namespace seedbed::sandbox {

// Decides at each load(). The broker outlives it.
std::unique_ptr<ToolHost> open_any_host(Broker& broker,
                                        const JailLimits& limits,
                                        std::shared_ptr<ServerPlace> servers);

}  // namespace seedbed::sandbox
