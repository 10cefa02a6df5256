#include "cli/from_mcp.h"

#include <filesystem>
#include <set>

#include "base/hash.h"
#include "base/text.h"
#include "envgen/from_mcp/from_mcp.h"

namespace seedbed::cli {
namespace {

using schemas::Value;

Result<envgen::ServerSource> source_of(const FromMcpArguments& arguments, const BoxArguments& box) {
  envgen::ServerSource out;
  SEEDBED_TRY(out.server.command, split_command(arguments.command));
  if (out.server.command.empty())
    return make_error(Where::usage, "option", "--from-mcp", "found no program, wanted a server",
                      "for instance --from-mcp 'python3 -m my_server'");
  for (const auto& text : box.mounts) {
    SEEDBED_TRY(const auto mount, server_mount_of(text));
    out.server.mounts.push_back({mount.source, mount.target, ""});
  }
  out.server.memory_mib = box.memory_mib;
  out.server.pids = box.pids;
  out.server.loopback = box.net == "loopback";
  out.title = arguments.title;
  out.files = arguments.files;
  return out;
}

schemas::GenRequest request_of(const envgen::ServerEnvironment& made,
                               const std::vector<schemas::ServerTask>& tasks,
                               const std::string& seed) {
  std::string all = schemas::dump_record(made.environment);
  for (const auto& task : tasks) all += "\n" + schemas::dump_record(task);
  schemas::GenRequest out;
  out.generator = envgen::kGeneratorVersion;
  out.packs = envgen::kServerHash + content_hash(all);
  out.family = schemas::kServerFamily;
  out.seed = seed;
  out.envs = 1;
  out.tasks_per_env = static_cast<std::int64_t>(tasks.size());
  out.split = "all";
  return out;
}

void print(Output& out, const std::vector<envgen::ServerRejection>& rejections) {
  Table table{{"task", "gate", "why"}, {}};
  for (const auto& one : rejections)
    table.rows.push_back({std::to_string(one.number), one.gate, one.why});
  out.table(table);
}

Value to_json(std::size_t admitted,
              const std::vector<tasks::GateCount>& counts,
              const std::vector<envgen::ServerRejection>& rejections,
              const std::string& digest) {
  Value gates = Value::object(), rejected = Value::array();
  for (const auto& row : counts) gates.set(row.gate, row.count);
  for (const auto& one : rejections)
    rejected.push(
        Value::object().set("task", one.number).set("gate", one.gate).set("why", one.why));
  Value out = Value::object().set("environments", 1);
  out.set("tasks", static_cast<std::int64_t>(admitted)).set("digest", digest);
  return out.set("rejections", std::move(gates)).set("rejected", std::move(rejected));
}

Result<std::unique_ptr<tasks::Store>> open_for(const GenArguments& gen,
                                               const schemas::GenRequest& request) {
  SEEDBED_TRY(auto store, tasks::Store::open(gen.out, {.create = true,
                                                       .fresh = gen.fresh,
                                                       .upgrade = gen.upgrade,
                                                       .read_only = false}));
  if (auto error = store->set_request(request)) return *std::move(error);
  return store;
}

}  // namespace

Result<std::vector<std::string>> split_command(const std::string& text) {
  std::vector<std::string> out;
  std::string word;
  bool in_word = false;
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\' && quote != '\'' && i + 1 < text.size()) {
      word += text[++i];
      in_word = true;
    } else if (quote != 0) {
      if (c == quote)
        quote = 0;
      else
        word += c;
    } else if (c == '\'' || c == '"') {
      quote = c;
      in_word = true;
    } else if (c == ' ' || c == '\t' || c == '\n') {
      if (in_word) out.push_back(std::move(word));
      word.clear();
      in_word = false;
    } else {
      word += c;
      in_word = true;
    }
  }
  if (quote != 0)
    return make_error(Where::usage, "option", "--from-mcp",
                      std::string("found ") + quote + " that is not closed, wanted a command",
                      "close it");
  if (in_word) out.push_back(std::move(word));
  return out;
}

Result<int> generate_from_mcp(Context& context,
                              const FromMcpArguments& arguments,
                              const BoxArguments& box,
                              const GenArguments& gen,
                              bool dry_run) {
  if (arguments.tasks.empty())
    return make_error(Where::usage, "seedbed gen", "--tasks",
                      "not given, wanted a file of tasks for the server",
                      "see docs/from-mcp.md; the form of a line: seedbed schema server_task");
  SEEDBED_TRY(const auto source, source_of(arguments, box));
  SEEDBED_TRY(const auto written, envgen::read_server_tasks(arguments.tasks));
  SEEDBED_TRY(const auto jails, start_jails(box.common.isolation));
  SEEDBED_TRY(const auto made, envgen::make_server_environment(*jails->servers, source, gen.seed));
  for (const auto& [name, why] : made.left_out)
    context.out.status("seedbed: the tool '" + name + "' is left out: " + why);
  context.out.line(made.environment.title + " offers " +
                   format_count(static_cast<std::int64_t>(made.environment.tools.size())) +
                   " tools; " + format_count(static_cast<std::int64_t>(written.size())) +
                   " tasks are given");
  if (dry_run) {
    Value out = Value::object().set("environment", made.environment.title);
    out.set("tools", static_cast<std::int64_t>(made.environment.tools.size()));
    context.out.object(out.set("tasks", static_cast<std::int64_t>(written.size())));
    return 0;
  }
  const auto request = request_of(made, written, gen.seed);
  // A store that is there is not touched, and a new one not made, before the tasks are tried.
  std::unique_ptr<tasks::Store> store;
  std::error_code ignored;
  if (!gen.fresh && std::filesystem::exists(gen.out, ignored)) {
    SEEDBED_TRY(store, open_for(gen, request));
  }
  std::set<std::int64_t> finished;
  if (store != nullptr) {
    SEEDBED_TRY(finished, store->finished_slots());
  }
  std::vector<envgen::ServerRejection> rejections;
  if (finished.empty()) {
    Progress progress(context.out, "admitting", "tasks");
    const auto show = [&](std::int64_t done, std::int64_t total) { progress.at(done, total); };
    SEEDBED_TRY(auto tried,
                envgen::admit_server_tasks(made, written, host_factory(jails), show, context.stop));
    rejections = std::move(tried.rejections);
    if (store == nullptr) {
      SEEDBED_TRY(store, open_for(gen, request));
    }
    if (auto error = store->put_slot(std::move(tried.record))) return *std::move(error);
    if (auto error = store->flush()) return *std::move(error);
  } else {
    context.out.line("they were put to the gates before; --fresh does it again");
  }
  if (auto error = store->select()) return *std::move(error);
  SEEDBED_TRY(const auto admitted, store->task_ids());
  SEEDBED_TRY(const auto digest, store->content_digest());
  SEEDBED_TRY(const auto counts, store->rejections());
  context.out.line(format_count(static_cast<std::int64_t>(admitted.size())) +
                   " tasks admitted; digest " + digest);
  print_rejections(context.out, counts);
  if (!rejections.empty()) print(context.out, rejections);
  context.out.object(to_json(admitted.size(), counts, rejections, digest));
  if (auto error = close_store(std::move(store))) return *std::move(error);
  return admitted.empty() ? 1 : 0;
}

}  // namespace seedbed::cli
