// Decoding many sequences in one step: tokens a second by batch size, beside batch 1 and beside
// what the machine can do, measured in the same run.
//   bench_engine_batch [--model NAME] [--contexts N,N,...] [--batches N,N,...] [--rounds N]
//                      [--threads N]
// A step is one forward pass with a row for each sequence, and a draw from each row's logits. The
// cache is filled with random latents and index keys through the model's own ops, in pages that lie
// scattered. Batch sizes take turns within a round, so that a noisy minute hits all of them.
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
#include "engine/model.h"

namespace {

using namespace seedbed;
using namespace seedbed::engine;

struct Setup {
  std::string name = "small";
  std::vector<int> contexts = {256, 2048}, batches = {1, 2, 4, 8, 16, 32};
  int rounds = 15, threads = 0;
};

[[noreturn]] void fail(const Error& error) {
  std::fprintf(stderr, "%s\n", error.message.c_str());
  std::exit(1);
}

std::vector<int> numbers_in(const std::string& text) {
  std::vector<int> out;
  for (std::size_t at = 0; at < text.size();) {
    out.push_back(std::max(1, std::atoi(text.c_str() + at)));
    const std::size_t comma = text.find(',', at);
    at = comma == std::string::npos ? text.size() : comma + 1;
  }
  return out;
}

Setup parse(int argc, char** argv) {
  Setup setup;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string key = argv[i], value = argv[i + 1];
    if (key == "--model") setup.name = value;
    if (key == "--rounds") setup.rounds = std::max(1, std::atoi(value.c_str()));
    if (key == "--threads") setup.threads = std::max(0, std::atoi(value.c_str()));
    if (key == "--contexts") setup.contexts = numbers_in(value);
    if (key == "--batches") setup.batches = numbers_in(value);
  }
  return setup;
}

struct Roof {
  double read_gbs = 0, bf16_gflops = 0, f32_gflops = 0;
};
Roof measure_roof(kernels::Pool& pool) {
  constexpr std::size_t kBytes = 512U << 20;
  std::unique_ptr<std::byte, void (*)(void*)> memory(
      static_cast<std::byte*>(std::aligned_alloc(64, kBytes)), std::free);
  std::memset(memory.get(), 1, kBytes);
  return {bench::read_gbs(pool, memory.get(), static_cast<std::int64_t>(kBytes)),
          bench::multiply_gflops(pool, bench::Multiply::bf16),
          bench::multiply_gflops(pool, bench::Multiply::f32)};
}

// What a step has to do at least: every weight it needs is read once, every row is multiplied.
struct Need {
  double weight_bytes = 0, cache_bytes = 0;
  double narrow_flops = 0;  // products with fp8 weights and index keys
  double wide_flops = 0;    // f32: attention, the two halves of kv_b, the head, the gate
};
Need need_of(const ModelConfig& m, int batch, int context) {
  const double h = m.hidden_size, heads = m.num_attention_heads, rows = batch;
  const double keys = std::min(context, m.index_topk),
               scored = context > m.index_topk ? context : 0;
  const double record =
      m.kv_lora_rank + 4.0 * ((m.kv_lora_rank + 127) / 128) + 2.0 * m.qk_rope_head_dim;
  Need need;
  for (int i = 0; i < m.num_hidden_layers; ++i) {
    const double index_q =
        scored > 0 ? 1.0 * m.q_lora_rank * m.index_n_heads * m.index_head_dim : 0.0;
    const double attention = h * m.q_lora_rank + m.q_lora_rank * heads * m.qk_head_dim() +
                             h * m.latent_dim() + heads * m.v_head_dim * h + h * m.index_head_dim +
                             index_q;
    const double absorbed = heads * (m.qk_nope_head_dim + m.v_head_dim) * m.kv_lora_rank;
    double read = attention + 2 * absorbed, multiplied = attention;
    if (m.layer_is_moe[static_cast<std::size_t>(i)]) {
      const double expert = 3.0 * h * m.moe_intermediate_size;
      // Experts that somebody chooses, if all choices are equally likely.
      double missed = 1;
      for (int t = 0; t < batch; ++t)
        missed *= 1.0 - static_cast<double>(m.num_experts_per_tok) / m.n_routed_experts;
      read += expert * (m.n_routed_experts * (1 - missed) + m.n_shared_experts);
      multiplied += expert * (m.num_experts_per_tok + m.n_shared_experts);
    } else {
      read += 3.0 * h * m.intermediate_size;
      multiplied += 3.0 * h * m.intermediate_size;
    }
    need.weight_bytes += read;
    need.cache_bytes += rows * (keys * record + scored * (m.index_head_dim + 4));
    need.narrow_flops += 2 * rows * (multiplied + scored * m.index_n_heads * m.index_head_dim);
    need.wide_flops += 2 * rows * (absorbed + heads * keys * (m.latent_dim() + m.kv_lora_rank));
  }
  need.weight_bytes += 2.0 * h * m.vocab_size;
  need.wide_flops += 2 * rows * h * m.vocab_size;
  return need;
}

// Every page of every layer gets random contents, of its own.
void fill(const Model& model, PageCache& cache) {
  const ModelConfig& config = model.config();
  const kernels::Ops& ops = model.device()->ops();
  constexpr int kRows = 1024;
  const int c = config.kv_lora_rank, r = config.qk_rope_head_dim, d = config.index_head_dim;
  const int count = cache.pages() * kernels::kPageTokens;
  Rng rng = rng_for(1, "bench", 0, "cache");
  auto random = [&](std::size_t n) {
    std::vector<float> out(n);
    for (float& x : out) x = static_cast<float>(rng.below(2001)) / 1000.0F - 1.0F;
    return out;
  };
  const auto latent = random(kRows * static_cast<std::size_t>(c)),
             key = random(kRows * static_cast<std::size_t>(r));
  std::vector<std::uint8_t> codes(kRows * static_cast<std::size_t>(d));
  std::vector<float> scale(kRows);
  std::vector<std::int32_t> slots(kRows);
  for (int begin = 0; begin < count; begin += kRows) {
    const int rows = std::min(kRows, count - begin);
    const auto index = random(kRows * static_cast<std::size_t>(d));
    ops.hadamard_quant({.rows = kRows,
                        .dim = d,
                        .x = index.data(),
                        .out = codes.data(),
                        .scale = scale.data(),
                        .pool = &model.pool()});
    for (int i = 0; i < rows; ++i) slots[static_cast<std::size_t>(i)] = begin + i;
    for (int layer = 0; layer < config.num_hidden_layers; ++layer) {
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
                       .k = codes.data(),
                       .scale = scale.data(),
                       .slots = slots.data(),
                       .pages = cache.index_keys(layer),
                       .pool = &model.pool()});
    }
  }
}

struct Spent {
  double forward_us = 0, sample_us = 0;
};

class Stepper {
 public:
  Stepper(Model& model, PageCache& cache, int batch, int context)
      : model_(model), cache_(cache), stride_((context + 63) / 64) {
    for (int i = 0; i < batch * stride_; ++i) table_.push_back(i);
    Rng rng = rng_for(1, "bench", 0, "pages");
    rng.shuffle(table_);
  }

  // A step that ends contexts of `context` tokens.
  Spent run(int batch, int context) {
    const int vocab = model_.config().vocab_size;
    std::vector<std::int32_t> tokens, positions, sequence, wanted;
    std::vector<kernels::SampleRow> rows;
    for (int i = 0; i < batch; ++i) {
      tokens.push_back(static_cast<std::int32_t>((i * 7919 + steps_ * 104'729) % vocab));
      positions.push_back(context - 1);
      sequence.push_back(i);
      wanted.push_back(i);
      rows.push_back({.top_p = 0.95,
                      .seed = 1,
                      .sequence = static_cast<std::uint64_t>(i),
                      .position = context + steps_});
    }
    ++steps_;
    Batch work;
    work.tokens = tokens;
    work.positions = positions;
    work.sequence = sequence;
    work.page_table = table_;
    work.table_stride = stride_;
    work.logit_rows = wanted;
    const auto count = static_cast<std::size_t>(batch);
    ids_.resize(count);
    logprobs_.resize(count);
    raw_.resize(count);
    const double begin = bench::now_us();
    model_.forward(work, cache_, out_);
    const double between = bench::now_us();
    model_.device()->ops().sample({.rows = batch,
                                   .vocab = vocab,
                                   .logits = out_.logits.data(),
                                   .row = rows.data(),
                                   .id = ids_.data(),
                                   .logprob = logprobs_.data(),
                                   .raw_logprob = raw_.data(),
                                   .pool = &model_.pool()});
    return {between - begin, bench::now_us() - between};
  }

 private:
  Model& model_;
  PageCache& cache_;
  std::vector<std::int32_t> table_;
  std::int64_t stride_ = 0;
  int steps_ = 0;
  Outputs out_;
  std::vector<std::int32_t> ids_;
  std::vector<float> logprobs_, raw_;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Times {
  std::vector<double> forward, step, ratio;  // ratio: of tokens a second, to batch 1 of that round
};

void report(const Setup& setup,
            const ModelConfig& config,
            const Roof& roof,
            int context,
            int batch,
            const Times& times) {
  const Need need = need_of(config, batch, context);
  const double step = median(times.step), forward = median(times.forward);
  const double read_us = (need.weight_bytes + need.cache_bytes) / roof.read_gbs / 1e3;
  const double multiply_us = roof.bf16_gflops > 0 ? need.narrow_flops / roof.bf16_gflops / 1e3 +
                                                        need.wide_flops / roof.f32_gflops / 1e3
                                                  : 0;
  const double ratio = times.ratio.empty() ? 0 : median(times.ratio);
  std::printf(
      "bench engine_batch model=%s context=%d batch=%d ms_p50=%.3f ms_best=%.3f forward_ms=%.3f "
      "tokens_s=%.1f tokens_s_unsampled=%.1f times_batch1=%.2f read_floor_ms=%.3f "
      "multiply_floor_ms=%.3f roof=%.1f%%\n",
      setup.name.c_str(), context, batch, step / 1e3,
      *std::min_element(times.step.begin(), times.step.end()) / 1e3, forward / 1e3,
      1e6 * batch / step, 1e6 * batch / forward, ratio, read_us / 1e3, multiply_us / 1e3,
      100 * std::max(read_us, multiply_us) / forward);
}

}  // namespace

int main(int argc, char** argv) {
  const Setup setup = parse(argc, argv);
  auto named = named_config(setup.name);
  if (!named.ok()) fail(named.error());
  const auto dir = std::filesystem::temp_directory_path() / ("seedbed_bench_batch_" + setup.name);
  std::filesystem::remove_all(dir);
  MakeModelOptions make;
  make.seed = 1;
  if (auto error = make_model(*named, make, dir.string())) fail(*error);
  ModelOptions options;
  options.check_finite = false;
  options.threads = setup.threads;
  auto loaded = Model::load(dir.string(), options);
  if (!loaded.ok()) fail(loaded.error());
  Model& model = **loaded;
  const int most = *std::max_element(setup.contexts.begin(), setup.contexts.end());
  const int widest = *std::max_element(setup.batches.begin(), setup.batches.end());
  auto cache = PageCache::make(model.config(), DType::f8, widest * ((most + 63) / 64));
  if (!cache.ok()) fail(cache.error());
  fill(model, **cache);
  const Roof roof = measure_roof(model.pool());
  std::printf(
      "bench engine_batch_ceilings threads=%d read_gbs=%.2f bf16_gflops=%.1f f32_gflops=%.1f "
      "ops=%s\n",
      model.pool().threads(), roof.read_gbs, roof.bf16_gflops, roof.f32_gflops,
      model.device()->ops().name);

  for (const int context : setup.contexts) {
    Stepper stepper(model, **cache, widest, context);
    std::vector<Times> times(setup.batches.size());
    for (const int batch : setup.batches) stepper.run(batch, context);
    for (int round = 0; round < setup.rounds; ++round) {
      double one = 0;  // us of batch 1 in this round
      for (std::size_t i = 0; i < setup.batches.size(); ++i) {
        const int batch = setup.batches[i];
        // A short step is over before the clock settles: several, the middle one counts.
        std::vector<double> forward, whole;
        for (int again = 0; again < 5; ++again) {
          const Spent step = stepper.run(batch, context);
          forward.push_back(step.forward_us);
          whole.push_back(step.forward_us + step.sample_us);
        }
        times[i].forward.push_back(median(forward));
        times[i].step.push_back(median(whole));
        if (batch == 1) one = times[i].step.back();
        if (one > 0) times[i].ratio.push_back(one * batch / times[i].step.back());
      }
    }
    for (std::size_t i = 0; i < setup.batches.size(); ++i)
      report(setup, model.config(), roof, context, setup.batches[i], times[i]);
  }
  std::filesystem::remove_all(dir);
  return 0;
}
