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
// Null where it is refused.
std::byte* map(std::int64_t bytes) {
  void* memory = mmap(nullptr, static_cast<std::size_t>(bytes), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  madvise(memory, static_cast<std::size_t>(bytes), MADV_HUGEPAGE);
  return static_cast<std::byte*>(memory);
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
                                                   int routed,
                                                   std::shared_ptr<kernels::Device> device) {
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
  cache->routed_ = routed;
  cache->device_ = device != nullptr ? std::move(device) : kernels::host_device();
  kernels::Device& where = *cache->device_;
  const auto refused = [&](std::int64_t bytes, const std::string& why) {
    return make_error(Where::config, "key-value cache", std::to_string(pages) + " pages",
                      "memory refused for " + std::to_string(bytes) + " bytes" + why,
                      "ask for fewer cached tokens");
  };
  cache->bytes_ = std::int64_t{pages} * cache_bytes_per_page(config, kv_dtype);
  if (where.is_host()) {
    cache->memory_ = map(cache->bytes_);
  } else {
    where.bind();
    // And room for one page in one piece, so that an image is one copy between device and host.
    cache->memory_ = where.allocate(cache->bytes_ + cache_bytes_per_page(config, kv_dtype));
  }
  if (cache->memory_ == nullptr)
    return refused(cache->bytes_, where.is_host() ? std::string(": ") + std::strerror(errno)
                                                  : " on " + where.describe());
  if (routed > 0) {
    const std::int64_t bytes = std::int64_t{pages} * cache->routing_page();
    cache->routing_memory_ = map(bytes);
    if (cache->routing_memory_ == nullptr)
      return refused(bytes, std::string(": ") + std::strerror(errno));
    cache->routing_ = reinterpret_cast<std::uint16_t*>(cache->routing_memory_);
  }
  cache->holders_.assign(static_cast<std::size_t>(pages), 0);
  cache->free_.resize(static_cast<std::size_t>(pages));
  for (int i = 0; i < pages; ++i) cache->free_[static_cast<std::size_t>(i)] = i;
  std::make_heap(cache->free_.begin(), cache->free_.end(), std::greater<>());
  return cache;
}

PageCache::~PageCache() {
  if (routing_memory_ != nullptr)
    munmap(routing_memory_, static_cast<std::size_t>(std::int64_t{pages_} * routing_page()));
  if (memory_ == nullptr) return;
  if (device_->is_host()) {
    munmap(memory_, static_cast<std::size_t>(bytes_));
    return;
  }
  try {
    device_->release(memory_);
  } catch (const kernels::DeviceError&) {  // was told of before; its memory is gone with it
  }
}

std::int64_t PageCache::routing_page() const {
  return std::int64_t{kernels::kPageTokens} * routed_ *
         static_cast<std::int64_t>(sizeof(std::uint16_t));
}

std::int64_t PageCache::page_bytes() const {
  return layers_ * (latent_page_ + index_page_) + routing_page();
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

template <class Part>
void PageCache::each_part(std::int32_t page, Part&& part) const {
  SEEDBED_CHECK(page >= 0 && page < pages_, page, pages_);
  for (int layer = 0; layer < layers_; ++layer) {
    part(latents(layer).base + page * latent_page_, latent_page_);
    part(index_keys(layer).base + page * index_page_, index_page_);
  }
}

void PageCache::copy(std::int32_t from, std::int32_t to) {
  SEEDBED_CHECK(to >= 0 && to < pages_ && from != to, from, to);
  device_->bind();
  each_part(from, [&](std::byte* at, std::int64_t bytes) {
    device_->copy(at + (to - from) * bytes, at, bytes);
  });
  if (routed_ > 0)
    std::copy_n(routing(from, 0), std::int64_t{kernels::kPageTokens} * routed_, routing(to, 0));
}

void PageCache::read(std::int32_t page, std::byte* to) const {
  device_->bind();
  std::byte* piece = device_->is_host() ? to : memory_ + bytes_;
  std::byte* at = piece;
  each_part(page, [&](const std::byte* part, std::int64_t bytes) {
    device_->copy(at, part, bytes);
    at += bytes;
  });
  const std::int64_t bytes = page_bytes() - routing_page();
  if (piece != to) device_->download(to, piece, bytes);
  if (routed_ > 0)
    std::memcpy(to + bytes, routing(page, 0), static_cast<std::size_t>(routing_page()));
}

void PageCache::write(std::int32_t page, const std::byte* from) {
  device_->bind();
  const std::int64_t bytes = page_bytes() - routing_page();
  const std::byte* at = from;
  if (!device_->is_host()) {
    device_->upload(memory_ + bytes_, from, bytes);
    at = memory_ + bytes_;
  }
  each_part(page, [&](std::byte* part, std::int64_t count) {
    device_->copy(part, at, count);
    at += count;
  });
  if (routed_ > 0)
    std::memcpy(routing(page, 0), from + bytes, static_cast<std::size_t>(routing_page()));
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
