#include "envgen/from_mcp/from_mcp.h"

#include <fcntl.h>

#include <map>
#include <variant>

#include "base/hash.h"
#include "envgen/from_mcp/file_image.h"
#include "envgen/general/slot.h"
#include "sandbox/hosts/file_rows.h"
#include "sandbox/hosts/tree_hash.h"

namespace seedbed::envgen {
namespace {

// What a folder of the user's may hold: an image lies in the store, and every episode writes it.
constexpr sandbox::WorkBounds kFiles{.entries = 4'096, .bytes = 16ULL << 20, .depth = 32};

Result<sandbox::WorkState> files_in(const std::string& folder) {
  if (folder.empty()) return sandbox::WorkState{};
  const sandbox::Fd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd)
    return make_error(Where::usage, "option", "--files " + folder,
                      "found no folder that can be read, wanted one", "give a folder");
  auto read = sandbox::read_work(fd.get(), kFiles);
  if (!read.ok())
    return make_error(Where::usage, "option", "--files " + folder, read.error().message,
                      "give a folder of at most 4,096 files and 16 MiB");
  return read;
}

struct Opened {
  std::unique_ptr<tasks::Admission> admission;
  std::optional<tasks::Rejected> rejected;
};
Result<Opened> open_admission(const schemas::Environment& env,
                              const std::string& image,
                              Bench& bench) {
  for (auto* host : {bench.first.get(), bench.second.get()})
    if (auto error = host->load(env, image)) return *std::move(error);
  SEEDBED_TRY(auto opened, tasks::Admission::open(env, image, player_of(bench), {},
                                                  hash64("walks of " + env.image_hash)));
  Opened out;
  if (auto* refused = std::get_if<tasks::Rejected>(&opened))
    out.rejected = std::move(*refused);
  else
    out.admission = std::move(std::get<std::unique_ptr<tasks::Admission>>(opened));
  return out;
}

Error stopped() {
  return make_error(Where::interrupted, "tasks of a server", "gates",
                    "stopped before all had been tried, wanted all of them",
                    "the same command begins again with the first");
}

// Their counts and notes may differ: other values are drawn where a server shows others.
std::vector<std::string> gates_of(const schemas::Certificate& certificate) {
  std::vector<std::string> out;
  for (const auto& passed : certificate.gates) out.push_back(passed.gate);
  return out;
}

}  // namespace

Result<ServerEnvironment> make_server_environment(sandbox::ServerPlace& place,
                                                  const ServerSource& source,
                                                  const std::string& seed) {
  ServerEnvironment out;
  auto& env = out.environment;
  env.server = source.server;
  for (auto& mount : env.server->mounts) {
    SEEDBED_TRY(mount.hash, sandbox::tree_hash(mount.source));
  }
  SEEDBED_TRY(const auto files, files_in(source.files));
  SEEDBED_TRY(out.image, image_of(files));
  SEEDBED_TRY(const auto spec, place.spec_of(*env.server));
  SEEDBED_TRY(const auto server, sandbox::open_server(place, spec, source.server.command, files));
  out.left_out = server->left_out();
  for (const auto& offered : server->tools()) {
    if (schemas::ends_episode(offered.name)) {
      out.left_out.emplace_back(offered.name, "the name is taken: that call ends an episode");
      continue;
    }
    schemas::Tool tool;
    tool.name = offered.name;
    tool.description = offered.description;
    tool.input = offered.input;
    env.tools.push_back(std::move(tool));
  }
  env.family = schemas::kServerFamily;
  env.title = source.title.empty() ? "the server " + server->server().name : source.title;
  env.bookkeeping = {sandbox::kFileTable};
  env.image_hash = content_hash(out.image);
  env.recipe.generator = kGeneratorVersion;
  env.recipe.seed = seed;
  env.recipe.split = "train";
  env.recipe.lexicon = schemas::kServerFamily;
  env.recipe.schema_class = env.recipe.core_schema_class =
      content_hash(schemas::dump_record(*env.server) + env.image_hash);
  return out;
}

Result<AdmittedServer> admit_server_tasks(
    const ServerEnvironment& made,
    const std::vector<schemas::ServerTask>& tasks,
    const HostFactory& hosts,
    const std::function<void(std::int64_t, std::int64_t)>& progress,
    const std::atomic<bool>& stop) {
  const auto total = static_cast<std::int64_t>(tasks.size());
  const std::string id = schemas::environment_id(made.environment);
  // What is wrong with a task's form is said before any server starts.
  std::vector<tasks::Draft> drafts;
  for (const auto& task : tasks) {
    SEEDBED_TRY(auto draft, server_draft(task, id, static_cast<std::int64_t>(drafts.size())));
    drafts.push_back(std::move(draft));
  }
  SEEDBED_TRY(Bench bench, open_bench(hosts, -1));
  SEEDBED_TRY(auto opened, open_admission(made.environment, made.image, bench));
  if (opened.rejected)
    return make_error(Where::pack, "environment", made.environment.title,
                      opened.rejected->gate + ": " + opened.rejected->why,
                      "change the server, its files or its command");
  AdmittedServer out;
  std::map<std::string, std::int64_t> counts;
  for (auto& draft : drafts) {
    const std::int64_t number = draft.task.number + 1;
    if (stop) return stopped();
    SEEDBED_TRY(auto admitted, opened.admission->admit(std::move(draft)));
    if (auto* refused = std::get_if<tasks::Rejected>(&admitted)) {
      ++counts[refused->gate];
      out.rejections.push_back({number, std::move(refused->gate), std::move(refused->why)});
    } else {
      out.record.tasks.push_back(std::get<tasks::AdmittedTask>(std::move(admitted)));
    }
    if (progress) progress(number, total);
  }
  for (const auto& [gate, count] : counts) out.record.rejections.push_back({gate, count});
  out.record.environment =
      std::make_unique<tasks::AdmittedEnvironment>(opened.admission->environment());
  return out;
}

Result<VerifySummary> verify_servers(
    tasks::Store& store,
    const HostFactory& hosts,
    const std::function<void(std::int64_t, std::int64_t)>& progress,
    const std::atomic<bool>& stop) {
  SEEDBED_TRY(const auto environments, store.environment_ids());
  SEEDBED_TRY(const auto all, store.task_ids());
  SEEDBED_TRY(Bench bench, open_bench(hosts, -1));
  VerifySummary out;
  for (const auto& id : environments) {
    SEEDBED_TRY(const auto stored, store.environment(id));
    if (!stored.environment.server) {
      out.failed.push_back({id, "build", "it is around no server, unlike what the store says"});
      continue;
    }
    SEEDBED_TRY(const auto opened, open_admission(stored.environment, stored.image, bench));
    if (opened.rejected) out.failed.push_back({id, opened.rejected->gate, opened.rejected->why});
    SEEDBED_TRY(const auto ids, store.task_ids_of(id));
    for (const auto& task_id : ids) {
      if (stop) return stopped();
      ++out.checked;
      if (opened.rejected) continue;
      SEEDBED_TRY(const auto task, store.task(task_id));
      SEEDBED_TRY(const auto admitted,
                  opened.admission->admit({task.task, task.gold, task.verifier}));
      if (const auto* refused = std::get_if<tasks::Rejected>(&admitted))
        out.failed.push_back({task_id, refused->gate, refused->why});
      else if (gates_of(task.certificate) !=
               gates_of(std::get<tasks::AdmittedTask>(admitted).certificate()))
        out.failed.push_back({task_id, "certificate", "it claims other gates than were passed"});
      if (progress) progress(out.checked, static_cast<std::int64_t>(all.size()));
    }
  }
  return out;
}

}  // namespace seedbed::envgen
