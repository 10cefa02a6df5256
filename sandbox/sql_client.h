// The parent's side of the SQL tool host (sandbox/sql_wire.h). What arrives is hostile: bounded,
// checked, and never waited for beyond a deadline. A host that misses one, or says what it may not,
// is killed; every later use is Error{sandbox}.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sandbox/sql_wire.h"
#include "sandbox/tool_host.h"

namespace seedbed::sandbox {

// The process that runs the host, however it was started. Dropping `owner` ends it.
struct HostProcess {
  int socket = -1;  // stream socket, owned by `owner`
  std::function<void()> kill;
  std::function<std::string()>
      cause;  // why it ended, in words; after kill or after its socket closed
  std::shared_ptr<void> owner;
};

// Not thread-safe; one call in flight.
class SqlHostClient final : public ToolHost {
 public:
  explicit SqlHostClient(HostProcess process) : process_(std::move(process)) {}

  Step load(const schemas::Environment& env, const std::string& image) override;
  Step reset() override;
  Result<schemas::ToolResult> call(const schemas::ToolCall& call, int wall_ms) override;
  Result<std::vector<schemas::RowChange>> changes() override;
  // Identical plans share their run (a trie): a second run of the same plan is asked of another
  // host.
  Result<std::vector<Played>> play(const std::vector<std::vector<schemas::ToolCall>>& plans,
                                   int wall_ms) override;
  Result<std::string> digest() override;
  Step send(const schemas::ToolCall& call, int wall_ms) override;
  Result<schemas::ToolResult> receive(int wall_ms) override;
  [[nodiscard]] int descriptor() const override { return process_.socket; }

  static constexpr int kGraceMs = 500;  // beyond the host's own limit, before it is given up

  // What the host counted since load, as JSON: calls, resets, rebuilt, reprepared, statements,
  // heap_bytes, reset_ns (the time that all resets took inside).
  Result<std::string> stats();

 private:
  struct Reply {
    wire::ReplyHead head;
    std::string_view body;  // valid until the next request
  };
  void begin(std::string_view op);
  Step send_request(std::int64_t deadline_us);
  Step send_bytes(std::string_view bytes, std::int64_t deadline_us);
  Result<Reply> receive_reply(std::int64_t deadline_us, std::size_t body_max);
  Result<Reply> exchange(int wall_ms, std::size_t body_max);
  Result<schemas::ToolResult> read_result(const Reply& reply);
  void write_call(const schemas::ToolCall& call, int wall_ms);
  Step ready() const;
  Error give_up(std::string_view found);

  HostProcess process_;
  std::string request_;
  std::string reply_;
  std::uint32_t id_ = 0;
  std::int64_t calls_ = 0;  // since reset
  bool in_flight_ = false;
  std::string broken_;  // why this host is of no use any more
};

// The host as a plain child process: same program, no jail. For tests and measurements of the host
// itself.
Result<std::unique_ptr<SqlHostClient>> open_unjailed_sql_host_for_tests();

}  // namespace seedbed::sandbox
