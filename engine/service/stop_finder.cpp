#include "engine/service/stop_finder.h"

#include <algorithm>

namespace seedbed::engine::service {

std::string StopFinder::push(std::string_view text) {
  if (found_) return "";
  if (stops_.empty()) return std::string(text);
  held_.append(text);
  std::size_t begin = std::string::npos, end = std::string::npos;
  for (const auto& stop : stops_) {
    const auto at = held_.find(stop);
    if (at == std::string::npos) continue;
    const auto over = at + stop.size();
    if (over < end || (over == end && at < begin)) {
      begin = at;
      end = over;
      which_ = stop;
    }
  }
  if (end != std::string::npos) {
    found_ = true;
    std::string out = held_.substr(0, begin);
    held_.clear();
    return out;
  }
  std::size_t keep = 0;
  for (const auto& stop : stops_)
    for (std::size_t n = std::min(stop.size() - 1, held_.size()); n > keep; --n)
      if (std::string_view(held_).substr(held_.size() - n) == std::string_view(stop).substr(0, n))
        keep = n;
  std::string out = held_.substr(0, held_.size() - keep);
  held_.erase(0, out.size());
  return out;
}

std::string StopFinder::flush() {
  std::string out;
  out.swap(held_);
  return found_ ? "" : out;
}

}  // namespace seedbed::engine::service
