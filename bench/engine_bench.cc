// A whole model at work: decoding at short and long contexts, reading a prompt, beside what the
// machine can do (measured in the same run).
//   bench_engine [--model NAME] [--contexts N,N,...] [--rounds N] [--prefill 0|1]
// The cache is filled with random latents and index keys through the model's own ops: the time of a
// step depends on how much is cached, not on what it says, and reading 64k tokens into a model of a
// billion parameters takes many minutes.
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/rng.h"
#include "bench/ceiling.h"
#include "engine/make_model.h"
#include "engine/memory_plan.h"
#include "engine/model.h"

namespace {

using namespace seedbed;
using namespace seedbed::engine;

struct Roof {
  double read_gbs = 0, bf16_gflops = 0;
};
Roof measure_roof(kernels::Pool& pool) {
  constexpr std::size_t kBytes = 512U << 20;
  std::unique_ptr<std::byte, void (*)(void*)> memory(
      static_cast<std::byte*>(std::aligned_alloc(64, kBytes)), std::free);
  std::memset(memory.get(), 1, kBytes);
  return {bench::read_gbs(pool, memory.get(), static_cast<std::int64_t>(kBytes)),
          bench::multiply_gflops(pool, bench::Multiply::bf16)};
}

// Bytes of weights that one decoded token reads: fp8 linears, the two halves of kv_b as bf16, the
// head as bf16.
double weight_bytes_a_token(const ModelConfig& config, const ParameterCounts& parameters) {
  const double table = static_cast<double>(config.vocab_size) * config.hidden_size;
  const double absorbed = static_cast<double>(config.num_hidden_layers) *
                          config.num_attention_heads *
                          (config.qk_nope_head_dim + config.v_head_dim) * config.kv_lora_rank;
  return static_cast<double>(parameters.active) - 2 * table + absorbed + 2 * table;
}

struct Setup {
  std::string name = "mid";
  std::vector<int> contexts = {4096, 16384, 65536, 131072};
  int rounds = 15;
  bool prefill = true;
};

[[noreturn]] void fail(const Error& error) {
  std::fprintf(stderr, "%s\n", error.message.c_str());
  std::exit(1);
}

Setup parse(int argc, char** argv) {
  Setup setup;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string key = argv[i], value = argv[i + 1];
    if (key == "--model") setup.name = value;
    if (key == "--rounds") setup.rounds = std::atoi(value.c_str());
    if (key == "--prefill") setup.prefill = value != "0";
    if (key == "--contexts") {
      setup.contexts.clear();
      for (std::size_t at = 0; at < value.size();
           at = value.find(',', at) == std::string::npos ? value.size() : value.find(',', at) + 1)
        setup.contexts.push_back(std::atoi(value.c_str() + at));
    }
  }
  return setup;
}

// Pages with random contents for positions [0, count).
void fill(const Model& model, PageCache& cache, int count) {
  const ModelConfig& config = model.config();
  const kernels::Ops& ops = model.device()->ops();
  constexpr int kRows = 1024;
  const int c = config.kv_lora_rank, r = config.qk_rope_head_dim, d = config.index_head_dim;
  Rng rng = rng_for(1, "bench", 0, "cache");
  auto random = [&](std::size_t n) {
    std::vector<float> out(n);
    for (float& x : out) x = static_cast<float>(rng.below(2001)) / 1000.0F - 1.0F;
    return out;
  };
  const auto latent = random(kRows * static_cast<std::size_t>(c)),
             key = random(kRows * static_cast<std::size_t>(r));
  // Every index key is another one: equal keys at equal distances would be selected at equal
  // distances, and what they select would fall on each other in the processor's caches.
  const int blocks = (count + kRows - 1) / kRows;
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(blocks) * kRows *
                                  static_cast<std::size_t>(d));
  std::vector<float> scale(static_cast<std::size_t>(blocks) * kRows);
  for (int b = 0; b < blocks; ++b) {
    const auto index = random(kRows * static_cast<std::size_t>(d));
    ops.hadamard_quant({.rows = kRows,
                        .dim = d,
                        .x = index.data(),
                        .out = codes.data() + static_cast<std::ptrdiff_t>(b) * kRows * d,
                        .scale = scale.data() + static_cast<std::ptrdiff_t>(b) * kRows,
                        .pool = &model.pool()});
  }
  std::vector<std::int32_t> slots(kRows);
  const int layers = config.num_hidden_layers + config.num_nextn_predict_layers;
  for (int layer = 0; layer < layers; ++layer)
    for (int b = 0; b < blocks; ++b) {
      const int done = b * kRows, rows = std::min(kRows, count - done);
      const int from = (b + layer) % blocks;
      for (int i = 0; i < rows; ++i) slots[static_cast<std::size_t>(i)] = done + i;
      ops.kv_write({.tokens = rows,
                    .c = c,
                    .r = r,
                    .latent = latent.data(),
                    .latent_step = c,
                    .key = key.data(),
                    .key_step = r,
                    .slots = slots.data(),
                    .pages = cache.latents(layer),
                    .pool = &model.pool()});
      ops.index_write({.tokens = rows,
                       .d = d,
                       .k = codes.data() + static_cast<std::ptrdiff_t>(from) * kRows * d,
                       .scale = scale.data() + static_cast<std::ptrdiff_t>(from) * kRows,
                       .slots = slots.data(),
                       .pages = cache.index_keys(layer),
                       .pool = &model.pool()});
    }
}

struct Stepper {
  Model& model;
  PageCache& cache;
  std::vector<std::int32_t> table;
  Outputs out;

  // One forward pass over `rows` tokens that end a context of `context` tokens.
  double run_us(int context, int rows, bool logits) {
    std::vector<std::int32_t> tokens, positions, sequence(static_cast<std::size_t>(rows), 0),
        wanted;
    for (int i = 0; i < rows; ++i) {
      tokens.push_back((i * 7919 + context) % model.config().vocab_size);
      positions.push_back(context - rows + i);
    }
    if (logits) wanted.push_back(rows - 1);
    Batch batch;
    batch.tokens = tokens;
    batch.positions = positions;
    batch.sequence = sequence;
    batch.page_table = table;
    batch.table_stride = static_cast<std::int64_t>(table.size());
    batch.logit_rows = wanted;
    const double begin = bench::now_us();
    model.forward(batch, cache, out);
    return bench::now_us() - begin;
  }
};

double median(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  const Setup setup = parse(argc, argv);
  auto named = named_config(setup.name);
  if (!named.ok()) fail(named.error());
  const auto dir = std::filesystem::temp_directory_path() / ("seedbed_bench_" + setup.name);
  std::filesystem::remove_all(dir);
  MakeModelOptions make;
  make.seed = 1;
  if (auto error = make_model(*named, make, dir.string())) fail(*error);
  ModelOptions options;
  options.check_finite = false;
  auto loaded = Model::load(dir.string(), options);
  if (!loaded.ok()) fail(loaded.error());
  Model& model = **loaded;
  const ModelConfig& config = model.config();
  const auto most = *std::max_element(setup.contexts.begin(), setup.contexts.end());
  auto cache = PageCache::make(config, DType::f8, (most + 63) / 64);
  if (!cache.ok()) fail(cache.error());
  Stepper step{model, **cache, {}, {}};
  for (int i = 0; i < (most + 63) / 64; ++i) step.table.push_back((*cache)->take());
  fill(model, **cache, most);

  kernels::Pool& pool = model.pool();
  const Roof roof = measure_roof(pool);
  const ParameterCounts parameters = parameter_counts(config);
  std::printf("bench engine_ceilings threads=%d read_gbs=%.2f bf16_gflops=%.1f ops=%s\n",
              pool.threads(), roof.read_gbs, roof.bf16_gflops, model.device()->ops().name);

  // Contexts take turns, so that a noisy minute hits all of them.
  std::vector<std::vector<double>> times(setup.contexts.size());
  for (std::size_t i = 0; i < setup.contexts.size(); ++i) step.run_us(setup.contexts[i], 1, true);
  for (int round = 0; round < setup.rounds; ++round)
    for (std::size_t i = 0; i < setup.contexts.size(); ++i)
      times[i].push_back(step.run_us(setup.contexts[i], 1, true));
  const auto weight_bytes = weight_bytes_a_token(config, parameters);
  const double layers = config.num_hidden_layers;
  std::vector<double> best;
  for (std::size_t i = 0; i < setup.contexts.size(); ++i) {
    const int context = setup.contexts[i];
    best.push_back(*std::min_element(times[i].begin(), times[i].end()));
    const double gbs = weight_bytes / best[i] / 1e3;
    std::printf(
        "bench engine_decode model=%s context=%d ms=%.2f ms_p50=%.2f tokens_s=%.2f "
        "rate_share=%.1f%% weights_mb=%.0f gbs=%.2f roof=%.1f%%\n",
        setup.name.c_str(), context, best[i] / 1e3, median(times[i]) / 1e3, 1e6 / best[i],
        100 * best[0] / best[i], weight_bytes / 1e6, gbs, 100 * gbs / roof.read_gbs);
    if (i == 0) continue;
    // What must be done for the keys beyond the first context: read them, multiply them with every
    // head.
    const double keys = context - setup.contexts[0];
    const double read_us = layers * keys * (config.index_head_dim + 4) / roof.read_gbs / 1e3;
    const double multiply_us =
        layers * keys * 2.0 * config.index_n_heads * config.index_head_dim / roof.bf16_gflops / 1e3;
    const double floor_us = std::max(read_us, multiply_us), more_us = best[i] - best[0];
    std::printf(
        "bench engine_context_cost model=%s from=%d to=%d more_ms=%.3f read_floor_ms=%.3f "
        "multiply_floor_ms=%.3f times_larger_floor=%.2f times_sum=%.2f\n",
        setup.name.c_str(), setup.contexts[0], context, more_us / 1e3, read_us / 1e3,
        multiply_us / 1e3, more_us / floor_us, more_us / (read_us + multiply_us));
  }
  for (const int rows : {32, 128, 512}) {
    if (!setup.prefill) break;
    std::vector<double> prefill;
    for (int i = 0; i < 4; ++i) prefill.push_back(step.run_us(setup.contexts[0], rows, false));
    const double us = *std::min_element(prefill.begin(), prefill.end());
    const double gflops = 2.0 *
                          static_cast<double>(parameters.active -
                                              static_cast<std::uint64_t>(2) *
                                                  static_cast<std::uint64_t>(config.vocab_size) *
                                                  static_cast<std::uint64_t>(config.hidden_size)) *
                          rows / us / 1e3;
    std::printf(
        "bench engine_prefill model=%s context=%d rows=%d ms=%.1f tokens_s=%.1f gflops=%.1f "
        "roof=%.1f%%\n",
        setup.name.c_str(), setup.contexts[0], rows, us / 1e3, 1e6 * rows / us, gflops,
        100 * gflops / roof.bf16_gflops);
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf("bench engine_memory model=%s peak_mib=%ld\n", setup.name.c_str(),
              usage.ru_maxrss / 1024);
  std::filesystem::remove_all(dir);
  return 0;
}
