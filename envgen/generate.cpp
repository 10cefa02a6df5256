#include "envgen/generate.h"

#include <algorithm>
#include <mutex>
#include <thread>

#include "base/clock.h"
#include "envgen/general/slot.h"

namespace seedbed::envgen {
namespace {

// Work shared by lanes: each takes the next index until none is left, somebody failed or the user
// stopped.
struct Lanes {
  std::atomic<std::size_t> next{0};
  std::atomic<bool> failed{false};
  std::mutex mutex;  // guards the store, the progress and `error`
  Step error;

  void fail(Error e) {
    const std::lock_guard<std::mutex> lock(mutex);
    if (!error) error = std::move(e);
    failed = true;
  }
};

void run_lanes(int jobs, const std::function<void(int)>& lane) {
  std::vector<std::thread> threads;
  for (int i = 1; i < jobs; ++i) threads.emplace_back(lane, i);
  lane(0);
  for (auto& t : threads) t.join();
}

// A jail that fails is ours to mend, not the slot's fault: once more with new hosts.
Result<tasks::SlotRecord> make_slot_twice(const Packs& packs,
                                          const schemas::GenRequest& request,
                                          std::int64_t slot,
                                          Bench& bench,
                                          const HostFactory& hosts,
                                          int core) {
  auto record = make_slot(packs, request, slot, bench);
  if (record.ok() || record.error().where != Where::sandbox) return record;
  SEEDBED_TRY(bench, open_bench(hosts, core));
  return make_slot(packs, request, slot, bench);
}

}  // namespace

std::int64_t slots_of(const schemas::GenRequest& request) {
  return request.envs + std::max<std::int64_t>(4, request.envs / 5);
}

Result<GenSummary> generate(tasks::Store& store,
                            std::shared_ptr<const Packs> packs,
                            const GenOptions& options,
                            const HostFactory& hosts,
                            const std::function<void(const GenProgress&)>& progress,
                            const std::atomic<bool>& stop) {
  const std::int64_t began = monotonic_us();
  SEEDBED_TRY(const std::set<std::int64_t> finished, store.finished_slots());
  GenProgress now;
  std::vector<std::int64_t> todo;
  for (std::int64_t slot = 0; slot < slots_of(options.request); ++slot) {
    if (slot % options.shards != options.shard) continue;
    ++now.slots_total;
    if (finished.count(slot) != 0)
      ++now.slots_done;
    else
      todo.push_back(slot);
  }
  GenSummary summary;
  Lanes lanes;
  run_lanes(std::clamp(options.jobs, 1, 64), [&](int core) {
    if (todo.empty()) return;
    auto bench = open_bench(hosts, core);
    if (!bench.ok()) return lanes.fail(bench.error());
    for (std::size_t i = 0; !stop && !lanes.failed && (i = lanes.next++) < todo.size();) {
      auto record = make_slot_twice(*packs, options.request, todo[i], *bench, hosts, core);
      if (!record.ok()) return lanes.fail(record.error());
      const std::lock_guard<std::mutex> lock(lanes.mutex);
      ++now.slots_done;
      ++summary.slots;
      now.environments += record->environment ? 1 : 0;
      now.tasks += static_cast<std::int64_t>(record->tasks.size());
      if (auto e = store.put_slot(*std::move(record))) {
        lanes.error = std::move(e);
        lanes.failed = true;
        return;
      }
      if (progress) progress(now);
    }
  });
  if (lanes.error) return *std::move(lanes.error);
  if (auto e = store.flush()) return *std::move(e);
  if (stop && lanes.next < todo.size())
    return Error{Where::interrupted, "stopped; the same command continues"};
  summary.environments = now.environments;
  summary.tasks = now.tasks;
  summary.seconds = static_cast<double>(monotonic_us() - began) / 1e6;
  return summary;
}

namespace {

// What is stored for one environment against what its slot gives now.
void compare(const tasks::StoredEnvironment& stored,
             const std::vector<std::pair<std::string, schemas::Certificate>>& tasks_stored,
             const tasks::SlotRecord& made,
             std::vector<VerifyFailure>& failed) {
  if (!made.environment || made.environment->id() != stored.id) {
    const bool image = made.environment &&
                       made.environment->environment().image_hash != stored.environment.image_hash;
    failed.push_back(
        {stored.id, "environment",
         image ? "the image made from the seed differs" : "the slot gives another environment"});
    return;
  }
  for (const auto& [id, certificate] : tasks_stored) {
    const auto it =
        std::find_if(made.tasks.begin(), made.tasks.end(),
                     [&](const tasks::AdmittedTask& t) { return t.certificate().task_id == id; });
    if (it == made.tasks.end())
      failed.push_back({id, "seed", "the slot does not give this task"});
    else if (schemas::dump_record(it->certificate()) != schemas::dump_record(certificate))
      failed.push_back({id, "certificate", "the gates show something else now"});
  }
}

}  // namespace

Result<VerifySummary> verify_pack(tasks::Store& store,
                                  std::shared_ptr<const Packs> packs,
                                  std::int64_t sample,
                                  const HostFactory& hosts,
                                  const std::function<void(std::int64_t, std::int64_t)>& progress,
                                  const std::atomic<bool>& stop) {
  SEEDBED_TRY(const auto request, store.request());
  if (!request)
    return make_error(Where::store, "store", "",
                      "holds no generated environments, wanted the result of gen",
                      "generate into it first");
  if (request->packs != packs->hash)
    return make_error(
        Where::pack, "packs", "",
        "hash " + packs->hash + ", wanted " + request->packs + " as when the store was made",
        "name the same folders with --pack");
  SEEDBED_TRY(std::vector<std::string> ids, store.environment_ids());
  if (sample > 0 && static_cast<std::size_t>(sample) < ids.size()) {
    std::sort(ids.begin(), ids.end());  // hashes: the first ones are as good as drawn
    ids.resize(static_cast<std::size_t>(sample));
  }
  VerifySummary summary;
  Lanes lanes;
  std::int64_t done = 0;
  run_lanes(2, [&](int core) {
    auto bench = open_bench(hosts, core);
    if (!bench.ok()) return lanes.fail(bench.error());
    for (std::size_t i = 0; !stop && !lanes.failed && (i = lanes.next++) < ids.size();) {
      std::unique_lock<std::mutex> lock(lanes.mutex);
      auto stored = store.environment(ids[i]);
      std::vector<std::pair<std::string, schemas::Certificate>> certificates;
      auto task_ids = stored.ok() ? store.task_ids_of(ids[i])
                                  : Result<std::vector<std::string>>(stored.error());
      if (!task_ids.ok()) {
        lanes.error = task_ids.error();
        lanes.failed = true;
        return;
      }
      for (const auto& id : *task_ids) {
        auto c = store.certificate(id);
        if (!c.ok()) {
          lanes.error = c.error();
          lanes.failed = true;
          return;
        }
        certificates.emplace_back(id, *std::move(c));
      }
      lock.unlock();
      auto made =
          make_slot_twice(*packs, *request, stored->environment.recipe.slot, *bench, hosts, core);
      if (!made.ok()) return lanes.fail(made.error());
      lock.lock();
      compare(*stored, certificates, *made, summary.failed);
      summary.checked += static_cast<std::int64_t>(certificates.size());
      if (progress) progress(++done, static_cast<std::int64_t>(ids.size()));
    }
  });
  if (lanes.error) return *std::move(lanes.error);
  if (stop) return Error{Where::interrupted, "stopped"};
  return summary;
}

}  // namespace seedbed::envgen
