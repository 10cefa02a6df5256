// What several commands share: stores, shards, jails, files.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "sandbox/hosts/any_host.h"
#include "tasks/store.h"

namespace seedbed::cli {

struct Shard {
  std::int64_t index = 0, count = 1;
};
// "i/N", 0 <= i < N. Empty: what a job array says (Slurm's SLURM_ARRAY_TASK_ID, _COUNT, _MIN,
// _STEP; Kubernetes' JOB_COMPLETION_INDEX with JOB_COMPLETIONS), else the whole. `lookup` gives an
// environment variable or "".
Result<Shard> shard_of(const std::string& text,
                       const std::function<std::string(const std::string&)>& lookup);
std::string environment_variable(const std::string& name);

// Options that several commands have, with one wording.
struct Common {
  bool json = false, fresh = false, upgrade = false, dry_run = false;
  std::string isolation = "strict";
  std::string shard;
  std::vector<std::string> mounts;
};
void json_option(Options& options, Common& common);
void store_options(Options& options, Common& common);  // --upgrade
void isolation_option(Options& options, Common& common);
void mount_option(Options& options,
                  Common& common);  // of servers, beside what their environments say
Result<sandbox::BoxMount> mount_of(const std::string& text);  // SRC:DST[:rw]
// SRC:DST of a server's environment, whose files stay as they are.
Result<sandbox::BoxMount> server_mount_of(const std::string& text);
sandbox::Isolation isolation_of(const std::string& name);  // what that option says
void shard_option(Options& options, Common& common);

// Where jails come from: those of SQL tools, and those of servers of somebody else.
struct Jails {
  std::shared_ptr<sandbox::Broker> broker;
  std::shared_ptr<sandbox::ServerPlace> servers;
};
// Starts the broker; to be called before any thread and before the store. mounts: SRC:DST, files of
// servers that lie elsewhere than where their environments were made.
Result<std::shared_ptr<Jails>> start_jails(const std::string& isolation,
                                           const std::vector<std::string>& mounts = {});

// A jail with nothing loaded, on that core only (-1: on any).
Result<std::unique_ptr<sandbox::ToolHost>> open_host(Jails& jails, int core);

Result<std::unique_ptr<tasks::Store>> open_store(const std::string& path, const Common& common);
// For commands that only look: another one may be writing the store at the same time.
Result<std::unique_ptr<tasks::Store>> open_reader(const std::string& path, const Common& common);
Step close_store(std::unique_ptr<tasks::Store>
                     store);  // flush and checkpoint: copying the one file copies the store

// Whole or not at all: written beside the target, then renamed.
Step write_file(const std::string& path, std::string_view bytes);
Error interrupted(
    const std::string& what);  // "stopped; what was done is kept: the same command continues it"
int core_count();

}  // namespace seedbed::cli
