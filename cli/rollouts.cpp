#include "cli/rollouts.h"

namespace seedbed::cli {

Result<agent::RunSummary> run_store(Context& context,
                                    tasks::Store& store,
                                    agent::RunOptions options,
                                    const std::shared_ptr<sandbox::Broker>& broker) {
  options.interrupted = &context.stop;
  const auto hosts = [&](int core) { return open_host(*broker, core); };
  Progress progress(context.out, options.policy, "episodes");
  auto summary = agent::run_policy(store, options, hosts, [&](const agent::RunProgress& p) {
    progress.at(
        p.done, p.total,
        format_share(static_cast<double>(p.solved), static_cast<double>(p.done)) + " solved");
  });
  if (auto error = store.flush(); error && summary.ok()) return *std::move(error);
  return summary;
}

}  // namespace seedbed::cli
