#include "engine/recordings.h"

#include <algorithm>

namespace seedbed::engine {

void Recordings::forget_if_moved() {
  if (generation_ == arena_.generation()) return;
  entries_.clear();
  generation_ = arena_.generation();
}

kernels::Device::Recording* Recordings::find(const StepShape& shape) {
  forget_if_moved();
  const auto at = entries_.find(shape);
  if (at == entries_.end()) return nullptr;
  at->second.used = ++clock_;
  return at->second.recording.get();
}

bool Recordings::worth_it(const StepShape& shape) {
  forget_if_moved();
  if (entries_.contains(shape)) return true;
  if (entries_.size() >= kMost)
    entries_.erase(std::min_element(
        entries_.begin(), entries_.end(),
        [](const auto& a, const auto& b) { return a.second.used < b.second.used; }));
  entries_[shape].used = ++clock_;
  return false;
}

void Recordings::keep(const StepShape& shape,
                      std::unique_ptr<kernels::Device::Recording> recording) {
  entries_[shape] = {std::move(recording), ++clock_};
}

std::int64_t recorded_size(std::int64_t count) {
  std::int64_t size = 1;
  while (size < count) {
    if (size >= 2 && size + size / 2 >= count) return size + size / 2;
    size *= 2;
  }
  return size;
}

}  // namespace seedbed::engine
