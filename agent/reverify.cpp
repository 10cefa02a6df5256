#include <optional>

#include "agent/run.h"
#include "agent/run_plan.h"
#include "tasks/judge.h"

namespace seedbed::agent {
namespace {

bool same(const schemas::Verdict& a, const schemas::Verdict& b) {
  return schemas::to_value(a) == schemas::to_value(b);
}

}  // namespace

Result<Reverified> reverify(tasks::Store& store, const std::atomic<bool>* interrupted) {
  Reverified out;
  // Episodes come by environment and task within a run, so one of each is kept open.
  std::string environment_id;
  std::unique_ptr<tasks::Judge> judge;
  std::optional<tasks::StoredTask> task;
  auto failed = store.for_each_episode([&](const tasks::StoredEpisode& episode) -> Step {
    if (interrupted != nullptr && interrupted->load()) return interrupted_error(0);
    const auto& t = episode.trajectory;
    if (judge == nullptr || t.environment_id != environment_id) {
      auto stored = store.environment(t.environment_id);
      if (!stored.ok()) return std::move(stored).error();
      auto opened = tasks::Judge::open(stored->environment, stored->image);
      if (!opened.ok()) return std::move(opened).error();
      judge = *std::move(opened);
      environment_id = t.environment_id;
    }
    if (!task || task->id != t.task_id) {
      auto stored = store.task(t.task_id);
      if (!stored.ok()) return std::move(stored).error();
      task = *std::move(stored);
    }
    auto verdict = judge->judge(task->verifier, episode.evidence);
    if (!verdict.ok()) return std::move(verdict).error();
    ++out.checked;
    if (!same(t.verdict, *verdict))
      out.changed.push_back({episode.id, t.verdict, *std::move(verdict)});
    return std::nullopt;
  });
  if (failed) return *std::move(failed);
  for (const auto& change : out.changed)
    if (auto wrong = store.set_verdict(change.episode_id, change.after)) return *std::move(wrong);
  if (auto wrong = store.flush()) return *std::move(wrong);
  return out;
}

}  // namespace seedbed::agent
