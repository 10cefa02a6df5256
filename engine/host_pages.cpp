#include "engine/host_pages.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <limits>
#include <string>

#include "base/check.h"

namespace seedbed::engine {

Result<std::unique_ptr<HostPages>> HostPages::make(std::int64_t page_bytes, int pages) {
  SEEDBED_CHECK(page_bytes > 0 && pages > 0, page_bytes, pages);
  const auto refused = [&](const std::string& why) {
    return make_error(Where::config, "host tier of the cache", std::to_string(pages) + " pages",
                      "memory refused for " + std::to_string(pages) + " times " +
                          std::to_string(page_bytes) + " bytes: " + why,
                      "ask for fewer tokens in the host's memory");
  };
  const std::int64_t images = std::int64_t{pages} + 1;
  if (images > std::numeric_limits<std::int64_t>::max() / page_bytes)
    return refused("more than can be addressed");
  void* memory = mmap(nullptr, static_cast<std::size_t>(images * page_bytes),
                      PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return refused(std::strerror(errno));
  madvise(memory, static_cast<std::size_t>(images * page_bytes), MADV_HUGEPAGE);
  std::unique_ptr<HostPages> made(new HostPages);
  made->page_bytes_ = page_bytes;
  made->pages_ = pages;
  made->memory_ = static_cast<std::byte*>(memory);
  return made;
}

HostPages::~HostPages() {
  if (memory_ != nullptr)
    munmap(memory_, static_cast<std::size_t>((std::int64_t{pages_} + 1) * page_bytes_));
}

std::int32_t HostPages::take(bool exchange) {
  if (used_ >= pages_ + (exchange ? 1 : 0)) return -1;
  std::int32_t slot = untouched_;
  if (free_.empty()) {
    ++untouched_;
    taken_.push_back(true);
  } else {
    std::pop_heap(free_.begin(), free_.end(), std::greater<>());
    slot = free_.back();
    free_.pop_back();
    taken_[static_cast<std::size_t>(slot)] = true;
  }
  ++used_;
  return slot;
}

void HostPages::give(std::int32_t slot) {
  SEEDBED_CHECK(slot >= 0 && slot < untouched_ && taken_[static_cast<std::size_t>(slot)], slot,
                untouched_);
  taken_[static_cast<std::size_t>(slot)] = false;
  free_.push_back(slot);
  std::push_heap(free_.begin(), free_.end(), std::greater<>());
  --used_;
}

std::byte* HostPages::at(std::int32_t slot) const {
  SEEDBED_CHECK(slot >= 0 && slot < untouched_ && taken_[static_cast<std::size_t>(slot)], slot,
                untouched_);
  return memory_ + slot * page_bytes_;
}

}  // namespace seedbed::engine
