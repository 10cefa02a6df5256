#include "cli/run_arguments.h"

#include "agent/scripted.h"
#include "cli/shipped_model.h"
#include "schemas/value.h"

namespace seedbed::cli {
namespace {

void declare_engine(Options& options, RunArguments& arguments, agent::RunOptions& run) {
  options.text("--model", run.engine.model_dir, "DIR",
               "engine: config.json, weights and tokenizer.json; absent: the model that comes with "
               "the program");
  options.choice("--thinking", arguments.thinking, {"auto", "on", "off"},
                 "engine: reason before answering; auto: as the model's generation_config.json "
                 "says under \"thinking\", on where it is silent");
  options.flag("--constrain", run.engine.constrain,
               "engine: mask what is no text and no call that keeps an offered tool's schema");
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

}  // namespace

void declare_run(Options& options, RunArguments& arguments, agent::RunOptions& run) {
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
}

namespace {

Step settle_engine(const std::string& command,
                   const Options& options,
                   const RunArguments& arguments,
                   agent::RunOptions& run) {
  if (run.policy != "engine") {
    for (const char* name : {"--model", "--thinking", "--constrain", "--context", "--device",
                             "--threads", "--kv-dtype", "--cache-tokens", "--host-cache-tokens",
                             "--chunk", "--max-batch", "--speculative", "--deterministic"})
      if (options.given(name))
        return make_error(Where::usage, "seedbed " + command, name,
                          "given, and the policy '" + run.policy + "' has no use for it",
                          "leave it out, or name --policy engine");
    return std::nullopt;
  }
  agent::EngineOptions& o = run.engine;
  SEEDBED_TRY(o.model_dir, model_or_shipped(o.model_dir));
  if (options.given("--temperature")) o.temperature = arguments.temperature;
  if (options.given("--max-tokens")) o.max_tokens = arguments.max_tokens;
  o.top_p = arguments.top_p;
  o.top_k = arguments.top_k;
  o.min_p = arguments.min_p;
  o.thinking = arguments.thinking == "on";
  if (arguments.thinking == "auto") {
    SEEDBED_TRY(o.thinking, thinks(o.model_dir));
  }
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

}  // namespace

Step settle_run(const std::string& command,
                const Options& options,
                const RunArguments& arguments,
                agent::RunOptions& run) {
  run.seed = static_cast<std::uint64_t>(arguments.seed);
  run.samples = static_cast<int>(arguments.samples);
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
      return make_error(Where::usage, "seedbed " + command, "--request",
                        "found '" + arguments.extra + "', wanted a JSON object" +
                            (extra.ok() ? "" : ": " + extra.error().message),
                        "for instance --request '{\"top_p\":0.9}'");
    run.http.extra = *std::move(extra);
  }
  if (auto wrong = settle_engine(command, options, arguments, run)) return wrong;
  if (run.policy == "http")
    for (const char* name : {"--base-url", "--model-name"})
      if (!options.given(name))
        return make_error(
            Where::usage, "seedbed " + command, name, "absent, and the policy http needs it",
            "for instance --policy http --base-url http://127.0.0.1:8000/v1 --model-name M");
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

}  // namespace seedbed::cli
