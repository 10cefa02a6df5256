// Many rollouts on one thread: each is a coroutine that waits on its model or on its own jail,
// never on a thread. Episodes of one task are begun one after the other, so that a model which
// shares prompts computes each once.
#pragma once
#include <functional>
#include <memory>

#include "agent/client.h"
#include "agent/run_plan.h"

namespace boost::asio {
class io_context;
}

namespace seedbed::agent {

struct AsyncClients {
  std::function<std::unique_ptr<ModelClient>()>
      make;  // one a worker, its ask() answers on the loop
  // So many failures of the model in a row end the run; before its first answer one does.
  int model_failures = 3;
  std::function<RunTokens()> tokens = {};  // so far, where the model counts them
};

// `io` is run until all is done, or the run is interrupted: what is in flight then is dropped with
// the clients, before this returns, and with `io`.
Result<RunSummary> run_async(boost::asio::io_context& io,
                             tasks::Store& store,
                             const RunPlan& plan,
                             const RunOptions& options,
                             const HostFactory& hosts,
                             const AsyncClients& clients,
                             const OnProgress& progress);

}  // namespace seedbed::agent
