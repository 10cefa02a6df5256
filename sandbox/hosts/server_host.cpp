#include "sandbox/hosts/server_host.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

#include "base/text.h"
#include "sandbox/box/mount_text.h"
#include "sandbox/hosts/file_rows.h"
#include "sandbox/hosts/tree_hash.h"

namespace seedbed::sandbox {

using schemas::End;
using schemas::ToolCall;
using schemas::ToolResult;

namespace {

constexpr std::int64_t kLeastMemoryMib = 8, kMostMemoryMib = 1 << 20;
constexpr std::int64_t kLeastPids = 4, kMostPids = 32'768;
// What a server did in an episode is kept, and stored: a store takes 64 MiB of it.
constexpr std::size_t kMostChangedBytes = 32 << 20, kMostChanges = 100'000;
constexpr WorkBounds kAll{.others = true};
constexpr int kReadTries = 5;
constexpr Milliseconds kReadPause{2};

Error unfit_server(const std::string& found, const std::string& wanted) {
  return make_error(Where::store, "environment", "server", "found " + found + ", wanted " + wanted,
                    "make the environment again with `seedbed gen --from-mcp`");
}

// An environment comes from a store, which comes from anywhere.
Step check_server(const schemas::Server& server) {
  const auto out_of = [](std::int64_t n, std::int64_t least, std::int64_t most) {
    return n < least || n > most;
  };
  if (server.command.empty() || server.command.front().empty())
    return unfit_server("no command", "one");
  if (out_of(server.memory_mib, kLeastMemoryMib, kMostMemoryMib))
    return unfit_server(std::to_string(server.memory_mib) + " MiB of memory",
                        std::to_string(kLeastMemoryMib) + " to " + std::to_string(kMostMemoryMib));
  if (out_of(server.pids, kLeastPids, kMostPids))
    return unfit_server(std::to_string(server.pids) + " processes",
                        std::to_string(kLeastPids) + " to " + std::to_string(kMostPids));
  for (const auto& mount : server.mounts) {
    const auto fault = box::place_fault(mount.source, mount.target);
    if (!fault.what.empty()) return unfit_server("the mount " + fault.what, "a place for files");
    constexpr std::string_view kWork = "/work";
    if (mount.target.starts_with(kWork) &&
        (mount.target.size() == kWork.size() || mount.target[kWork.size()] == '/'))
      return unfit_server("a mount at " + mount.target,
                          "what the server may change given with --files: each episode begins "
                          "with it");
  }
  return std::nullopt;
}

}  // namespace

// ---- ServerPlace ----

Result<std::shared_ptr<Boxes>> ServerPlace::boxes() {
  const std::lock_guard lock(mutex_);
  if (boxes_ == nullptr || boxes_->lost()) {
    SEEDBED_TRY(boxes_, Boxes::start(level_));
  }
  return boxes_;
}

int ServerPlace::pid() {
  const std::lock_guard lock(mutex_);
  return boxes_ == nullptr ? -1 : boxes_->pid();
}

Result<std::unique_ptr<LiveBox>> ServerPlace::open(const BoxSpec& spec) {
  SEEDBED_TRY(const auto first, boxes());
  auto box = first->open(spec);
  if (box.ok() || !first->lost()) return box;
  SEEDBED_TRY(const auto next, boxes());
  return next->open(spec);
}

// Whoever needs the same tree waits for the first to have read it.
Result<std::string> ServerPlace::hash_of(const std::string& source) {
  const std::lock_guard lock(hash_mutex_);
  const auto known = hashes_.find(source);
  if (known != hashes_.end()) return known->second;
  SEEDBED_TRY(std::string hash, tree_hash(source));
  return hashes_.emplace(source, std::move(hash)).first->second;
}

Result<BoxSpec> ServerPlace::spec_of(const schemas::Server& server) {
  if (auto error = check_server(server)) return *std::move(error);
  BoxSpec spec;
  spec.limits.memory_mib = static_cast<int>(server.memory_mib);
  spec.limits.pids = static_cast<int>(server.pids);
  spec.net = server.loopback ? box::Net::loopback : box::Net::none;
  for (const auto& mount : server.mounts) {
    const auto other = sources_.find(mount.target);
    const std::string& source = other == sources_.end() ? mount.source : other->second;
    auto hash = hash_of(source);
    if (!hash.ok() || *hash != mount.hash)
      return make_error(
          Where::usage, "mount", source + " at " + mount.target,
          hash.ok() ? "found files of hash " + *hash + ", wanted " + mount.hash
                    : hash.error().message,
          "give the files that the environment was made with: --mount SRC:" + mount.target);
    spec.mounts.push_back({source, mount.target, false});
  }
  return spec;
}

Result<std::unique_ptr<McpHost>> open_server(ServerPlace& place,
                                             const BoxSpec& spec,
                                             const std::vector<std::string>& command,
                                             const WorkState& files) {
  SEEDBED_TRY(auto box, place.open(spec));
  if (auto error = write_work(box->work(), files)) return *std::move(error);
  McpHost::Options options;
  options.command.argv = command;
  options.start = Milliseconds(ServerHost::kStartMs);
  return McpHost::open(std::move(box), std::move(options));
}

// ---- ServerHost ----

struct ServerHost::Loaded {
  schemas::Server server;
  std::vector<schemas::Tool> tools;
  BoxSpec spec;
  WorkState files;
  std::string digest, image_hash;
};

namespace {

Error other_tools(const std::string& name, const std::string& found) {
  return make_error(Where::tool, "MCP server", name,
                    "found " + found + ", wanted the tools of the environment",
                    "give the server's own version with --mount, or make the environment again");
}

// Every tool as it was when the environment was made.
Step same_tools(const std::vector<schemas::Tool>& wanted, const McpHost& host) {
  for (const auto& tool : wanted) {
    const auto at = std::find_if(host.tools().begin(), host.tools().end(),
                                 [&](const McpTool& t) { return t.name == tool.name; });
    if (at == host.tools().end())
      return other_tools(host.server().name, "no tool '" + tool.name + "'");
    if (!(at->input == tool.input) || at->description != tool.description)
      return other_tools(host.server().name, "another '" + tool.name + "'");
  }
  return std::nullopt;
}

}  // namespace

ServerHost::ServerHost(std::shared_ptr<ServerPlace> place)
    : place_(std::move(place)), answered_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

ServerHost::~ServerHost() {
  // A call in flight uses the server.
  if (sent_.valid()) sent_.wait();
}

Step ServerHost::load(const schemas::Environment& env, const std::string& image) {
  if (!env.server)
    return make_error(Where::tool, "environment", env.title, "found no server, wanted one",
                      "load it into another host");
  if (!answered_)
    return make_error(Where::sandbox, "MCP server", "descriptor", "found none left, wanted one",
                      "raise the limit of open files");
  auto loaded = std::make_shared<Loaded>();
  loaded->server = *env.server;
  loaded->tools = env.tools;
  loaded->image_hash = env.image_hash;
  auto spec = place_->spec_of(*env.server);
  if (!spec.ok()) return spec.error();
  loaded->spec = *std::move(spec);
  auto files = place_->files_of(image);
  if (!files.ok()) return files.error();
  loaded->files = *std::move(files);
  loaded->digest = loaded->files.digest();
  if (sent_.valid()) sent_.wait();
  loaded_ = std::move(loaded);
  begin();
  return std::nullopt;
}

// The next server starts while nobody waits.
void ServerHost::begin() {
  sent_ = {};
  server_.reset();
  files_ = loaded_->files;
  changes_.clear();
  changed_bytes_ = 0;
  calls_ = 0;
  starting_ = std::async(std::launch::async, [place = place_, loaded = loaded_]() -> Started {
    auto started = open_server(*place, loaded->spec, loaded->server.command, loaded->files);
    if (!started.ok()) {
      // Of a machine that is busy, as far as anyone knows: callers try again, and give up in time.
      Error error = std::move(started).error();
      if (error.where == Where::tool) error.where = Where::sandbox;
      return error;
    }
    auto server = *std::move(started);
    if (auto error = same_tools(loaded->tools, *server)) return *std::move(error);
    return server;
  });
}

Step ServerHost::ready() {
  if (loaded_ == nullptr)
    return make_error(Where::sandbox, "MCP server", "host",
                      "found nothing loaded, wanted an environment", "load one first");
  if (server_ != nullptr) return std::nullopt;
  if (!starting_.valid())
    return make_error(Where::sandbox, "MCP server", "host",
                      "found one that did not start, wanted a server", "replace the host");
  auto started = starting_.get();
  if (!started.ok()) return started.error();
  server_ = *std::move(started);
  return std::nullopt;
}

Step ServerHost::reset() {
  if (sent_.valid()) sent_.wait();
  if (loaded_ == nullptr) return ready();
  if (calls_ > 0 || (server_ == nullptr && !starting_.valid())) begin();
  return std::nullopt;
}

// The server is between two calls, but nothing keeps it from working on its own: what changes while
// it is read is read again, and what comes later is told with the next call.
Result<WorkState> ServerHost::read_files() {
  for (int left = kReadTries;; --left) {
    auto now = read_work(server_->box().work(), kAll);
    if (now.ok() || left == 1) return now;
    std::this_thread::sleep_for(kReadPause);
  }
}

// Files that cannot be told any more count as gone: no condition on files is to hold by what they
// were before.
void ServerHost::note_changes(ToolResult& result) {
  auto now = read_files();
  std::string beyond = now.ok() ? "" : now.error().message;
  auto changes = file_changes(files_, now.ok() ? *now : WorkState{}, calls_ - 1);
  std::size_t bytes = 0;
  for (const auto& change : changes) bytes += bytes_of(change);
  if (now.ok() && (changed_bytes_ + bytes > kMostChangedBytes ||
                   changes_.size() + changes.size() > kMostChanges)) {
    beyond = "the files that changed in this episode are more than " +
             std::to_string(kMostChangedBytes >> 20) + " MiB or " + std::to_string(kMostChanges);
    now = WorkState{};
    changes = file_changes(files_, *now, calls_ - 1);
  }
  if (!beyond.empty()) result = mcp_error("files_beyond_limits", beyond, End::denied);
  changed_bytes_ += bytes;
  std::move(changes.begin(), changes.end(), std::back_inserter(changes_));
  files_ = now.ok() ? *std::move(now) : WorkState{};
}

Result<ToolResult> ServerHost::call(const ToolCall& call, int wall_ms) {
  if (auto error = ready()) return *std::move(error);
  ++calls_;
  SEEDBED_TRY(auto result, server_->call(call, Milliseconds(wall_ms)));
  note_changes(result);
  return result;
}

Result<std::vector<schemas::RowChange>> ServerHost::changes() {
  return changes_;
}

Result<std::vector<Played>> ServerHost::play(const std::vector<std::vector<ToolCall>>& plans,
                                             int wall_ms) {
  std::vector<Played> out;
  for (const auto& plan : plans) {
    if (auto error = reset()) return *std::move(error);
    Played played;
    for (const auto& one : plan) {
      SEEDBED_TRY(auto result, call(one, wall_ms));
      played.results.push_back(std::move(result));
    }
    played.changes = changes_;
    out.push_back(std::move(played));
  }
  if (auto error = reset()) return *std::move(error);
  return out;
}

Result<std::string> ServerHost::digest() {
  if (auto error = ready()) return *std::move(error);
  SEEDBED_TRY(const WorkState now, read_files());
  const std::string found = now.digest();
  return found == loaded_->digest ? loaded_->image_hash : found;
}

Step ServerHost::send(const ToolCall& made, int wall_ms) {
  if (sent_.valid()) sent_.wait();
  std::uint64_t ignored = 0;
  static_cast<void>(::read(answered_.get(), &ignored, sizeof ignored));
  sent_ = std::async(std::launch::async, [this, made, wall_ms]() -> Result<ToolResult> {
    auto result = call(made, wall_ms);
    const std::uint64_t one = 1;
    static_cast<void>(::write(answered_.get(), &one, sizeof one));
    return result;
  });
  return std::nullopt;
}

Result<ToolResult> ServerHost::receive(int wall_ms) {
  if (!sent_.valid())
    return make_error(Where::sandbox, "MCP server", "host", "found no call in flight, wanted one",
                      "send one first");
  if (sent_.wait_for(Milliseconds(wall_ms)) != std::future_status::ready)
    return make_error(Where::sandbox, "MCP server", "call",
                      "no answer in " + std::to_string(wall_ms) + " ms, wanted one",
                      "nothing: the jail is replaced");
  std::uint64_t ignored = 0;
  static_cast<void>(::read(answered_.get(), &ignored, sizeof ignored));
  return sent_.get();
}

}  // namespace seedbed::sandbox
