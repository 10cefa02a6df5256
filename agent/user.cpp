#include "agent/user.h"

#include "base/text.h"

namespace seedbed::agent {

std::optional<std::string> User::answer(std::string_view message) {
  if (replies_ >= script_->max_replies) return std::nullopt;
  ++replies_;
  const std::string said = lower_ascii(message);
  for (std::size_t i = 0; i < script_->reveals.size(); ++i) {
    if (used_[i]) continue;
    for (const auto& keyword : script_->reveals[i].keywords) {
      if (keyword.empty() || said.find(lower_ascii(keyword)) == std::string::npos) continue;
      used_[i] = true;
      return script_->reveals[i].text;
    }
  }
  return script_->fallback;
}

}  // namespace seedbed::agent
