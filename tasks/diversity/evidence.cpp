// Reading a store on several lanes. Only hashes and sketches stay in memory, and the sample.
#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "base/hash.h"
#include "tasks/diversity/report.h"
#include "tasks/selection.h"

namespace seedbed::tasks::diversity {
namespace {

// The prompts with the lowest keys of those that it has seen.
class Sample {
 public:
  explicit Sample(std::size_t most) : most_(most) {}
  void add(const std::string& text) {
    const std::uint64_t key = hash64(text, 11);
    if (most_ == 0 || (kept_.size() == most_ && key >= kept_.front().key)) return;
    kept_.push_back({key, text});
    std::push_heap(kept_.begin(), kept_.end(), lower);
    if (kept_.size() <= most_) return;
    std::pop_heap(kept_.begin(), kept_.end(), lower);
    kept_.pop_back();
  }
  std::vector<Prompt> take() { return std::move(kept_); }

 private:
  static bool lower(const Prompt& a, const Prompt& b) { return a.key < b.key; }
  std::size_t most_;
  std::vector<Prompt> kept_;  // a heap, the highest key first
};

struct Shared {
  const std::string& path;
  const Options& options;
  const std::vector<std::string>& ids;
  std::vector<EnvironmentFacts>& facts;
  std::atomic<std::size_t> next{0}, done{0};
  std::atomic<bool> failed{false};
  std::mutex mutex{};  // guards what follows
  Step error{};
  std::vector<Prompt> sample{};
};

Result<EnvironmentFacts> read_environment(Store& store, const std::string& id, Sample& sample) {
  SEEDBED_TRY(const auto stored, store.environment(id));
  EnvironmentFacts out = facts_of(stored.environment);
  const auto roles = roles_of(stored.environment);
  SEEDBED_TRY(const auto task_ids, store.task_ids_of(id));
  out.tasks.reserve(task_ids.size());
  for (const auto& task_id : task_ids) {
    SEEDBED_TRY(const auto task, store.task(task_id));
    out.tasks.push_back(
        facts_of(roles, task.task, task.gold, task.verifier, masked_text(task.task.prompt)));
    sample.add(task.task.prompt);
  }
  return out;
}

Step read_lane(Shared& shared) {
  SEEDBED_TRY(const auto store, Store::open(shared.path, {.read_only = true}));
  Sample sample(shared.options.sample);
  for (std::size_t i = shared.next++; i < shared.ids.size() && !shared.failed; i = shared.next++) {
    if (shared.options.stop()) return Error{Where::interrupted, "stopped while reading the store"};
    SEEDBED_TRY(shared.facts[i], read_environment(*store, shared.ids[i], sample));
    shared.options.progress({"reading", "environments", static_cast<std::int64_t>(++shared.done),
                             static_cast<std::int64_t>(shared.ids.size())});
  }
  const std::lock_guard<std::mutex> lock(shared.mutex);
  for (auto& prompt : sample.take()) shared.sample.push_back(std::move(prompt));
  return std::nullopt;
}

}  // namespace

Result<Evidence> read_evidence(const std::string& path, const Options& options) {
  Evidence out;
  std::vector<std::string> ids;
  {
    SEEDBED_TRY(const auto store, Store::open(path, {.read_only = true}));
    SEEDBED_TRY(ids, store->environment_ids());
    SEEDBED_TRY(out.rejections, store->rejections());
  }
  out.environments.resize(ids.size());
  Shared shared{.path = path, .options = options, .ids = ids, .facts = out.environments};
  const auto lane = [&] {
    if (auto error = read_lane(shared)) {
      const std::lock_guard<std::mutex> lock(shared.mutex);
      if (!shared.error) shared.error = std::move(error);
      shared.failed = true;
    }
  };
  std::vector<std::thread> others;
  for (int t = 1; t < options.threads; ++t) others.emplace_back(lane);
  lane();
  for (auto& t : others) t.join();
  if (shared.error) return *std::move(shared.error);
  out.sample = std::move(shared.sample);
  std::sort(out.sample.begin(), out.sample.end(), [](const Prompt& a, const Prompt& b) {
    return a.key != b.key ? a.key < b.key : a.text < b.text;
  });
  if (out.sample.size() > options.sample) out.sample.resize(options.sample);
  return out;
}

}  // namespace seedbed::tasks::diversity
