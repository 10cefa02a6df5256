// Many episodes at once on one model, which computes their replies together.
#include "agent/engine_run.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "agent/engine_client.h"
#include "agent/episode_seed.h"
#include "agent/prompt.h"
#include "agent/run_async.h"
#include "base/hash.h"

namespace seedbed::agent {
namespace {

std::string_view name_of(engine::DType dtype) {
  return dtype == engine::DType::f32 ? "f32" : dtype == engine::DType::bf16 ? "bf16" : "fp8";
}

// All that decides what is sampled; threads, batches and caches are not part of it.
tasks::RunInfo engine_info(const RunOptions& options, const EngineModel& model) {
  const EngineOptions& o = model.options();
  tasks::RunInfo info = run_info(options);
  info.policy_version = model.engine().policy_version();
  info.settings.set("prompt", kPromptVersion)
      .set("draws", kDrawsVersion)
      .set("chat", "deepseek-v3.2")
      .set("model", content_hash(schemas::dump(engine::to_json(model.engine().config()))))
      .set("thinking", o.thinking)
      .set("tokenizer", model.vocabulary().hash())
      .set("temperature", o.temperature)
      .set("top_p", o.top_p)
      .set("top_k", o.top_k)
      .set("min_p", o.min_p)
      .set("max_tokens", o.max_tokens)
      .set("context", model.window())
      .set("kv_dtype", name_of(o.kv_dtype));
  if (o.constrain) info.settings.set("constrain", true);
  return info;
}

}  // namespace

Result<RunSummary> run_model(tasks::Store& store,
                             const RunOptions& options,
                             const EngineModel& model,
                             const HostFactory& hosts,
                             const OnProgress& progress) {
  SEEDBED_TRY(const RunPlan plan, plan_run(store, options, engine_info(options, model)));
  boost::asio::io_context io(1);
  const auto post = [&io](std::function<void()> work) { boost::asio::post(io, std::move(work)); };
  const AsyncClients clients{.make = [&] { return std::make_unique<EngineClient>(model, post); },
                             .model_failures = 1,  // nothing that comes and goes, as a network does
                             .tokens =
                                 [&] {
                                   const engine::EngineStats stats = model.engine().stats();
                                   return RunTokens{.generated = stats.generated_tokens,
                                                    .prompt = stats.prompt_tokens,
                                                    .cached = stats.hit_tokens};
                                 }};
  return run_async(io, store, plan, options, hosts, clients, progress);
}

Result<RunSummary> run_engine(tasks::Store& store,
                              const RunOptions& options,
                              const HostFactory& hosts,
                              const OnProgress& progress) {
  SEEDBED_TRY(const auto model, EngineModel::open(options.engine));
  return run_model(store, options, *model, hosts, progress);
}

}  // namespace seedbed::agent
