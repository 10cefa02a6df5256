// What the fake device's own tests share.
#pragma once
#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <vector>

#include "tests/engine/fake_device.h"

namespace seedbed::engine::kit {

// Memory of a device with this content.
template <class T>
T* made(FakeDevice& device, const std::vector<T>& values) {
  const auto bytes = static_cast<std::int64_t>(values.size() * sizeof(T));
  std::byte* memory = device.allocate(bytes);
  device.upload(memory, values.data(), bytes);
  return reinterpret_cast<T*>(memory);
}
template <class T>
std::vector<T> read(FakeDevice& device, const T* from, std::size_t count) {
  std::vector<T> values(count);
  device.download(values.data(), from, static_cast<std::int64_t>(count * sizeof(T)));
  return values;
}
template <class T>
void release(FakeDevice& device, T* memory) {
  device.release(reinterpret_cast<std::byte*>(memory));
}
template <class Call>
std::string why(const Call& call) {
  try {
    call();
  } catch (const BrokenRule& e) {
    return e.what();
  }
  return "nothing was found";
}
inline void expect_in(const std::string& part, const std::string& text) {
  EXPECT_NE(text.find(part), std::string::npos) << text << "\n  lacks: " << part;
}

class Fake : public testing::Test {
 protected:
  Fake() { device_.bind(); }
  FakeDevice device_{{.reserve_bytes = 1 << 24, .quiet = true}};
};

}  // namespace seedbed::engine::kit
