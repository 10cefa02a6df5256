#include "cli/common.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <thread>

#include "base/text.h"
#include "envgen/from_mcp/file_image.h"
#include "sandbox/box/mount_text.h"

namespace seedbed::cli {
namespace {

bool parse_int(std::string_view text, std::int64_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

Error wrong_shard(const std::string& where, const std::string& found) {
  return make_error(Where::usage, "shard", where,
                    "found '" + found + "', wanted i/N with 0 <= i < N",
                    "for instance --shard 0/4");
}

}  // namespace

std::string environment_variable(const std::string& name) {
  const char* value = std::getenv(
      name.c_str());  // NOLINT(concurrency-mt-unsafe): nothing here sets the environment
  return value == nullptr ? "" : value;
}

Result<Shard> shard_of(const std::string& text,
                       const std::function<std::string(const std::string&)>& lookup) {
  Shard shard;
  if (!text.empty()) {
    const auto parts = split(text, '/');
    if (parts.size() != 2 || !parse_int(parts[0], shard.index) ||
        !parse_int(parts[1], shard.count) || shard.index < 0 || shard.index >= shard.count)
      return wrong_shard("--shard", text);
    return shard;
  }
  std::string id = lookup("SLURM_ARRAY_TASK_ID"), count = lookup("SLURM_ARRAY_TASK_COUNT");
  std::string source = "SLURM_ARRAY_TASK_ID/SLURM_ARRAY_TASK_COUNT";
  std::int64_t first = 0, step = 1;
  if (!id.empty()) {
    if (const auto t = lookup("SLURM_ARRAY_TASK_MIN"); !t.empty() && !parse_int(t, first))
      return wrong_shard("SLURM_ARRAY_TASK_MIN", t);
    if (const auto t = lookup("SLURM_ARRAY_TASK_STEP");
        !t.empty() && (!parse_int(t, step) || step < 1))
      return wrong_shard("SLURM_ARRAY_TASK_STEP", t);
  } else {
    id = lookup("JOB_COMPLETION_INDEX");
    count = lookup("JOB_COMPLETIONS");
    source = "JOB_COMPLETION_INDEX/JOB_COMPLETIONS";
  }
  if (id.empty()) return shard;
  if (!parse_int(id, shard.index) || !parse_int(count, shard.count) || shard.index < first ||
      (shard.index - first) % step != 0)
    return wrong_shard(source, id + "/" + count);
  shard.index = (shard.index - first) / step;
  if (shard.index >= shard.count) return wrong_shard(source, id + "/" + count);
  return shard;
}

void json_option(Options& options, Common& common) {
  options.flag("--json", common.json, "print one JSON object at the end instead of text");
}
void store_options(Options& options, Common& common) {
  options.flag("--upgrade", common.upgrade, "bring a store of an older version up to date");
}
void isolation_option(Options& options, Common& common) {
  options.choice("--isolation", common.isolation, {"strict", "standard", "weak"},
                 "what the jail must give; a missing layer is refused by name");
}
void shard_option(Options& options, Common& common) {
  options.text("--shard", common.shard, "i/N",
               "do part i of N; the default is what Slurm or Kubernetes says");
}

sandbox::Isolation isolation_of(const std::string& name) {
  const auto names = sandbox::enum_names(sandbox::Isolation::strict);
  const auto at = std::find(names.begin(), names.end(), name) - names.begin();
  return static_cast<sandbox::Isolation>(at);
}

void mount_option(Options& options, Common& common) {
  options.texts("--mount", common.mounts, "SRC:DST",
                "for environments around a server: its files lie at SRC on this machine");
}

Result<sandbox::BoxMount> mount_of(const std::string& text) {
  sandbox::BoxMount out;
  const auto fault = sandbox::box::read_mount(text, out.source, out.target, out.writable);
  if (!fault.what.empty())
    return make_error(Where::usage, "option", "--mount", fault.what, fault.todo);
  return out;
}

Result<sandbox::BoxMount> server_mount_of(const std::string& text) {
  auto mount = mount_of(text);
  if (mount.ok() && mount->writable)
    return make_error(Where::usage, "option", "--mount " + text,
                      "found a place that could be written, wanted one that stays as it is",
                      "leave :rw out; what a server may change is given to `seedbed gen "
                      "--from-mcp` with --files, and each episode begins with it");
  return mount;
}

Result<std::shared_ptr<Jails>> start_jails(const std::string& isolation,
                                           const std::vector<std::string>& mounts) {
  std::map<std::string, std::string> sources;
  for (const auto& text : mounts) {
    SEEDBED_TRY(const auto mount, server_mount_of(text));
    sources[mount.target] = mount.source;
  }
  auto jails = std::make_shared<Jails>();
  const auto level = isolation_of(isolation);
  SEEDBED_TRY(jails->broker, sandbox::Broker::start(level));
  jails->servers =
      std::make_shared<sandbox::ServerPlace>(level, envgen::files_of, std::move(sources));
  return jails;
}

Result<std::unique_ptr<sandbox::ToolHost>> open_host(Jails& jails, int core) {
  return sandbox::open_any_host(*jails.broker, {.core = core}, jails.servers);
}

Result<std::unique_ptr<tasks::Store>> open_store(const std::string& path, const Common& common) {
  return tasks::Store::open(
      path, {.create = false, .fresh = false, .upgrade = common.upgrade, .read_only = false});
}

Result<std::unique_ptr<tasks::Store>> open_reader(const std::string& path, const Common& common) {
  return tasks::Store::open(
      path,
      {.create = false, .fresh = false, .upgrade = common.upgrade, .read_only = !common.upgrade});
}

Step close_store(std::unique_ptr<tasks::Store> store) {
  if (auto error = store->flush()) return error;
  return store->checkpoint();
}

Step write_file(const std::string& path, std::string_view bytes) {
  const auto refuse = [&](const char* step) {
    return make_error(
        Where::usage, "file", path,
        std::string(step) + ": " + std::strerror(errno),  // NOLINT(concurrency-mt-unsafe)
        "give a path that can be written");
  };
  const auto beside = path + ".part";
  std::FILE* file = std::fopen(beside.c_str(), "wbe");
  if (file == nullptr) return refuse("cannot be opened");
  const bool written = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size() &&
                       std::fflush(file) == 0 && fsync(fileno(file)) == 0;
  const int error = errno;
  std::fclose(file);
  errno = error;
  if (!written || std::rename(beside.c_str(), path.c_str()) != 0) {
    auto failed = refuse("cannot be written");
    std::remove(beside.c_str());
    return failed;
  }
  return std::nullopt;
}

Error interrupted(const std::string& what) {
  return make_error(Where::interrupted, what, "", "stopped by a signal before its end",
                    "what was done is kept: the same command continues it");
}

int core_count() {
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

int exit_code(const Error& error) {
  switch (error.where) {
    case Where::usage:
      return 2;
    case Where::interrupted:
      return 130;
    default:
      return 3;
  }
}

}  // namespace seedbed::cli
