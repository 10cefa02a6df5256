// What a checkpoint holds and what running it takes, from headers and configuration alone.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "engine/checkpoint_headers.h"

namespace seedbed::engine {

struct TypeTotals {
  StoredType type = StoredType::f32;
  std::uint64_t tensors = 0, elements = 0, bytes = 0;
};
struct Totals {
  std::uint64_t tensors = 0, elements = 0, payload_bytes = 0, shards = 0;
  std::uint64_t scale_elements = 0;  // of tensors named *_scale_inv (or *.scale)
  std::vector<TypeTotals> by_type;   // those that occur, in the order of StoredType
};

// Of every tensor in the files, whether or not the table knows it.
Totals totals_of(const CheckpointHeaders& headers);
// The same straight from a folder.
Result<Totals> totals_from_headers(const std::string& dir);
// What the table comes to when it is stored as published: fp8 linears with F32 scales, BF16
// matrices, F32 vectors, copies included. shards is 0.
Totals published_totals(const ModelConfig& config);

struct ParameterCounts {
  std::uint64_t total = 0;       // of the main model: weights without scales
  std::uint64_t active = 0;      // of those, what one token meets: all but the experts not chosen
  std::uint64_t prediction = 0;  // of the prediction layers, copies of embedding and head left out
};
ParameterCounts parameter_counts(const ModelConfig& config);

struct CachePlan {
  DType dtype = DType::f8;
  std::uint64_t bytes_per_token = 0;  // latents and index keys of all layers, rounded up
  struct Context {
    std::int64_t tokens = 0;
    std::uint64_t pages = 0, bytes = 0;
  };
  std::vector<Context> contexts;  // 4k, 64k, 128k
};
// For fp8, bf16 and f32.
std::vector<CachePlan> cache_plans(const ModelConfig& config);

}  // namespace seedbed::engine
