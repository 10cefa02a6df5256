// Generation and its proof, as the commands and the demo use them.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "cli/common.h"
#include "envgen/generate.h"

namespace seedbed::cli {

envgen::HostFactory host_factory(std::shared_ptr<Jails> jails);

struct GenArguments {
  std::string out;
  std::string family = "general", seed = "1", split = "all";
  std::int64_t envs = 100, tasks_per_env = 10, jobs = 2;
  Shard shard;
  std::vector<std::string> packs;
  std::string from_db;  // a SQLite file in the place of packs; "" for packs
  std::optional<schemas::Mix> mix;
  std::optional<schemas::ToolRange> tools;
  bool fresh = false, upgrade = false;
};
struct GenReport {
  envgen::GenSummary summary;
  std::string digest;
  std::vector<tasks::GateCount> rejections;
};
// The packs of the folders, or the database.
Result<std::shared_ptr<const envgen::Packs>> load_source(const std::vector<std::string>& packs,
                                                         const std::string& from_db);
// Leaves the store selected and checkpointed, also when stopped.
Result<GenReport> generate_into(Context& context,
                                const GenArguments& arguments,
                                const std::shared_ptr<Jails>& jails);
void print_rejections(Output& out, const std::vector<tasks::GateCount>& rejections);

Result<envgen::VerifySummary> verify_store(Context& context,
                                           tasks::Store& store,
                                           const std::vector<std::string>& packs,
                                           std::int64_t sample,
                                           const std::shared_ptr<Jails>& jails,
                                           const std::string& from_db = "");
void print_failures(Output& out, const envgen::VerifySummary& summary);

}  // namespace seedbed::cli
