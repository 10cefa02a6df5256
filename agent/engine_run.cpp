// Runs of the policy `engine`: lanes that share one model.
#include <algorithm>

#include "agent/engine_client.h"
#include "agent/prompt.h"
#include "agent/run_plan.h"

namespace seedbed::agent {
namespace {

std::string_view name_of(engine::DType dtype) {
  return dtype == engine::DType::f32 ? "f32" : dtype == engine::DType::bf16 ? "bf16" : "fp8";
}

// All that decides what is sampled; threads and lanes are not part of it.
tasks::RunInfo engine_info(const RunOptions& options, const EngineModel& model) {
  const EngineOptions& o = options.engine;
  tasks::RunInfo info = run_info(options);
  info.policy_version = model.engine().policy_version();
  info.settings.set("prompt", kPromptVersion)
      .set("chat", "deepseek-v3.2")
      .set("thinking", o.thinking)
      .set("tokenizer", model.tokenizer_hash())
      .set("temperature", o.temperature)
      .set("top_p", o.top_p)
      .set("top_k", o.top_k)
      .set("min_p", o.min_p)
      .set("max_tokens", o.max_tokens)
      .set("context", model.window())
      .set("kv_dtype", name_of(o.kv_dtype));
  return info;
}

}  // namespace

Result<RunSummary> run_engine(tasks::Store& store,
                              const RunOptions& options,
                              const HostFactory& hosts,
                              const OnProgress& progress) {
  SEEDBED_TRY(const auto model, EngineModel::open(options.engine, options.jobs));
  SEEDBED_TRY(const RunPlan plan, plan_run(store, options, engine_info(options, *model)));
  // The model's own threads run on every core: a lane waits for them or for its jail.
  const LaneClients clients{.make = [&]() -> std::unique_ptr<ModelClient> {
                              return std::make_unique<EngineClient>(*model, options.interrupted);
                            },
                            .pinned = false};
  return run_lanes(store, plan, options, hosts, clients, progress);
}

}  // namespace seedbed::agent
