// One slot: from its key to an admitted environment and its admitted tasks, or to the reasons why
// not.
#pragma once
#include <map>
#include <memory>
#include <string>

#include "envgen/general/surface.h"
#include "envgen/generate.h"
#include "tasks/store.h"

namespace seedbed::envgen {

// Two hosts: the second plays gold again from a state of its own (G1).
struct Bench {
  std::unique_ptr<sandbox::ToolHost> first, second;
};
Result<Bench> open_bench(const HostFactory& hosts, int core);

// Plays through the bench's hosts, gold again through the second.
tasks::Player player_of(Bench& bench);

// Which passes are applied; drawn from the key unless given.
struct PassChoice {
  std::vector<std::string> layout, surface;
};
PassChoice draw_passes(Rng rng);

// World, layout, surface and skin drawn from one key. Error{pack}: this draw cannot be made; the
// next attempt may.
Result<std::shared_ptr<const Lowered>> make_environment(const Packs& packs,
                                                        const schemas::GenRequest& request,
                                                        std::int64_t slot,
                                                        std::int64_t attempt);
Result<tasks::SlotRecord> make_slot(const Packs& packs,
                                    const schemas::GenRequest& request,
                                    std::int64_t slot,
                                    Bench& bench);

}  // namespace seedbed::envgen
