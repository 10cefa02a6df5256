#include "engine/cache.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <string>

#include "base/check.h"

namespace seedbed::engine {

namespace {
constexpr std::int64_t kAlign = 64;
std::int64_t aligned(std::int64_t bytes) {
  return (bytes + kAlign - 1) / kAlign * kAlign;
}
std::int64_t latent_page_bytes(const ModelConfig& config, DType dtype) {
  return aligned(std::int64_t{kernels::kPageTokens} *
                 kernels::kv_record_bytes(dtype, config.kv_lora_rank, config.qk_rope_head_dim));
}
std::int64_t index_page_bytes(const ModelConfig& config, DType dtype) {
  return aligned(kernels::index_page_bytes(dtype, config.index_head_dim));
}
int cached_layers(const ModelConfig& config) {
  return config.num_hidden_layers + config.num_nextn_predict_layers;
}
}  // namespace

std::int64_t cache_bytes_per_page(const ModelConfig& config, DType kv_dtype) {
  return cached_layers(config) *
         (latent_page_bytes(config, kv_dtype) + index_page_bytes(config, kv_dtype));
}

Result<std::unique_ptr<PageCache>> PageCache::make(const ModelConfig& config,
                                                   DType kv_dtype,
                                                   int pages,
                                                   int routed) {
  SEEDBED_CHECK(pages > 0, pages);
  const int d = config.index_head_dim;
  if (kv_dtype == DType::f8 && ((d & (d - 1)) != 0 || d > kernels::kQuantBlock))
    return make_error(Where::config, "key-value cache", "index_head_dim",
                      std::to_string(d) + ", wanted a power of two up to 128 for fp8 index keys",
                      "use a bf16 or f32 cache (--kv-dtype bf16)");
  std::unique_ptr<PageCache> cache(new PageCache);
  cache->pages_ = pages;
  cache->layers_ = cached_layers(config);
  cache->dtype_ = kv_dtype;
  cache->latent_page_ = latent_page_bytes(config, kv_dtype);
  cache->index_page_ = index_page_bytes(config, kv_dtype);
  const std::int64_t layer_bytes = std::int64_t{pages} * cache_bytes_per_page(config, kv_dtype);
  cache->routed_ = routed;
  cache->bytes_ = layer_bytes + std::int64_t{pages} * kernels::kPageTokens * routed *
                                    static_cast<std::int64_t>(sizeof(std::uint16_t));
  void* memory = mmap(nullptr, static_cast<std::size_t>(cache->bytes_), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    return make_error(
        Where::config, "key-value cache", std::to_string(pages) + " pages",
        "memory refused for " + std::to_string(cache->bytes_) + " bytes: " + std::strerror(errno),
        "ask for fewer cached tokens");
  madvise(memory, static_cast<std::size_t>(cache->bytes_), MADV_HUGEPAGE);
  cache->memory_ = static_cast<std::byte*>(memory);
  cache->routing_ = reinterpret_cast<std::uint16_t*>(cache->memory_ + layer_bytes);
  cache->holders_.assign(static_cast<std::size_t>(pages), 0);
  cache->free_.resize(static_cast<std::size_t>(pages));
  for (int i = 0; i < pages; ++i) cache->free_[static_cast<std::size_t>(i)] = i;
  std::make_heap(cache->free_.begin(), cache->free_.end(), std::greater<>());
  return cache;
}

PageCache::~PageCache() {
  if (memory_ != nullptr) munmap(memory_, static_cast<std::size_t>(bytes_));
}

std::int32_t PageCache::take() {
  if (free_.empty()) return -1;
  std::pop_heap(free_.begin(), free_.end(), std::greater<>());
  const std::int32_t page = free_.back();
  free_.pop_back();
  holders_[static_cast<std::size_t>(page)] = 1;
  return page;
}

void PageCache::share(std::int32_t page) {
  SEEDBED_CHECK(page >= 0 && page < pages_ && holders(page) > 0, page, pages_);
  ++holders_[static_cast<std::size_t>(page)];
}

void PageCache::give(std::int32_t page) {
  SEEDBED_CHECK(page >= 0 && page < pages_ && holders(page) > 0, page, pages_);
  if (--holders_[static_cast<std::size_t>(page)] > 0) return;
  free_.push_back(page);
  std::push_heap(free_.begin(), free_.end(), std::greater<>());
}

void PageCache::copy(std::int32_t from, std::int32_t to) {
  SEEDBED_CHECK(from >= 0 && from < pages_ && to >= 0 && to < pages_ && from != to, from, to);
  const auto move = [&](std::byte* base, std::int64_t bytes) {
    std::memcpy(base + to * bytes, base + from * bytes, static_cast<std::size_t>(bytes));
  };
  for (int layer = 0; layer < layers_; ++layer) {
    move(latents(layer).base, latent_page_);
    move(index_keys(layer).base, index_page_);
  }
  move(reinterpret_cast<std::byte*>(routing_),
       std::int64_t{kernels::kPageTokens} * routed_ *
           static_cast<std::int64_t>(sizeof(std::uint16_t)));
}

// Memory: all latent pages layer by layer, then all index pages layer by layer.
kernels::Pages PageCache::latents(int layer) const {
  SEEDBED_CHECK(layer >= 0 && layer < layers_, layer, layers_);
  return {memory_ + std::int64_t{layer} * pages_ * latent_page_, latent_page_, pages_, dtype_};
}
kernels::Pages PageCache::index_keys(int layer) const {
  SEEDBED_CHECK(layer >= 0 && layer < layers_, layer, layers_);
  return {memory_ + std::int64_t{layers_} * pages_ * latent_page_ +
              std::int64_t{layer} * pages_ * index_page_,
          index_page_, pages_, dtype_};
}

}  // namespace seedbed::engine
