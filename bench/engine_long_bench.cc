// A long prompt on a small model, read for good: 131,072 tokens through the engine, in bounded
// memory.
//   bench_engine_long [TOKENS]
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "base/rng.h"
#include "bench/ceiling.h"
#include "engine/engine.h"
#include "engine/make_model.h"

namespace {
using namespace seedbed;
using namespace seedbed::engine;

long peak_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}
}  // namespace

int main(int argc, char** argv) {
  const int count = argc > 1 ? std::atoi(argv[1]) : 131072;
  auto config = named_config("nano");
  if (!config.ok()) return 1;
  config->num_hidden_layers = 2;
  config->index_n_heads = 4;
  config->layer_is_moe = {false, true};
  config->layer_owns_indexer = {true, true};
  const auto dir = std::filesystem::temp_directory_path() / "seedbed_bench_tiny";
  std::filesystem::remove_all(dir);
  MakeModelOptions make;
  make.seed = 1;
  if (auto error = make_model(*config, make, dir.string()))
    return std::fprintf(stderr, "%s\n", error->message.c_str()), 1;
  EngineOptions options;
  options.model_dir = dir.string();
  options.cache_tokens = count + 64;
  options.chunk = 512;
  auto engine = Engine::open(options);
  if (!engine.ok()) return std::fprintf(stderr, "%s\n", engine.error().message.c_str()), 1;
  const long before = peak_mib();
  const auto sequence = (*engine)->open_sequence(1);
  Rng rng = rng_for(1, "bench", 0, "long");
  const std::int64_t page_bytes = cache_bytes_per_page((*engine)->config(), options.kv_dtype);
  const std::int64_t cache_mib = page_bytes * ((count + 63) / 64) / (1 << 20);
  GenerateParams params;
  params.max_tokens = 1;
  params.ignore_eos = true;
  int done = 0;
  double previous = bench::now_us();
  const double begin = previous;
  for (int step = 1; step <= 8; ++step) {
    const int until = static_cast<int>(static_cast<long>(count) * step / 8);
    std::vector<std::int32_t> ids;
    for (; done < until; ++done)
      ids.push_back(static_cast<std::int32_t>(
          rng.below(static_cast<std::uint64_t>((*engine)->config().vocab_size))));
    if (auto error = (*engine)->append(sequence, ids))
      return std::fprintf(stderr, "%s\n", error->message.c_str()), 1;
    const auto generated = (*engine)->generate(sequence, params);
    if (!generated.ok()) return std::fprintf(stderr, "%s\n", generated.error().message.c_str()), 1;
    const double now = bench::now_us();
    std::printf(
        "bench engine_long model=tiny context=%d prefill_tokens_s=%.1f seconds=%.1f cache_mib=%lld "
        "peak_mib=%ld peak_before_mib=%ld\n",
        done, static_cast<double>(ids.size()) / generated->prefill_seconds, (now - previous) / 1e6,
        static_cast<long long>(cache_mib), peak_mib(), before);
    std::fflush(stdout);
    previous = now;
  }
  std::printf("bench engine_long_total model=tiny tokens=%d seconds=%.1f\n", done,
              (bench::now_us() - begin) / 1e6);
  std::filesystem::remove_all(dir);
  return 0;
}
