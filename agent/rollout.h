// Drives one agent through one task. A bad rollout is data; an Error means that there is no rollout
// to judge.
#pragma once
#include <functional>
#include <memory>

#include "agent/client.h"
#include "agent/episode_loop.h"
#include "base/clock.h"
#include "base/result.h"
#include "sandbox/tool_host.h"

namespace seedbed::agent {

using OpenHost =
    std::function<Result<std::unique_ptr<sandbox::ToolHost>>()>;  // a new jail with the environment
                                                                  // loaded

// `host` has the environment loaded; it is reset here, and replaced through `open` where its jail
// fails (the rollout is then made once more from the start). Null on return where the replacement
// failed too: the caller opens another.
//   Error{sandbox}   the jail failed twice: an infrastructure error, never scored
//   Error{model}     the client could not get or read a reply
//   Error{verifier}  the task's own schema does not compile
Result<Rollout> rollout(const RolloutSpec& spec,
                        ModelClient& client,
                        std::unique_ptr<sandbox::ToolHost>& host,
                        const OpenHost& open,
                        const Clock& clock);

}  // namespace seedbed::agent
