// What is thrown where a GPU fails.
#pragma once
#include <stdexcept>
#include <string>

namespace seedbed::kernels {

// The device or its driver failed.
class DeviceError : public std::runtime_error {
 public:
  DeviceError(int code, const char* text, const char* file, int line)
      : std::runtime_error(std::string(file) + ":" + std::to_string(line) + ": CUDA error " +
                           std::to_string(code) + ": " + text),
        code_(code) {}
  [[nodiscard]] int code() const { return code_; }

 private:
  int code_;
};

}  // namespace seedbed::kernels
