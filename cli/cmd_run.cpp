#include <fmt/core.h>

#include <algorithm>

#include "agent/scripted.h"
#include "cli/rollouts.h"
#include "engine/choose_device.h"
#include "schemas/value.h"

namespace seedbed::cli {
namespace {

using schemas::Value;

struct RunArguments {
  std::string store;
  std::int64_t seed = 1, samples = 1, limit = 0, jobs = core_count(), concurrency = 8,
               call_wall_ms = 5'000;
  std::int64_t max_turns = 0, max_calls = 0, wall_ms = 0, max_tokens = 0, timeout_ms = 120'000;
  std::int64_t top_k = 0, threads = 0, context = 0, cache_tokens = 0, chunk = 0, max_batch = 64,
               host_cache_tokens = 0;
  double temperature = -1, top_p = 0.95, min_p = 0;
  bool deterministic = false;
  std::string extra, thinking = "on", kv_dtype = "fp8";
};

void declare_engine(Options& options, RunArguments& arguments, agent::RunOptions& run) {
  options.text("--model", run.engine.model_dir, "DIR",
               "engine: config.json, weights and tokenizer.json");
  options.choice("--thinking", arguments.thinking, {"on", "off"},
                 "engine: reason before answering");
  options.integer("--context", arguments.context, 0, 1 << 24,
                  "engine: tokens an episode may have; 0 is the model's positions, at most 32768");
  options.choice("--device", run.engine.device, {"auto", "cpu", "cuda"},
                 "engine: where to compute; auto: on a GPU where this build finds one");
  options.integer("--threads", arguments.threads, 0, 1'024, "engine: 0 is one for each core");
  options.choice("--kv-dtype", arguments.kv_dtype, {"fp8", "bf16", "f32"},
                 "engine: what keys and values are stored as");
  options.integer("--cache-tokens", arguments.cache_tokens, 0, 1 << 30,
                  "engine: tokens in pages, over all episodes; 0 is as memory allows");
  options.integer("--host-cache-tokens", arguments.host_cache_tokens, 0, 1 << 30,
                  "engine: tokens kept in the host's memory when the pages have no room for them");
  options.integer("--chunk", arguments.chunk, 0, 1 << 16,
                  "engine: prompt tokens of one step; 0: 128 on the cpu, 2048 on a GPU");
  options.integer("--max-batch", arguments.max_batch, 1, 4'096, "engine: replies made at once");
  options.flag("--speculative", run.engine.speculative,
               "engine: draft with the model's prediction layer, where it has one");
  options.flag("--deterministic", arguments.deterministic,
               "engine: results never depend on the batch, the cache or drafts; always so here");
}

void declare(Options& options, RunArguments& arguments, agent::RunOptions& run) {
  options.operand("STORE", arguments.store, "the store; episodes are added to it");
  std::vector<std::string> policies = agent::scripted_policies();
  policies.insert(policies.end(), {"http", "engine"});
  options.choice("--policy", run.policy, policies, "who acts");
  options.text("--base-url", run.http.base_url, "URL",
               "http: an OpenAI-compatible endpoint, up to and with /v1");
  options.text("--model-name", run.http.model, "NAME", "http: the model asked for");
  options.text("--api-key-env", run.http.api_key_env, "VAR",
               "http: environment variable that holds the key; never stored");
  options.number(
      "--temperature", arguments.temperature, 0, 10,
      "http: sampling temperature, the endpoint's own where absent; engine: 1 where absent");
  options.number("--top-p", arguments.top_p, 0, 1,
                 "least share of probability kept; http: the endpoint's own where absent");
  options.integer("--top-k", arguments.top_k, 0, INT32_MAX,
                  "most likely tokens kept, 0 is all; http: sent only where given");
  options.number("--min-p", arguments.min_p, 0, 1,
                 "least probability kept, relative to the highest; http: sent only where given");
  options.integer("--max-tokens", arguments.max_tokens, 1, INT64_MAX,
                  "tokens a reply may have; http: the endpoint's own where absent, engine: 2048");
  options.integer("--timeout-ms", arguments.timeout_ms, 1, 86'400'000, "http: time for one reply");
  options.text("--request", arguments.extra, "JSON",
               "http: an object with further members of each request");
  declare_engine(options, arguments, run);
  options.integer("--seed", arguments.seed, 0, INT64_MAX,
                  "of the policy's own draws; another seed is another run");
  options.integer("--samples", arguments.samples, 1, 100'000, "episodes of each task");
  options.integer("--limit", arguments.limit, 0, INT64_MAX, "the first N tasks only; 0 is all");
  options.flag("--no-issues", run.no_issues, "leave out tasks with an open issue");
  options.integer("--jobs", arguments.jobs, 1, 1'024,
                  "lanes of scripted policies, each with a thread and a jail");
  options.integer("--concurrency", arguments.concurrency, 1, 4'096,
                  "http and engine: episodes in flight, each with a jail");
  options.integer("--max-turns", arguments.max_turns, 1, 10'000,
                  "lower the tasks' own budget of turns");
  options.integer("--max-calls", arguments.max_calls, 1, 100'000,
                  "lower the tasks' own budget of calls");
  options.integer("--wall-ms", arguments.wall_ms, 1, 86'400'000,
                  "lower the tasks' own budget of time");
  options.integer("--call-wall-ms", arguments.call_wall_ms, 1, 3'600'000, "time for one tool call");
  options.require("--policy");
}

Step settle_engine(const Options& options, const RunArguments& arguments, agent::RunOptions& run) {
  if (run.policy != "engine") {
    for (const char* name : {"--model", "--thinking", "--context", "--device", "--threads",
                             "--kv-dtype", "--cache-tokens", "--host-cache-tokens", "--chunk",
                             "--max-batch", "--speculative", "--deterministic"})
      if (options.given(name))
        return make_error(Where::usage, "seedbed run", name,
                          "given, and the policy '" + run.policy + "' has no use for it",
                          "leave it out, or name --policy engine");
    return std::nullopt;
  }
  if (!options.given("--model"))
    return make_error(Where::usage, "seedbed run", "--model",
                      "absent, and the policy engine needs it",
                      "for instance: seedbed run a.db --policy engine --model DIR");
  agent::EngineOptions& o = run.engine;
  if (options.given("--temperature")) o.temperature = arguments.temperature;
  if (options.given("--max-tokens")) o.max_tokens = arguments.max_tokens;
  o.top_p = arguments.top_p;
  o.top_k = arguments.top_k;
  o.min_p = arguments.min_p;
  o.thinking = arguments.thinking == "on";
  o.context = arguments.context;
  o.threads = static_cast<int>(arguments.threads);
  o.cache_tokens = arguments.cache_tokens;
  o.host_cache_tokens = arguments.host_cache_tokens;
  o.chunk = static_cast<int>(arguments.chunk);
  o.max_batch = static_cast<int>(arguments.max_batch);
  o.kv_dtype = arguments.kv_dtype == "f32"    ? engine::DType::f32
               : arguments.kv_dtype == "bf16" ? engine::DType::bf16
                                              : engine::DType::f8;
  return std::nullopt;
}

Step settle(const Options& options,
            const RunArguments& arguments,
            const Shard& shard,
            agent::RunOptions& run) {
  run.seed = static_cast<std::uint64_t>(arguments.seed);
  run.samples = static_cast<int>(arguments.samples);
  run.limit = arguments.limit;
  run.shard = static_cast<int>(shard.index);
  run.shards = static_cast<int>(shard.count);
  run.jobs = static_cast<int>(arguments.jobs);
  run.concurrency = static_cast<int>(arguments.concurrency);
  run.call_wall_ms = static_cast<int>(arguments.call_wall_ms);
  run.http.timeout_ms = static_cast<int>(arguments.timeout_ms);
  if (options.given("--temperature")) run.http.temperature = arguments.temperature;
  if (options.given("--top-p")) run.http.top_p = arguments.top_p;
  if (options.given("--top-k")) run.http.top_k = arguments.top_k;
  if (options.given("--min-p")) run.http.min_p = arguments.min_p;
  if (options.given("--max-tokens")) run.http.max_tokens = arguments.max_tokens;
  if (!arguments.extra.empty()) {
    auto extra = schemas::parse_json(arguments.extra);
    if (!extra.ok() || !extra->is_object())
      return make_error(Where::usage, "seedbed run", "--request",
                        "found '" + arguments.extra + "', wanted a JSON object" +
                            (extra.ok() ? "" : ": " + extra.error().message),
                        "for instance --request '{\"top_p\":0.9}'");
    run.http.extra = *std::move(extra);
  }
  if (auto wrong = settle_engine(options, arguments, run)) return wrong;
  if (run.policy == "http")
    for (const char* name : {"--base-url", "--model-name"})
      if (!options.given(name))
        return make_error(Where::usage, "seedbed run", name, "absent, and the policy http needs it",
                          "for instance: seedbed run a.db --policy http --base-url "
                          "http://127.0.0.1:8000/v1 --model-name M");
  if (options.given("--max-turns") || options.given("--max-calls") || options.given("--wall-ms")) {
    // The smaller of this and the task's own holds, so what was not given is no limit.
    schemas::Budget budget{.max_turns = INT32_MAX,
                           .max_calls = INT32_MAX,
                           .wall_ms = INT32_MAX,
                           .output_kib = INT32_MAX};
    if (options.given("--max-turns")) budget.max_turns = static_cast<int>(arguments.max_turns);
    if (options.given("--max-calls")) budget.max_calls = static_cast<int>(arguments.max_calls);
    if (options.given("--wall-ms")) budget.wall_ms = static_cast<int>(arguments.wall_ms);
    run.budget = budget;
  }
  return std::nullopt;
}

double per_second(std::int64_t count, double seconds) {
  return static_cast<double>(count) / std::max(seconds, 1e-9);
}

Value to_json(const agent::RunSummary& summary) {
  Value out = Value::object();
  out.set("episodes", summary.episodes)
      .set("solved", summary.solved)
      .set("score_mean", summary.score_mean());
  out.set("infra_errors", summary.infra_errors)
      .set("seconds", summary.seconds)
      .set("tool_calls", summary.tool_calls);
  out.set("skipped", summary.skipped).set("run", summary.run);
  if (summary.tokens.prompt == 0) return out;
  out.set("generated_tokens", summary.tokens.generated)
      .set("generated_tokens_per_second", per_second(summary.tokens.generated, summary.seconds))
      .set("prompt_tokens", summary.tokens.prompt)
      .set("cached_tokens", summary.tokens.cached)
      .set("cached_share", summary.tokens.cached_share());
  return out;
}

void print(Output& out, const std::string& policy, const agent::RunSummary& summary) {
  const auto rate = [&](std::int64_t count) {
    return format_count(static_cast<std::int64_t>(per_second(count, summary.seconds)));
  };
  out.line(fmt::format(
      "{}: {} episodes, {} solved, mean score {:.3f}, {} infrastructure errors in {}", policy,
      format_count(summary.episodes),
      format_share(static_cast<double>(summary.solved), static_cast<double>(summary.episodes)),
      summary.score_mean(), format_count(summary.infra_errors), format_seconds(summary.seconds)));
  out.line(fmt::format("{} episodes/s, {} tool calls/s; {} episodes were stored before; run {}",
                       rate(summary.episodes), rate(summary.tool_calls),
                       format_count(summary.skipped), summary.run));
  if (summary.tokens.prompt == 0) return;
  out.line(fmt::format("{} tokens generated, {}/s; {} prompt tokens, {} of them from the cache",
                       format_count(summary.tokens.generated), rate(summary.tokens.generated),
                       format_count(summary.tokens.prompt),
                       format_share(static_cast<double>(summary.tokens.cached),
                                    static_cast<double>(summary.tokens.prompt))));
}

}  // namespace

Result<int> cmd_run(Context& context, const Words& words) {
  RunArguments arguments;
  agent::RunOptions run;
  Common common;
  Options options(
      "run",
      "drive an agent through tasks and record trajectories; the same command continues the run",
      "seedbed run a.db --policy random --limit 100");
  declare(options, arguments, run);
  shard_option(options, common);
  isolation_option(options, common);
  options.flag("--dry-run", common.dry_run, "say how many episodes would be made, and end");
  store_options(options, common);
  json_option(options, common);
  if (auto error = options.parse(words)) return *std::move(error);
  if (options.wants_help()) return context.out.raw(options.help()), 0;
  context.out.set_json(common.json);
  SEEDBED_TRY(const auto shard, shard_of(common.shard, environment_variable));
  if (auto error = settle(options, arguments, shard, run)) return *std::move(error);

  if (run.policy == "engine" && !common.dry_run) {
    SEEDBED_TRY(auto chosen, engine::choose_device(run.engine.device));
    if (!chosen.note.empty()) context.out.status(chosen.note + "; computing on the CPU");
    run.engine.on = std::move(chosen.device);
  }
  if (common.dry_run) {
    SEEDBED_TRY(auto store, open_reader(arguments.store, common));
    SEEDBED_TRY(const auto ids, store->task_ids());
    auto tasks = static_cast<std::int64_t>(ids.size());
    if (run.limit > 0) tasks = std::min(tasks, run.limit);
    tasks = (tasks - shard.index + shard.count - 1) / shard.count;
    context.out.line("would make " + format_count(tasks * run.samples) +
                     " episodes less those that are stored: " + format_count(tasks) + " tasks, " +
                     std::to_string(run.samples) + " samples each, policy " + run.policy);
    Value plan = Value::object();
    plan.set("dry_run", true)
        .set("tasks", tasks)
        .set("samples", std::int64_t{run.samples})
        .set("policy", run.policy);
    context.out.object(plan);
    return 0;
  }
  SEEDBED_TRY(auto broker, start_broker(common.isolation));
  SEEDBED_TRY(auto store, open_store(arguments.store, common));
  auto summary = run_store(context, *store, run, broker);
  if (auto error = close_store(std::move(store)); error && summary.ok()) return *std::move(error);
  if (!summary.ok()) return summary.error();
  print(context.out, run.policy, *summary);
  context.out.object(to_json(*summary));
  if (summary->infra_errors == 0) return 0;
  context.out.status(
      "seedbed: " + format_count(summary->infra_errors) +
      " episodes met infrastructure errors and were not scored; the same command tries them again");
  return 1;
}

}  // namespace seedbed::cli
