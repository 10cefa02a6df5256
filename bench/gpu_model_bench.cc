// A slice of the published model (its dimensions, three dense layers and as many MoE layers as fit,
// random fp8 weights made on the device): time of decode steps and of prefill pieces, sparse
// against dense attention in the same program. One line of JSON a measurement.
//   bench_gpu_model [--device auto|cpu|cuda] [--config NAME] [--layers N] [--budget SECONDS]
//                   [--contexts 4096,131072] [--batches 1,64]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "base/rng.h"
#include "bench/ceiling.h"
#include "engine/cache.h"
#include "engine/choose_device.h"
#include "engine/make_model.h"
#include "engine/memory_plan.h"
#include "engine/model.h"

namespace {
using namespace seedbed;
using namespace seedbed::engine;

constexpr int kPage = kernels::kPageTokens;
constexpr int kFirstPages = 16;  // computed for good; the others are copies of them

struct Arguments {
  std::string device = "auto", config = "deepseek-v3.2";
  int layers = 0;
  double budget = 100;
  std::vector<int> contexts = {4'096, 32'768, 131'072}, batches = {1, 8, 32, 64, 128};
  int chunk = 2'048;
};

std::vector<int> numbers(const char* text) {
  std::vector<int> out;
  for (char* at = const_cast<char*>(text); *at != '\0'; at += *at == ',' ? 1 : 0)
    out.push_back(static_cast<int>(std::strtol(at, &at, 10)));
  return out;
}

bool read(int argc, char** argv, Arguments& out) {
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    const char* value = argv[i + 1];
    if (name == "--device")
      out.device = value;
    else if (name == "--config")
      out.config = value;
    else if (name == "--layers")
      out.layers = std::atoi(value);
    else if (name == "--budget")
      out.budget = std::atof(value);
    else if (name == "--contexts")
      out.contexts = numbers(value);
    else if (name == "--batches")
      out.batches = numbers(value);
    else if (name == "--chunk")
      out.chunk = std::atoi(value);
    else
      return std::fprintf(stderr, "unknown option %s\n", argv[i]), false;
  }
  return argc % 2 == 1;
}

int fail(const Error& error) {
  std::fprintf(stderr, "%s\n", error.message.c_str());
  return 3;
}

void with_layers(ModelConfig& config, int layers) {
  const int dense =
      static_cast<int>(std::find(config.layer_is_moe.begin(), config.layer_is_moe.end(), true) -
                       config.layer_is_moe.begin());
  config.num_hidden_layers = layers;
  config.num_nextn_predict_layers = 0;
  config.layer_is_moe.assign(static_cast<std::size_t>(layers), true);
  std::fill_n(config.layer_is_moe.begin(), std::min(dense, layers), false);
  config.layer_owns_indexer.assign(static_cast<std::size_t>(layers), true);
}

// As many layers as two thirds of the device's memory hold.
int layers_that_fit(const ModelConfig& config, std::int64_t bytes) {
  int layers = 4;
  for (; layers < config.num_hidden_layers; ++layers) {
    ModelConfig more = config;
    with_layers(more, layers + 1);
    if (static_cast<std::int64_t>(published_totals(more).payload_bytes) > bytes / 3 * 2) break;
  }
  return layers;
}

class Slice {
 public:
  Slice(Model& model, PageCache& cache, const Arguments& arguments)
      : model_(model),
        cache_(cache),
        arguments_(arguments),
        rng_(rng_for(1, "bench", 0, "slice")) {}

  // A context of this many tokens before the rows: pages at random, the last ones its own.
  void fill_pages() {
    std::vector<std::int32_t> table(kFirstPages), tokens(kFirstPages * kPage),
        positions(tokens.size()), sequence(tokens.size(), 0);
    std::iota(table.begin(), table.end(), 0);
    std::iota(positions.begin(), positions.end(), 0);
    for (auto& id : tokens) id = any_token();
    Batch batch;
    batch.tokens = tokens;
    batch.positions = positions;
    batch.sequence = sequence;
    batch.page_table = table;
    batch.table_stride = kFirstPages;
    batch.host_logits = false;
    model_.forward(batch, cache_, out_);
    for (std::int32_t page = kFirstPages; page < cache_.pages(); ++page)
      cache_.copy(static_cast<std::int32_t>(rng_.below(kFirstPages)), page);
    model_.device()->wait();
  }

  // Rows of `sequences` sequences, `rows` each, the last of them at position context - 1.
  void measure(const std::string& name, int sequences, int rows, int context, bool dense) {
    const int stride = (context + kPage - 1) / kPage, own = (rows + kPage - 1) / kPage + 1;
    if (sequences * own + kFirstPages >= cache_.pages()) return;
    const auto all = static_cast<std::size_t>(sequences) * static_cast<std::size_t>(rows);
    std::vector<std::int32_t> table, tokens(all), positions(all), sequence(all), wanted;
    std::int32_t next_own = cache_.pages() - sequences * own;
    const auto common = static_cast<std::uint64_t>(next_own);
    for (int s = 0; s < sequences; ++s)
      for (int i = 0; i < stride; ++i)
        table.push_back(i >= stride - own ? next_own++
                                          : static_cast<std::int32_t>(rng_.below(common)));
    for (std::size_t i = 0; i < all; ++i) {
      tokens[i] = any_token();
      sequence[i] = static_cast<std::int32_t>(i / static_cast<std::size_t>(rows));
      positions[i] = static_cast<std::int32_t>(context - rows) +
                     static_cast<std::int32_t>(i % static_cast<std::size_t>(rows));
    }
    for (int s = 0; s < sequences; ++s) wanted.push_back((s + 1) * rows - 1);
    Batch batch;
    batch.tokens = tokens;
    batch.positions = positions;
    batch.sequence = sequence;
    batch.page_table = table;
    batch.table_stride = stride;
    batch.logit_rows = wanted;
    batch.host_logits = false;
    batch.attend_to_all = dense;
    std::vector<double> seconds;
    const double begin = bench::now_us();
    for (int i = 0; i < 23; ++i) {  // the first grows buffers, the second records
      const double start = bench::now_us();
      model_.forward(batch, cache_, out_);
      model_.device()->wait();
      const double took = (bench::now_us() - start) / 1e6;
      if (i >= 2) seconds.push_back(took);
      if (i >= 4 && bench::now_us() - begin > 2e6) break;
    }
    std::sort(seconds.begin(), seconds.end());
    const double median = seconds[seconds.size() / 2];
    const int layers = model_.config().num_hidden_layers;
    std::printf(
        "{\"name\": \"%s\", \"shape\": {\"sequences\": %d, \"rows\": %d, \"context\": %d, "
        "\"layers\": %d, \"pages\": %d, \"attention\": \"%s\"}, \"seconds\": %.9g, \"fastest\": "
        "%.9g, \"repeats\": %zu, \"seconds_per_layer\": %.9g, \"tokens_per_second\": %.6g}\n",
        name.c_str(), sequences, rows, context, layers, cache_.pages(), dense ? "dense" : "sparse",
        median, seconds.front(), seconds.size(), median / layers,
        static_cast<double>(all) / median);
    std::fflush(stdout);
  }

 private:
  std::int32_t any_token() {
    return static_cast<std::int32_t>(
        rng_.below(static_cast<std::uint64_t>(model_.config().vocab_size)));
  }
  Model& model_;
  PageCache& cache_;
  const Arguments& arguments_;
  Rng rng_;
  Outputs out_;
};

std::string size_name(int tokens) {
  return tokens % 1024 == 0 ? std::to_string(tokens / 1024) + "k" : std::to_string(tokens);
}

int run(const Arguments& arguments) {
  const double begin = bench::now_us();
  auto chosen = choose_device(arguments.device);
  if (!chosen.ok()) return fail(chosen.error());
  const auto device = chosen->device;
  auto config = named_config(arguments.config);
  if (!config.ok()) return fail(config.error());
  const std::int64_t free = device->free_bytes();
  const int layers = arguments.layers > 0 ? arguments.layers
                     : free > 0           ? layers_that_fit(*config, free)
                                          : config->num_hidden_layers;
  with_layers(*config, layers);
  std::printf("{\"name\": \"device\", \"text\": \"%s\", \"config\": \"%s\", \"layers\": %d}\n",
              device->describe().c_str(), arguments.config.c_str(), layers);
  ModelOptions options;
  options.device = device;
  auto model = Model::with_random_weights(*config, 1, options);
  if (!model.ok()) return fail(model.error());
  const int most_batch = *std::max_element(arguments.batches.begin(), arguments.batches.end());
  const int longest = *std::max_element(arguments.contexts.begin(), arguments.contexts.end());
  if (!device->is_host())
    if (auto error = (*model)->reserve(DType::f8, std::max(arguments.chunk, most_batch), most_batch,
                                       longest))
      return fail(*error);
  const std::int64_t page = cache_bytes_per_page(*config, DType::f8);
  const std::int64_t room =
      (device->free_bytes() > 0 ? device->free_bytes() / 2 : 1LL << 30) / page;
  const std::int64_t wanted =
      longest / kPage * 4 + most_batch * 2 + arguments.chunk / kPage + kFirstPages + 8;
  auto cache =
      PageCache::make(*config, DType::f8, static_cast<int>(std::min(room, wanted)), 0, device);
  if (!cache.ok()) return fail(cache.error());
  Slice slice(**model, **cache, arguments);
  slice.fill_pages();
  std::printf("{\"name\": \"model_ready\", \"value\": %.3f, \"pages\": %d}\n",
              (bench::now_us() - begin) / 1e6, (*cache)->pages());
  struct Case {
    std::string name;
    int sequences, rows, context;
    bool dense;
  };
  std::vector<Case> cases;
  // What the bars ask for first: one sequence, then many, then prefill.
  for (const int batch : arguments.batches)
    for (const int context : arguments.contexts)
      for (const bool dense : {false, true})
        cases.push_back({std::string("model_decode/") + (dense ? "dense" : "sparse") + "_b" +
                             std::to_string(batch) + "_l" + size_name(context),
                         batch, 1, context, dense});
  for (const int context : arguments.contexts)
    for (const bool dense : {false, true})
      cases.push_back({std::string("model_prefill/") + (dense ? "dense" : "sparse") + "_c" +
                           std::to_string(arguments.chunk) + "_l" + size_name(context),
                       1, arguments.chunk, context, dense});
  for (const Case& one : cases) {
    if ((bench::now_us() - begin) / 1e6 > arguments.budget) {
      std::printf("{\"name\": \"%s\", \"skipped\": \"no time left\"}\n", one.name.c_str());
      continue;
    }
    slice.measure(one.name, one.sequences, one.rows, one.context, one.dense);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (!read(argc, argv, arguments)) return 2;
  try {
    return run(arguments);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 3;
  }
}
