// Device memory of one user (a model's passes, a sampler): buffers that keep their place, so that a
// step allocates nothing once it has been as large as it gets.
#pragma once
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "kernels/device.h"

namespace seedbed::engine {

// There is no room on the device for what a step needs. Thrown between ops, never inside one;
// whoever made the step gives up what asked for it.
class OutOfDeviceMemory : public std::runtime_error {
 public:
  OutOfDeviceMemory(std::int64_t wanted, std::int64_t held)
      : std::runtime_error(std::to_string(wanted) + " bytes more than the " + std::to_string(held) +
                           " that its buffers hold") {}
};

class Arena {
 public:
  // What one buffer has.
  struct Piece {
    std::byte* at = nullptr;
    std::int64_t capacity = 0, wanted = 0;
    bool of_its_own = false;  // not in the common block
  };

  explicit Arena(kernels::Device& device) : device_(device) {}
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Between plan() and place() buffers say what they will need and get addresses that nobody may
  // use; place() then takes one block for all of them. False: it cannot be had (nothing is held).
  void plan();
  bool place();

  void grow(Piece& piece, std::int64_t bytes);  // contents are lost
  void join(Piece& piece) { pieces_.push_back(&piece); }
  void leave(Piece& piece);

  [[nodiscard]] kernels::Device& device() const { return device_; }
  // Another one whenever a buffer has moved: addresses kept from before are void.
  [[nodiscard]] std::int64_t generation() const { return generation_; }
  [[nodiscard]] std::int64_t bytes() const { return bytes_; }

 private:
  std::byte* take(std::int64_t bytes);
  void give(std::byte* memory);

  kernels::Device& device_;
  std::vector<Piece*> pieces_;
  std::byte* block_ = nullptr;
  bool planning_ = false;
  std::int64_t generation_ = 0, bytes_ = 0;
};

// An array of the arena's, which outlives it.
template <class T>
class Buffer {
 public:
  explicit Buffer(Arena& arena) : arena_(arena) { arena_.join(piece_); }
  ~Buffer() { arena_.leave(piece_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  // At least `count`; contents stay unless it has to grow. OutOfDeviceMemory.
  T* get(std::int64_t count) {
    const std::int64_t bytes = count * static_cast<std::int64_t>(sizeof(T));
    if (bytes > piece_.capacity) arena_.grow(piece_, bytes);
    return reinterpret_cast<T*>(piece_.at);
  }

 private:
  Arena& arena_;
  Arena::Piece piece_;
};

}  // namespace seedbed::engine
