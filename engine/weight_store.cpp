#include <algorithm>

#include "engine/weights.h"

namespace seedbed::engine {

WeightStore::WeightStore(std::shared_ptr<kernels::Device> device, std::int64_t most)
    : device_(std::move(device)), most_(most) {}

// A device that failed was told of before; its memory is gone with it.
WeightStore::~WeightStore() {
  try {
    for (std::byte* block : blocks_) device_->release(block);
  } catch (const kernels::DeviceError&) {
  }
}

std::byte* WeightStore::room(std::int64_t count) {
  constexpr std::int64_t kAlign = 256, kLeastBlock = 1 << 20;
  if (full_) return nullptr;
  const std::int64_t bytes = (count + kAlign - 1) / kAlign * kAlign;
  if (bytes > left_) {
    const std::int64_t block = std::max({bytes, most_ - bytes_, kLeastBlock});
    next_ = device_->allocate(block);
    left_ = next_ != nullptr ? block : 0;
    full_ = next_ == nullptr;
    if (full_) return nullptr;
    blocks_.push_back(next_);
  }
  std::byte* out = next_;
  next_ += bytes;
  left_ -= bytes;
  bytes_ += bytes;
  return out;
}

const std::byte* WeightStore::view(const void* bytes, std::int64_t count) {
  return device_->is_host() ? static_cast<const std::byte*>(bytes) : keep(bytes, count);
}

const std::byte* WeightStore::keep(const void* bytes, std::int64_t count) {
  if (full_) return nullptr;
  std::byte* out = room(count);
  if (out != nullptr) device_->upload(out, bytes, count);
  return out;
}

}  // namespace seedbed::engine
