// Runs of the policy `http`.
#include <boost/asio/io_context.hpp>

#include "agent/http_client.h"
#include "agent/run_async.h"

namespace seedbed::agent {

Result<RunSummary> run_http(tasks::Store& store,
                            const RunPlan& plan,
                            const RunOptions& options,
                            const HostFactory& hosts,
                            const OnProgress& progress) {
  boost::asio::io_context io(1);
  SEEDBED_TRY(const auto endpoint, HttpEndpoint::open(io, options.http));
  return run_async(io, store, plan, options, hosts, {.make = [&] { return endpoint->client(); }},
                   progress);
}

}  // namespace seedbed::agent
