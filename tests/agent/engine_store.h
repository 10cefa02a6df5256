// Runs of a model in this process over the clinic's store.
#pragma once
#include <chrono>
#include <thread>
#include <vector>

#include "agent/engine_run.h"
#include "engine_kit.h"

namespace seedbed::test {

inline agent::RunOptions engine_options(const EngineKit& kit, bool thinking, int concurrency) {
  agent::RunOptions o;
  o.policy = "engine";
  o.seed = 5;
  o.engine.model_dir = kit.dir;
  o.engine.thinking = thinking;
  o.engine.threads = 1;
  o.engine.kv_dtype = engine::DType::f32;
  o.engine.context = 8'192;
  o.engine.cache_tokens = 65'536;
  o.engine.top_p = 0.9;
  o.concurrency = concurrency;
  o.budget =
      schemas::Budget{.max_turns = 6, .max_calls = 50, .wall_ms = 600'000, .output_kib = 512};
  return o;
}

class EngineStore : public ClinicStore {
 protected:
  // On a model of its own, and what that counted.
  engine::EngineStats run_counted(const agent::RunOptions& o) {
    auto model = agent::EngineModel::open(o.engine);
    EXPECT_TRUE(model.ok()) << model.error().message;
    const auto made = agent::run_model(*store, o, **model, clinic_hosts());
    EXPECT_TRUE(made.ok()) << made.error().message;
    // Sessions end on the engine's thread, soon.
    engine::EngineStats stats = (*model)->engine().stats();
    for (int i = 0; i < 1'000 && (stats.sessions > 0 || stats.running > 0); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      stats = (*model)->engine().stats();
    }
    EXPECT_EQ(stats.running, 0);
    EXPECT_EQ(stats.sessions, 0);  // each episode gave its session up
    EXPECT_EQ(stats.pages_free + stats.pages_cached, stats.pages);
    EXPECT_EQ(made->tokens.generated, stats.generated_tokens);
    EXPECT_EQ(made->tokens.prompt, stats.prompt_tokens);
    EXPECT_EQ(made->tokens.cached, stats.hit_tokens);
    return stats;
  }
};

}  // namespace seedbed::test
