// Environments around an MCP server of somebody else: its tools, its files, and the tasks that a
// user wrote for it, admitted by the gates that apply (docs/from-mcp.md).
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "envgen/generate.h"
#include "sandbox/hosts/server_host.h"
#include "schemas/server_task.h"

namespace seedbed::envgen {

// A request's `packs` begins with this where its family is schemas::kServerFamily; what was given
// follows as a hash.
inline constexpr const char* kServerHash = "mcp-";

struct ServerSource {
  schemas::Server server;  // mounts without hashes
  std::string title;       // "" for the server's own name
  std::string files;       // folder whose files the jail begins with; "" for none
};

// The lines of a file of tasks. Error{usage} names the line.
Result<std::vector<schemas::ServerTask>> read_server_tasks(const std::string& path);

struct ServerEnvironment {
  schemas::Environment environment;
  std::string image;
  std::vector<std::pair<std::string, std::string>> left_out;  // tools that cannot be offered, why
};
// Starts the server once and asks it for its tools.
Result<ServerEnvironment> make_server_environment(sandbox::ServerPlace& place,
                                                  const ServerSource& source,
                                                  const std::string& seed);

// The draft of a task, its number in the file from 0. Error{usage}: an answer of a kind that is not
// compared, or nothing that is judged.
Result<tasks::Draft> server_draft(const schemas::ServerTask& task,
                                  const std::string& environment_id,
                                  std::int64_t number);

// Why a task was not admitted.
struct ServerRejection {
  std::int64_t number = 0;  // in the file, from 1
  std::string gate, why;
};
struct AdmittedServer {
  tasks::SlotRecord record;
  std::vector<ServerRejection> rejections;
};
// All tasks through the gates. Error{usage}: the form of a task, before any server starts;
// Error{pack}: the environment itself.
Result<AdmittedServer> admit_server_tasks(
    const ServerEnvironment& made,
    const std::vector<schemas::ServerTask>& tasks,
    const HostFactory& hosts,
    const std::function<void(std::int64_t, std::int64_t)>& progress,
    const std::atomic<bool>& stop);

// verify-pack of such a store: its tasks as they are stored, through every gate again, and no
// certificate claims more.
Result<VerifySummary> verify_servers(
    tasks::Store& store,
    const HostFactory& hosts,
    const std::function<void(std::int64_t, std::int64_t)>& progress,
    const std::atomic<bool>& stop);

}  // namespace seedbed::envgen
