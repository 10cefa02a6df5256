// What serves an environment's tools: load once per environment, then episodes of calls, each from
// a proven reset. A seam: the SQL host in a jail is one implementation; tests have another.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "schemas/call.h"
#include "schemas/environment.h"

namespace seedbed::sandbox {

// One plan as played: a result for each call, and what the calls wrote (RowChange::call indexes the
// plan).
struct Played {
  std::vector<schemas::ToolResult> results;
  std::vector<schemas::RowChange> changes;
};

class ToolHost {
 public:
  ToolHost() = default;
  ToolHost(const ToolHost&) = delete;
  ToolHost& operator=(const ToolHost&) = delete;
  virtual ~ToolHost() = default;

  // Replaces whatever was loaded. Refuses (Error{tool}) a program that the authorizer, the limits
  // or the compiler refuse: the message names tool and statement.
  virtual Step load(const schemas::Environment& env, const std::string& image) = 0;
  // Back to the loaded image; starts the next episode.
  virtual Step reset() = 0;
  // Runs one call within wall_ms. Unknown tools and arguments outside the schema are tool_errors,
  // decided by the host. Error{sandbox} means that the jail failed; the host is then unusable and
  // must be replaced.
  virtual Result<schemas::ToolResult> call(const schemas::ToolCall& call, int wall_ms) = 0;
  // Net changes of each call since reset.
  virtual Result<std::vector<schemas::RowChange>> changes() = 0;
  // Each plan from a reset state, shared prefixes run once (a trie); leaves the host reset. One
  // frame.
  virtual Result<std::vector<Played>> play(const std::vector<std::vector<schemas::ToolCall>>& plans,
                                           int wall_ms) = 0;
  // Hash of the serialized state as it is now; equal to the image's content hash after reset.
  virtual Result<std::string> digest() = 0;

  // The asynchronous form of call(): send, wait until descriptor() is readable, receive (with its
  // own deadline for the rest of the frame). One call in flight. wall_ms: as for call().
  virtual Step send(const schemas::ToolCall& call, int wall_ms) = 0;
  virtual Result<schemas::ToolResult> receive(int wall_ms) = 0;
  [[nodiscard]] virtual int descriptor() const = 0;
  // How long a call may wait before it begins, beside its own limit: something is still starting.
  [[nodiscard]] virtual int start_ms() const { return 0; }
};

}  // namespace seedbed::sandbox
