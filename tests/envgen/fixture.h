// What the generator's tests share: the built-in packs, and a tool host without a jail (the jail
// has tests of its own).
#pragma once
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "envgen/general/laws.h"
#include "envgen/general/slot.h"
#include "sandbox/sql_client.h"

namespace seedbed::envgen {

inline const Packs& built_in() {
  static const std::shared_ptr<const Packs> packs = [] {
    auto loaded = load_packs({});
    if (!loaded.ok()) ADD_FAILURE() << loaded.error().message;
    return loaded.ok() ? *loaded : std::make_shared<const Packs>();
  }();
  return *packs;
}

inline HostFactory unjailed() {
  return [](int) -> Result<std::unique_ptr<sandbox::ToolHost>> {
    auto host = sandbox::open_unjailed_sql_host_for_tests();
    if (!host.ok()) return host.error();
    return std::unique_ptr<sandbox::ToolHost>(*std::move(host));
  };
}

inline schemas::GenRequest request_of(std::int64_t envs,
                                      std::int64_t tasks,
                                      const std::string& seed = "5") {
  schemas::GenRequest r;
  r.generator = kGeneratorVersion;
  r.family = "general";
  r.seed = seed;
  r.envs = envs;
  r.tasks_per_env = tasks;
  r.split = "all";
  r.packs = built_in().hash;
  return r;
}

// A world with facts, rules and gates, as a slot makes it; null where the draw cannot be connected.
struct Drawn {
  std::shared_ptr<World> world;
  Facts facts;
};
inline std::optional<Drawn> draw_world(std::uint64_t index) {
  const Rng rng = rng_for(11, "tests", index, "world");
  auto world = compose(built_in(), rng.fork("compose"), {});
  if (!world.ok()) return std::nullopt;
  auto facts = make_facts(**world, rng.fork("facts"));
  if (!facts.ok() || add_rules_and_gates(**world, *facts, rng.fork("rules"))) return std::nullopt;
  return Drawn{*world, *std::move(facts)};
}

}  // namespace seedbed::envgen
