#include <algorithm>

#include "base/text.h"
#include "cli/from_mcp.h"
#include "envgen/from_db/from_db.h"

namespace seedbed::cli {
namespace {

using schemas::Value;

Value to_json(const GenReport& report) {
  Value gates = Value::object();
  for (const auto& row : report.rejections) gates.set(row.gate, row.count);
  Value out = Value::object();
  out.set("environments", report.summary.environments).set("tasks", report.summary.tasks);
  out.set("slots", report.summary.slots).set("seconds", report.summary.seconds);
  out.set("digest", report.digest).set("rejected", std::move(gates));
  return out;
}

Step unknown_kind(const schemas::Mix& mix, const std::string& file) {
  const auto known = envgen::goal_kinds();
  if (!mix.kinds) return std::nullopt;
  for (const auto& row : *mix.kinds) {
    if (std::find(known.begin(), known.end(), row.kind) != known.end()) continue;
    const auto near = nearest(row.kind, known);
    return make_error(Where::usage, "mix '" + file + "'", "kinds",
                      "found '" + row.kind + "', wanted one of " + join(known, ", "),
                      near.empty() ? "correct it" : "did you mean '" + near + "'?");
  }
  return std::nullopt;
}

// Flags that would say nothing are refused: whoever gives one expects something of it.
Step flags_agree(const Options& options) {
  const bool mcp = options.given("--from-mcp");
  for (const char* flag : {"--family", "--envs", "--tasks-per-env", "--split", "--level", "--mix",
                           "--tools", "--pack", "--from-db", "--jobs", "--shard"})
    if (mcp && options.given(flag))
      return make_error(Where::usage, "seedbed gen", std::string(flag) + " and --from-mcp",
                        "found both, wanted one of them",
                        std::string("leave ") + flag +
                            " out: around a server there is one environment, with the tasks of "
                            "--tasks");
  for (const char* flag :
       {"--tasks", "--files", "--title", "--memory-mib", "--pids", "--net", "--mount"})
    if (!mcp && options.given(flag))
      return make_error(Where::usage, "seedbed gen", flag, "found without --from-mcp",
                        "leave it out, or name the server with --from-mcp CMD");
  return std::nullopt;
}

}  // namespace

Result<int> cmd_gen(Context& context, const Words& words) {
  GenArguments arguments;
  Common common;
  FromMcpArguments mcp;
  BoxArguments box;
  std::int64_t seed = 1;
  std::string level, mix, tools;
  arguments.jobs = core_count();
  Options options(
      "gen",
      "generate environments and certified tasks into a store; the same command continues it",
      "seedbed gen --envs 100 --tasks-per-env 10 --seed 1 --out a.db");
  options.text("--out", arguments.out, "STORE", "the store, a file of its own");
  options.choice("--family", arguments.family, {"general"}, "kind of environment");
  options.integer("--envs", arguments.envs, 1, 10'000'000, "environments wanted");
  options.integer("--tasks-per-env", arguments.tasks_per_env, 1, 1'000, "tasks wanted for each");
  options.integer("--seed", seed, 0, INT64_MAX, "everything is a function of it");
  options.choice("--split", arguments.split, {"all", "train", "heldout"},
                 "which environments to keep");
  options.text("--level", level, "A-B", "only tasks of these levels, 1 to 10 (docs/levels.md)");
  options.text("--mix", mix, "FILE", "shares of kinds and levels, as JSON (seedbed schema mix)");
  options.text("--tools", tools, "A-B",
               "tools that each environment offers, 8 to 40; few make short prompts");
  options.texts("--pack", arguments.packs, "DIR",
                "mechanisms and lexicons beside the built-in ones");
  options.text(
      "--from-db", arguments.from_db, "FILE",
      "environments over this SQLite database, one unless --envs says more (docs/from-db.md)");
  options.text("--from-mcp", mcp.command, "CMD",
               "an environment around this MCP server (stdio), run in a jail (docs/from-mcp.md)");
  options.text(
      "--tasks", mcp.tasks, "FILE",
      "with --from-mcp: tasks for it, one JSON object a line (seedbed schema server_task)");
  options.text("--files", mcp.files, "DIR",
               "with --from-mcp: the files that its folder holds when an episode begins");
  options.text("--title", mcp.title, "TEXT",
               "with --from-mcp: whom the agent works for, e.g. 'a watchmaker'");
  box.add_limits(options);
  options.integer("--jobs", arguments.jobs, 1, 1'024,
                  "threads, each with its own jail; the bytes do not depend on it");
  shard_option(options, common);
  isolation_option(options, common);
  options.flag("--fresh", arguments.fresh, "start over: remove what the store holds");
  store_options(options, common);
  options.flag("--dry-run", common.dry_run,
               "check request and packs, say what would be done, and end");
  json_option(options, common);
  options.require("--out");
  if (auto error = options.parse(words)) return *std::move(error);
  if (options.wants_help()) return context.out.raw(options.help()), 0;
  context.out.set_json(common.json);
  if (auto error = flags_agree(options)) return *std::move(error);
  arguments.seed = std::to_string(seed);
  arguments.upgrade = common.upgrade;
  if (!level.empty() && !mix.empty())
    return make_error(Where::usage, "seedbed gen", "--level and --mix",
                      "found both, wanted one of them", "put the levels into the mix's file");
  if (!level.empty()) {
    SEEDBED_TRY(arguments.mix, schemas::mix_of_levels(level));
  } else if (!mix.empty()) {
    SEEDBED_TRY(arguments.mix, schemas::read_mix(mix));
    if (auto error = unknown_kind(*arguments.mix, mix)) return *std::move(error);
  }
  if (!tools.empty()) {
    SEEDBED_TRY(arguments.tools, schemas::tool_range(tools));
  }
  if (arguments.tools && !arguments.from_db.empty())
    return make_error(Where::usage, "seedbed gen", "--tools and --from-db",
                      "found both, wanted one of them",
                      "the tables of a database say how many tools there are");
  SEEDBED_TRY(arguments.shard, shard_of(common.shard, environment_variable));
  if (!arguments.from_db.empty() && !options.given("--envs")) arguments.envs = 1;
  if (!arguments.from_db.empty() && arguments.split == "heldout")
    return make_error(Where::usage, "seedbed gen", "--split heldout",
                      "found with --from-db, which holds nothing out", "leave --split out");

  if (options.given("--from-mcp")) {
    box.common = common;
    return generate_from_mcp(context, mcp, box, arguments, common.dry_run);
  }
  if (common.dry_run) {
    SEEDBED_TRY(auto packs, load_source(arguments.packs, arguments.from_db));
    if (packs->database)
      for (const auto& line : envgen::database_report(*packs->database)) context.out.line(line);
    context.out.line("would generate " + format_count(arguments.envs) + " environments with " +
                     format_count(arguments.tasks_per_env) + " tasks each, seed " + arguments.seed +
                     ", shard " + std::to_string(arguments.shard.index) + "/" +
                     std::to_string(arguments.shard.count) +
                     (arguments.tools ? ", " + std::to_string(arguments.tools->least) + " to " +
                                            std::to_string(arguments.tools->most) + " tools"
                                      : std::string()) +
                     ", into " + arguments.out);
    Value plan = Value::object();
    plan.set("dry_run", true)
        .set("envs", arguments.envs)
        .set("tasks_per_env", arguments.tasks_per_env)
        .set("seed", arguments.seed);
    if (arguments.tools) plan.set("tools", schemas::to_value(*arguments.tools));
    context.out.object(plan);
    return 0;
  }
  SEEDBED_TRY(auto jails, start_jails(common.isolation));
  SEEDBED_TRY(auto report, generate_into(context, arguments, jails));
  const auto& done = report.summary;
  context.out.line(format_count(done.environments) + " environments, " + format_count(done.tasks) +
                   " certified tasks in " + format_seconds(done.seconds) + "; digest " +
                   report.digest);
  print_rejections(context.out, report.rejections);
  if (!arguments.from_db.empty() && arguments.shard.count == 1 && done.environments == 0)
    return make_error(
        Where::pack, "foreign database", arguments.from_db,
        "no environment with " + format_count(arguments.tasks_per_env) +
            " certified tasks could be made, wanted one (what was rejected is above)",
        "ask for fewer with --tasks-per-env, or give a database with more tables that "
        "refer to each other");
  if (arguments.shard.count == 1 && done.environments < arguments.envs)
    context.out.status("seedbed: " + format_count(arguments.envs) + " environments were wanted, " +
                       format_count(done.environments) +
                       " passed gates and selection; a larger --envs gives more");
  context.out.object(to_json(report));
  return arguments.shard.count == 1 && done.environments == 0 ? 1 : 0;
}

}  // namespace seedbed::cli
