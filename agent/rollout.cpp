#include "agent/rollout.h"

namespace seedbed::agent {
namespace {

Result<Rollout> attempt(const RolloutSpec& spec,
                        ModelClient& client,
                        sandbox::ToolHost& host,
                        const Clock& clock) {
  if (auto failed = host.reset()) return *std::move(failed);
  client.begin({spec.task_id, spec.task, spec.sample, spec.seed, spec.gold});
  EpisodeLoop loop(spec, clock);
  while (loop.need() != EpisodeLoop::Need::done) {
    if (loop.need() == EpisodeLoop::Need::reply) {
      SEEDBED_TRY(Reply reply, client.reply(loop.view()));
      if (auto failed = loop.take(std::move(reply))) return *std::move(failed);
    } else {
      SEEDBED_TRY(schemas::ToolResult result, host.call(loop.call(), loop.call_wall_ms()));
      if (auto failed = loop.take(std::move(result))) return *std::move(failed);
    }
  }
  std::vector<schemas::RowChange> changes;
  if (loop.called_host()) {
    SEEDBED_TRY(changes, host.changes());
  }
  Rollout made = loop.finish(std::move(changes));
  made.trajectory.tokens = client.finish();
  return made;
}

}  // namespace

Result<Rollout> rollout(const RolloutSpec& spec,
                        ModelClient& client,
                        std::unique_ptr<sandbox::ToolHost>& host,
                        const OpenHost& open,
                        const Clock& clock) {
  for (int retries = 0;; ++retries) {
    Step failed;
    if (host == nullptr) {
      auto opened = open();
      if (opened.ok())
        host = *std::move(opened);
      else
        failed = std::move(opened).error();
    }
    if (!failed) {
      auto made = attempt(spec, client, *host, clock);
      if (made.ok()) {
        made->trajectory.retries = retries;
        return made;
      }
      failed = std::move(made).error();
    }
    if (failed->where != Where::sandbox) return *std::move(failed);
    host = nullptr;  // a jail that failed is never used again
    if (retries == 1) return *std::move(failed);
  }
}

}  // namespace seedbed::agent
