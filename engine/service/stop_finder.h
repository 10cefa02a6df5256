// Stop strings over text that comes in pieces: what may begin one waits until it is decided. The
// match that is complete first counts; of those, the one that began first. So the result is a
// function of the text, never of its pieces.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace seedbed::engine::service {

class StopFinder {
 public:
  explicit StopFinder(std::vector<std::string> stops) : stops_(std::move(stops)) {}
  // The text that is certain to belong to the answer now.
  std::string push(std::string_view text);
  std::string flush();                                 // no more will come: what was held back
  [[nodiscard]] bool found() const { return found_; }  // afterwards nothing is given out
  [[nodiscard]] const std::string& which() const { return which_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool found_ = false;
  std::string which_;
};

}  // namespace seedbed::engine::service
