// The whole engine at work, scheduler and sampling included: decoding in batches, and a short
// request behind a long prompt.
//   bench_scheduler [--model NAME] [--rounds N] [--long TOKENS]
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/rng.h"
#include "bench/ceiling.h"
#include "engine/engine.h"
#include "engine/make_model.h"

namespace {

using namespace seedbed;
using namespace seedbed::engine;

[[noreturn]] void fail(const Error& error) {
  std::fprintf(stderr, "%s\n", error.message.c_str());
  std::exit(1);
}

struct Setup {
  std::string model = "small", long_model = "nano";
  int rounds = 5, long_tokens = 60'000;
};

class Bench {
 public:
  explicit Bench(const std::string& name, EngineOptions options) : name_(name) {
    dir_ = std::filesystem::temp_directory_path() / ("seedbed_scheduler_" + name);
    std::filesystem::remove_all(dir_);
    auto config = named_config(name);
    if (!config.ok()) fail(config.error());
    MakeModelOptions make;
    make.seed = 1;
    if (auto error = make_model(*config, make, dir_.string())) fail(*error);
    options.model_dir = dir_.string();
    options.model.check_finite = false;
    auto opened = Engine::open(options);
    if (!opened.ok()) fail(opened.error());
    engine = *std::move(opened);
  }
  ~Bench() {
    engine.reset();
    std::filesystem::remove_all(dir_);
  }
  Request request(std::uint64_t key, int prompt, int tokens) {
    Rng rng = rng_for(1, "bench", static_cast<std::int64_t>(key), "prompt");
    Request r;
    for (int i = 0; i < prompt; ++i)
      r.prompt.push_back(static_cast<std::int32_t>(
          rng.below(static_cast<std::uint64_t>(engine->config().vocab_size))));
    r.params.sampling.top_p = 0.95;
    r.params.max_tokens = tokens;
    r.params.ignore_eos = true;
    r.key = key;
    return r;
  }
  std::unique_ptr<Engine> engine;

 private:
  std::string name_;
  std::filesystem::path dir_;
};

// Tokens a second while all of them decode.
double decode_rate(Bench& bench, int batch, std::uint64_t round) {
  constexpr int kPrompt = 256, kTokens = 48;
  std::vector<std::future<Result<Generated>>> ends;
  std::atomic<int> first{0}, all{0};
  std::atomic<double> begin{0}, end{0};
  const int steady = batch * (kTokens - 1);
  for (int i = 0; i < batch; ++i) {
    Request r = bench.request(round * 1'000 + static_cast<std::uint64_t>(i), kPrompt, kTokens);
    auto count = std::make_shared<int>(0);
    r.params.on_token = [&, count](const TokenOut&) {
      if (++*count == 1 && ++first == batch) begin = bench::now_us();
      if (first == batch && ++all == steady) end = bench::now_us();
      return true;
    };
    auto promise = std::make_shared<std::promise<Result<Generated>>>();
    ends.push_back(promise->get_future());
    auto id = bench.engine->submit(
        std::move(r), [promise](Result<Generated> g) { promise->set_value(std::move(g)); });
    if (!id.ok()) fail(id.error());
  }
  for (auto& done : ends) done.get();
  // Those that began early have tokens from before the steady time: count what came after.
  const double last = end > 0 ? end.load() : bench::now_us();
  return 1e6 * all / (last - begin);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void decode(const Setup& setup) {
  const std::vector<int> batches = {1, 2, 4, 8, 16, 32};
  EngineOptions options;
  options.cache_tokens = 64 * 1024;
  options.prefix_cache = false;  // each round reads its prompts anew
  options.chunk = 512;
  Bench bench(setup.model, options);
  std::map<int, std::vector<double>> rates;
  for (int round = 0; round <= setup.rounds; ++round)
    for (const int batch : batches) {
      const double rate = decode_rate(bench, batch, static_cast<std::uint64_t>(round));
      if (round > 0) rates[batch].push_back(rate);
    }
  // Batch sizes take turns, so a ratio is of the same round.
  for (const int batch : batches) {
    std::vector<double> ratios;
    for (std::size_t i = 0; i < rates[batch].size(); ++i)
      ratios.push_back(rates[batch][i] / rates[1][i]);
    std::printf("bench engine_batch model=%s batch=%d tokens_s=%.1f times_batch1=%.2f best=%.2f\n",
                setup.model.c_str(), batch, median(rates[batch]), median(ratios),
                *std::max_element(ratios.begin(), ratios.end()));
  }
}

void short_behind_long(const Setup& setup) {
  EngineOptions options;
  options.cache_tokens = setup.long_tokens + 8'192;
  Bench bench(setup.long_model, options);
  std::atomic<bool> over{false};
  auto id = bench.engine->submit(bench.request(1, setup.long_tokens, 1),
                                 [&](const Result<Generated>&) { over = true; });
  if (!id.ok()) fail(id.error());
  std::vector<double> chunks, ms;
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  for (std::uint64_t k = 0; k < 20 && !over; ++k) {
    Request r = bench.request(100 + k, 32, 1);
    const auto before = bench.engine->stats().steps;
    std::int64_t at = 0;
    r.params.on_token = [&](const TokenOut&) {
      at = bench.engine->stats().steps + 1;  // the figures are those of the step before
      return true;
    };
    const double begin = bench::now_us();
    auto made = bench.engine->run(std::move(r));
    if (!made.ok()) fail(made.error());
    ms.push_back((bench::now_us() - begin) / 1e3);
    // The step under way when it came, and its own.
    chunks.push_back(static_cast<double>(at - before));
  }
  const auto read = bench.engine->stats().prefill_tokens;
  bench.engine->abort(*id);
  while (!over) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  std::printf(
      "bench engine_short_behind_long model=%s long_tokens=%d read_by_then=%lld requests=%zu "
      "chunk=%d chunks_p50=%.0f chunks_max=%.0f ttft_ms_p50=%.1f\n",
      setup.long_model.c_str(), setup.long_tokens, static_cast<long long>(read), chunks.size(),
      options.chunk, median(chunks), *std::max_element(chunks.begin(), chunks.end()), median(ms));
}

}  // namespace

int main(int argc, char** argv) {
  Setup setup;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string key = argv[i], value = argv[i + 1];
    if (key == "--model") setup.model = value;
    if (key == "--rounds") setup.rounds = std::atoi(value.c_str());
    if (key == "--long") setup.long_tokens = std::atoi(value.c_str());
  }
  decode(setup);
  short_behind_long(setup);
  return 0;
}
