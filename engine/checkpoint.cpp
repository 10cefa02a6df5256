#include "engine/checkpoint.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <thread>

#include "base/check.h"
#include "base/text.h"
#include "engine/checkpoint_headers.h"

namespace seedbed::engine {
namespace {

DType computed_type(StoredType type) {
  SEEDBED_CHECK(type == StoredType::f8_e4m3 || type == StoredType::bf16 || type == StoredType::f32);
  return type == StoredType::f8_e4m3 ? DType::f8
         : type == StoredType::bf16  ? DType::bf16
                                     : DType::f32;
}

// Index of the first element that is no finite number, or -1. A block is looked over without
// branches first, so that the usual case runs as fast as memory gives it.
template <class Word, class Bad>
std::int64_t first_bad(const std::byte* data, std::int64_t count, Bad bad) {
  constexpr std::int64_t kBlock = 4096;
  const auto* words = reinterpret_cast<const Word*>(data);
  for (std::int64_t begin = 0; begin < count; begin += kBlock) {
    const auto end = std::min(begin + kBlock, count);
    unsigned any = 0;
    for (auto i = begin; i < end; ++i) any |= bad(words[i]) ? 1U : 0U;
    if (any == 0) continue;
    for (auto i = begin; i < end; ++i)
      if (bad(words[i])) return i;
  }
  return -1;
}

std::int64_t first_bad(DType dtype, const std::byte* data, std::int64_t count) {
  switch (dtype) {
    case DType::f8:
      return first_bad<std::uint8_t>(data, count,
                                     [](std::uint8_t x) { return (x & 0x7fU) == 0x7fU; });
    case DType::bf16:
      return first_bad<std::uint16_t>(data, count,
                                      [](std::uint16_t x) { return (x & 0x7f80U) == 0x7f80U; });
    case DType::f32:
      return first_bad<std::uint32_t>(
          data, count, [](std::uint32_t x) { return (x & 0x7f800000U) == 0x7f800000U; });
  }
  return -1;
}

// Finite and above 0: as an unsigned number from 1 to just below infinity's.
std::int64_t first_bad_scale(const std::byte* data, std::int64_t count) {
  return first_bad<std::uint32_t>(data, count,
                                  [](std::uint32_t x) { return x - 1U >= 0x7f7fffffU; });
}

std::int64_t product(std::span<const std::int64_t> shape) {
  std::int64_t n = 1;
  for (const auto x : shape) n *= x;  // bounded: the tensor has that many bytes
  return n;
}

}  // namespace

struct Checkpoint::State {
  std::string dir;
  ModelConfig config;
  std::vector<ExpectedTensor> expected;
  std::vector<std::string> files;
  std::vector<SafetensorsFile> maps;
  CheckpointMap map;

  [[nodiscard]] const StoredTensor* stored(const std::string& name) const {
    const auto at = map.tensors.find(name);
    return at == map.tensors.end() ? nullptr : &at->second;
  }
  [[nodiscard]] const std::byte* data(const StoredTensor& tensor) const {
    return maps[tensor.file].bytes(tensor.begin, tensor.bytes);
  }
  // The stored tensor that stands for a name of the table, copies followed to their source.
  [[nodiscard]] const StoredTensor* resolve(std::string_view name) const {
    if (const auto* tensor = stored(std::string(name))) return tensor;
    if (name.ends_with(".embed_tokens.weight")) return stored("model.embed_tokens.weight");
    if (name == "lm_head.weight" || name.ends_with(".shared_head.head.weight")) {
      const auto* head = stored("lm_head.weight");
      if (head != nullptr) return head;
      return config.tie_word_embeddings ? stored("model.embed_tokens.weight") : nullptr;
    }
    return nullptr;
  }
  [[nodiscard]] Step check(const ExpectedTensor& row) const;
};

Step Checkpoint::State::check(const ExpectedTensor& row) const {
  const auto* tensor = stored(row.name);
  if (tensor == nullptr) return std::nullopt;  // a copy, looked at where it stands
  const auto refuse = [&](const StoredTensor& at, const std::string& name, std::int64_t i,
                          const char* found_and_wanted) {
    return make_error(
        Where::config, "checkpoint", dir + "/" + files[at.file],
        "tensor '" + name + "', element " + std::to_string(i) + ": " + found_and_wanted,
        "the weights are damaged: fetch them again");
  };
  if (const auto i = first_bad(computed_type(tensor->type), data(*tensor), product(tensor->shape));
      i >= 0)
    return refuse(*tensor, row.name, i, "found NaN or infinity, wanted a finite number");
  if (tensor->type != StoredType::f8_e4m3) return std::nullopt;
  const auto name = scale_name(row.name);
  const auto* scale = stored(name);
  if (const auto i = first_bad_scale(data(*scale), product(scale->shape)); i >= 0)
    return refuse(*scale, name, i,
                  "found a scale that is not finite and above 0, wanted one that is");
  return std::nullopt;
}

Checkpoint::Checkpoint(std::unique_ptr<State> state) : state_(std::move(state)) {}
Checkpoint::Checkpoint(Checkpoint&&) noexcept = default;
Checkpoint& Checkpoint::operator=(Checkpoint&&) noexcept = default;
Checkpoint::~Checkpoint() = default;

Result<Checkpoint> Checkpoint::open(const std::string& dir) {
  SEEDBED_TRY(const auto read, read_checkpoint_headers(dir));
  auto state = std::make_unique<State>();
  state->dir = dir;
  state->config = read.config;
  state->expected = expected_tensors(read.config);
  state->files = read.files;
  // Mapped, and read again: what is matched is what the mapping holds, even if a file was exchanged
  // in between.
  CheckpointHeaders mapped{read.dir, read.config, read.files, {}};
  for (const auto& file : read.files) {
    SEEDBED_TRY(auto map, SafetensorsFile::open(dir + "/" + file));
    mapped.headers.push_back(map.header());
    state->maps.push_back(std::move(map));
  }
  state->map = match_headers(mapped, state->expected);
  if (!state->map.problems.empty()) return std::move(state->map.problems.front());
  return Checkpoint(std::move(state));
}

const ModelConfig& Checkpoint::config() const {
  return state_->config;
}

const std::vector<ExpectedTensor>& Checkpoint::tensors() const {
  return state_->expected;
}

Result<TensorView> Checkpoint::find(std::string_view name) const {
  const auto* tensor = state_->resolve(name);
  if (tensor == nullptr) {
    std::vector<std::string> names;
    for (const auto& row : state_->expected) names.push_back(row.name);
    const auto near = nearest(name, names);
    return make_error(
        Where::config, "checkpoint", state_->dir, "has no tensor '" + std::string(name) + "'",
        near.empty() ? "see `seedbed engine inspect`" : "did you mean '" + near + "'?");
  }
  TensorView view{computed_type(tensor->type), tensor->shape, state_->data(*tensor), nullptr};
  if (tensor->type == StoredType::f8_e4m3) {
    const auto* scale = state_->stored(scale_name(name));
    SEEDBED_CHECK(scale != nullptr, std::string(name));
    view.scale = reinterpret_cast<const float*>(state_->data(*scale));
  }
  return view;
}

Step Checkpoint::check_finite(int threads) const {
  const auto& rows = state_->expected;
  std::vector<Step> found(rows.size());
  std::atomic<std::size_t> next{0};
  std::atomic<bool> any{false};
  const auto work = [&] {
    // Rows are taken in order and a taken row is always looked at: every row before a bad one is.
    while (!any) {
      const auto i = next++;
      if (i >= rows.size()) return;
      found[i] = state_->check(rows[i]);
      if (found[i]) any = true;
    }
  };
  const auto cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  {
    std::vector<std::jthread> others;
    for (int t = 1; t < (threads > 0 ? threads : cores); ++t) others.emplace_back(work);
    work();
  }
  for (auto& step : found)
    if (step) return std::move(step);
  return std::nullopt;
}

}  // namespace seedbed::engine
