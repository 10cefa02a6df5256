// verify-pack: what is stored against what the seed gives and the gates show now. Checksums prove
// nothing here: whoever changes a store can compute them anew.
#include <algorithm>

#include "base/hash.h"
#include "envgen/lanes.h"
#include "schemas/reflect.h"

namespace seedbed::envgen {
namespace {

using schemas::Value;

constexpr std::size_t kShown = 120;  // of a value in a message
constexpr int kPlayMs = 20'000;

std::string shown(const Value& value) {
  std::string out = dump(value);
  if (out.size() <= kShown) return out;
  std::size_t end = kShown;  // not inside a character
  while (end > 0 && (out[end] & 0xC0) == 0x80) --end;
  return out.substr(0, end) + "...";
}

// "path is X, Y is given" for the first place where they differ; "" where they are equal.
std::string difference(const Value& stored, const Value& made, const std::string& path) {
  if (stored == made) return "";
  if (stored.is_object() && made.is_object()) {
    for (const auto& [name, value] : stored.members()) {
      const std::string at = path.empty() ? name : path + "." + name;
      const Value* other = made.find(name);
      if (other == nullptr) return at + " is stored and not given";
      if (auto found = difference(value, *other, at); !found.empty()) return found;
    }
    for (const auto& [name, value] : made.members())
      if (stored.find(name) == nullptr)
        return (path.empty() ? name : path + "." + name) + " is missing";
  }
  if (stored.is_array() && made.is_array()) {
    const std::size_t n = std::min(stored.items().size(), made.items().size());
    for (std::size_t i = 0; i < n; ++i)
      if (auto found =
              difference(stored.items()[i], made.items()[i], path + "[" + std::to_string(i) + "]");
          !found.empty())
        return found;
    if (stored.items().size() != made.items().size())
      return path + " has " + std::to_string(stored.items().size()) + " items, " +
             std::to_string(made.items().size()) + " are given";
  }
  return (path.empty() ? "it" : path) + " is " + shown(stored) + ", " + shown(made) + " is given";
}

template <class T>
std::string record_difference(const T& stored, const T& made) {
  return difference(schemas::to_value(stored), schemas::to_value(made), "");
}

struct StoredSlot {
  tasks::StoredEnvironment environment;
  std::vector<tasks::StoredTask> tasks;
};

Result<StoredSlot> read_slot(tasks::Store& store, const std::string& id) {
  StoredSlot out;
  SEEDBED_TRY(out.environment, store.environment(id));
  SEEDBED_TRY(const auto ids, store.task_ids_of(id));
  for (const auto& task : ids) {
    SEEDBED_TRY(auto read, store.task(task));
    out.tasks.push_back(std::move(read));
  }
  return out;
}

// One environment: what is stored, and what its slot gives now.
class Verifying {
 public:
  Verifying(const Packs& packs,
            const schemas::GenRequest& request,
            const StoredSlot& stored,
            const tasks::SlotRecord& made,
            Bench& bench)
      : packs_(packs), request_(request), stored_(stored), made_(made), bench_(bench) {}

  Result<std::vector<VerifyFailure>> run() {
    if (!made_.environment || made_.environment->id() != stored_.environment.id) {
      other_environment();
      return std::move(failed_);
    }
    for (const auto& task : stored_.tasks)
      if (auto e = compare(task)) return *std::move(e);
    return std::move(failed_);
  }

 private:
  void fail(const std::string& task, const std::string& gate, std::string why) {
    failed_.push_back({task, gate, std::move(why)});
  }

  // Everything rests on the environment: each of its tasks is broken.
  void other_environment() {
    std::string why = "the seed gives no environment";
    if (made_.environment) {
      why = "the seed gives another environment: " +
            record_difference(stored_.environment.environment, made_.environment->environment());
    }
    for (const auto& task : stored_.tasks) fail(task.id, "seed", why);
    if (stored_.tasks.empty()) fail(stored_.environment.id, "seed", std::move(why));
  }

  Step compare(const tasks::StoredTask& stored) {
    const auto& spec = stored.task;
    const auto it = std::find_if(
        made_.tasks.begin(), made_.tasks.end(),
        [&](const tasks::AdmittedTask& t) { return t.draft().task.number == spec.number; });
    if (it == made_.tasks.end()) {
      fail(stored.id, "seed", "the seed gives no task of number " + std::to_string(spec.number));
      return std::nullopt;
    }
    const auto& made = it->draft();
    const std::size_t before = failed_.size();
    const auto differs = [&](const char* part, const char* says, const std::string& how) {
      if (!how.empty()) fail(stored.id, part, says + how);
    };
    differs("task", "the seed gives another task: ", record_difference(spec, made.task));
    differs("verifier",
            "it differs from the goal's: ", record_difference(stored.verifier, made.verifier));
    differs("gold",
            "the plan differs from the goal's: ", record_difference(stored.gold, made.gold));
    differs("certificate", "it claims what the gates do not show: ",
            record_difference(stored.certificate, it->certificate()));
    const bool changed = std::any_of(
        failed_.begin() + static_cast<std::ptrdiff_t>(before), failed_.end(),
        [](const VerifyFailure& f) { return f.gate == "verifier" || f.gate == "gold"; });
    return changed ? put_to_the_gates(stored) : std::nullopt;
  }

  // The stored draft as it is, through every gate.
  Step put_to_the_gates(const tasks::StoredTask& stored) {
    if (auto e = open()) return e;
    if (!admission_) return std::nullopt;
    auto admitted = admission_->admit({stored.task, stored.gold, stored.verifier});
    if (!admitted.ok()) return admitted.error();
    if (const auto* rejected = std::get_if<tasks::Rejected>(&*admitted))
      fail(stored.id, rejected->gate, "as it is stored: " + rejected->why);
    return std::nullopt;
  }

  Step open() {
    if (admission_) return std::nullopt;
    const auto& recipe = made_.environment->environment().recipe;
    auto lowered = make_environment(packs_, request_, recipe.slot, recipe.attempt);
    if (!lowered.ok()) return lowered.error();
    const auto& env = (*lowered)->environment;
    for (auto* host : {bench_.first.get(), bench_.second.get()})
      if (auto e = host->load(env, (*lowered)->image)) return e;
    auto opened =
        tasks::Admission::open(env, (*lowered)->image, player_of(bench_), make_oracle(*lowered),
                               hash64("walks of " + env.image_hash));
    if (!opened.ok()) return opened.error();
    if (auto* admission = std::get_if<std::unique_ptr<tasks::Admission>>(&*opened))
      admission_ = std::move(*admission);
    return std::nullopt;
  }

  const Packs& packs_;
  const schemas::GenRequest& request_;
  const StoredSlot& stored_;
  const tasks::SlotRecord& made_;
  Bench& bench_;
  std::unique_ptr<tasks::Admission> admission_;
  std::vector<VerifyFailure> failed_;
};

Result<std::vector<std::string>> sampled(tasks::Store& store, std::int64_t sample) {
  SEEDBED_TRY(std::vector<std::string> ids, store.environment_ids());
  if (sample > 0 && static_cast<std::size_t>(sample) < ids.size()) {
    std::sort(ids.begin(), ids.end());  // hashes: the first ones are as good as drawn
    ids.resize(static_cast<std::size_t>(sample));
  }
  return ids;
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
  SEEDBED_TRY(const std::vector<std::string> ids, sampled(store, sample));
  VerifySummary summary;
  std::vector<std::vector<VerifyFailure>> failed(ids.size());
  Lanes lanes;
  std::int64_t done = 0;
  run_lanes(2, [&](int core) {
    auto bench = open_bench(hosts, core);
    if (!bench.ok()) return lanes.fail(bench.error());
    for (std::size_t i = 0; !stop && !lanes.failed && (i = lanes.next++) < ids.size();) {
      std::unique_lock<std::mutex> lock(lanes.mutex);
      auto stored = read_slot(store, ids[i]);
      if (!stored.ok()) return lanes.fail_locked(stored.error());
      lock.unlock();
      auto made = make_slot_twice(*packs, *request, stored->environment.environment.recipe.slot,
                                  *bench, hosts, core);
      if (!made.ok()) return lanes.fail(made.error());
      auto found = Verifying(*packs, *request, *stored, *made, *bench).run();
      if (!found.ok()) return lanes.fail(found.error());
      lock.lock();
      failed[i] = *std::move(found);
      summary.checked += static_cast<std::int64_t>(stored->tasks.size());
      if (progress) progress(++done, static_cast<std::int64_t>(ids.size()));
    }
  });
  if (lanes.error) return *std::move(lanes.error);
  if (stop) return Error{Where::interrupted, "stopped"};
  for (auto& list : failed) std::move(list.begin(), list.end(), std::back_inserter(summary.failed));
  return summary;
}

}  // namespace seedbed::envgen
