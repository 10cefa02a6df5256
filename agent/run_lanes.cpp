// Lanes of the scripted policies: each a thread, pinned to a core, with its own jail and its own
// open judge. A lane takes the next environment, loads it once, and runs all its episodes; the
// writer stores them.
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <optional>
#include <thread>

#include "agent/rollout.h"
#include "agent/run_plan.h"
#include "agent/writer.h"
#include "tasks/judge.h"

namespace seedbed::agent {
namespace {

// So many infrastructure errors in a row on one lane are no bad luck: the run ends.
constexpr int kInfraInARow = 8;

std::vector<int> allowed_cores() {
  std::vector<int> out;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    for (int i = 0; i < CPU_SETSIZE; ++i)
      if (CPU_ISSET(i, &set)) out.push_back(i);
  if (out.empty()) out.push_back(-1);
  return out;
}

void pin_this_thread(int core) {
  if (core < 0) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  pthread_setaffinity_np(pthread_self(), sizeof set,
                         &set);  // a hint: an unpinned lane is only slower
}

struct Shared {
  tasks::Store& store;
  const RunPlan& plan;
  const RunOptions& options;
  const HostFactory& hosts;
  const LaneClients& clients;
  std::mutex store_mutex;
  std::atomic<std::size_t> next{0};
  std::atomic<bool> stop{false};
  std::mutex error_mutex;
  Step error;

  bool stopping() const {
    return stop.load(std::memory_order_relaxed) ||
           (options.interrupted != nullptr && options.interrupted->load(std::memory_order_relaxed));
  }
  void fail(Error why) {
    const std::lock_guard lock(error_mutex);
    if (!error) error = std::move(why);
    stop = true;
  }
};

class Lane {
 public:
  Lane(Shared& shared, EpisodeWriter& writer, int core)
      : shared_(shared), writer_(writer), core_(core), client_(shared.clients.make()) {}

  void work() {
    pin_this_thread(core_);
    while (!shared_.stopping()) {
      const std::size_t at = shared_.next.fetch_add(1);
      if (at >= shared_.plan.environments.size()) return;
      if (auto failed = environment(shared_.plan.environments[at])) {
        shared_.fail(*std::move(failed));
        return;
      }
    }
  }

 private:
  Step environment(const PlannedEnvironment& planned) {
    {
      const std::lock_guard lock(shared_.store_mutex);
      auto loaded = shared_.store.environment(planned.id);
      if (!loaded.ok()) return std::move(loaded).error();
      stored_ = *std::move(loaded);
    }
    auto judge = tasks::Judge::open(stored_->environment, stored_->image);
    if (!judge.ok()) return std::move(judge).error();
    judge_ = *std::move(judge);
    if (host_ != nullptr)
      if (auto failed = host_->load(stored_->environment, stored_->image)) {
        if (failed->where != Where::sandbox) return failed;
        host_ = nullptr;  // the rollout opens another
      }
    for (const auto& task : planned.tasks) {
      if (shared_.stopping()) return std::nullopt;
      if (auto failed = run_task(task)) return failed;
    }
    return std::nullopt;
  }

  Result<tasks::StoredTask> stored_task(const std::string& id) {
    const std::lock_guard lock(shared_.store_mutex);
    return shared_.store.task(id);
  }

  Step run_task(const PlannedTask& planned) {
    auto loaded = stored_task(planned.id);
    if (!loaded.ok()) return std::move(loaded).error();
    const tasks::StoredTask task = *std::move(loaded);
    const Offered offered(stored_->environment, task.task);
    RolloutSpec spec{.environment = stored_->environment,
                     .task = task.task,
                     .offered = offered,
                     .task_id = planned.id,
                     .policy = shared_.plan.info.policy,
                     .policy_version = shared_.plan.info.policy_version,
                     .sample = 0,
                     .seed = shared_.options.seed,
                     .budget = shared_.options.budget
                                   ? smaller(task.task.budget, *shared_.options.budget)
                                   : task.task.budget,
                     .call_wall_ms = shared_.options.call_wall_ms,
                     .gold = client_->needs_gold() ? &task.gold : nullptr};
    for (const std::int64_t sample : planned.samples) {
      if (shared_.stopping()) return std::nullopt;
      spec.sample = sample;
      if (auto failed = run_episode(spec, task.verifier)) return failed;
    }
    return std::nullopt;
  }

  Step run_episode(const RolloutSpec& spec, const schemas::Verifier& verifier) {
    EpisodeWriter::Item item{
        .task_id = spec.task_id, .sample = spec.sample, .rollout = {}, .infra_why = {}};
    auto made = rollout(
        spec, *client_, host_, [this] { return open_host(); }, clock_);
    if (made.ok()) {
      infra_in_a_row_ = 0;
      item.rollout = *std::move(made);
      auto verdict = judge_->judge(verifier, item.rollout.evidence);
      if (!verdict.ok()) return std::move(verdict).error();
      item.rollout.trajectory.verdict = *std::move(verdict);
    } else if (made.error().where == Where::sandbox) {
      item.infra_why = made.error().message;
      if (++infra_in_a_row_ >= kInfraInARow) {
        writer_.put(std::move(item));
        return std::move(made).error();
      }
    } else {
      return std::move(made).error();
    }
    if (!writer_.put(std::move(item))) shared_.stop = true;  // the writer keeps the error
    return std::nullopt;
  }

  Result<std::unique_ptr<sandbox::ToolHost>> open_host() {
    SEEDBED_TRY(auto host, shared_.hosts(core_));
    if (auto failed = host->load(stored_->environment, stored_->image)) return *std::move(failed);
    return host;
  }

  Shared& shared_;
  EpisodeWriter& writer_;
  int core_;
  Clock clock_;
  std::unique_ptr<ModelClient> client_;
  std::optional<tasks::StoredEnvironment> stored_;
  std::unique_ptr<tasks::Judge> judge_;
  std::unique_ptr<sandbox::ToolHost> host_;
  int infra_in_a_row_ = 0;
};

}  // namespace

Result<RunSummary> run_lanes(tasks::Store& store,
                             const RunPlan& plan,
                             const RunOptions& options,
                             const HostFactory& hosts,
                             const LaneClients& clients,
                             const OnProgress& progress) {
  Shared shared{.store = store,
                .plan = plan,
                .options = options,
                .hosts = hosts,
                .clients = clients,
                .store_mutex = {},
                .next = {},
                .stop = {},
                .error_mutex = {},
                .error = {}};
  RunSummary summary;
  Step write_error;
  {
    EpisodeWriter writer(store, shared.store_mutex, plan.run, plan.total, progress);
    const std::vector<int> cores = allowed_cores();
    const std::size_t lanes = std::min<std::size_t>(
        static_cast<std::size_t>(options.jobs), std::max<std::size_t>(1, plan.environments.size()));
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < lanes; ++i)
      threads.emplace_back([&shared, &writer, core = cores[i % cores.size()]] {
        Lane(shared, writer, core).work();
      });
    for (auto& thread : threads) thread.join();
    write_error = writer.close(summary);
  }
  if (write_error) return *std::move(write_error);
  if (shared.error) return *std::move(shared.error);
  if (options.interrupted != nullptr && options.interrupted->load())
    return interrupted_error(summary.episodes);
  summary.skipped = plan.skipped;
  summary.run = plan.run;
  return summary;
}

}  // namespace seedbed::agent
