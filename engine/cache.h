// The pages that hold keys and values. One page id stands for 64 positions of one sequence in every
// layer: latents, index keys, those of the multi-token-prediction layers, and which experts each
// token went to (that alone is always in the host's memory). Pages are counted by who holds them:
// sequences that share a prefix share its pages.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/config.h"
#include "kernels/device.h"
#include "kernels/paged.h"

namespace seedbed::engine {

using kernels::DType;

// Bytes that one token takes over all layers, or one page.
std::int64_t cache_bytes_per_page(const ModelConfig& config, DType kv_dtype);

class PageCache {
 public:
  // Error{config} where the memory cannot be had. Memory is reserved at once; on the host it is
  // touched on first use. device null: the host. routed: numbers a token in the record of experts
  // (MoE layers x experts a token).
  static Result<std::unique_ptr<PageCache>> make(const ModelConfig& config,
                                                 DType kv_dtype,
                                                 int pages,
                                                 int routed = 0,
                                                 std::shared_ptr<kernels::Device> device = nullptr);
  ~PageCache();
  PageCache(const PageCache&) = delete;
  PageCache& operator=(const PageCache&) = delete;

  // A page nobody holds, or -1. The lowest free id first. The caller holds it.
  std::int32_t take();
  void share(std::int32_t page);  // one more holder
  void give(std::int32_t page);   // one less; free with the last
  [[nodiscard]] int holders(std::int32_t page) const {
    return holders_[static_cast<std::size_t>(page)];
  }
  void copy(std::int32_t from, std::int32_t to);  // everything of a page, in every layer
  // The same to and from an image in the host's memory, page_bytes() long.
  void read(std::int32_t page, std::byte* to) const;
  void write(std::int32_t page, const std::byte* from);
  [[nodiscard]] std::int64_t page_bytes() const;
  // What one token's experts are, u16 [routed]; slot: 0 .. 63 of the page.
  [[nodiscard]] std::uint16_t* routing(std::int32_t page, int slot) const {
    return routing_ + (std::int64_t{page} * kernels::kPageTokens + slot) * routed_;
  }
  [[nodiscard]] int routed() const { return routed_; }
  [[nodiscard]] int pages() const { return pages_; }
  [[nodiscard]] int free_pages() const { return static_cast<int>(free_.size()); }
  [[nodiscard]] DType dtype() const { return dtype_; }
  // layer: 0 .. num_hidden_layers - 1, then the prediction layers.
  [[nodiscard]] kernels::Pages latents(int layer) const;
  [[nodiscard]] kernels::Pages index_keys(int layer) const;

 private:
  PageCache() = default;
  int pages_ = 0, layers_ = 0, routed_ = 0;
  DType dtype_ = DType::f8;
  std::int64_t latent_page_ = 0, index_page_ = 0;  // bytes
  [[nodiscard]] std::int64_t routing_page() const;
  // part(address, bytes) for all that the device holds of a page.
  template <class Part>
  void each_part(std::int32_t page, Part&& part) const;
  std::shared_ptr<kernels::Device> device_;
  std::byte* memory_ = nullptr;  // of the device
  std::int64_t bytes_ = 0;
  std::byte* routing_memory_ = nullptr;  // of the host
  std::uint16_t* routing_ = nullptr;
  std::vector<std::int32_t> free_;  // a heap, lowest first
  std::vector<std::int32_t> holders_;
};

}  // namespace seedbed::engine
