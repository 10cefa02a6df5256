// The whole way on two cores with strict isolation: certified tasks a second, oracle episodes a
// second through the agent loop and into the store, memory of a long generation, and how different
// the environments are.
//
//   bench_pipeline [ENVS] [TASKS_PER_ENV]     100 and 10; the memory row always makes 10,000 tasks
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "agent/run.h"
#include "base/clock.h"
#include "envgen/generate.h"
#include "sandbox/jail.h"
#include "tasks/store.h"

namespace {

using namespace seedbed;

[[noreturn]] void fail(const Error& e) {
  std::fprintf(stderr, "%s\n", e.message.c_str());
  std::exit(1);
}
template <class T>
T need(Result<T> r) {
  if (!r.ok()) fail(r.error());
  return *std::move(r);
}
void need(const Step& s) {
  if (s) fail(*s);
}

schemas::GenRequest request_of(const envgen::Packs& packs, std::int64_t envs, std::int64_t tasks) {
  schemas::GenRequest r;
  r.generator = envgen::kGeneratorVersion;
  r.family = "general";
  r.seed = "1";
  r.envs = envs;
  r.tasks_per_env = tasks;
  r.split = "all";
  r.packs = packs.hash;
  return r;
}

std::unique_ptr<tasks::Store> generated(const std::string& path,
                                        const std::shared_ptr<const envgen::Packs>& packs,
                                        const schemas::GenRequest& request,
                                        const envgen::HostFactory& hosts,
                                        const char* op) {
  auto store = need(tasks::Store::open(path, {.create = true, .fresh = true}));
  need(store->set_request(request));
  envgen::GenOptions options;
  options.request = request;
  const std::atomic<bool> stop{false};
  const auto summary = need(envgen::generate(*store, packs, options, hosts, nullptr, stop));
  need(store->select());
  need(store->checkpoint());
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf(
      "bench %s envs=%lld tasks=%lld jobs=2 isolation=strict seconds=%.2f tasks_per_s=%.0f "
      "peak_mib=%ld\n",
      op, static_cast<long long>(store->environment_ids()->size()),
      static_cast<long long>(store->task_ids()->size()), summary.seconds,
      static_cast<double>(summary.tasks) / summary.seconds, usage.ru_maxrss / 1024);
  std::fflush(stdout);
  return store;
}

void diversity(tasks::Store& store) {
  std::set<std::string> classes, core;
  const auto ids = need(store.environment_ids());
  for (const auto& id : ids) {
    const auto env = need(store.environment(id));
    classes.insert(env.environment.recipe.schema_class);
    core.insert(env.environment.recipe.core_schema_class);
  }
  std::int64_t crossing = 0, all = 0;
  for (const auto& id : need(store.task_ids())) {
    const auto task = need(store.task(id));
    ++all;
    crossing += task.gold.interactions > 0 && task.gold.mechanisms > 1 ? 1 : 0;
  }
  std::printf(
      "bench diversity envs=%zu schema_classes=%zu core_schema_classes=%zu tasks=%lld "
      "crossing_percent=%.1f\n",
      ids.size(), classes.size(), core.size(), static_cast<long long>(all),
      100.0 * static_cast<double>(crossing) / static_cast<double>(all));
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t envs = argc > 1 ? std::atoll(argv[1]) : 100,
                     per = argc > 2 ? std::atoll(argv[2]) : 10;
  const auto packs = need(envgen::load_packs({}));
  const auto broker = need(sandbox::Broker::start(sandbox::Isolation::strict));
  const envgen::HostFactory hosts = [&](int core) {
    sandbox::JailLimits limits;
    limits.core = core;
    return sandbox::open_sql_host(*broker, limits);
  };
  const auto dir =
      std::filesystem::temp_directory_path() / ("seedbed-bench-" + std::to_string(::getpid()));
  std::filesystem::create_directories(dir);
  {
    auto store =
        generated((dir / "a.db").string(), packs, request_of(*packs, envs, per), hosts, "gen");
    diversity(*store);
    for (const char* policy : {"oracle", "nop", "random"}) {
      agent::RunOptions options;
      options.policy = policy;
      options.samples = std::string(policy) == "oracle" ? 5 : 1;
      const auto summary = need(agent::run_policy(*store, options, hosts));
      std::printf(
          "bench run policy=%s lanes=2 isolation=strict episodes=%lld solved_percent=%.2f "
          "infra_errors=%lld seconds=%.2f episodes_per_s=%.0f calls_per_s=%.0f\n",
          policy, static_cast<long long>(summary.episodes),
          100.0 * static_cast<double>(summary.solved) / static_cast<double>(summary.episodes),
          static_cast<long long>(summary.infra_errors), summary.seconds,
          static_cast<double>(summary.episodes) / summary.seconds,
          static_cast<double>(summary.tool_calls) / summary.seconds);
      std::fflush(stdout);
    }
  }
  generated((dir / "big.db").string(), packs, request_of(*packs, 1000, 10), hosts, "gen_memory");
  std::filesystem::remove_all(dir);
  return 0;
}
