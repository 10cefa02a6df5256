#include "cli/generation.h"

#include "envgen/from_db/from_db.h"
#include "envgen/from_mcp/from_mcp.h"

namespace seedbed::cli {

envgen::HostFactory host_factory(std::shared_ptr<Jails> jails) {
  return [jails = std::move(jails)](int core) { return open_host(*jails, core); };
}

namespace {

Result<envgen::GenSummary> generate_slots(Context& context,
                                          tasks::Store& store,
                                          const std::shared_ptr<const envgen::Packs>& packs,
                                          const envgen::GenOptions& options,
                                          const std::shared_ptr<Jails>& jails) {
  Progress progress(context.out, "generating", "slots");
  const auto show = [&](const envgen::GenProgress& p) {
    progress.at(p.slots_done, p.slots_total, format_count(p.tasks) + " tasks");
  };
  return envgen::generate(store, packs, options, host_factory(jails), show, context.stop);
}

}  // namespace

Result<std::shared_ptr<const envgen::Packs>> load_source(const std::vector<std::string>& packs,
                                                         const std::string& from_db) {
  if (from_db.empty()) return envgen::load_packs(packs);
  if (packs.empty()) return envgen::load_database(from_db);
  return make_error(Where::usage, "seedbed", "--from-db and --pack",
                    "found both, wanted one of them", "leave one of them out");
}

Result<GenReport> generate_into(Context& context,
                                const GenArguments& arguments,
                                const std::shared_ptr<Jails>& jails) {
  SEEDBED_TRY(auto packs, load_source(arguments.packs, arguments.from_db));
  if (packs->database)
    for (const auto& line : envgen::database_report(*packs->database)) context.out.line(line);
  SEEDBED_TRY(auto store, tasks::Store::open(arguments.out, {.create = true,
                                                             .fresh = arguments.fresh,
                                                             .upgrade = arguments.upgrade,
                                                             .read_only = false}));
  envgen::GenOptions options;
  options.request.generator = envgen::kGeneratorVersion;
  options.request.packs = packs->hash;
  options.request.family = arguments.family;
  options.request.seed = arguments.seed;
  options.request.envs = arguments.envs;
  options.request.tasks_per_env = arguments.tasks_per_env;
  options.request.split = arguments.split;
  options.request.mix = arguments.mix;
  options.request.tools = arguments.tools;
  options.jobs = static_cast<int>(arguments.jobs);
  options.shard = arguments.shard.index;
  options.shards = arguments.shard.count;

  if (auto error = store->set_request(options.request)) return *std::move(error);
  auto made = generate_slots(context, *store, packs, options, jails);
  const bool stopped = !made.ok() && made.error().where == Where::interrupted;
  if (!made.ok() && !stopped) return made.error();
  if (auto error = store->flush()) return *std::move(error);
  if (auto error = store->select(); error && !stopped) return *std::move(error);
  if (stopped) {  // what there is can be looked at, and the same command goes on
    if (auto error = close_store(std::move(store))) return *std::move(error);
    return made.error();
  }
  GenReport report;
  report.summary = *made;
  SEEDBED_TRY(auto environments, store->environment_ids());
  SEEDBED_TRY(auto kept, store->task_ids());
  report.summary.environments = static_cast<std::int64_t>(environments.size());
  report.summary.tasks = static_cast<std::int64_t>(kept.size());
  SEEDBED_TRY(report.digest, store->content_digest());
  SEEDBED_TRY(report.rejections, store->rejections());
  if (auto error = close_store(std::move(store))) return *std::move(error);
  return report;
}

void print_rejections(Output& out, const std::vector<tasks::GateCount>& rejections) {
  Table table{{"gate", "rejected"}, {}};
  for (const auto& row : rejections) table.rows.push_back({row.gate, format_count(row.count)});
  if (table.rows.empty()) return out.line("no draft was rejected");
  out.table(table);
}

Result<envgen::VerifySummary> verify_store(Context& context,
                                           tasks::Store& store,
                                           const std::vector<std::string>& packs,
                                           std::int64_t sample,
                                           const std::shared_ptr<Jails>& jails,
                                           const std::string& from_db) {
  SEEDBED_TRY(const auto request, store.request());
  Progress progress(context.out, "verifying", "tasks");
  const auto show = [&](std::int64_t done, std::int64_t total) { progress.at(done, total); };
  if (request && request->family == schemas::kServerFamily) {
    if (sample != 0 || !packs.empty() || !from_db.empty())
      return make_error(Where::usage, "seedbed verify-pack", "--sample, --pack and --from-db",
                        "found with a store around an MCP server, wanted none of them",
                        "leave them out: all of its tasks are put to the gates again");
    return envgen::verify_servers(store, host_factory(jails), show, context.stop);
  }
  const bool from_file = request && request->packs.rfind(envgen::kDatabaseHash, 0) == 0;
  if (from_file && from_db.empty())
    return make_error(Where::usage, "seedbed verify-pack", "--from-db",
                      "not given, wanted the database that the store was made from (hash " +
                          request->packs.substr(3) + ")",
                      "give that file with --from-db FILE");
  SEEDBED_TRY(auto loaded, load_source(packs, from_db));
  if (request && (from_file || !from_db.empty()) && loaded->hash != request->packs)
    return make_error(
        Where::usage, "seedbed verify-pack", from_db,
        "hash " + loaded->hash + ", wanted " + request->packs + " as when the store was made",
        "give the same file, unchanged, with --from-db");
  return envgen::verify_pack(store, loaded, sample, host_factory(jails), show, context.stop);
}

void print_failures(Output& out, const envgen::VerifySummary& summary) {
  if (summary.failed.empty()) return;
  Table table{{"task", "gate", "why"}, {}};
  for (const auto& failure : summary.failed)
    table.rows.push_back({failure.task, failure.gate, failure.why});
  out.table(table);
}

}  // namespace seedbed::cli
