#include "envgen/generate.h"

#include <algorithm>
#include <thread>

#include "base/clock.h"
#include "envgen/lanes.h"

namespace seedbed::envgen {
void run_lanes(int jobs, const std::function<void(int)>& lane) {
  std::vector<std::thread> threads;
  for (int i = 1; i < jobs; ++i) threads.emplace_back(lane, i);
  lane(0);
  for (auto& t : threads) t.join();
}

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

std::int64_t slots_of(const schemas::GenRequest& request) {
  return request.envs + std::max<std::int64_t>(4, request.envs / 24);
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

}  // namespace seedbed::envgen
