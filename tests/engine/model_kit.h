// Tiny seeded models on disk, and running one over a token sequence in different ways.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "engine/make_model.h"
#include "engine/model.h"
#include "tests/goldens/golden.h"

namespace seedbed::engine {

inline std::string golden_path(const std::string& name) {
  return std::string(SEEDBED_SOURCE_DIR) + "/tests/goldens/" + name;
}

inline ModelConfig golden_config(const std::string& file) {
  auto json = schemas::read_json_file(golden_path(file));
  EXPECT_TRUE(json.ok()) << (json.ok() ? "" : json.error().message);
  auto config = parse_model_config(*json, file);
  EXPECT_TRUE(config.ok()) << (config.ok() ? "" : config.error().message);
  return *config;
}

// The folder of that model, written on first use and removed when the program ends.
class ModelFolders {
 public:
  static std::string of(const ModelConfig& config,
                        std::uint64_t seed,
                        DType dtype,
                        const std::string& name,
                        float bias_shift = 0) {  // added to every gate bias
    static ModelFolders folders;
    const std::string key = name + "-" + std::to_string(seed) + "-" +
                            std::to_string(static_cast<int>(dtype)) +
                            (bias_shift == 0 ? "" : "-shifted");
    const std::string path = folders.root_ + "/" + key;
    if (folders.made_[key]) return path;
    MakeModelOptions options;
    options.seed = seed;
    options.dtype = dtype;
    options.threads = 2;
    const auto error = make_model(config, options, path);
    EXPECT_FALSE(error) << error->message;
    if (bias_shift != 0) {
      EXPECT_GT(goldens::shift_biases(path + "/model-00001-of-00001.safetensors", bias_shift), 0U);
    }
    folders.made_[key] = true;
    return path;
  }
  ~ModelFolders() {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }

 private:
  ModelFolders() {
    std::string pattern = std::filesystem::temp_directory_path() / "seedbed_models_XXXXXX";
    root_ = mkdtemp(pattern.data());
  }
  std::string root_;
  std::map<std::string, bool> made_;
};

inline std::unique_ptr<Model> load_model(const std::string& dir, const ModelOptions& options = {}) {
  auto model = Model::load(dir, options);
  EXPECT_TRUE(model.ok()) << (model.ok() ? "" : model.error().message);
  return model.ok() ? *std::move(model) : nullptr;
}

struct RunOptions {
  DType kv_dtype = DType::f32;
  std::vector<int> chunks;  // sizes, repeated; empty: everything at once
  bool scatter_pages = false;
  std::function<void(int, int, int, std::int32_t*)> on_selection;
};

struct RunResult {
  std::vector<float> logits;                                      // [tokens, vocab]
  std::vector<float> hidden;                                      // [tokens, hidden]
  std::vector<std::uint16_t> routing;                             // [tokens, moe layers, topk]
  std::map<std::pair<int, int>, std::vector<std::int32_t>> sets;  // (layer, position) -> chosen
  std::unique_ptr<PageCache> cache;
  std::vector<std::int32_t> table;
};

inline void collect_sets(const Outputs& out, int first_position, int k, RunResult& result) {
  for (const Selection& s : out.selections)
    for (int row = 0; row < s.rows; ++row) {
      auto begin = s.positions.begin() + std::int64_t{row} * k;
      std::vector<std::int32_t> set(begin, begin + k);
      set.erase(std::remove(set.begin(), set.end(), -1), set.end());
      result.sets[{s.layer, first_position + s.first_row + row}] = std::move(set);
    }
}

inline RunResult run_model(Model& model,
                           const std::vector<std::int32_t>& tokens,
                           const RunOptions& options = {}) {
  RunResult result;
  const auto count = static_cast<int>(tokens.size());
  const int pages = (count + kernels::kPageTokens - 1) / kernels::kPageTokens;
  auto cache = PageCache::make(model.config(), options.kv_dtype, pages * 2 + 3, 0, model.device());
  EXPECT_TRUE(cache.ok());
  result.cache = *std::move(cache);
  result.table.resize(static_cast<std::size_t>(pages));
  for (int i = 0; i < pages; ++i)
    result.table[static_cast<std::size_t>(i)] = options.scatter_pages ? 2 * (pages - i) : i;
  Outputs out;
  std::size_t step = 0;
  for (int done = 0; done < count;) {
    const int rows = options.chunks.empty()
                         ? count
                         : std::min(count - done, options.chunks[step++ % options.chunks.size()]);
    std::vector<std::int32_t> positions(static_cast<std::size_t>(rows)),
        sequence(positions.size(), 0), wanted(positions.size());
    std::iota(positions.begin(), positions.end(), done);
    std::iota(wanted.begin(), wanted.end(), 0);
    Batch batch;
    batch.tokens = std::span(tokens).subspan(static_cast<std::size_t>(done), positions.size());
    batch.positions = positions;
    batch.sequence = sequence;
    batch.page_table = result.table;
    batch.table_stride = pages;
    batch.logit_rows = wanted;
    batch.want_hidden = batch.want_routing = batch.want_selection = true;
    if (options.on_selection)
      batch.on_selection = [&](int layer, int first, int n, std::int32_t* chosen) {
        options.on_selection(layer, done + first, n, chosen);
      };
    model.forward(batch, *result.cache, out);
    result.logits.insert(result.logits.end(), out.logits.begin(), out.logits.end());
    result.hidden.insert(result.hidden.end(), out.hidden.begin(), out.hidden.end());
    result.routing.insert(result.routing.end(), out.routing.begin(), out.routing.end());
    collect_sets(out, done, model.config().index_topk, result);
    done += rows;
  }
  return result;
}

// Largest over the rows of max |a - b| / max |b|.
inline std::vector<double> row_errors(const std::vector<float>& ours,
                                      const std::vector<float>& golden,
                                      int columns) {
  EXPECT_EQ(ours.size(), golden.size());
  std::vector<double> errors;
  for (std::size_t row = 0; row + static_cast<std::size_t>(columns) <= golden.size();
       row += static_cast<std::size_t>(columns)) {
    double difference = 0, size = 0;
    for (std::size_t i = row; i < row + static_cast<std::size_t>(columns); ++i) {
      // max() would let a NaN pass
      const double d = std::abs(static_cast<double>(ours[i]) - static_cast<double>(golden[i]));
      if (!(d <= difference)) difference = d;
      size = std::max(size, std::abs(static_cast<double>(golden[i])));
    }
    errors.push_back(difference / size);
  }
  return errors;
}
inline double largest(const std::vector<double>& errors) {
  double most = 0;
  for (const double e : errors)
    if (!(e <= most)) most = e;
  return most;
}

}  // namespace seedbed::engine
