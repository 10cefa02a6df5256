// gen: slots become admitted environments with admitted tasks. A slot's result is a function of
// (packs, generator version, seed, family, slot) alone: not of the number of lanes, the shard or
// what came before.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "envgen/general/pack.h"
#include "sandbox/tool_host.h"
#include "schemas/request.h"
#include "tasks/store.h"

namespace seedbed::envgen {

inline constexpr const char* kGeneratorVersion = "2";

struct GenOptions {
  schemas::GenRequest request;
  int jobs = 2;
  std::int64_t shard = 0, shards = 1;
};
struct GenProgress {
  std::int64_t slots_done = 0, slots_total = 0, environments = 0, tasks = 0;
};
struct GenSummary {
  std::int64_t slots = 0, environments = 0, tasks = 0;
  double seconds = 0;
};
using HostFactory = std::function<Result<std::unique_ptr<sandbox::ToolHost>>(int core)>;

std::vector<std::string> goal_kinds();  // that are drawn, in order of name

// Slots that a request makes: the environments wanted and a fixed surplus for selection.
std::int64_t slots_of(const schemas::GenRequest& request);

// Makes this shard's slots that the store does not have yet. Does not select: the caller does, at
// the end or after merging. Error{interrupted} when `stop` was set: what was finished is in the
// store.
Result<GenSummary> generate(tasks::Store& store,
                            std::shared_ptr<const Packs> packs,
                            const GenOptions& options,
                            const HostFactory& hosts,
                            const std::function<void(const GenProgress&)>& progress,
                            const std::atomic<bool>& stop);

// `gate` names what is broken: seed (the slot gives another environment), task, verifier, gold,
// certificate, or what the gate of that name says of the stored draft.
struct VerifyFailure {
  std::string task, gate, why;
};
struct VerifySummary {
  std::int64_t checked = 0;
  std::vector<VerifyFailure> failed;
};
// Redoes the proof. Every slot behind `sample` environments (0: all) is made again from its seed,
// every gate in the jail; the environment, and each stored task's text, verifier, gold plan and
// certificate must be those that come out. A draft that differs is put to the gates as it is
// stored, so that what is wrong with it is said too.
Result<VerifySummary> verify_pack(tasks::Store& store,
                                  std::shared_ptr<const Packs> packs,
                                  std::int64_t sample,
                                  const HostFactory& hosts,
                                  const std::function<void(std::int64_t, std::int64_t)>& progress,
                                  const std::atomic<bool>& stop);

struct PackFinding {
  std::string pack, what;
};
// The three laws on random rows, for every pass alone and for pairs of passes, each mechanism of
// `dirs` alone and with others.
Result<std::vector<PackFinding>> check_packs(
    const std::vector<std::string>& dirs,
    const HostFactory& hosts,
    const std::function<void(std::int64_t, std::int64_t)>& progress,
    const std::atomic<bool>& stop);

}  // namespace seedbed::envgen
