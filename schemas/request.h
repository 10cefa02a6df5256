// What `gen` was asked for: the store keeps it, and refuses another.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "schemas/mix.h"
#include "schemas/reflect.h"

namespace seedbed::schemas {

struct GenRequest {
  std::string generator;  // version
  std::string family;
  std::string seed;  // decimal
  std::int64_t envs = 0;
  std::int64_t tasks_per_env = 0;
  std::string split;  // train, heldout or all
  std::string packs;  // content hash of all pack files used
  std::optional<Mix> mix;  // which kinds and levels to keep; absent: whatever comes
};
template <class V>
void fields(V&& at, GenRequest& x) {
  at("generator", x.generator, "version of the generator");
  at("family", x.family, "family of environments");
  at("seed", x.seed, "seed");
  at("envs", x.envs, "environments wanted");
  at("tasks_per_env", x.tasks_per_env, "tasks wanted for each");
  at("split", x.split, "train, heldout or all");
  at("packs", x.packs, "content hash of the packs");
  at("mix", x.mix, "which kinds and levels of tasks are kept");
}

}  // namespace seedbed::schemas
