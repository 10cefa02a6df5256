#include "tasks/eval/seen.h"

#include <algorithm>

namespace seedbed::tasks::eval {

std::string triple_of(const schemas::Environment& env, const schemas::TaskSpec& task) {
  const auto level = std::find_if(task.knobs.begin(), task.knobs.end(),
                                  [](const auto& knob) { return knob.name == "level"; });
  return std::to_string(level == task.knobs.end() ? 0 : level->value) + "|" + env.recipe.lexicon +
         "|" + task.skeleton;
}

Result<Seen> read_seen(Store& store,
                       const std::function<bool(std::int64_t, std::int64_t)>& on_task) {
  Seen out;
  SEEDBED_TRY(const auto all, store.task_ids());
  SEEDBED_TRY(const auto environments, store.environment_ids());
  for (const auto& id : environments) {
    out.environments.insert(id);
    SEEDBED_TRY(const auto env, store.environment(id));
    SEEDBED_TRY(const auto ids, store.task_ids_of(id));
    for (const auto& task_id : ids) {
      SEEDBED_TRY(const auto task, store.task(task_id));
      out.triples.insert(triple_of(env.environment, task.task));
      if (!on_task(++out.tasks, static_cast<std::int64_t>(all.size())))
        return make_error(Where::interrupted, "store", "", "stopped while it was read",
                          "give the same command again");
    }
  }
  return out;
}

}  // namespace seedbed::tasks::eval
