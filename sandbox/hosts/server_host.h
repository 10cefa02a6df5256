// Tools that a third-party MCP server offers, as the host of an environment: each episode has a
// server of its own in a jail of its own that begins with the image's files (R3).
//
// After each call what it changed in those files is recorded. The server runs in the background
// while nobody waits for it: reset() only asks for the next one.
#pragma once
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "sandbox/hosts/mcp_host.h"
#include "sandbox/hosts/work_state.h"
#include "sandbox/tool_host.h"

namespace seedbed::sandbox {

// Where servers run: what all hosts of a program share. Thread-safe.
class ServerPlace {
 public:
  // How an environment's image says which files there are.
  using ReadFiles = std::function<Result<WorkState>(const std::string& image)>;
  // sources: by target, files that lie elsewhere than the environment says.
  ServerPlace(Isolation level, ReadFiles read, std::map<std::string, std::string> sources = {})
      : level_(level), read_(std::move(read)), sources_(std::move(sources)) {}

  // Starts what makes jails at its first use, and again where that has ended.
  Result<std::unique_ptr<LiveBox>> open(const BoxSpec& spec);
  [[nodiscard]] int pid();  // of what makes jails; -1 before the first
  // The jail of a server, its mounts looked at: Error{usage} where one shows other files than when
  // the environment was made.
  Result<BoxSpec> spec_of(const schemas::Server& server);
  [[nodiscard]] Result<WorkState> files_of(const std::string& image) const { return read_(image); }

 private:
  Result<std::shared_ptr<Boxes>> boxes();
  Result<std::string> hash_of(const std::string& source);

  Isolation level_;
  ReadFiles read_;
  std::map<std::string, std::string> sources_;
  std::mutex mutex_, hash_mutex_;
  std::shared_ptr<Boxes> boxes_;
  std::map<std::string, std::string> hashes_;  // of sources, looked at once
};

// A jail with the files, and the server running in it.
Result<std::unique_ptr<McpHost>> open_server(ServerPlace& place,
                                             const BoxSpec& spec,
                                             const std::vector<std::string>& command,
                                             const WorkState& files);

// Not thread-safe; one call in flight. Limits of time are for each call, from when the server runs.
class ServerHost final : public ToolHost {
 public:
  explicit ServerHost(std::shared_ptr<ServerPlace> place);
  ~ServerHost() override;

  // Error{usage}: a mount; Error{store}: the image. Whether the server offers the environment's
  // tools is seen when it has started: Error{tool} at the first use.
  Step load(const schemas::Environment& env, const std::string& image) override;
  Step reset() override;
  Result<schemas::ToolResult> call(const schemas::ToolCall& call, int wall_ms) override;
  Result<std::vector<schemas::RowChange>> changes() override;
  Result<std::vector<Played>> play(const std::vector<std::vector<schemas::ToolCall>>& plans,
                                   int wall_ms) override;
  Result<std::string> digest() override;
  Step send(const schemas::ToolCall& call, int wall_ms) override;
  Result<schemas::ToolResult> receive(int wall_ms) override;
  [[nodiscard]] int descriptor() const override { return answered_.get(); }
  [[nodiscard]] int start_ms() const override { return kStartMs; }

  static constexpr int kStartMs = 60'000;  // of a server, on a machine that is busy

 private:
  using Started = Result<std::unique_ptr<McpHost>>;
  struct Loaded;
  void begin();
  Step ready();
  Result<WorkState> read_files();
  void note_changes(schemas::ToolResult& result);

  std::shared_ptr<ServerPlace> place_;
  std::shared_ptr<const Loaded> loaded_;
  std::future<Started> starting_;
  std::unique_ptr<McpHost> server_;
  WorkState files_;  // after the last call
  std::vector<schemas::RowChange> changes_;
  std::size_t changed_bytes_ = 0;
  std::int32_t calls_ = 0;
  Fd answered_;  // readable once a call that was sent has its result
  std::future<Result<schemas::ToolResult>> sent_;
};

}  // namespace seedbed::sandbox
