// Room in the host's memory for pages that were pushed out of the cache: one image a slot, as
// PageCache::read writes it. Knows nothing of what lies in a slot.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"

namespace seedbed::engine {

class HostPages {
 public:
  // Error{config} where the memory cannot be had. It is reserved at once, for one image more than
  // `pages`, and touched on first use.
  static Result<std::unique_ptr<HostPages>> make(std::int64_t page_bytes, int pages);
  ~HostPages();
  HostPages(const HostPages&) = delete;
  HostPages& operator=(const HostPages&) = delete;

  // A slot that is free, the lowest first, or -1. exchange: one more than there are pages, for who
  // gives another back at once.
  std::int32_t take(bool exchange = false);
  void give(std::int32_t slot);
  // page_bytes() long; good while the slot is taken.
  [[nodiscard]] std::byte* at(std::int32_t slot) const;
  [[nodiscard]] int pages() const { return pages_; }
  [[nodiscard]] int used() const { return used_; }
  [[nodiscard]] std::int64_t page_bytes() const { return page_bytes_; }

 private:
  HostPages() = default;
  std::int64_t page_bytes_ = 0;
  int pages_ = 0, used_ = 0;
  std::byte* memory_ = nullptr;
  std::int32_t untouched_ = 0;      // slots from here on were never taken
  std::vector<std::int32_t> free_;  // those before it, a heap, lowest first
  std::vector<bool> taken_;         // the same slots
};

}  // namespace seedbed::engine
