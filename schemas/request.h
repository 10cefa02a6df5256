// What `gen` was asked for: the store keeps it, and refuses another.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "schemas/mix.h"
#include "schemas/reflect.h"

namespace seedbed::schemas {

struct ToolRange {
  int least = 8, most = 40;  // both included
};
template <class V>
void fields(V&& at, ToolRange& x) {
  at("least", x.least, "fewest tools");
  at("most", x.most, "most tools");
}
inline constexpr int kFewestTools = 8, kMostTools = 40;  // that an environment may have

// "8-12" or "10". Error{usage} for anything that no environment can have.
Result<ToolRange> tool_range(std::string_view text);

// The family of environments around servers of somebody else, whose tasks people write: all that the
// gates admit is selected.
inline constexpr const char* kServerFamily = "mcp";

struct GenRequest {
  std::string generator;  // version
  std::string family;
  std::string seed;  // decimal
  std::int64_t envs = 0;
  std::int64_t tasks_per_env = 0;
  std::string split;               // train, heldout or all
  std::string packs;               // content hash of all pack files used
  std::optional<Mix> mix;          // which kinds and levels to keep; absent: whatever comes
  std::optional<ToolRange> tools;  // how many each environment offers; absent: whatever comes
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
  at("tools", x.tools, "how many tools each environment offers");
}

}  // namespace seedbed::schemas
