#include "engine/memory_plan.h"

#include <map>

#include "engine/cache.h"
#include "kernels/paged.h"

namespace seedbed::engine {
namespace {

std::uint64_t product(const std::vector<std::int64_t>& shape) {
  std::uint64_t n = 1;
  for (const auto x : shape) n *= static_cast<std::uint64_t>(x);
  return n;
}

class Sum {
 public:
  void add(StoredType type, std::uint64_t elements) {
    auto& of = by_type_[type];
    of.type = type;
    ++of.tensors;
    of.elements += elements;
    of.bytes += elements * stored_type_bytes(type);
  }
  Totals finish(Totals out) const {
    for (const auto& [type, of] : by_type_) {
      out.tensors += of.tensors;
      out.elements += of.elements;
      out.payload_bytes += of.bytes;
      out.by_type.push_back(of);
    }
    return out;
  }

 private:
  std::map<StoredType, TypeTotals> by_type_;
};

bool is_routed_expert(const std::string& name) {
  return name.find(".mlp.experts.") != std::string::npos;
}

}  // namespace

Totals totals_of(const CheckpointHeaders& headers) {
  Totals out;
  out.shards = headers.files.size();
  Sum sum;
  for (const auto& header : headers.headers)
    for (const auto& tensor : header.tensors) {
      sum.add(tensor.dtype, tensor.elements());
      if (canonical_name(tensor.name).ends_with("_scale_inv"))
        out.scale_elements += tensor.elements();
    }
  return sum.finish(std::move(out));
}

Result<Totals> totals_from_headers(const std::string& dir) {
  SEEDBED_TRY(const auto headers, read_checkpoint_headers(dir));
  return totals_of(headers);
}

Totals published_totals(const ModelConfig& config) {
  Totals out;
  Sum sum;
  for (const auto& row : expected_tensors(config)) {
    const auto elements = product(row.shape);
    if (row.kind == TensorKind::vector) sum.add(StoredType::f32, elements);
    if (row.kind == TensorKind::matrix) sum.add(StoredType::bf16, elements);
    if (row.kind != TensorKind::linear) continue;
    const auto scales = product(scale_shape(row.shape));
    sum.add(StoredType::f8_e4m3, elements);
    sum.add(StoredType::f32, scales);
    out.scale_elements += scales;
  }
  return sum.finish(std::move(out));
}

ParameterCounts parameter_counts(const ModelConfig& config) {
  ParameterCounts out;
  std::uint64_t routed = 0;
  for (const auto& row : expected_tensors(config)) {
    if (row.optional) continue;
    const auto elements = product(row.shape);
    if (row.layer >= config.num_hidden_layers) {
      out.prediction += elements;
      continue;
    }
    out.total += elements;
    if (is_routed_expert(row.name)) routed += elements;
  }
  out.active = out.total - routed;
  if (routed > 0)
    out.active += routed / static_cast<std::uint64_t>(config.n_routed_experts) *
                  static_cast<std::uint64_t>(config.num_experts_per_tok);
  return out;
}

std::vector<CachePlan> cache_plans(const ModelConfig& config) {
  std::vector<CachePlan> out;
  for (const auto dtype : {DType::f8, DType::bf16, DType::f32}) {
    CachePlan plan;
    plan.dtype = dtype;
    const auto page = static_cast<std::uint64_t>(cache_bytes_per_page(config, dtype));
    constexpr std::uint64_t kTokens = kernels::kPageTokens;
    plan.bytes_per_token = (page + kTokens - 1) / kTokens;
    for (const std::int64_t tokens : {4'096, 65'536, 131'072}) {
      const auto pages = (static_cast<std::uint64_t>(tokens) + kTokens - 1) / kTokens;
      plan.contexts.push_back({tokens, pages, pages * page});
    }
    out.push_back(std::move(plan));
  }
  return out;
}

}  // namespace seedbed::engine
