#include "engine/make_model.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include "base/rng.h"
#include "engine/safetensors.h"

namespace seedbed::engine {
namespace {

constexpr std::int64_t kChunkElements = 1 << 20;  // of one piece of work

// A weight is (offset + s) * step, where s is the sum of four uniform 16-bit numbers about 0: near
// enough to normal, exact in integers, and rounded once, so that no compiler can contract it.
struct Recipe {
  std::int64_t offset = 0;
  float step = 0;
};
constexpr double kSumDeviation = 37'837.2;  // of s: sqrt(4 (2^32 - 1) / 12)

Recipe normal(double mean, double deviation) {
  const auto step = static_cast<float>(deviation / kSumDeviation);
  return {static_cast<std::int64_t>(mean / static_cast<double>(step) + 0.5), step};
}

// Deviations that keep activations near 1 through the layers, logits spread, and both signs in
// everything that may have them.
Recipe recipe_of(const ExpectedTensor& row) {
  const auto ends = [&](std::string_view suffix) { return row.name.ends_with(suffix); };
  if (ends("norm.weight")) return normal(1.0, 0.15);
  if (ends("k_norm.bias")) return normal(0.0, 0.3);
  if (ends("e_score_correction_bias")) return normal(0.0, 0.1);
  if (ends("embed_tokens.weight")) return normal(0.0, 1.0);
  double gain = 1.0;
  if (ends("lm_head.weight") || ends("shared_head.head.weight")) gain = 2.5;
  if (ends(".gate.weight")) gain = 1.2;
  return normal(0.0, gain / std::sqrt(static_cast<double>(row.shape.back())));
}

// A copy has the values of its source.
std::string source_name(const ExpectedTensor& row, const ModelConfig& config) {
  if (row.name.ends_with(".embed_tokens.weight")) return "model.embed_tokens.weight";
  if (row.name.ends_with(".shared_head.head.weight"))
    return config.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight";
  return row.name;
}

// SplitMix64 read at any place: element i of a tensor is draw i of the tensor's stream.
std::uint64_t draw(std::uint64_t key, std::uint64_t i) {
  std::uint64_t z = key + (i + 1) * 0x9e3779b97f4a7c15ULL;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

float weight(const Recipe& recipe, std::uint64_t key, std::uint64_t i) {
  const auto bits = draw(key, i);
  const auto sum = (bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48);
  return static_cast<float>(static_cast<std::int64_t>(sum) - 131'070 + recipe.offset) * recipe.step;
}

struct Target {
  ExpectedTensor row;
  Recipe recipe;
  std::uint64_t key = 0;
  StoredType type = StoredType::f32;
  std::size_t index = 0;  // of the writer; its scales are the next one
  [[nodiscard]] std::int64_t columns() const { return row.shape.back(); }
  [[nodiscard]] std::int64_t rows() const { return row.shape.size() == 2 ? row.shape[0] : 1; }
};

struct Piece {
  std::size_t target = 0;
  std::int64_t begin = 0, end = 0;  // rows
};

StoredType stored_type(TensorKind kind, DType dtype) {
  if (kind == TensorKind::vector || dtype == DType::f32) return StoredType::f32;
  return kind == TensorKind::linear && dtype == DType::f8 ? StoredType::f8_e4m3 : StoredType::bf16;
}

// What one thread needs to make a piece.
struct Buffers {
  std::vector<float> values, scales;
  std::vector<std::uint8_t> codes;
  std::vector<std::uint16_t> halves;
};

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span<const T>(values));
}

// Blocks of 128 x 128 from the first row on; the last ones may be smaller either way.
void quantise(const std::vector<float>& values, std::int64_t columns, Buffers& out) {
  constexpr std::int64_t kBlock = kernels::kQuantBlock;
  const auto rows = static_cast<std::int64_t>(values.size()) / columns;
  const auto across = (columns + kBlock - 1) / kBlock;
  out.codes.resize(values.size());
  out.scales.assign(static_cast<std::size_t>((rows + kBlock - 1) / kBlock * across), 0);
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(out.scales.size()); ++i) {
    const auto row = i / across * kBlock, column = i % across * kBlock;
    const auto row_end = std::min(row + kBlock, rows);
    const auto column_end = std::min(column + kBlock, columns);
    float amax = 0;
    for (auto r = row; r < row_end; ++r)
      for (auto c = column; c < column_end; ++c)
        amax = std::max(amax, std::abs(values[static_cast<std::size_t>(r * columns + c)]));
    const float scale = kernels::fp8_scale(amax, true);
    const float inverse = 1.0F / scale;  // exact: a power of two
    out.scales[static_cast<std::size_t>(i)] = scale;
    for (auto r = row; r < row_end; ++r)
      for (auto c = column; c < column_end; ++c) {
        const auto at = static_cast<std::size_t>(r * columns + c);
        out.codes[at] = kernels::f32_to_e4m3(values[at] * inverse);
      }
  }
}

class Maker {
 public:
  Maker(SafetensorsWriter& writer, const std::vector<Target>& targets, std::vector<Piece> pieces)
      : writer_(writer), targets_(targets), pieces_(std::move(pieces)) {}

  Step run(const MakeModelOptions& options, std::uint64_t total) {
    const auto work = [&] {
      Buffers buffers;
      for (std::size_t i = next_++; i < pieces_.size(); i = next_++) {
        if (options.stop != nullptr && *options.stop)
          return fail(
              make_error(Where::interrupted, "make-model", "", "stopped", "run the command again"));
        std::uint64_t bytes = 0;
        if (auto error = make(pieces_[i], buffers, bytes)) return fail(*std::move(error));
        const std::lock_guard lock(mutex_);
        if (error_) return;
        done_ += bytes;
        if (options.progress) options.progress(done_, total);
      }
    };
    const auto cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
    {
      std::vector<std::jthread> others;
      for (int t = 1; t < (options.threads > 0 ? options.threads : cores); ++t)
        others.emplace_back(work);
      work();
    }
    return std::move(error_);
  }

 private:
  void fail(Error error) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
    next_ = pieces_.size();
  }

  Step put(std::size_t tensor,
           std::int64_t offset,
           std::span<const std::byte> bytes,
           std::uint64_t& sum) {
    sum += bytes.size();
    return writer_.put(tensor, static_cast<std::uint64_t>(offset), bytes);
  }

  Step make(const Piece& piece, Buffers& buffers, std::uint64_t& bytes) {
    const auto& target = targets_[piece.target];
    const auto first = piece.begin * target.columns();
    buffers.values.resize(static_cast<std::size_t>((piece.end - piece.begin) * target.columns()));
    for (std::size_t i = 0; i < buffers.values.size(); ++i)
      buffers.values[i] = weight(target.recipe, target.key, static_cast<std::uint64_t>(first) + i);

    if (target.type == StoredType::f32)
      return put(target.index, first * 4, bytes_of(buffers.values), bytes);
    if (target.type == StoredType::bf16) {
      buffers.halves.resize(buffers.values.size());
      std::transform(buffers.values.begin(), buffers.values.end(), buffers.halves.begin(),
                     kernels::f32_to_bf16);
      return put(target.index, first * 2, bytes_of(buffers.halves), bytes);
    }
    quantise(buffers.values, target.columns(), buffers);
    if (auto error = put(target.index, first, bytes_of(buffers.codes), bytes)) return error;
    const auto across = scale_shape(target.row.shape)[1];
    return put(target.index + 1, piece.begin / kernels::kQuantBlock * across * 4,
               bytes_of(buffers.scales), bytes);
  }

  SafetensorsWriter& writer_;
  const std::vector<Target>& targets_;
  std::vector<Piece> pieces_;
  std::atomic<std::size_t> next_{0};
  std::mutex mutex_;
  std::uint64_t done_ = 0;
  Step error_;
};

struct Plan {
  std::vector<Target> targets;
  std::vector<PlannedTensor> tensors;
  std::vector<Piece> pieces;
  std::uint64_t bytes = 0;
};

Plan plan(const ModelConfig& config, const MakeModelOptions& options) {
  Plan out;
  for (auto& row : expected_tensors(config)) {
    const bool tied_head = row.name == "lm_head.weight";  // optional only where it is tied
    if (row.optional && (tied_head || !options.store_copies)) continue;
    Target target;
    const auto source = source_name(row, config);
    ExpectedTensor like = row;
    like.name = source;
    target.recipe = recipe_of(like);
    target.key = rng_for(options.seed, source, 0, "weight").next();
    target.type = stored_type(row.kind, options.dtype);
    target.index = out.tensors.size();
    target.row = std::move(row);
    out.tensors.push_back({target.row.name, target.type, target.row.shape});
    const auto elements =
        static_cast<std::uint64_t>(target.rows()) * static_cast<std::uint64_t>(target.columns());
    out.bytes += elements * stored_type_bytes(target.type);
    if (target.type == StoredType::f8_e4m3) {
      const auto shape = scale_shape(target.row.shape);
      out.tensors.push_back({scale_name(target.row.name), StoredType::f32, shape});
      out.bytes += static_cast<std::uint64_t>(shape[0] * shape[1]) * 4;
    }
    constexpr std::int64_t kBlock = kernels::kQuantBlock;
    const auto rows = std::max(kBlock, kChunkElements / target.columns() / kBlock * kBlock);
    for (std::int64_t begin = 0; begin < target.rows(); begin += rows)
      out.pieces.push_back({out.targets.size(), begin, std::min(begin + rows, target.rows())});
    out.targets.push_back(std::move(target));
  }
  return out;
}

Step write_text(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  out.close();
  if (out) return std::nullopt;
  return make_error(Where::config, "file", path, "could not be written", "free space there");
}

}  // namespace

Step make_model(const ModelConfig& config,
                const MakeModelOptions& options,
                const std::string& dir) {
  ModelConfig stored = config;
  stored.quant = {.fp8 = options.dtype == DType::f8, .ue8m0 = options.dtype == DType::f8};
  auto planned = plan(stored, options);
  auto writer = SafetensorsWriter::create(dir, std::move(planned.tensors), options.max_shard_bytes);
  if (!writer.ok()) return std::move(writer).error();
  if (auto error =
          Maker(*writer, planned.targets, std::move(planned.pieces)).run(options, planned.bytes))
    return error;

  auto json = to_json(stored);
  json.set("torch_dtype", options.dtype == DType::f32 ? "float32" : "bfloat16");
  if (auto error = write_text(dir + "/config.json", schemas::dump_pretty(json) + "\n"))
    return error;
  if (!options.tokenizer.empty()) {
    std::error_code code;
    std::filesystem::copy_file(options.tokenizer, dir + "/tokenizer.json",
                               std::filesystem::copy_options::overwrite_existing, code);
    if (code)
      return make_error(Where::config, "file", options.tokenizer,
                        "could not be copied: " + code.message(), "check the path");
  }
  return writer->finish();
}

}  // namespace seedbed::engine
