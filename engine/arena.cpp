#include "engine/arena.h"

#include <algorithm>

#include "base/check.h"

namespace seedbed::engine {

namespace {
constexpr std::int64_t kAlign = 256;
std::int64_t aligned(std::int64_t bytes) {
  return (bytes + kAlign - 1) / kAlign * kAlign;
}
// While it is planned: not null, so that sums with it mean something; nobody reads there.
std::byte* nowhere() {
  return reinterpret_cast<std::byte*>(kAlign);
}
}  // namespace

// A device that failed was told of before; its memory is gone with it.
void Arena::give(std::byte* memory) {
  try {
    device_.release(memory);
  } catch (const kernels::DeviceError&) {
  }
}

Arena::~Arena() {
  if (block_ != nullptr) give(block_);
}

void Arena::leave(Piece& piece) {
  if (piece.of_its_own) give(piece.at);
  std::erase(pieces_, &piece);
}

std::byte* Arena::take(std::int64_t bytes) {
  std::byte* memory = device_.allocate(bytes);
  if (memory != nullptr) bytes_ += bytes;
  return memory;
}

void Arena::plan() {
  SEEDBED_CHECK(block_ == nullptr && bytes_ == 0, bytes_);
  planning_ = true;
}

bool Arena::place() {
  SEEDBED_CHECK(planning_);
  planning_ = false;
  std::int64_t sum = 0;
  for (const Piece* piece : pieces_) sum += aligned(piece->wanted);
  for (Piece* piece : pieces_) *piece = {.wanted = piece->wanted};
  if (sum == 0) return true;
  block_ = take(sum);
  if (block_ == nullptr) return false;
  std::byte* at = block_;
  for (Piece* piece : pieces_) {
    if (piece->wanted == 0) continue;
    piece->at = at;
    piece->capacity = aligned(piece->wanted);
    at += piece->capacity;
  }
  ++generation_;
  return true;
}

void Arena::grow(Piece& piece, std::int64_t bytes) {
  if (planning_) {
    piece.wanted = std::max(piece.wanted, bytes);
    piece.at = nowhere();
    return;
  }
  // By half as much again, so that a buffer that grows with a context moves rarely.
  const std::int64_t wanted = aligned(std::max(bytes, piece.capacity + piece.capacity / 2));
  std::byte* memory = take(wanted);
  if (memory == nullptr && piece.of_its_own) {  // perhaps in its own place
    give(piece.at);
    bytes_ -= piece.capacity;
    piece = {};
    ++generation_;
    memory = take(aligned(bytes));
    if (memory == nullptr) throw OutOfDeviceMemory(bytes, bytes_);
    piece = {memory, aligned(bytes), 0, true};
    return;
  }
  if (memory == nullptr) throw OutOfDeviceMemory(bytes, bytes_);
  if (piece.of_its_own) {
    give(piece.at);
    bytes_ -= piece.capacity;
  }
  piece = {memory, wanted, 0, true};
  ++generation_;
}

}  // namespace seedbed::engine
