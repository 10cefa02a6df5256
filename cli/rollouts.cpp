#include "cli/rollouts.h"

#include <algorithm>

namespace seedbed::cli {

Result<agent::RunSummary> run_store(Context& context,
                                    tasks::Store& store,
                                    agent::RunOptions options,
                                    const std::shared_ptr<Jails>& jails) {
  options.interrupted = &context.stop;
  const auto hosts = [&](int core) { return open_host(*jails, core); };
  Progress progress(context.out, options.policy, "episodes");
  auto summary = agent::run_policy(store, options, hosts, [&](const agent::RunProgress& p) {
    std::string said =
        format_share(static_cast<double>(p.solved), static_cast<double>(p.done)) + " solved";
    if (p.tokens.prompt > 0) {
      const double rate = static_cast<double>(p.tokens.generated) / std::max(p.seconds, 1e-9);
      said +=
          ", " + format_count(static_cast<std::int64_t>(rate)) + " tokens/s, " +
          format_share(static_cast<double>(p.tokens.cached), static_cast<double>(p.tokens.prompt)) +
          " of prompts from the cache";
    }
    progress.at(p.done, p.total, said);
  });
  if (auto error = store.flush(); error && summary.ok()) return *std::move(error);
  return summary;
}

}  // namespace seedbed::cli
